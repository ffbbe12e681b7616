"""Registering at the desk: what a person asked for is checked, and asking for it twice is no error."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import psycopg
from psycopg import sql

from cloud_sync.db import registry
from cloud_sync.errors import UsageError
from edge_codecs.identifiers import DevEUI, GatewayId


def require_tenant(connection: psycopg.Connection, tenant: str, site: str | None = None) -> None:
    """Raises UsageError that says which of the two is unknown (operator scope, or the tenant's own)."""
    if not _found(connection, "SELECT 1 FROM tenants WHERE tenant = %s", (tenant,)):
        raise UsageError(
            f"there is no tenant {tenant}", hint="See: cloud-sync tenant list; or: cloud-sync tenant add"
        )
    if site is not None and not _found(
        connection, "SELECT 1 FROM sites WHERE tenant = %s AND site = %s", (tenant, site)
    ):
        raise UsageError(
            f"tenant {tenant} has no site {site}",
            hint=f"See: cloud-sync site list --tenant {tenant}; or: cloud-sync site add",
        )


def require_registered(connection: psycopg.Connection, thing: GatewayId | DevEUI) -> None:
    """Raises UsageError (operator scope)."""
    if isinstance(thing, GatewayId):
        word, query = "gateway", "SELECT 1 FROM gateways WHERE gateway = %s"
    else:
        word, query = "device", "SELECT 1 FROM devices WHERE dev_eui = %s"
    if not _found(connection, query, (bytes(thing),)):
        raise UsageError(
            f"{word} {thing} is not registered",
            hint=f"See: cloud-sync {word} list; or: cloud-sync {word} add",
        )


def assign(
    connection: psycopg.Connection,
    things: Iterable[GatewayId | DevEUI],
    tenant: str,
    site: str | None,
    begin: datetime,
    label: str = "",
) -> int:
    """From `begin` on they belong to `tenant`; what does so already stays as it is. Returns how many changed.

    Raises UsageError or ConfigurationError, and then none has changed (operator scope, one transaction).
    """
    require_tenant(connection, tenant, site)
    changed = 0
    for thing in things:
        require_registered(connection, thing)
        if not _belongs(connection, thing, tenant, site, begin):
            registry.assign(connection, thing, tenant, site, begin, label)
            changed += 1
    return changed


def _belongs(
    connection: psycopg.Connection,
    thing: GatewayId | DevEUI,
    tenant: str,
    site: str | None,
    begin: datetime,
) -> bool:
    """Whether an assignment without end to just this place holds at `begin`."""
    table, column = (
        ("gateway_assignments", "gateway")
        if isinstance(thing, GatewayId)
        else ("device_assignments", "dev_eui")
    )
    query = sql.SQL(
        """SELECT 1 FROM {} WHERE {} = %s AND tenant = %s AND site IS NOT DISTINCT FROM %s
           AND during @> %s::timestamptz AND upper_inf(during)"""
    ).format(sql.Identifier(table), sql.Identifier(column))
    return connection.execute(query, (bytes(thing), tenant, site, begin)).fetchone() is not None


def _found(connection: psycopg.Connection, query: str, parameters: tuple[object, ...]) -> bool:
    return connection.execute(query.encode(), parameters).fetchone() is not None
