"""Whose gateway, whose device, since when: tenancies by validity, and their snapshot for admission.

Assignments follow each other: a new one ends the one before it at the moment it begins. The database itself
refuses two at once (exclusion constraints).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.range import Range

from cloud_sync.errors import ConfigurationError
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
    """The registry's version now (plant scope): one row, cheap enough for every transaction."""
    (number,) = connection.execute("SELECT version FROM registry_version").fetchone() or (0,)
    return int(number)


def snapshot(connection: psycopg.Connection) -> Registry:
    """The whole registry, at one version (plant scope).

    The version is read first: a change in between is loaded now, and again at the next look at the version.
    """
    number = version(connection)
    gateways = _tenancies(connection, "gateway_assignments", "gateway")
    devices = _tenancies(connection, "device_assignments", "dev_eui")
    registered = connection.execute("SELECT gateway, signing_key, revoked_at FROM gateways").fetchall()
    return Registry(
        number,
        {
            GatewayId(gateway): GatewayRecord(
                GatewayId(gateway), key, _ms(revoked_at), gateways.get(gateway, ())
            )
            for gateway, key, revoked_at in registered
        },
        {DevEUI(device): tenancies for device, tenancies in devices.items()},
    )


def _tenancies(connection: psycopg.Connection, table: str, column: str) -> dict[bytes, tuple[Tenancy, ...]]:
    found: dict[bytes, list[Tenancy]] = defaultdict(list)
    query = sql.SQL(
        "SELECT {0}, tenant, site, lower(during), upper(during) FROM {1} ORDER BY {0}, lower(during)"
    )
    rows = connection.execute(query.format(sql.Identifier(column), sql.Identifier(table))).fetchall()
    for thing, tenant, site, begin, end in rows:
        begin_ms = _ms(begin)
        assert begin_ms is not None
        found[thing].append(Tenancy(tenant, site, begin_ms, _ms(end)))
    return {thing: tuple(tenancies) for thing, tenancies in found.items()}


def _ms(time: datetime | None) -> int | None:
    return None if time is None else round(time.timestamp() * 1000)


# What the operator does; each in a transaction of the operator's scope -------------------------------------


def add_tenant(connection: psycopg.Connection, tenant: str, name: str) -> None:
    """Raises ConfigurationError if there is one of this id, or the id is not one."""
    _insert(
        connection,
        "INSERT INTO tenants (tenant, name) VALUES (%s, %s)",
        (tenant, name),
        f"tenant {tenant}",
        "An id is 1 to 63 lower-case letters, digits and dashes, such as city-hospital",
    )


def add_site(connection: psycopg.Connection, tenant: str, site: str, name: str) -> None:
    """Raises ConfigurationError if there is one of this id, there is no such tenant, or the id is not one."""
    _insert(
        connection,
        "INSERT INTO sites (tenant, site, name) VALUES (%s, %s, %s)",
        (tenant, site, name),
        f"site {site} of tenant {tenant}",
        "The tenant must exist (tenant add); an id is 1 to 63 lower-case letters, digits and dashes",
    )


def add_gateway(connection: psycopg.Connection, gateway: GatewayId, signing_key: bytes) -> bool:
    """Register; returns whether it is new. Raises ConfigurationError if it is registered with another key."""
    known = connection.execute(
        "SELECT signing_key, revoked_at FROM gateways WHERE gateway = %s", (bytes(gateway),)
    ).fetchone()
    if known is None:
        connection.execute(
            "INSERT INTO gateways (gateway, signing_key) VALUES (%s, %s)", (bytes(gateway), signing_key)
        )
        return True
    if known != (signing_key, None):
        what = "revoked" if known[1] else "registered with another signing key"
        raise ConfigurationError(
            f"gateway {gateway} is {what}", hint="A gateway that lost its keys gets a new gateway id"
        )
    return False


def add_device(connection: psycopg.Connection, dev_eui: DevEUI) -> bool:
    """Register; returns whether it is new."""
    made = connection.execute(
        "INSERT INTO devices (dev_eui) VALUES (%s) ON CONFLICT DO NOTHING", (bytes(dev_eui),)
    )
    return made.rowcount == 1


def revoke_gateway(connection: psycopg.Connection, gateway: GatewayId, at: datetime) -> None:
    """From now on none of its batches is taken. Raises ConfigurationError if there is no such gateway."""
    done = connection.execute(
        "UPDATE gateways SET revoked_at = coalesce(revoked_at, %s) WHERE gateway = %s", (at, bytes(gateway))
    )
    if not done.rowcount:
        raise ConfigurationError(f"gateway {gateway} is not registered", hint="See: cloud-sync gateway list")


