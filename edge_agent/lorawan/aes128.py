"""AES-128 as LoRaWAN uses it: single blocks, and CMAC (RFC 4493).

Keyed once and used often: trying one frame against many sessions costs a copied CMAC context and one short
update each, which is some ten times cheaper than keying anew.
"""

from __future__ import annotations

from typing import final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from edge_agent.lorawan.keys import AES128Key

BLOCK = 16


@final
class AES128:
    """A key at work. Holds it in contexts of the crypto library; never prints it."""

    __slots__ = ("_cmac", "_decrypt", "_encrypt")

    def __init__(self, key: AES128Key) -> None:
        algorithm = algorithms.AES(key)
        # LoRaWAN builds its own modes out of single blocks (counter mode for payloads, one block for keys).
        cipher = Cipher(algorithm, modes.ECB())  # noqa: S305
        self._cmac = CMAC(algorithm)
        self._encrypt = cipher.encryptor().update  # ECB keeps nothing from one call to the next
        self._decrypt = cipher.decryptor().update

    def cmac(self, message: bytes) -> bytes:
        """The 16 bytes of AES-CMAC over `message`."""
        context = self._cmac.copy()
        context.update(message)
        return context.finalize()

    def encrypt(self, blocks: bytes) -> bytes:
        """Encrypt whole blocks of 16 bytes, each by itself. Raises ValueError on another length."""
        if len(blocks) % BLOCK:
            raise ValueError(f"AES works on blocks of {BLOCK} bytes, not on {len(blocks)}")
        return self._encrypt(blocks)

    def decrypt(self, blocks: bytes) -> bytes:
        """Decrypt whole blocks of 16 bytes, each by itself. Raises ValueError on another length."""
        if len(blocks) % BLOCK:
            raise ValueError(f"AES works on blocks of {BLOCK} bytes, not on {len(blocks)}")
        return self._decrypt(blocks)
