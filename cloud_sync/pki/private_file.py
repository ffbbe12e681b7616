"""Files that only their owner may read: the key of the authority, the keys of a receiver."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cloud_sync.errors import ConfigurationError


def write_private(file: Path, content: bytes, *, replace: bool = False) -> None:
    """Write with mode 0600 from the first byte on, and either all of it or nothing.

    Raises ConfigurationError; without `replace` also if there is such a file.
    """
    _write(file, content, mode=0o600, replace=replace)


def write_public(file: Path, content: bytes) -> None:
    """Write, so that a reader finds the old content or the new, never a part. Raises ConfigurationError."""
    _write(file, content, mode=0o644, replace=True)


def _write(file: Path, content: bytes, *, mode: int, replace: bool) -> None:
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            if replace:
                beside.replace(file)
            else:
                file.hardlink_to(beside)  # unlike a rename it never takes the place of a key that is there
        finally:
            beside.unlink(missing_ok=True)
    except FileExistsError:
        raise ConfigurationError(
            f"{file} exists already", hint="A private key is never written over; move it away first"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {file}: {error.strerror}", hint="May this user write there, and is there space?"
        ) from None


def read_private(file: Path, what: str, hint: str) -> bytes:
    """The content of `what`. Raises ConfigurationError if it is missing or others may read it."""
    try:
        with file.open("rb") as stream:
            if os.fstat(stream.fileno()).st_mode & 0o077:
                raise ConfigurationError(f"others may read {what}: {file}", hint=f"chmod 600 {file}")
            return stream.read()
    except FileNotFoundError:
        raise ConfigurationError(f"{what} is missing: {file}", hint=hint) from None
    except OSError as error:
        raise ConfigurationError(
            f"may not read {what}: {file}: {error.strerror}",
            hint="Does it belong to the user that runs this?",
        ) from None


def make_directory(directory: Path, mode: int) -> None:
    """Make `directory` and its parents if they are missing. Raises ConfigurationError."""
    try:
        directory.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"cannot make the folder {directory}: {error.strerror}", hint="May this user write there?"
        ) from None
