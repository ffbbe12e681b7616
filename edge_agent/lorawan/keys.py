"""Keys that do not print."""

from __future__ import annotations

import hashlib
from typing import Self


class AES128Key(bytes):
    """16 bytes. str(), repr() and format() show a fingerprint, never the key."""

    __slots__ = ()

    def __new__(cls, raw: bytes) -> Self:
        """Take 16 bytes. Raises ValueError, which does not repeat them."""
        if len(raw) != 16:
            raise ValueError(f"an AES-128 key is 16 bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read 32 hex digits; blanks, dashes and colons between pairs are allowed. Raises ValueError."""
        digits = text.strip().translate({ord(c): None for c in " -:"})
        try:
            return cls(bytes.fromhex(digits))
        except ValueError:
            raise ValueError("an AES-128 key is 32 hex digits") from None

    def __repr__(self) -> str:
        return f"<key {hashlib.sha256(self).hexdigest()[:8]}>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)
