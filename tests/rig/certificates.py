"""Certificates for a test, good and bad ones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """Certificate and key files."""

    certificate: Path
    key: Path


class Certificates:
    """An authority (P-256) whose files lie in `directory`; `ca` is its certificate."""

    def __init__(self, directory: Path, name: str = "Test authority") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        self._certificate = (
            x509.CertificateBuilder(self._name, self._name, self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.ca = directory / "ca.crt"
        self.ca.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def server(self, *names: str, start: timedelta = -DAY, end: timedelta = DAY) -> Pair:
        """For a broker of these host names or addresses (localhost and 127.0.0.1 if none is given)."""
        alternatives: list[x509.GeneralName] = []
        for name in names or ("localhost", "127.0.0.1"):
            try:
                alternatives.append(x509.IPAddress(ip_address(name)))
            except ValueError:
                alternatives.append(x509.DNSName(name))
        return self._issue("broker", ExtendedKeyUsageOID.SERVER_AUTH, start, end, alternatives)

    def client(self, name: str, start: timedelta = -DAY, end: timedelta = DAY) -> Pair:
        """For a gateway or receiver whose CN is `name`."""
        return self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH, start, end, [])

    def revocation_list(self, *revoked: Pair) -> Path:
        """A CRL with the serial numbers of `revoked`."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder(self._name, now - DAY, now + 30 * DAY)
        for pair in revoked:
            serial = x509.load_pem_x509_certificate(pair.certificate.read_bytes()).serial_number
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder(serial, now - DAY / 2).build()
            )
        file = self._directory / "crl.pem"
        file.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return file

    def _issue(
        self,
        name: str,
        purpose: x509.ObjectIdentifier,
        start: timedelta,
        end: timedelta,
        alternatives: list[x509.GeneralName],
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(
                self._name, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key()
            )
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + start)
            .not_valid_after(now + end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        stem = f"{name}-{x509.random_serial_number():x}"[:40]
        pair = Pair(self._directory / f"{stem}.crt", self._directory / f"{stem}.key")
        pair.certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        pair.key.touch(mode=0o600)
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return pair
