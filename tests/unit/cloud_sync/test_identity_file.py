import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.errors import ConfigurationError
from cloud_sync.pki.identity_file import MOST_BYTES, parse_identity, read_identity
from edge_agent.provision import provision
from edge_codecs.identifiers import GatewayId
from edge_codecs.keys import SigningKey

GATEWAY = GatewayId.parse("00800000a0001234")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `edge-agent init` makes."""
    folder = tmp_path_factory.mktemp("gateway")
    return provision(folder / "config.toml", folder, GATEWAY, "localhost", 8883, None).identity


def test_reads_what_the_agent_makes(made: Path) -> None:
    identity = read_identity(made)
    own = SigningKey.from_pem((made.parent / "signing.key").read_bytes())
    assert identity.gateway == GATEWAY
    assert identity.signing_key == own.verify_key
    assert identity.csr.startswith(b"-----BEGIN CERTIFICATE REQUEST-----")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gateway_id": "00800000A0001234"}, "gateway_id is not 16 lower-case hex digits"),
        ({"gateway_id": "00-80-00-00-a0-00-12-34"}, "gateway_id is not 16 lower-case hex digits"),
        ({"gateway_id": " 00800000a0001234"}, "gateway_id is not 16 lower-case hex digits"),
        ({"gateway_id": "00800000a000123"}, "gateway_id is not 16 lower-case hex digits"),
        ({"gateway_id": ""}, "gateway_id is not 16 lower-case hex digits"),
        ({"gateway_id": "00800000a0001235"}, "not for CN 00800000a0001235 alone"),
        ({"gateway_id": 36028797018963968}, "must be text"),
        ({"signing_key": ""}, "signing_key is not the 32 bytes"),
        ({"signing_key": base64.b64encode(bytes(31)).decode()}, "signing_key is not the 32 bytes"),
        ({"signing_key": base64.b64encode(bytes(33)).decode()}, "signing_key is not the 32 bytes"),
        ({"signing_key": "!" + base64.b64encode(bytes(32)).decode()}, "signing_key is not the 32 bytes"),
        ({"signing_key": "é"}, "signing_key is not the 32 bytes"),
        ({"csr": ""}, "not PKCS #10"),
        ({"csr": "\ud800"}, "not PKCS #10"),
        ({"csr": None}, "must be text"),
        ({"tenant": "city-hospital"}, "not an object of gateway_id, signing_key, csr"),
    ],
)
def test_wrong_field(made: Path, tmp_path: Path, change: dict[str, object], message: str) -> None:
    file = tmp_path / "identity.json"
    file.write_text(json.dumps(json.loads(made.read_text()) | change))
    with pytest.raises(ConfigurationError, match=message) as caught:
        read_identity(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert "edge-agent init" in caught.value.hint


@pytest.mark.parametrize("field", ["gateway_id", "signing_key", "csr"])
def test_missing_field(made: Path, field: str) -> None:
    content = json.loads(made.read_text())
    del content[field]
    with pytest.raises(ConfigurationError, match="not an object of"):
        parse_identity(json.dumps(content).encode())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 5000])
def test_not_such_a_file(content: bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"not JSON|not an object"):
        parse_identity(content)


def test_too_large(tmp_path: Path) -> None:
    file = tmp_path / "identity.json"
    file.write_bytes(b" " * (MOST_BYTES + 1))
    with pytest.raises(ConfigurationError, match="larger than"):
        read_identity(file)


def test_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="may not read"):
        read_identity(tmp_path / "identity.json")


@given(st.binary(max_size=200))
def test_any_bytes_give_the_one_error(content: bytes) -> None:
    with pytest.raises(ConfigurationError):
        parse_identity(content)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    )
    | st.fixed_dictionaries(
        {"gateway_id": st.text(max_size=20), "signing_key": st.text(max_size=50), "csr": st.text(max_size=50)}
    )
)
def test_any_json_gives_the_one_error(value: object) -> None:
    with pytest.raises(ConfigurationError):
        parse_identity(json.dumps(value).encode())
