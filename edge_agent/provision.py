"""What `edge-agent init` makes: configuration, keys born on the gateway, and the file that registers it."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from edge_agent.config_text import render
from edge_agent.errors import ConfigurationError
from edge_agent.settings import Gateway, Health, Settings, Store, Sync
from edge_agent.store.key_provider import create_store_key
from edge_codecs.identifiers import GatewayId


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The files that were made."""

    configuration: Path
    identity: Path
    store_key: Path
    signing_key: Path
    tls_key: Path


def provision(
    configuration: Path,
    state: Path,
    gateway_id: GatewayId,
    host: str | None,
    port: int,
    control_socket: Path | None,
    region: str = "EU868",
) -> Provisioned:
    """Make the configuration at `configuration` and keys in `state`; nothing that exists is overwritten.

    `identity.json` in `state` holds public halves only: the gateway id, the Ed25519 key that batches are
    verified with, and a certificate request (PKCS #10) for the TLS key. Raises ConfigurationError.
    """
    state = state.absolute()  # the agent may be started from anywhere
    made = Provisioned(
        configuration,
        state / "identity.json",
        state / "store.key",
        state / "signing.key",
        state / "gateway.key",
    )
    for path in (made.configuration, made.store_key, made.signing_key, made.tls_key):
        if path.exists():
            raise ConfigurationError(
                f"{path} exists already", hint="Keep it, or move it away first: init overwrites nothing"
            )
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        configuration.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        configuration.touch(mode=0o644, exist_ok=False)  # before there are keys: is it ours to write?
        create_store_key(made.store_key)
        signing_key = Ed25519PrivateKey.generate()
        tls_key = ec.generate_private_key(ec.SECP256R1())
        _write_private(made.signing_key, signing_key)
        _write_private(made.tls_key, tls_key)
        made.identity.write_text(json.dumps(_identity(gateway_id, signing_key, tls_key), indent=2) + "\n")
        made.configuration.write_text(
            render(_settings(made, state, gateway_id, host, port, control_socket, region))
        )
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {error.filename}: {error.strerror}", hint="Run init as root"
        ) from None
    return made


def _identity(
    gateway_id: GatewayId, signing_key: Ed25519PrivateKey, tls_key: ec.EllipticCurvePrivateKey
) -> dict[str, str]:
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(gateway_id))]))
        .sign(tls_key, hashes.SHA256())
    )
    public = signing_key.public_key().public_bytes_raw()
    return {
        "gateway_id": str(gateway_id),
        "signing_key": base64.b64encode(public).decode(),
        "csr": request.public_bytes(serialization.Encoding.PEM).decode(),
    }


def _settings(
    made: Provisioned,
    state: Path,
    gateway_id: GatewayId,
    host: str | None,
    port: int,
    control_socket: Path | None,
    region: str,
) -> Settings:
    sync = None
    if host is not None:
        sync = Sync(
            host=host,
            port=port,
            ca_file=state / "ca.crt",
            certificate_file=state / "gateway.crt",
            key_file=made.tls_key,
            signing_key_file=made.signing_key,
            receiver_file=state / "receiver.json",
        )
    return Settings(
        gateway=Gateway(id=str(gateway_id), region=region),
        store=Store(path=state / "store.db", key_file=made.store_key),
        sync=sync,
        health=Health() if control_socket is None else Health(control_socket=control_socket),
    )


def _write_private(path: Path, key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
