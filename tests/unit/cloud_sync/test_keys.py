import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from cloud_sync.errors import ConfigurationError
from cloud_sync.pki.keys import add_sealing_key, create_keys, load_keys, receiver_json
from cloud_sync.pki.private_file import write_private
from edge_codecs.keys import SealingPrivateKey, SigningKey


def files(directory: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}


def test_made_once_and_private(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "keys"
    keys = create_keys(directory)
    assert files(directory) == {"sealing-1.pem": 0o600, "receipt.pem": 0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert receiver_json(load_keys(directory)) == receiver_json(keys)
    with pytest.raises(ConfigurationError, match="there are keys already"):
        create_keys(directory)
    assert receiver_json(load_keys(directory)) == receiver_json(keys)


@pytest.mark.parametrize("left", ["sealing-1.pem", "receipt.pem"])
def test_one_that_is_left_is_not_written_over(tmp_path: Path, left: str) -> None:
    create_keys(tmp_path)
    for file in tmp_path.iterdir():
        if file.name != left:
            file.unlink()
    before = (tmp_path / left).read_bytes()
    with pytest.raises(ConfigurationError, match="there are keys already"):
        create_keys(tmp_path)
    assert files(tmp_path) == {left: 0o600}
    assert (tmp_path / left).read_bytes() == before


def test_numbers_go_up_and_older_keys_stay(tmp_path: Path) -> None:
    first = create_keys(tmp_path).sealing[1]
    assert [add_sealing_key(tmp_path) for _ in range(10)] == list(range(2, 12))
    (tmp_path / "sealing-3.pem").unlink()
    keys = load_keys(tmp_path)
    assert list(keys.sealing) == [1, 2, *range(4, 12)]
    assert keys.sealing[1].to_raw() == first.to_raw()
    assert all(key.number == number for number, key in keys.sealing.items())
    assert add_sealing_key(tmp_path) == 12


def test_other_files_are_no_keys(tmp_path: Path) -> None:
    create_keys(tmp_path)
    for name in ("sealing-0.pem", "sealing-01.pem", "sealing-1.pem.bak", "sealing-x.pem", "notes.txt"):
        (tmp_path / name).write_text("hello")
    assert list(load_keys(tmp_path).sealing) == [1]


def test_receiver_json_holds_public_halves_only(tmp_path: Path) -> None:
    create_keys(tmp_path)
    add_sealing_key(tmp_path)
    keys = load_keys(tmp_path)
    content = receiver_json(keys)
    assert set(content) == {"sealing_keys", "receipt_key"}
    assert [set(key) for key in content["sealing_keys"]] == [{"number", "public"}] * 2
    text = json.dumps(content)
    import base64

    for secret in (keys.receipt.to_raw(), *(key.to_raw() for key in keys.sealing.values())):
        assert base64.b64encode(secret).decode() not in text


@pytest.mark.parametrize("missing", ["sealing-1.pem", "receipt.pem"])
def test_missing(tmp_path: Path, missing: str) -> None:
    create_keys(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(ConfigurationError, match=r"no sealing key|receipts is missing") as caught:
        load_keys(tmp_path)
    assert "keys init" in caught.value.hint


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no sealing key") as caught:
        load_keys(tmp_path / "nowhere")
    assert "keys init" in caught.value.hint


@pytest.mark.parametrize("name", ["sealing-1.pem", "receipt.pem"])
def test_readable_by_others(tmp_path: Path, name: str) -> None:
    create_keys(tmp_path)
    (tmp_path / name).chmod(0o604)
    with pytest.raises(ConfigurationError, match="others may read") as caught:
        load_keys(tmp_path)
    assert caught.value.hint == f"chmod 600 {tmp_path / name}"


ENCRYPTED = Ed25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"sesame")
)


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff\xfe", ENCRYPTED])
@pytest.mark.parametrize("name", ["sealing-1.pem", "receipt.pem"])
def test_broken(tmp_path: Path, name: str, content: bytes) -> None:
    create_keys(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=name) as caught:
        load_keys(tmp_path)
    assert "backup" in caught.value.hint


def test_of_another_kind(tmp_path: Path) -> None:
    create_keys(tmp_path)
    (tmp_path / "sealing-1.pem").write_bytes(SigningKey.generate().to_pem())
    with pytest.raises(ConfigurationError, match=r"sealing-1\.pem: not an X25519 private key"):
        load_keys(tmp_path)
    (tmp_path / "sealing-1.pem").write_bytes(SealingPrivateKey.generate(1).to_pem())
    (tmp_path / "receipt.pem").write_bytes(SealingPrivateKey.generate(1).to_pem())
    with pytest.raises(ConfigurationError, match=r"receipt\.pem: not an Ed25519 private key"):
        load_keys(tmp_path)


def test_a_number_that_no_header_can_name(tmp_path: Path) -> None:
    create_keys(tmp_path)
    write_private(tmp_path / "sealing-65536.pem", SealingPrivateKey.generate(1).to_pem())
    with pytest.raises(ConfigurationError, match="1 … 65535"):
        load_keys(tmp_path)


def test_do_not_print(tmp_path: Path) -> None:
    keys = create_keys(tmp_path)
    shown = f"{keys} {keys!r}"
    assert keys.receipt.to_raw().hex() not in shown
    assert "PRIVATE" not in shown


class TestPrivateFile:
    def test_is_never_written_over(self, tmp_path: Path) -> None:
        file = tmp_path / "key"
        write_private(file, b"one")
        with pytest.raises(ConfigurationError, match="exists already"):
            write_private(file, b"two")
        assert file.read_bytes() == b"one"
        assert files(tmp_path) == {"key": 0o600}

    def test_unless_told_to(self, tmp_path: Path) -> None:
        file = tmp_path / "key"
        file.write_bytes(b"open to all")
        file.chmod(0o644)
        write_private(file, b"two", replace=True)
        assert file.read_bytes() == b"two"
        assert files(tmp_path) == {"key": 0o600}

    def test_where_there_is_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="cannot write"):
            write_private(tmp_path / "nowhere" / "key", b"one")
