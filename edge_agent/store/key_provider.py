"""Where the store's key comes from, and how well it is kept there.

A systemd credential goes first: `LoadCredentialEncrypted=store.key` puts the key, opened by the host's key or
its TPM, into a directory that only the service sees. Without one it is a file that only its owner reads; then
who takes the card takes the readings, and `status` says so.
"""

from __future__ import annotations

import enum
import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from edge_agent.errors import ConfigurationError

KEY_BYTES: Final = 32
CREDENTIALS_DIRECTORY: Final = "CREDENTIALS_DIRECTORY"

_SALT_TAG: Final = b"clipr store salt 1\x00"
_LONGEST_FILE_BYTES: Final = 1024


class StoreKey(bytes):
    """32 bytes. str(), repr() and format() show a fingerprint, never the key."""

    __slots__ = ()

    def __new__(cls, raw: bytes) -> Self:
        """Take 32 bytes. Raises ValueError, which does not repeat them."""
        if len(raw) != KEY_BYTES:
            raise ValueError(f"a store key is {KEY_BYTES} bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @property
    def salt(self) -> bytes:
        """16 bytes at the head of each file of this key: they tell a wrong key from a damaged file."""
        return hashlib.sha256(_SALT_TAG + self).digest()[:16]

    def __repr__(self) -> str:
        return f"<store key {self.salt[:4].hex()}>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)


class KeyLevel(enum.Enum):
    """How the key is kept at rest; the value is what `status` shows."""

    CREDENTIAL = "systemd credential"
    FILE = "file on the same disk"

    @property
    def sentence(self) -> str:
        """What that protects against."""
        return _SENTENCES[self]


_SENTENCES = {
    KeyLevel.CREDENTIAL: "systemd opens the key for this service; as safe as the host key or TPM behind it.",
    KeyLevel.FILE: "The key lies beside the store: who takes the card can read it.",
}


@dataclass(frozen=True, slots=True)
class ProvidedKey:
    """A key, and how it is kept."""

    key: StoreKey
    level: KeyLevel


def load_store_key(key_file: Path) -> ProvidedKey:
    """Read the key from the systemd credential named like `key_file`, else from that file.

    The content is 64 hex digits, or 32 raw bytes. Raises ConfigurationError; it never repeats content.
    """
    directory = os.environ.get(CREDENTIALS_DIRECTORY)
    if directory and (credential := Path(directory) / key_file.name).exists():
        return ProvidedKey(_parse(_content(credential), credential), KeyLevel.CREDENTIAL)
    content = _content(key_file)
    status = key_file.stat()
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise ConfigurationError(
            f"others may read the store key {key_file}",
            hint=f"chmod 600 {key_file}; then think who has read it",
        )
    return ProvidedKey(_parse(content, key_file), KeyLevel.FILE)


def create_store_key(path: Path) -> StoreKey:
    """Make a new key in a file that only its owner reads. Raises ConfigurationError if there is one."""
    key = StoreKey(secrets.token_bytes(KEY_BYTES))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(
            f"there is a store key at {path}", hint="A store opens with its own key only: keep it"
        ) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.hex().encode("ascii") + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_FILE_BYTES)
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no store key at {path}",
            hint="Make one with: edge-agent init. A store that exists opens with its own key only",
        ) from None
    except PermissionError:
        raise ConfigurationError(
            f"may not read the store key {path}", hint="Run as root, or as the user edge-agent"
        ) from None


def _parse(content: bytes, path: Path) -> StoreKey:
    if len(content) == KEY_BYTES:
        return StoreKey(content)
    try:
        return StoreKey(bytes.fromhex(content.decode("ascii").strip()))
    except (UnicodeDecodeError, ValueError):
        raise ConfigurationError(
            f"{path} holds no store key", hint="It is 64 hex digits, as edge-agent init writes them"
        ) from None
