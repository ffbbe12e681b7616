"""The receiver's own keys: numbered sealing keys (X25519) and the key that signs receipts (Ed25519).

sealing-1.key, sealing-2.key, …    gateways seal to the highest number that they know; all of them open
receipt.key                        gateways believe only receipts of this key
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from cloud_sync.errors import ConfigurationError
from cloud_sync.pki.secret_file import read_secret, write_secret
from edge_codecs.batch import SealingPrivateKey, SigningKey

_Key = TypeVar("_Key")

_HINT = "Make the receiver's keys with: cloud-sync keys init"
_SEALING = re.compile(r"sealing-([1-9]\d{0,4})\.key")
_RECEIPT = "receipt.key"


@dataclass(frozen=True, slots=True)
class ReceiverKeys:
    """All keys in the directory; gateways are told all public ones, older ones still open batches."""

    sealing: Mapping[int, SealingPrivateKey]
    receipt: SigningKey


def create_keys(directory: Path) -> ReceiverKeys:
    """Make sealing key number 1 and the receipt key. Raises ConfigurationError if there are keys already."""
    sealing, receipt = SealingPrivateKey.generate(1), SigningKey.generate()
    write_secret(directory / _RECEIPT, receipt.to_pem())
    write_secret(directory / "sealing-1.key", sealing.to_pem())
    return ReceiverKeys({1: sealing}, receipt)


def add_sealing_key(directory: Path) -> int:
    """Make the next sealing key; returns its number."""
    number = max(load_keys(directory).sealing) + 1
    write_secret(directory / f"sealing-{number}.key", SealingPrivateKey.generate(number).to_pem())
    return number


def load_keys(directory: Path) -> ReceiverKeys:
    """Read the directory. Raises ConfigurationError if a key is missing, broken or readable by others."""
    try:
        names = [entry.name for entry in directory.iterdir()]
    except FileNotFoundError:
        raise ConfigurationError(f"there is no folder {directory}", hint=_HINT) from None
    except OSError as error:
        raise ConfigurationError(
            f"may not read {directory}: {error.strerror}", hint="Run as the user cloud-sync, or as root"
        ) from None
    sealing: dict[int, SealingPrivateKey] = {}
    for name in names:
        if match := _SEALING.fullmatch(name):
            number = int(match[1])
            sealing[number] = _parsed(directory / name, partial(SealingPrivateKey.from_pem, number))
    if not sealing:
        raise ConfigurationError(f"there is no sealing key in {directory}", hint=_HINT)
    return ReceiverKeys(dict(sorted(sealing.items())), _parsed(directory / _RECEIPT, SigningKey.from_pem))


def receiver_json(keys: ReceiverKeys) -> dict[str, object]:
    """What a gateway must know of us: {"sealing_keys": [{"number", "public"}], "receipt_key"}, base64."""
    return {
        "sealing_keys": [
            {"number": number, "public": _base64(key.public_key.raw)} for number, key in keys.sealing.items()
        ],
        "receipt_key": _base64(keys.receipt.verify_key.raw),
    }


def _parsed(path: Path, parse: Callable[[bytes], _Key]) -> _Key:
    try:
        return parse(read_secret(path, _HINT))
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}", hint="Put the right file back from a backup") from None


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
