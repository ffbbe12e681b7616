"""tenant add, list; site add, list."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

import typer

from cloud_sync.cli.arguments import AsJson, Configuration, Tenant, as_operator, settings_of
from cloud_sync.cli.output import plain, print_lines, print_table
from cloud_sync.db import registry
from cloud_sync.db.registrar import require_tenant
from cloud_sync.errors import UsageError
from cloud_sync.settings import DEFAULT_FILE

tenant_app = typer.Typer(help="Whose readings they are.", no_args_is_help=True, rich_markup_mode=None)
site_app = typer.Typer(help="Where a tenant's sensors are.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="its name, for people")]
Id = Annotated[
    str | None,
    typer.Option(
        "--id", help="1 to 63 lower-case letters, digits and dashes; without it, it is made of NAME"
    ),
]


@tenant_app.command("add")
def add_tenant(name: Name, id_: Id = None, config: Configuration = DEFAULT_FILE) -> None:
    """Add a tenant; its id stands for it in every other command.

    Example: cloud-sync tenant add "City Hospital" --id city-hospital
    """
    tenant = _id(name, id_)
    with as_operator(settings_of(config)) as connection:
        registry.add_tenant(connection, tenant, name)
    typer.echo(f"Added tenant {tenant}.")


@tenant_app.command("list")
def list_tenants(config: Configuration = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """List the tenants.

    Example: cloud-sync tenant list
    """
    with as_operator(settings_of(config)) as connection:
        tenants = [plain(row) for row in registry.listed(connection, "tenants")]
    if as_json:
        print_lines(tenants)
        return
    print_table(("tenant", "name", "created_at"), tenants, "There are no tenants yet: cloud-sync tenant add")


@site_app.command("add")
def add_site(tenant: Tenant, name: Name, id_: Id = None, config: Configuration = DEFAULT_FILE) -> None:
    """Add a site of a tenant.

    Example: cloud-sync site add "Ward 7" --id ward-7 --tenant city-hospital
    """
    site = _id(name, id_)
    with as_operator(settings_of(config)) as connection:
        require_tenant(connection, tenant)
        registry.add_site(connection, tenant, site, name)
    typer.echo(f"Added site {site} of tenant {tenant}.")


@site_app.command("list")
def list_sites(
    tenant: Annotated[str | None, typer.Option("--tenant", help="only sites of this tenant")] = None,
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """List the sites, of all tenants or of one.

    Example: cloud-sync site list --tenant city-hospital
    """
    with as_operator(settings_of(config)) as connection:
        if tenant is not None:
            require_tenant(connection, tenant)
        rows = registry.listed(connection, "sites")
    sites = [plain(row) for row in rows if tenant in (None, row["tenant"])]
    if as_json:
        print_lines(sites)
        return
    print_table(
        ("tenant", "site", "name", "created_at"), sites, "There are no sites yet: cloud-sync site add"
    )


def _id(name: str, id_: str | None) -> str:
    """What was given, or the name in lower-case ASCII with dashes. Raises UsageError."""
    if id_ is None:
        plain_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        id_ = re.sub(r"[^a-z0-9]+", "-", plain_name).strip("-")[:63].rstrip("-")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", id_):
        raise UsageError(
            f"{id_!r} is no id", hint="1 to 63 lower-case letters, digits and dashes, such as --id ward-7"
        )
    return id_
