"""A development authority (P-256): good enough for demo, tests and a first site; not for a fleet.

Whatever it signs, the common name obeys a grammar: a gateway's is 16 lower-case hex digits and nothing else.
The broker puts the name into topic patterns, where a `/`, `+` or `#` would open the topics of others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud_sync.errors import ConfigurationError
from cloud_sync.pki.secret_file import read_secret, write_public, write_secret
from edge_codecs.identifiers import GatewayId

RECEIVER_NAME = "receiver"
"""CN of every receiver: the broker's user name in its ACL."""
GATEWAY_DAYS = 90
SERVICE_DAYS = 365
AUTHORITY_DAYS = 3650

_AUTHORITY_NAME = "Clip'R development authority"
_HINT = "Make a development authority with: cloud-sync ca init"
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_GATEWAY = re.compile(r"[0-9a-f]{16}")


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
    """A certificate (PEM, without the authority's) and its private key (PEM), which is not printed."""

    certificate: bytes
    key: bytes


class Authority:
    """Issues certificates; every name that it signs is checked against a strict grammar."""

    def __init__(self, key: EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @classmethod
    def create(cls, directory: Path, validity: Validity | None = None) -> Authority:
        """Make the authority's key and certificate in `directory`: ca.key (0600), ca.crt.

        Raises ConfigurationError if there is one.
        """
        key = generate_private_key(SECP256R1())
        validity = validity or Validity.days(AUTHORITY_DAYS)
        name = _name(_AUTHORITY_NAME)
        builder = _builder(name, name, key.public_key(), validity)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        authority = cls(key, builder.sign(key, hashes.SHA256()))
        write_secret(directory / "ca.key", _pem(key))
        write_public(directory / "ca.crt", authority.certificate)
        return authority

    @classmethod
    def load(cls, directory: Path) -> Authority:
        """Raises ConfigurationError if it is not there or not one."""
        pem = read_secret(directory / "ca.key", _HINT)
        try:
            key = load_pem_private_key(pem, password=None)
            certificate = x509.load_pem_x509_certificate((directory / "ca.crt").read_bytes())
        except (OSError, ValueError, TypeError):
            raise ConfigurationError(
                f"{directory} holds no authority (ca.key, ca.crt)",
                hint="Put the right files back from a backup",
            ) from None
        if not isinstance(key, EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise ConfigurationError(
                f"ca.key and ca.crt in {directory} do not belong together",
                hint="Put the right files back from a backup",
            )
        return cls(key, certificate)

    @property
    def certificate(self) -> bytes:
        """The authority's certificate, PEM."""
        return self._certificate.public_bytes(Encoding.PEM)

    def issue_server(self, names: Sequence[str] = (), validity: Validity | None = None) -> Issued:
        """For the broker: localhost, 127.0.0.1 and `names` (host names or addresses) as SANs.

        Raises ConfigurationError for what is neither.
        """
        alternatives = [_alternative(name) for name in dict.fromkeys(["localhost", "127.0.0.1", *names])]
        return self._issue(
            names[0] if names else "localhost",
            x509.SubjectAlternativeName(alternatives),
            ExtendedKeyUsageOID.SERVER_AUTH,
            validity or Validity.days(SERVICE_DAYS),
        )

    def issue_receiver(self, validity: Validity | None = None) -> Issued:
        """For a receiver: CN `receiver`, client authentication."""
        return self._issue(
            RECEIVER_NAME, None, ExtendedKeyUsageOID.CLIENT_AUTH, validity or Validity.days(SERVICE_DAYS)
        )

    def issue_gateway(self, csr: bytes, gateway: GatewayId, validity: Validity | None = None) -> bytes:
        """For the gateway whose request (PEM) this is; its CN must be `gateway`, its key P-256.

        Nothing else of the request is taken over. Raises ConfigurationError.
        """
        request = _request(csr)
        names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        name = str(names[0].value) if len(names) == 1 and len(list(request.subject)) == 1 else None
        if name is None or not _GATEWAY.fullmatch(name) or name != str(gateway):
            raise ConfigurationError(
                f"the certificate request is for {name!r}, not for gateway {gateway}",
                hint="Make the identity anew on the gateway: edge-agent init",
            )
        key = request.public_key()
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
            raise ConfigurationError(
                "the certificate request's key is not P-256", hint="Make it with: edge-agent init"
            )
        validity = validity or Validity.days(GATEWAY_DAYS)
        return self._sign(name, key, None, ExtendedKeyUsageOID.CLIENT_AUTH, validity)

    def _issue(
        self,
        name: str,
        alternatives: x509.SubjectAlternativeName | None,
        usage: x509.ObjectIdentifier,
        validity: Validity,
    ) -> Issued:
        key = generate_private_key(SECP256R1())
        return Issued(self._sign(name, key.public_key(), alternatives, usage, validity), _pem(key))

    def _sign(
        self,
        name: str,
        key: EllipticCurvePublicKey,
        alternatives: x509.SubjectAlternativeName | None,
        usage: x509.ObjectIdentifier,
        validity: Validity,
    ) -> bytes:
        builder = _builder(_name(name), self._certificate.subject, key, validity)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


def install(issued: Issued, certificate_file: Path, key_file: Path) -> None:
    """Write both, in place of older ones; the key with mode 0600 from its first byte on."""
    write_secret(key_file, issued.key, replace=True)
    write_public(certificate_file, issued.certificate)


def _request(csr: bytes) -> x509.CertificateSigningRequest:
    try:
        request = x509.load_pem_x509_csr(csr)
        if request.is_signature_valid:
            return request
    except (ValueError, InvalidSignature):
        pass
    raise ConfigurationError(
        "the certificate request is broken", hint="Copy identity.json from the gateway once more"
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        pass
    if not _HOST.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is neither a host name nor an address", hint="Such as broker.example.org, or 192.0.2.1"
        )
    return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePublicKey, validity: Validity
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity.not_before)
        .not_valid_after(validity.not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
