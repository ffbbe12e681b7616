"""A store whose first page is damaged would be lost as a whole: that page says where the tables begin.

But a new store has the same schema at the same places, so its first page fits. It is put before a *copy* of
the damaged file. The page states how many pages there are, which SQLite believes only while two counters
in it agree; they are made to differ, so that it looks at the file's length. As the page is encrypted, it must
be sealed anew: SQLCipher 4 with a raw key, AES-256-CBC, HMAC-SHA512 over ciphertext, IV and page number.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import shutil
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from edge_agent.store.connection import PAGE_BYTES, SALT_BYTES
from edge_agent.store.files import LOG_SUFFIXES, beside, new_file
from edge_agent.store.key_provider import StoreKey

_IV_BYTES: Final = 16
_MAC_BYTES: Final = 64
_MAC_SALT_MASK: Final = 0x3A
_MAC_ITERATIONS: Final = 2
_BODY_END: Final = PAGE_BYTES - _IV_BYTES - _MAC_BYTES

# Offsets in SQLite's file header, https://sqlite.org/fileformat.html
_CHANGE_COUNTER: Final = slice(24, 28)
_FREELIST: Final = slice(32, 40)
_VALID_FOR: Final = slice(92, 96)


def copy_with_new_first_page(damaged: Path, key: StoreKey) -> Path:
    """Make a copy beside `damaged` (its log too) that can be opened; the caller removes it."""
    copy = beside(damaged, ".repaired")
    fresh = beside(damaged, ".fresh")
    try:
        with new_file(fresh, key):
            pass
        with fresh.open("rb") as file:
            page = _opened(file.read(PAGE_BYTES), key)
    finally:
        fresh.unlink(missing_ok=True)
    page[_CHANGE_COUNTER] = (1).to_bytes(4)
    page[_VALID_FOR] = (2).to_bytes(4)
    page[_FREELIST] = bytes(8)
    shutil.copyfile(damaged, copy)
    copy.chmod(0o600)
    for suffix in LOG_SUFFIXES:
        beside(copy, suffix).unlink(missing_ok=True)
    if beside(damaged, "-wal").exists():
        shutil.copyfile(beside(damaged, "-wal"), beside(copy, "-wal"))
    with copy.open("r+b") as file:
        file.write(_sealed(page, key))
    return copy


def _cipher(key: StoreKey, iv: bytes) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES256(bytes(key)), modes.CBC(iv))


def _opened(page: bytes, key: StoreKey) -> bytearray:
    decryptor = _cipher(key, page[_BODY_END : _BODY_END + _IV_BYTES]).decryptor()
    body = decryptor.update(page[SALT_BYTES:_BODY_END]) + decryptor.finalize()
    return bytearray(bytes(SALT_BYTES) + body)


def _sealed(page: bytearray, key: StoreKey) -> bytes:
    iv = os.urandom(_IV_BYTES)
    encryptor = _cipher(key, iv).encryptor()
    body = encryptor.update(bytes(page[SALT_BYTES:])) + encryptor.finalize() + iv
    mac_salt = bytes(byte ^ _MAC_SALT_MASK for byte in key.salt)
    mac_key = hashlib.pbkdf2_hmac("sha512", key, mac_salt, _MAC_ITERATIONS, 32)
    mac = hmac.digest(mac_key, body + (1).to_bytes(4, "little"), "sha512")
    return key.salt + body + mac
