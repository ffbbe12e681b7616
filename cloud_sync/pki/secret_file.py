"""Files that hold a private key: 0600 from their first byte, never written over, never read if others may."""

from __future__ import annotations

import os
from pathlib import Path

from cloud_sync.errors import ConfigurationError


def write_secret(path: Path, content: bytes, *, replace: bool = False) -> None:
    """Write with mode 0600; folders are made (0700). Raises ConfigurationError if it exists or may not be made."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(path.name + ".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            new.replace(path)
        else:
            try:
                path.hardlink_to(new)  # unlike a rename, it never takes the place of a key that is there
            finally:
                new.unlink()
    except FileExistsError:
        raise ConfigurationError(
            f"{path} exists already", hint="A private key is never overwritten; move it away first"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"may not write {path}: {error.strerror}", hint="Run as the user that owns the folder"
        ) from None


def write_public(path: Path, content: bytes) -> None:
    """Write a file that anybody may read. Raises ConfigurationError if it may not be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o644)
    except OSError as error:
        raise ConfigurationError(
            f"may not write {path}: {error.strerror}", hint="Run as the user that owns the folder"
        ) from None


def read_secret(path: Path, hint: str) -> bytes:
    """Read it. Raises ConfigurationError if it is not there, or may be read by group or others."""
    try:
        mode = path.stat().st_mode
        if mode & 0o077:
            raise ConfigurationError(
                f"{path} may be read by others (mode {mode & 0o777:04o})", hint=f"chmod 600 {path}"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigurationError(f"there is no key at {path}", hint=hint) from None
    except PermissionError:
        raise ConfigurationError(
            f"may not read {path}", hint="Run as the user cloud-sync, or as root"
        ) from None
