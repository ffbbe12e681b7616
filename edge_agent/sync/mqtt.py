"""The only file that knows paho: MQTT 5 over mutual TLS 1.3 (signatures; the body follows)."""

from __future__ import annotations

from edge_agent.sync.identity import SyncIdentity
from edge_agent.sync.link import Connection


class MqttLink:
    """The way to the broker of `identity`."""

    def __init__(self, identity: SyncIdentity) -> None:
        self._identity = identity

    async def connect(self) -> Connection:
        """Try once. Raises LinkDown with a fault that names the cause."""
        raise NotImplementedError
