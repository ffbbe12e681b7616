"""ca init, issue-server, issue-receiver: a development authority."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cloud_sync.cli.arguments import Configuration, settings_of
from cloud_sync.pki.authority import SERVICE_DAYS, Authority, Issued, Validity, install
from cloud_sync.settings import DEFAULT_FILE

app = typer.Typer(
    help="A development authority for broker, receivers and gateways.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Directory = Annotated[
    Path | None,
    typer.Option("--directory", file_okay=False, help="the authority's folder; default: [ca] directory"),
]
Out = Annotated[Path, typer.Option("--out", file_okay=False, help="folder for certificate and key")]
Days = Annotated[int, typer.Option("--days", min=1, max=825, help="how long the certificate holds")]


@app.command("init")
def init(directory: Directory = None, config: Configuration = DEFAULT_FILE) -> None:
    """Make the authority's key (ca.key) and certificate (ca.crt).

    Example: cloud-sync ca init
    """
    place = _place(directory, config)
    Authority.create(place)
    typer.echo(f"Made {place / 'ca.key'} and {place / 'ca.crt'}. Keep the key to yourself.")


@app.command("issue-server")
def issue_server(
    out: Out,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="host names and addresses of the broker"),
    ] = None,
    days: Days = SERVICE_DAYS,
    directory: Directory = None,
    config: Configuration = DEFAULT_FILE,
) -> None:
    """Issue the broker's certificate: server.crt and server.key. It also holds for localhost.

    Example: cloud-sync ca issue-server broker.example.org --out broker
    """
    issued = Authority.load(_place(directory, config)).issue_server(names or (), Validity.days(days))
    _install(issued, out, "server")


@app.command("issue-receiver")
def issue_receiver(
    out: Out, days: Days = SERVICE_DAYS, directory: Directory = None, config: Configuration = DEFAULT_FILE
) -> None:
    """Issue a receiver's certificate: receiver.crt and receiver.key.

    Example: cloud-sync ca issue-receiver --out /var/lib/cloud-sync
    """
    issued = Authority.load(_place(directory, config)).issue_receiver(Validity.days(days))
    _install(issued, out, "receiver")


def _place(directory: Path | None, config: Path) -> Path:
    return directory if directory is not None else settings_of(config).ca.directory


def _install(issued: Issued, out: Path, name: str) -> None:
    certificate, key = out / f"{name}.crt", out / f"{name}.key"
    install(issued, certificate, key)
    typer.echo(f"Made {certificate} and {key}.")
