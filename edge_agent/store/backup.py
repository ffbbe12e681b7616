"""Copies of the store, encrypted with the same key, made while the agent runs; and the way back."""

from __future__ import annotations

from pathlib import Path

from edge_agent.store.key_provider import StoreKey


def backup(path: Path, key: StoreKey, target: Path) -> int:
    """Copy the store to `target`, which must not exist; returns its bytes. The agent may run.

    The copy is marked as one: whoever opens it begins a new stream. Raises ConfigurationError.
    """
    raise NotImplementedError


def restore(source: Path, path: Path, key: StoreKey) -> Path | None:
    """Put a backup in the store's place; returns where the present store was set aside, if there was one.

    The agent must not run. Raises StoreLocked, StoreDamaged (the backup), ConfigurationError.
    """
    raise NotImplementedError
