"""identity.json, by which a gateway introduces itself.

Its id, the key that its batches are verified with, and a certificate request: public halves only. Nothing in
it proves where it comes from; that is up to who carries it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud_sync.errors import ConfigurationError
from cloud_sync.pki.request import checked_request
from edge_codecs.identifiers import GatewayId
from edge_codecs.keys import VerifyKey

MOST_BYTES = 65_536
_FIELDS = ("gateway_id", "signing_key", "csr")
_HINT = "edge-agent init on the gateway makes the right one; carry it here unchanged"


@dataclass(frozen=True, slots=True)
class GatewayIdentity:
    """What the file says, checked."""

    gateway: GatewayId
    signing_key: VerifyKey
    csr: bytes  # PKCS #10, PEM; its CN is `gateway` and it is signed by its own key


def read_identity(file: Path) -> GatewayIdentity:
    """Read the file. Raises ConfigurationError that says what is wrong with it."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"may not read {file}: {error.strerror}", hint=_HINT) from None
    try:
        return parse_identity(content)
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error}", hint=error.hint) from None


def parse_identity(content: bytes) -> GatewayIdentity:
    """Read JSON. Raises ConfigurationError."""
    fields = _fields(content)
    try:
        gateway = GatewayId.parse(fields["gateway_id"])
    except ValueError:
        gateway = None
    if gateway is None or str(gateway) != fields["gateway_id"]:
        raise ConfigurationError("gateway_id is not 16 lower-case hex digits", hint=_HINT)
    try:
        signing_key = VerifyKey(base64.b64decode(fields["signing_key"], validate=True))
    except ValueError:
        raise ConfigurationError(
            "signing_key is not the 32 bytes of an Ed25519 public key in base64", hint=_HINT
        ) from None
    csr = fields["csr"].encode("utf-8", "replace")  # JSON may hold what is no text
    checked_request(csr, gateway)
    return GatewayIdentity(gateway, signing_key, csr)


def _fields(content: bytes) -> dict[str, str]:
    if len(content) > MOST_BYTES:
        raise ConfigurationError(f"larger than {MOST_BYTES} bytes", hint=_HINT)
    try:
        fields: Any = json.loads(content)
    except (ValueError, RecursionError):
        raise ConfigurationError("not JSON", hint=_HINT) from None
    if not isinstance(fields, dict) or set(fields) != set(_FIELDS):
        raise ConfigurationError(f"not an object of {', '.join(_FIELDS)}", hint=_HINT)
    if not all(isinstance(value, str) for value in fields.values()):
        raise ConfigurationError(f"{', '.join(_FIELDS)} must be text", hint=_HINT)
    return fields
