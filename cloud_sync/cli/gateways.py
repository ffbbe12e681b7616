"""gateway add, list, assign, revoke."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cloud_sync.cli.arguments import (
    AsJson,
    Configuration,
    From,
    Label,
    OptionalTenant,
    Site,
    Tenant,
    as_operator,
    gateway_id,
    moment_or_now,
    settings_of,
)
from cloud_sync.cli.output import plain, print_lines, print_table
from cloud_sync.cli.quarantine import tell_waiting
from cloud_sync.db import quarantine, registrar, registry
from cloud_sync.errors import UsageError
from cloud_sync.pki.authority import GATEWAY_DAYS, Authority, Validity
from cloud_sync.pki.identity_file import GatewayIdentity, read_identity
from cloud_sync.pki.keys import load_keys, receiver_json
from cloud_sync.pki.private_file import make_directory, write_public
from cloud_sync.settings import DEFAULT_FILE, CloudSettings

app = typer.Typer(help="Gateways: who they are and whose.", no_args_is_help=True, rich_markup_mode=None)

Gateway = Annotated[str, typer.Argument(metavar="GATEWAY", help="id of the gateway, 16 hex digits")]


@app.command("add")
def add(
    identity: Annotated[
        Path,
        typer.Argument(metavar="IDENTITY.json", exists=True, dir_okay=False, help="made by edge-agent init"),
    ],
    tenant: OptionalTenant = None,
    site: Site = None,
    since: From = None,
    label: Label = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", file_okay=False, help="write ca.crt, gateway.crt and receiver.json here"),
    ] = None,
    days: Annotated[
        int, typer.Option("--days", min=1, max=825, help="how long the certificate holds")
    ] = GATEWAY_DAYS,
    config: Configuration = DEFAULT_FILE,
) -> None:
    """Register a gateway by its identity.json and answer with its certificate and our public keys.

    Run it again with --out to renew the certificate.

    Example: cloud-sync gateway add identity.json --tenant city-hospital --site ward-7 --out answer
    """
    settings = settings_of(config)
    introduced = read_identity(identity)
    if tenant is None and (site, since, label) != (None, None, ""):
        raise UsageError("--site, --from and --label need --tenant")
    answer = None if out is None else _answer(settings, introduced, days)
    with as_operator(settings) as connection:
        new = registry.add_gateway(connection, introduced.gateway, introduced.signing_key.raw)
        if tenant is not None:
            begin = moment_or_now(since)
            registrar.assign(connection, [introduced.gateway], tenant, site, begin, label)
    typer.echo(f"{'Registered' if new else 'Knew already'} gateway {introduced.gateway}.")
    if tenant is not None:
        typer.echo(f"It belongs to tenant {tenant}{f', site {site}' if site else ''}.")
    if out is not None and answer is not None:
        make_directory(out, 0o755)
        for name, content in answer.items():
            write_public(out / name, content)
        typer.echo(f"Next: carry {', '.join(answer)} out of {out} to the gateway's state folder.")


@app.command("list")
def list_gateways(config: Configuration = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """List the gateways, whose they are today, and when each was last heard of.

    Example: cloud-sync gateway list --json
    """
    with as_operator(settings_of(config)) as connection:
        gateways = [_named(plain(row)) for row in registry.listed(connection, "gateways")]
    if as_json:
        print_lines(gateways)
        return
    columns = ("gateway_id", "tenant", "site", "label", "since", "last_seen", "revoked_at")
    print_table(columns, gateways, "There are no gateways yet: cloud-sync gateway add")


@app.command("assign")
def assign(
    gateway: Gateway,
    tenant: Tenant,
    site: Site = None,
    since: From = None,
    label: Label = "",
    config: Configuration = DEFAULT_FILE,
) -> None:
    """Let a gateway belong to a tenant from a time on; the assignment before it ends there.

    Example: cloud-sync gateway assign 00800000a0001234 --tenant city-hospital --from 2026-12-01T00:00:00Z
    """
    identifier, begin = gateway_id(gateway), moment_or_now(since)
    with as_operator(settings_of(config)) as connection:
        changed = registrar.assign(connection, [identifier], tenant, site, begin, label)
        waiting = quarantine.waiting(connection, [identifier])
    verb = "belongs" if changed else "belonged already"
    typer.echo(f"Gateway {identifier} {verb} to tenant {tenant}.")
    tell_waiting(waiting, [identifier], begin)


@app.command("revoke")
def revoke(gateway: Gateway, config: Configuration = DEFAULT_FILE) -> None:
    """Take no batch of this gateway any more, from now on and for ever; its records stay.

    Example: cloud-sync gateway revoke 00800000a0001234
    """
    identifier = gateway_id(gateway)
    with as_operator(settings_of(config)) as connection:
        registrar.require_registered(connection, identifier)
        registry.revoke_gateway(connection, identifier, datetime.now(UTC))
    typer.echo(f"Revoked gateway {identifier}.")


def _answer(settings: CloudSettings, introduced: GatewayIdentity, days: int) -> dict[str, bytes]:
    authority = Authority.load(settings.ca.directory)
    keys = receiver_json(load_keys(settings.keys.directory))
    certificate = authority.issue_gateway(introduced.csr, introduced.gateway, Validity.days(days))
    return {
        "ca.crt": authority.certificate,
        "gateway.crt": certificate,
        "receiver.json": (json.dumps(keys, indent=2) + "\n").encode(),
    }


def _named(row: dict[str, object]) -> dict[str, object]:
    return {"gateway_id": row.pop("gateway"), **row}
