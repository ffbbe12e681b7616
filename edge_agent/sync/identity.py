"""Who this gateway is towards the cloud: certificates for the link, keys for batches and receipts."""

from __future__ import annotations

import base64
import binascii
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edge_agent.errors import ConfigurationError
from edge_codecs.identifiers import GatewayId
from edge_codecs.keys import SealingPublicKey, SigningKey, VerifyKey


class SyncSection(Protocol):
    """The `[sync]` section of the configuration."""

    @property
    def host(self) -> str: ...  # noqa: D102
    @property
    def port(self) -> int: ...  # noqa: D102
    @property
    def ca_file(self) -> Path: ...  # noqa: D102
    @property
    def certificate_file(self) -> Path: ...  # noqa: D102
    @property
    def key_file(self) -> Path: ...  # noqa: D102
    @property
    def signing_key_file(self) -> Path: ...  # noqa: D102
    @property
    def receiver_file(self) -> Path: ...  # noqa: D102
    @property
    def keepalive_s(self) -> int: ...  # noqa: D102
    @property
    def backlog_rows_per_s(self) -> int: ...  # noqa: D102


class ClosingSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails: paho would leave that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  as the standard library has it
        """See ssl.SSLSocket.do_handshake."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and the files that prove who is who. Files are read anew at each connection,
    so that a renewed certificate needs no restart."""

    host: str
    port: int
    ca_file: Path
    certificate_file: Path
    key_file: Path
    keepalive_s: int = 300

    def tls_context(self) -> ssl.SSLContext:
        """TLS 1.3 and nothing older, both sides with certificates. Raises ConfigurationError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.sslsocket_class = ClosingSocket
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        _must_exist(self.ca_file, "the certificate of the broker's authority (ca_file)", _FROM_CLOUD)
        try:
            context.load_verify_locations(self.ca_file)
        except (ssl.SSLError, OSError):
            raise ConfigurationError(
                f"{self.ca_file} holds no certificate in PEM form", hint=_FROM_CLOUD
            ) from None
        _must_exist(self.certificate_file, "this gateway's certificate (certificate_file)", _FROM_CLOUD)
        _must_be_private(self.key_file, "this gateway's TLS key (key_file)")
        try:
            context.load_cert_chain(self.certificate_file, self.key_file, password=_no_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise ConfigurationError(
                f"{self.certificate_file} and {self.key_file} do not fit together"
                f" ({getattr(error, 'reason', None) or 'not PEM'})",
                hint="The certificate must be the one made from this gateway's own request: "
                "cloud-sync gateway add identity.json",
            ) from None
        return context


@dataclass(frozen=True, slots=True)
class SyncIdentity:
    """Everything that the uploader and its link need to know about both ends."""

    gateway: GatewayId
    broker: Broker
    signing_key: SigningKey
    sealing_key: SealingPublicKey
    receipt_key: VerifyKey
    backlog_rows_per_s: int


def load_identity(gateway_id: str, sync: SyncSection) -> SyncIdentity:
    """Read and check all files of the section. Raises ConfigurationError that names the file."""
    broker = Broker(
        sync.host, sync.port, sync.ca_file, sync.certificate_file, sync.key_file, sync.keepalive_s
    )
    broker.tls_context()
    _must_be_private(sync.signing_key_file, "the key that signs batches (signing_key_file)")
    try:
        signing_key = SigningKey.from_pem(sync.signing_key_file.read_bytes())
    except ValueError:
        raise ConfigurationError(
            f"{sync.signing_key_file} is not an Ed25519 private key in PEM form", hint=_INIT
        ) from None
    sealing_key, receipt_key = _receiver(sync.receiver_file)
    return SyncIdentity(
        gateway=GatewayId.parse(gateway_id),
        broker=broker,
        signing_key=signing_key,
        sealing_key=sealing_key,
        receipt_key=receipt_key,
        backlog_rows_per_s=sync.backlog_rows_per_s,
    )


def _receiver(file: Path) -> tuple[SealingPublicKey, VerifyKey]:
    """The highest numbered sealing key, and the receipt key, out of `receiver.json`."""
    _must_exist(file, "the receiver's public keys (receiver_file)", _FROM_CLOUD)
    try:
        content: Any = json.loads(file.read_bytes())
        keys = [SealingPublicKey(key["number"], _bytes(key["public"])) for key in content["sealing_keys"]]
        return max(keys, key=lambda key: key.number), VerifyKey(_bytes(content["receipt_key"]))
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            f'{file} is not {{"sealing_keys": [{{"number", "public"}}], "receipt_key"}}', hint=_FROM_CLOUD
        ) from None


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _no_password() -> str:
    """OpenSSL would ask a terminal for the password of an encrypted key, and a daemon would hang."""
    raise ValueError("encrypted")


def _must_exist(file: Path, what: str, hint: str) -> None:
    try:
        with file.open("rb"):
            return
    except FileNotFoundError:
        raise ConfigurationError(f"{what} is missing: {file}", hint=hint) from None
    except OSError as error:
        raise ConfigurationError(
            f"may not read {file}: {error.strerror}", hint="Does it belong to the user that runs the agent?"
        ) from None


def _must_be_private(file: Path, what: str) -> None:
    _must_exist(file, what, _INIT)
    if file.stat().st_mode & 0o077:
        raise ConfigurationError(f"others may read {what}: {file}", hint=f"chmod 600 {file}")


_INIT = "edge-agent init makes it"
_FROM_CLOUD = (
    "Register this gateway (cloud-sync gateway add identity.json --out DIR) and copy the files of DIR here"
)
