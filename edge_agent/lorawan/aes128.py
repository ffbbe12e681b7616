"""AES-128 as LoRaWAN uses it: single blocks, and CMAC (RFC 4493).

Keyed once and used often: trying one frame against many sessions costs a copied CMAC context and one short
update each, which is some ten times cheaper than keying anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from edge_agent.lorawan.keys import AES128Key

BLOCK = 16


@final
class AES128:
    """A key at work; never prints it. Contexts of the crypto library are made when first needed."""

    __slots__ = ("_cmac", "_decrypt", "_encrypt", "_key")

    def __init__(self, key: AES128Key) -> None:
        self._key = key
        self._cmac: CMAC | None = None
        self._encrypt: Callable[[bytes], bytes] | None = None
        self._decrypt: Callable[[bytes], bytes] | None = None

    def cmac(self, message: bytes) -> bytes:
        """The 16 bytes of AES-CMAC over `message`."""
        if self._cmac is None:
            self._cmac = CMAC(algorithms.AES(self._key))
        context = self._cmac.copy()
        context.update(message)
        return context.finalize()

    def encrypt(self, blocks: bytes) -> bytes:
        """Encrypt whole blocks of 16 bytes, each by itself. Raises ValueError on another length."""
        _check_whole(blocks)
        if self._encrypt is None:
            self._encrypt = self._blocks().encryptor().update
        return self._encrypt(blocks)

    def decrypt(self, blocks: bytes) -> bytes:
        """Decrypt whole blocks of 16 bytes, each by itself. Raises ValueError on another length."""
        _check_whole(blocks)
        if self._decrypt is None:
            self._decrypt = self._blocks().decryptor().update
        return self._decrypt(blocks)

    def _blocks(self) -> Cipher[modes.ECB]:
        # LoRaWAN builds its own modes out of single blocks: counter mode for payloads, one block for a key.
        # ECB keeps nothing from one call to the next, so that one context serves for ever.
        return Cipher(algorithms.AES(self._key), modes.ECB())  # noqa: S305


def _check_whole(blocks: bytes) -> None:
    if len(blocks) % BLOCK:
        raise ValueError(f"AES works on blocks of {BLOCK} bytes, not on {len(blocks)}")
