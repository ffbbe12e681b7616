"""A development authority (P-256): good enough for demo, tests and a first site; not for a fleet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_codecs.identifiers import GatewayId

RECEIVER_NAME = "receiver"
"""CN of every receiver: the broker's user name in its ACL."""
GATEWAY_DAYS = 90
SERVICE_DAYS = 365
AUTHORITY_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when a certificate holds, aware UTC."""

    not_before: datetime
    not_after: datetime

    @classmethod
    def days(cls, days: int, now: datetime | None = None) -> Validity:
        """From five minutes ago (clocks differ) for `days` days."""
        start = (now or datetime.now(UTC)) - timedelta(minutes=5)
        return cls(start, start + timedelta(days=days))


@dataclass(frozen=True, slots=True, repr=False)
class Issued:
    """A certificate (PEM, the authority's own not included) and its private key (PEM), which is not printed."""

    certificate: bytes
    key: bytes


class Authority:
    """Issues certificates; every name that it signs is checked against a strict grammar."""

    @classmethod
    def create(cls, directory: Path, validity: Validity | None = None) -> Authority:
        """Make the authority's key and certificate in `directory`: ca.key (0600), ca.crt."""
        raise NotImplementedError

    @classmethod
    def load(cls, directory: Path) -> Authority:
        """Raises ConfigurationError."""
        raise NotImplementedError

    @property
    def certificate(self) -> bytes:
        """The authority's certificate, PEM."""
        raise NotImplementedError

    def issue_server(self, names: Sequence[str] = (), validity: Validity | None = None) -> Issued:
        """For the broker: localhost, 127.0.0.1 and `names` (host names or addresses) as SANs."""
        raise NotImplementedError

    def issue_receiver(self, validity: Validity | None = None) -> Issued:
        """For a receiver: CN `receiver`, client authentication."""
        raise NotImplementedError

    def issue_gateway(self, csr: bytes, gateway: GatewayId, validity: Validity | None = None) -> bytes:
        """For the gateway whose request (PEM) this is: its CN must be `gateway`. Raises ConfigurationError."""
        raise NotImplementedError


def install(issued: Issued, certificate_file: Path, key_file: Path) -> None:
    """Write both; the key with mode 0600 from its first byte on."""
    raise NotImplementedError
