"""The receiver's own keys: numbered sealing keys (X25519) and the key that signs receipts (Ed25519)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_codecs.batch import SealingPrivateKey, SigningKey


@dataclass(frozen=True, slots=True)
class ReceiverKeys:
    """All keys in the directory; gateways are told the highest number, older ones still open batches."""

    sealing: Mapping[int, SealingPrivateKey]
    receipt: SigningKey


def create_keys(directory: Path) -> ReceiverKeys:
    """Make sealing key number 1 and the receipt key. Raises ConfigurationError if there are keys already."""
    raise NotImplementedError


def add_sealing_key(directory: Path) -> int:
    """Make the next sealing key; returns its number."""
    raise NotImplementedError


def load_keys(directory: Path) -> ReceiverKeys:
    """Read the directory. Raises ConfigurationError if a key is missing, broken or readable by others."""
    raise NotImplementedError


def receiver_json(keys: ReceiverKeys) -> dict[str, object]:
    """What a gateway must know of us: {"sealing_keys": [{"number", "public"}], "receipt_key"}, base64."""
    raise NotImplementedError
