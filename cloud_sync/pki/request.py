"""A gateway's certificate request (PKCS #10, RFC 2986): what must be right before anybody signs it."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloud_sync.errors import ConfigurationError
from edge_codecs.identifiers import GatewayId

_HINT = "edge-agent init on the gateway makes the right one"


def checked_request(pem: bytes, gateway: GatewayId) -> ec.EllipticCurvePublicKey:
    """The key (P-256) that `gateway` asks a certificate for.

    Its subject must be the CN `gateway` alone, spelt in 16 lower-case hex digits, and the request signed by
    the key that it is for. Raises ConfigurationError.
    """
    try:
        request = x509.load_pem_x509_csr(pem)
        subject = [(attribute.oid, attribute.value) for attribute in request.subject]
        key = request.public_key()
        proven = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigurationError("the certificate request is not PKCS #10 in PEM form", hint=_HINT) from None
    if subject != [(NameOID.COMMON_NAME, str(gateway))]:
        raise ConfigurationError(
            f"the certificate request is not for CN {gateway} alone", hint="Was the file edited? " + _HINT
        )
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigurationError("the certificate request is not for a P-256 key", hint=_HINT)
    if not proven:
        raise ConfigurationError(
            "the certificate request is not signed by its own key", hint="Was the file edited? " + _HINT
        )
    return key
