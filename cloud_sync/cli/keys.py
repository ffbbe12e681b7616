"""keys init, add, show: the receiver's own keys."""

from __future__ import annotations

import typer

from cloud_sync.cli.arguments import AsJson, Configuration, settings_of
from cloud_sync.cli.output import print_json, print_table
from cloud_sync.pki.keys import add_sealing_key, create_keys, load_keys, receiver_json
from cloud_sync.settings import DEFAULT_FILE

app = typer.Typer(
    help="The receiver's keys: gateways seal batches to them and trust its receipts.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("init")
def init(config: Configuration = DEFAULT_FILE) -> None:
    """Make the first sealing key and the receipt key.

    Example: cloud-sync keys init
    """
    directory = settings_of(config).keys.directory
    create_keys(directory)
    typer.echo(
        f"Made sealing key 1 and the receipt key in {directory}. Keep a copy: nothing else opens batches."
    )


@app.command("add")
def add(config: Configuration = DEFAULT_FILE) -> None:
    """Make the next sealing key. Gateways use it once they have a new receiver.json (gateway add --out).

    Restart the receivers before the first gateway gets it; older keys go on opening batches.

    Example: cloud-sync keys add
    """
    directory = settings_of(config).keys.directory
    load_keys(directory)
    typer.echo(f"Made sealing key {add_sealing_key(directory)} in {directory}.")


@app.command("show")
def show(config: Configuration = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Show the public halves; with --json it is what receiver.json of a gateway holds.

    Example: cloud-sync keys show --json
    """
    keys = load_keys(settings_of(config).keys.directory)
    if as_json:
        print_json(receiver_json(keys))
        return
    rows = [
        {"key": f"sealing {number}", "kind": "X25519", "fingerprint": key.public_key.fingerprint}
        for number, key in keys.sealing.items()
    ]
    rows.append({"key": "receipt", "kind": "Ed25519", "fingerprint": keys.receipt.verify_key.fingerprint})
    print_table(("key", "kind", "fingerprint"), rows, "")
