from __future__ import annotations

import base64
import json
import ssl
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edge_agent.errors import ConfigurationError
from edge_agent.sync.identity import load_identity
from edge_codecs.batch import SealingPrivateKey, SigningKey
from tests.rig.certificates import Certificates

GATEWAY = "70b3d57ed0000001"


@dataclass(frozen=True)
class Section:
    ca_file: Path
    certificate_file: Path
    key_file: Path
    signing_key_file: Path
    receiver_file: Path
    host: str = "broker.test"
    port: int = 8883
    keepalive_s: int = 300
    backlog_rows_per_s: int = 5000


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def section(tmp_path, pki) -> Section:
    client = pki.client(GATEWAY)
    signing = tmp_path / "signing.key"
    signing.touch(mode=0o600)
    signing.write_bytes(SigningKey.generate().to_pem())
    receiver = tmp_path / "receiver.json"
    receiver.write_text(json.dumps(receiver_json((1, 2))))
    return Section(pki.ca, client.certificate, client.key, signing, receiver)


def receiver_json(numbers) -> dict[str, object]:
    def b64(raw: bytes) -> str:
        return base64.b64encode(raw).decode()

    keys = [SealingPrivateKey.generate(n).public_key for n in numbers]
    return {
        "sealing_keys": [{"number": key.number, "public": b64(key.raw)} for key in keys],
        "receipt_key": b64(SigningKey.generate().verify_key.raw),
    }


def test_everything_is_read_and_the_newest_sealing_key_is_taken(section):
    identity = load_identity(GATEWAY, section)
    assert str(identity.gateway) == GATEWAY
    assert identity.sealing_key.number == 2
    context = identity.broker.tls_context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    "name", ["ca_file", "certificate_file", "key_file", "signing_key_file", "receiver_file"]
)
def test_each_missing_file_is_named(section, tmp_path, name):
    missing = tmp_path / "away"
    with pytest.raises(ConfigurationError, match=f"{name}.*{missing}") as caught:
        load_identity(GATEWAY, replace(section, **{name: missing}))
    assert caught.value.exit_code == 78
    assert caught.value.hint


@pytest.mark.parametrize(
    "name", ["ca_file", "certificate_file", "key_file", "signing_key_file", "receiver_file"]
)
def test_each_spoilt_file_is_named_and_not_quoted(section, tmp_path, name):
    spoilt = tmp_path / "spoilt"
    spoilt.touch(mode=0o600)
    spoilt.write_text("canary")
    with pytest.raises(ConfigurationError, match=str(spoilt)) as caught:
        load_identity(GATEWAY, replace(section, **{name: spoilt}))
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("name", ["key_file", "signing_key_file"])
def test_a_private_key_that_others_may_read_is_refused(section, name):
    getattr(section, name).chmod(0o640)
    with pytest.raises(ConfigurationError, match="others may read") as caught:
        load_identity(GATEWAY, section)
    assert "chmod 600" in caught.value.hint


def test_a_certificate_for_another_key_is_refused(section, pki):
    other = pki.client(GATEWAY)
    with pytest.raises(ConfigurationError, match="do not fit together"):
        load_identity(GATEWAY, replace(section, key_file=other.key))


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '{"sealing_keys": [], "receipt_key": "AA=="}',
        '{"sealing_keys": [{"number": 1, "public": "*"}], "receipt_key": ""}',
        '{"sealing_keys": [{"number": 0, "public": ""}], "receipt_key": ""}',
    ],
)
def test_other_receiver_files_are_refused(section, content):
    section.receiver_file.write_text(content)
    with pytest.raises(ConfigurationError, match=r"receiver\.json"):
        load_identity(GATEWAY, section)


def test_secrets_do_not_print(section):
    identity = load_identity(GATEWAY, section)
    raw = identity.signing_key.to_raw()
    assert raw.hex() not in repr(identity)
    assert repr(raw)[2:-1] not in repr(identity)
