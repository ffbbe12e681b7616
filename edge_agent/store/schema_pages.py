"""Where a page of the schema is damaged, the store would be lost: the schema says where the tables begin.

But a new store has the same schema on the same pages, for they are written before any row is. So damaged ones
are replaced in a *copy* of the file. The first page needs more: it states how many pages there are, which
SQLite believes only while two counters in it agree; they are made to differ, so that it looks at the file's
length. For that it is sealed anew: SQLCipher 4 with a raw key, AES-256-CBC, HMAC-SHA512 over ciphertext, IV
and page number.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from edge_agent.store.connection import PAGE_BYTES, SALT_BYTES, connect
from edge_agent.store.files import LOG_SUFFIXES, beside, new_file
from edge_agent.store.key_provider import StoreKey

_IV_BYTES: Final = 16
_MAC_BYTES: Final = 64
_MAC_SALT_MASK: Final = 0x3A
_MAC_ITERATIONS: Final = 2
_MAC_AT: Final = PAGE_BYTES - _MAC_BYTES
_IV_AT: Final = _MAC_AT - _IV_BYTES

# Offsets in SQLite's file header, https://sqlite.org/fileformat.html
_CHANGE_COUNTER: Final = slice(24, 28)
_FREELIST: Final = slice(32, 40)
_VALID_FOR: Final = slice(92, 96)


def copy_with_new_schema_pages(damaged: Path, key: StoreKey) -> Path:
    """Make a copy beside `damaged` (its log too) whose schema can be read; the caller removes it."""
    copy = beside(damaged, ".repaired")
    for suffix in LOG_SUFFIXES:
        beside(copy, suffix).unlink(missing_ok=True)
    shutil.copyfile(damaged, copy)
    copy.chmod(0o600)
    if beside(damaged, "-wal").exists():
        shutil.copyfile(beside(damaged, "-wal"), beside(copy, "-wal"))
    with copy.open("r+b") as file:
        for number, page in _fresh_schema_pages(beside(damaged, ".fresh"), key):
            file.seek((number - 1) * PAGE_BYTES)
            if not _is_authentic(file.read(PAGE_BYTES), number, key):
                file.seek((number - 1) * PAGE_BYTES)
                file.write(_with_unknown_length(page, key) if number == 1 else page)
    return copy


def _fresh_schema_pages(path: Path, key: StoreKey) -> Iterator[tuple[int, bytes]]:
    """The pages of a new store that begin no table: those hold the schema."""
    try:
        with new_file(path, key):
            pass
        database = connect(path, key)
        roots = {root for (root,) in database.all("SELECT rootpage FROM sqlite_master")}
        database.close()
        content = path.read_bytes()
    finally:
        for suffix in ("", *LOG_SUFFIXES):
            beside(path, suffix).unlink(missing_ok=True)
    for number in range(1, len(content) // PAGE_BYTES + 1):
        if number not in roots:
            yield number, content[(number - 1) * PAGE_BYTES : number * PAGE_BYTES]


def _with_unknown_length(page: bytes, key: StoreKey) -> bytes:
    clear = _opened(page, key)
    clear[_CHANGE_COUNTER] = (1).to_bytes(4)
    clear[_VALID_FOR] = (2).to_bytes(4)
    clear[_FREELIST] = bytes(8)
    return _sealed(clear, key)


def _is_authentic(page: bytes, number: int, key: StoreKey) -> bool:
    start = SALT_BYTES if number == 1 else 0
    return hmac.compare_digest(page[_MAC_AT:], _mac(page[start:_MAC_AT], number, key))


def _mac(ciphertext_and_iv: bytes, number: int, key: StoreKey) -> bytes:
    salt = bytes(byte ^ _MAC_SALT_MASK for byte in key.salt)
    mac_key = hashlib.pbkdf2_hmac("sha512", key, salt, _MAC_ITERATIONS, len(key))
    return hmac.digest(mac_key, ciphertext_and_iv + number.to_bytes(4, "little"), "sha512")


def _cipher(key: StoreKey, iv: bytes) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES256(bytes(key)), modes.CBC(iv))


def _opened(page: bytes, key: StoreKey) -> bytearray:
    """The first page in clear."""
    decryptor = _cipher(key, page[_IV_AT:_MAC_AT]).decryptor()
    return bytearray(bytes(SALT_BYTES) + decryptor.update(page[SALT_BYTES:_IV_AT]) + decryptor.finalize())


def _sealed(clear: bytearray, key: StoreKey) -> bytes:
    """The first page as it lies on the disk."""
    iv = os.urandom(_IV_BYTES)
    encryptor = _cipher(key, iv).encryptor()
    body = encryptor.update(bytes(clear[SALT_BYTES:])) + encryptor.finalize() + iv
    return key.salt + body + _mac(body, 1, key)