def assign(
    connection: psycopg.Connection,
    thing: GatewayId | DevEUI,
    tenant: str,
    site: str | None,
    begin: datetime,
    label: str = "",
) -> None:
    """From `begin` on it belongs to `tenant`; the assignment before it ends there.

    If it belongs to this tenant and site already, and to nobody from `begin` until then, that assignment
    begins earlier. Raises ConfigurationError if another later assignment is in the way, or tenant, site or
    thing are unknown.
    """
    table, column = _WHERE[type(thing)]
    names = {"table": sql.Identifier(table), "thing": sql.Identifier(column)}
    key = bytes(thing)
    same = {"thing": key, "tenant": tenant, "site": site, "begin": begin}
    if connection.execute(_BEGIN_EARLIER.format(**names), same).rowcount:
        return
    (later,) = connection.execute(_LATER.format(**names), (key, begin)).fetchone() or (0,)
    if later:
        raise ConfigurationError(
            f"{thing} has an assignment that begins later than {begin.isoformat()}",
            hint=f"An assignment can only follow the others; see: cloud-sync {_WORD[type(thing)]} list",
        )
    connection.execute(_END.format(**names), (begin, key, begin, begin))
    _insert(
        connection,
        _ASSIGN.format(**names),
        (tenant, key, site, label, Range(begin, None)),
        f"the assignment of {thing} to {tenant}" + (f", site {site}" if site else ""),
        f"Tenant, site and {_WORD[type(thing)]} must be registered first",
    )


def listed(connection: psycopg.Connection, what: str) -> list[dict[str, Any]]:
    """Rows for a list command: tenants, sites, gateways or devices, with today's assignment."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_LISTS[what]).fetchall()


def _insert(
    connection: psycopg.Connection,
    query: str | sql.Composed,
    parameters: Sequence[object],
    what: str,
    hint: str,
) -> None:
    try:
        connection.execute(query if isinstance(query, sql.Composed) else query.encode(), parameters)
    except (psycopg.errors.UniqueViolation, psycopg.errors.ExclusionViolation):
        raise ConfigurationError(f"{what} exists already", hint="See the list command") from None
    except (psycopg.errors.CheckViolation, psycopg.errors.ForeignKeyViolation):
        raise ConfigurationError(f"{what} is not possible", hint=hint) from None


_WHERE: Mapping[type, tuple[str, str]] = {
    GatewayId: ("gateway_assignments", "gateway"),
    DevEUI: ("device_assignments", "dev_eui"),
}
_WORD: Mapping[type, str] = {GatewayId: "gateway", DevEUI: "device"}
_LATER = sql.SQL("SELECT count(*) FROM {table} WHERE {thing} = %s AND lower(during) >= %s")
_BEGIN_EARLIER = sql.SQL(
    """UPDATE {table} a SET during = tstzrange(%(begin)s, upper(a.during))
       WHERE a.{thing} = %(thing)s AND a.tenant = %(tenant)s AND a.site IS NOT DISTINCT FROM %(site)s
           AND lower(a.during) > %(begin)s AND NOT EXISTS (
               SELECT FROM {table} b
               WHERE b.{thing} = a.{thing} AND b.during && tstzrange(%(begin)s, lower(a.during)))"""
)
_END = sql.SQL(
    """UPDATE {table} SET during = tstzrange(lower(during), %s)
       WHERE {thing} = %s AND during @> %s::timestamptz AND lower(during) < %s"""
)
_ASSIGN = sql.SQL("INSERT INTO {table} (tenant, {thing}, site, label, during) VALUES (%s, %s, %s, %s, %s)")
_LISTS: Mapping[str, bytes] = {
    "tenants": b"SELECT tenant, name, created_at FROM tenants ORDER BY tenant",
    "sites": b"SELECT tenant, site, name, created_at FROM sites ORDER BY tenant, site",
    "gateways": b"""
        SELECT g.gateway, a.tenant, a.site, a.label, lower(a.during) AS since, g.revoked_at, s.last_seen
        FROM gateways g
        LEFT JOIN gateway_assignments a ON a.gateway = g.gateway AND upper_inf(a.during)
        LEFT JOIN (SELECT gateway, max(last_seen) AS last_seen FROM streams GROUP BY gateway) s
            ON s.gateway = g.gateway
        ORDER BY g.gateway""",
    "devices": b"""
        SELECT d.dev_eui, a.tenant, a.site, a.label, lower(a.during) AS since
        FROM devices d LEFT JOIN device_assignments a ON a.dev_eui = d.dev_eui AND upper_inf(a.during)
        ORDER BY d.dev_eui""",
}
