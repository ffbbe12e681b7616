"""The store of an agent that does not run, for a bench to prepare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edge_agent.clock import Clock
from edge_agent.store.key_provider import load_store_key
from edge_agent.store.store import Store
from edge_codecs.identifiers import GatewayId
from tests.rig.agent import Agent


@contextmanager
def store_of(agent: Agent) -> Iterator[Store]:
    """Open it, and close it at the end."""
    store = Store.open(
        agent.folder / "store.db",
        load_store_key(agent.folder / "store.key").key,
        gateway=GatewayId.parse(agent.gateway_id),
        max_bytes=100_000_000,
        retention_days=30,
        boot=Clock().boot,
    )
    try:
        yield store
    finally:
        store.close()
