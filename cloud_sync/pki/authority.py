"""A development authority (P-256): good enough for demo, tests and a first site; not for a fleet.

It signs three kinds of names and no other: a broker's host names (server authentication), `receiver` and a
gateway's id (client authentication). The broker takes a client's CN for its user name, so a name that this
module lets through is a right in the broker's ACL.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud_sync.errors import ConfigurationError
from cloud_sync.pki.private_file import make_directory, read_private, write_private, write_public
from cloud_sync.pki.request import checked_request
from edge_codecs.identifiers import GatewayId

RECEIVER_NAME = "receiver"
"""CN of every receiver: the broker's user name in its ACL."""
BROKER_NAME = "broker"
GATEWAY_DAYS = 90
SERVICE_DAYS = 365
AUTHORITY_DAYS = 3650

_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z"
)
_INIT = "Make one with: cloud-sync ca init"


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when a certificate holds, aware UTC."""

    not_before: datetime
    not_after: datetime

    @classmethod
    def days(cls, days: int, now: datetime | None = None) -> Validity:
        """From five minutes ago (clocks differ) for `days` days."""
        start = (now or datetime.now(UTC)) - timedelta(minutes=5)
        return cls(start, start + timedelta(days=days))


@dataclass(frozen=True, slots=True, repr=False)
class Issued:
    """A certificate (PEM, without the authority's own) and its private key (PEM), which is not printed."""

    certificate: bytes
    key: bytes


class Authority:
    """Issues certificates; every name that it signs is checked against a strict grammar."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls, directory: Path, validity: Validity | None = None) -> Authority:
        """Make the authority's key and certificate in `directory`: ca.key (0600), ca.crt.

        Raises ConfigurationError if there is one already.
        """
        certificate_file, key_file = _files(directory)
        for file in (certificate_file, key_file):
            if file.exists():
                raise ConfigurationError(
                    f"there is an authority already: {file}",
                    hint="Keep it: a new one means new certificates for the broker and every gateway",
                )
        make_directory(directory, 0o755)  # the certificate is for everybody to read
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Clip'R development authority")])
        validity = validity or Validity.days(AUTHORITY_DAYS)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(validity.not_before)
            .not_valid_after(validity.not_after)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        authority = cls(certificate, key)
        write_private(key_file, _pem(key))
        write_public(certificate_file, authority.certificate)
        return authority

    @classmethod
    def load(cls, directory: Path) -> Authority:
        """Raises ConfigurationError if it is missing, broken or its key readable by others."""
        certificate_file, key_file = _files(directory)
        pem = read_private(key_file, "the authority's key", _INIT)
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ConfigurationError(
                f"{key_file} is not an unencrypted EC key in PEM form", hint="Restore it from a backup"
            )
        try:
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        except (OSError, ValueError):
            raise ConfigurationError(
                f"{certificate_file} is no certificate in PEM form", hint="Restore it from a backup"
            ) from None
        if certificate.public_key() != key.public_key():
            raise ConfigurationError(
                f"{certificate_file} and {key_file} are not a pair", hint="Restore both from a backup"
            )
        return cls(certificate, key)

    @property
    def certificate(self) -> bytes:
        """The authority's certificate, PEM."""
        return self._certificate.public_bytes(Encoding.PEM)

    def issue_server(self, names: Sequence[str] = (), validity: Validity | None = None) -> Issued:
        """For the broker: localhost, 127.0.0.1 and `names` (host names or addresses) as SANs.

        Raises ConfigurationError if a name is neither.
        """
        alternatives = [_alternative(name) for name in dict.fromkeys(("localhost", "127.0.0.1", *names))]
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(
            BROKER_NAME,
            key.public_key(),
            ExtendedKeyUsageOID.SERVER_AUTH,
            validity or Validity.days(SERVICE_DAYS),
            alternatives,
        )
        return Issued(certificate, _pem(key))

    def issue_receiver(self, validity: Validity | None = None) -> Issued:
        """For a receiver: CN `receiver`, client authentication."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(
            RECEIVER_NAME,
            key.public_key(),
            ExtendedKeyUsageOID.CLIENT_AUTH,
            validity or Validity.days(SERVICE_DAYS),
        )
        return Issued(certificate, _pem(key))

    def issue_gateway(self, csr: bytes, gateway: GatewayId, validity: Validity | None = None) -> bytes:
        """For the gateway whose request (PEM) this is; see checked_request. Raises ConfigurationError."""
        return self._issue(
            str(gateway),
            checked_request(csr, gateway),
            ExtendedKeyUsageOID.CLIENT_AUTH,
            validity or Validity.days(GATEWAY_DAYS),
        )

    def _issue(
        self,
        name: str,
        key: ec.EllipticCurvePublicKey,
        purpose: x509.ObjectIdentifier,
        validity: Validity,
        alternatives: Sequence[x509.GeneralName] = (),
    ) -> bytes:
        """Nothing out of a request but its key is taken over; it never holds longer than the authority."""
        not_after = min(validity.not_after, self._certificate.not_valid_after_utc)
        if not_after <= validity.not_before:
            raise ConfigurationError(
                f"the authority's certificate ended on {self._certificate.not_valid_after_utc:%Y-%m-%d}",
                hint="Move its folder away and make a new one: cloud-sync ca init",
            )
        builder = (
            x509.CertificateBuilder(
                self._certificate.subject, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key
            )
            .serial_number(x509.random_serial_number())
            .not_valid_before(validity.not_before)
            .not_valid_after(not_after)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


def install(issued: Issued, certificate_file: Path, key_file: Path) -> None:
    """Write both, in place of older ones; the key is never open to others. Raises ConfigurationError."""
    for file in (certificate_file, key_file):
        make_directory(file.parent, 0o755)
    write_private(key_file, issued.key, replace=True)
    write_public(certificate_file, issued.certificate)


def _files(directory: Path) -> tuple[Path, Path]:
    return directory / "ca.crt", directory / "ca.key"


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        pass
    if not _HOST_NAME.match(name.lower()):
        raise ConfigurationError(
            f"{name!r} is neither a host name nor an address", hint="Such as broker.example.org or 192.0.2.7"
        )
    return x509.DNSName(name.lower())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
