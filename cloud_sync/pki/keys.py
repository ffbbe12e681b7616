"""The receiver's own keys: numbered sealing keys (X25519) and the key that signs receipts (Ed25519).

`sealing-1.pem`, `sealing-2.pem` … and `receipt.pem`: unencrypted PKCS #8, mode 0600, in a folder of 0700.
Gateways seal to the highest number that they were told; a key stays as long as batches to it may come.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cloud_sync.errors import ConfigurationError
from cloud_sync.pki.private_file import make_directory, read_private, write_private
from edge_codecs.keys import SealingPrivateKey, SigningKey

RECEIPT_FILE = "receipt.pem"
_SEALING_FILE = re.compile(r"sealing-([1-9][0-9]{0,4})\.pem")
_INIT = "Make them with: cloud-sync keys init"


@dataclass(frozen=True, slots=True)
class ReceiverKeys:
    """All keys in the directory; gateways are told the highest number, older ones still open batches."""

    sealing: Mapping[int, SealingPrivateKey]
    receipt: SigningKey


def create_keys(directory: Path) -> ReceiverKeys:
    """Make sealing key number 1 and the receipt key. Raises ConfigurationError if there are keys already."""
    if (directory / RECEIPT_FILE).exists() or _sealing_files(directory):
        raise ConfigurationError(
            f"there are keys already in {directory}",
            hint="Keep them: what gateways sealed to them opens with nothing else",
        )
    make_directory(directory, 0o700)
    write_private(directory / RECEIPT_FILE, SigningKey.generate().to_pem())
    add_sealing_key(directory)
    return load_keys(directory)


def add_sealing_key(directory: Path) -> int:
    """Make the next sealing key; returns its number. Raises ConfigurationError."""
    number = max(_sealing_files(directory), default=0) + 1
    write_private(directory / f"sealing-{number}.pem", SealingPrivateKey.generate(number).to_pem())
    return number


def load_keys(directory: Path) -> ReceiverKeys:
    """Read the directory. Raises ConfigurationError if a key is missing, broken or readable by others."""
    files = _sealing_files(directory)
    if not files:
        raise ConfigurationError(f"there is no sealing key in {directory}", hint=_INIT)
    sealing = {
        number: _parsed(file, read_private(file, f"sealing key {number}", _INIT), number)
        for number, file in sorted(files.items())
    }
    file = directory / RECEIPT_FILE
    pem = read_private(file, "the key that signs receipts", _INIT)
    try:
        return ReceiverKeys(sealing, SigningKey.from_pem(pem))
    except ValueError as error:
        raise ConfigurationError(f"{file}: {error}", hint="Restore it from a backup") from None


def receiver_json(keys: ReceiverKeys) -> dict[str, object]:
    """What a gateway must know of us: {"sealing_keys": [{"number", "public"}], "receipt_key"}, base64."""
    return {
        "sealing_keys": [
            {"number": number, "public": _base64(key.public_key.raw)} for number, key in keys.sealing.items()
        ],
        "receipt_key": _base64(keys.receipt.verify_key.raw),
    }


def _sealing_files(directory: Path) -> dict[int, Path]:
    try:
        found = {file: _SEALING_FILE.fullmatch(file.name) for file in directory.iterdir()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError(
            f"may not read the folder {directory}: {error.strerror}",
            hint="Does it belong to the user that runs this?",
        ) from None
    return {int(match[1]): file for file, match in found.items() if match}


def _parsed(file: Path, pem: bytes, number: int) -> SealingPrivateKey:
    try:
        return SealingPrivateKey.from_pem(number, pem)
    except ValueError as error:
        raise ConfigurationError(f"{file}: {error}", hint="Restore it from a backup") from None


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
