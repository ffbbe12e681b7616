"""Keys come from the right place, do not print, and are not kept where others read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.errors import ConfigurationError
from edge_agent.store.key_provider import KeyLevel, StoreKey, create_store_key, load_store_key
from tests.rig.store import KEY


def test_a_key_does_not_print() -> None:
    for text in (str(KEY), repr(KEY), f"{KEY}", f"{KEY:>40}", str([KEY])):
        assert KEY.hex() not in text
        assert "store key" in text


def test_a_key_of_another_length_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="32 bytes") as error:
        StoreKey(b"secret")
    assert "secret" not in str(error.value)


def test_a_new_key_is_read_back_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "store.key"
    key = create_store_key(path)
    assert load_store_key(path).key == key
    assert load_store_key(path).level is KeyLevel.FILE
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_new_keys_differ(tmp_path: Path) -> None:
    assert create_store_key(tmp_path / "1") != create_store_key(tmp_path / "2")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "store.key"
    key = create_store_key(path)
    with pytest.raises(ConfigurationError, match="there is a store key"):
        create_store_key(path)
    assert load_store_key(path).key == key


def test_raw_bytes_are_a_key_too(tmp_path: Path) -> None:
    path = tmp_path / "store.key"
    path.write_bytes(KEY)
    path.chmod(0o400)
    assert load_store_key(path).key == KEY


def test_a_credential_of_the_service_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "store.key").write_text(KEY.hex())
    create_store_key(tmp_path / "store.key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    provided = load_store_key(tmp_path / "store.key")
    assert (provided.key, provided.level) == (KEY, KeyLevel.CREDENTIAL)


def test_without_that_credential_the_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "none"))
    create_store_key(tmp_path / "store.key")
    assert load_store_key(tmp_path / "store.key").level is KeyLevel.FILE


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "store.key"
    create_store_key(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="others may read") as error:
        load_store_key(path)
    assert "chmod 600" in error.value.hint


@pytest.mark.parametrize("content", [b"", b"not a key", b"00" * 31, b"\xff" * 64, b"zz" * 32])
def test_what_is_no_key_is_refused_and_not_repeated(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="holds no store key") as error:
        load_store_key(path)
    assert not content or content.decode("latin-1") not in str(error.value) + error.value.hint


def test_a_missing_key_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no store key") as error:
        load_store_key(tmp_path / "store.key")
    assert "edge-agent init" in error.value.hint
    assert error.value.exit_code == 78


def test_each_level_says_what_it_protects_against() -> None:
    assert all(level.sentence for level in KeyLevel)
