"""frame, codec: look at bytes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_agent.cli.output import AsJson, print_json
from edge_agent.errors import UsageError
from edge_agent.inspector import describe, inspect_frame
from edge_agent.network.message_facts import message_facts
from edge_codecs.clipr import CODECS, DecodeError

codec_app = typer.Typer(help="Payload codecs.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command()(frame)
    app.add_typer(codec_app, name="codec")


def frame(
    text: Annotated[str | None, typer.Argument(metavar="[HEX]", help="PHYPayload, hex or base64")] = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="JSON lines from standard input to standard output")
    ] = False,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help='file of keys, a line each: NwkSKey=HEX; "-": standard input'),
    ] = None,
    lorawan: Annotated[str, typer.Option("--lorawan", help='"1.0" or "1.1"')] = "1.0",
    f_cnt_msb: Annotated[int, typer.Option("--f-cnt-msb", min=0, max=65535, help="upper half of FCnt")] = 0,
    as_json: AsJson = False,
) -> None:
    """Say what stands in a frame; with its keys, whether the MIC fits and what the payload says.

    Keys come from a file or standard input, never as an argument: arguments can be seen by everyone.
    Example: edge-agent frame 40341226260000000A6C1FE0
    """
    if lines:
        if text is not None:
            raise UsageError("either one frame, or --lines")
        for line in sys.stdin:
            if line.strip():
                print_json(inspect_frame(_request(line)))
        return
    if text is None:
        raise UsageError("which frame? Give its hex, or --lines", hint="See: edge-agent frame --help")
    given = _keys(keys) if keys is not None else {}
    try:
        if as_json:
            request = {"id": None, "hex": text, "lorawan": lorawan, "keys": given, "f_cnt_msb": f_cnt_msb}
            print_json(inspect_frame(request))
        else:
            typer.echo("\n".join(describe(text, lorawan=lorawan, keys=given, f_cnt_msb=f_cnt_msb)))
    except ValueError as error:
        raise UsageError(str(error)) from None


def _request(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None  # answered as a request that cannot be read


def _keys(file: Path) -> dict[str, str]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"may not read {file}: {error.strerror}") from None
    pairs = [line.partition("=") for line in text.splitlines() if line.strip()]
    if not all(separator for _, separator, _ in pairs):
        raise UsageError("a file of keys has a line each, such as NwkSKey=2B7E151628AED2A6…")
    return {name.strip(): value.strip() for name, _, value in pairs}


@codec_app.command("decode")
def decode(
    device: Annotated[str, typer.Argument(help="codec of the device, such as clipr")],
    f_port: Annotated[int, typer.Argument(min=0, max=255, help="FPort")],
    payload: Annotated[str, typer.Argument(metavar="HEX", help="FRMPayload in clear")],
    version: Annotated[int, typer.Option("--version", min=1, help="codec version")] = 1,
    as_json: AsJson = False,
) -> None:
    """Decode an application payload.

    Example: edge-agent codec decode clipr 10 11016E038416A817701702
    """
    decoder = CODECS.get((device, version))
    if decoder is None:
        known = ", ".join(f"{name} {number}" for name, number in CODECS)
        raise UsageError(f"there is no codec {device} {version}", hint=f"There is: {known}")
    try:
        message = decoder(f_port, bytes.fromhex(payload))
    except DecodeError as error:
        raise UsageError(f"not decoded: {error}") from None
    except ValueError:
        raise UsageError(f"{payload!r} is not hex") from None
    if as_json:
        print_json(message_facts(message))
    else:
        for name, value in message_facts(message).items():
            typer.echo(f"{name:<18} {value}")
