"""Whose gateway, whose device, since when: tenancies by validity, and their snapshot for admission."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import psycopg

from edge_codecs.identifiers import DevEUI, GatewayId


class Tenancy(NamedTuple):
    """A gateway or device belongs to `tenant` from `from_ms` until just before `to_ms` (None: still).

    Times are UTC milliseconds since 1970.
    """

    tenant: str
    site: str | None
    from_ms: int
    to_ms: int | None

    def holds(self, at_ms: int) -> bool:
        """Whether the tenancy was valid at `at_ms`."""
        return self.from_ms <= at_ms and (self.to_ms is None or at_ms < self.to_ms)


@dataclass(frozen=True, slots=True)
class GatewayRecord:
    """A gateway as registered; `tenancies` do not overlap and are in the order of time."""

    id: GatewayId
    verify_key_raw: bytes  # Ed25519 public key, 32 bytes
    revoked_at_ms: int | None
    tenancies: tuple[Tenancy, ...]


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything that admission asks, at one version; a newer version is loaded whole."""

    version: int
    gateways: Mapping[GatewayId, GatewayRecord]
    devices: Mapping[DevEUI, tuple[Tenancy, ...]]


def version(connection: psycopg.Connection) -> int:
    """The registry's version now: one row, cheap enough for every transaction."""
    raise NotImplementedError


def snapshot(connection: psycopg.Connection) -> Registry:
    """The whole registry in one consistent read (roles: receiver, operator)."""
    raise NotImplementedError
