"""device add: a sensor with its keys, by its label or its options."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from edge_agent.cli.device_keys import ROOT_KEYS, SESSION_KEYS, Answers
from edge_agent.cli.output import AsJson, Configuration, print_json, settings_of
from edge_agent.device_entry import ABP_VERSION, OTAA_VERSION
from edge_agent.devices import DeviceDesk
from edge_agent.devices_file import parse_devices, read_devices
from edge_agent.errors import UsageError
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.registration import REGION_REVISION, REGION_REVISIONS, Registration
from edge_agent.lorawan.session import Session
from edge_agent.lorawan.tr005 import parse_tr005
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.settings import DEFAULT_FILE
from edge_codecs.identifiers import DevEUI, JoinEUI

T = TypeVar("T")

STDIN = "-"
_LABEL = "text of the QR code"
_VERSIONS = ", ".join(version.value for version in LoRaWANVersion)
_LORAWAN_HELP = (
    'the data sheet says it ("LoRaWAN 1.0.3", "MAC version", "LoRaWAN specification"): '
    f'{_VERSIONS}; without it {OTAA_VERSION}, and with --dev-addr "{ABP_VERSION}" (or "1.1")'
)


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command("add")(add)


@dataclass(frozen=True)
class _Options:
    """What was given on the command line of one device."""

    dev_eui: str | None
    join_eui: str | None
    label: str | None
    dev_addr: str | None
    lorawan: str | None
    region_revision: str | None
    f_cnt: int | None


def add(
    dev_eui: Annotated[
        str | None, typer.Option("--dev-eui", help="DevEUI, 16 hex digits, on the sensor's label")
    ] = None,
    join_eui: Annotated[
        str | None, typer.Option("--join-eui", help="JoinEUI (older labels: AppEUI), 16 hex digits")
    ] = None,
    qr: Annotated[
        str | None,
        typer.Option(
            "--qr",
            help="text of the QR code on the label (LW:D0:…): DevEUI and JoinEUI are taken from it, keys are "
            'asked for, because no label holds them; "-": ask for the text, too',
        ),
    ] = None,
    dev_addr: Annotated[
        str | None,
        typer.Option("--dev-addr", help="DevAddr, 8 hex digits: the sensor is activated already (ABP)"),
    ] = None,
    lorawan: Annotated[
        str | None,
        typer.Option(
            "--lorawan",
            help=_LORAWAN_HELP,
        ),
    ] = None,
    region_revision: Annotated[
        str | None,
        typer.Option(
            "--region-revision",
            help='edition of the Regional Parameters, if the data sheet says it ("RP002-1.0.4", "RP001 1.0.3 '
            'revision A")',
        ),
    ] = None,
    f_cnt: Annotated[
        int | None,
        typer.Option(
            "--f-cnt",
            min=0,
            max=0xFFFF_FFFF,
            help="with --dev-addr: last frame counter used, if it is not a new sensor",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", help='devices with keys, JSON or CSV, as `device import`; "-": standard input'
        ),
    ] = None,
    config: Configuration = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Add a sensor. It joins over the air (OTAA), or with --dev-addr is activated already (ABP).

    Keys are asked for, or come from standard input, a line each: AppKey (LoRaWAN 1.1: NwkKey, AppKey); with
    --dev-addr NwkSKey, AppSKey (1.1: FNwkSIntKey, SNwkSIntKey, NwkSEncKey, AppSKey).
    Example: edge-agent device add --dev-eui 70b3d57ed0000001 --join-eui 70b3d57ed0000000
    or: edge-agent device add --qr "LW:D0:70B3D57ED0000000:70B3D57ED0000001:00FF0001"
    """
    options = _Options(dev_eui, join_eui, qr, dev_addr, lorawan, region_revision, f_cnt)
    desk = DeviceDesk(settings_of(config))
    if file is None:
        devices = [_asked(options, desk)]
    elif any(value is not None for value in vars(options).values()):
        raise UsageError(
            "either --file, or one device by its options", hint="See: edge-agent device add --help"
        )
    else:
        devices = (
            parse_devices(sys.stdin.read(), "standard input") if str(file) == STDIN else read_devices(file)
        )
    added = desk.add(devices)
    if as_json:
        print_json({"added": added})
    else:
        typer.echo(added_text(devices))


def _asked(options: _Options, desk: DeviceDesk) -> Session | Registration:
    """One device by its options, label and keys."""
    abp = options.dev_addr is not None
    for name, value in (("--join-eui", options.join_eui), ("--region-revision", options.region_revision)):
        if abp and value is not None:
            raise UsageError(
                f"{name} is of a sensor that joins, --dev-addr of one that is activated already",
                hint="Give one of the two; most sensors join and have a JoinEUI (AppEUI)",
            )
    if options.f_cnt is not None and not abp:
        raise UsageError(
            "--f-cnt is for a sensor with --dev-addr", hint="Leave it out: one that joins counts from 0"
        )
    return _abp(options, desk) if abp else _otaa(options, desk)


def _otaa(options: _Options, desk: DeviceDesk) -> Registration:
    version = _version(options.lorawan)
    revision = _revision(options.region_revision)
    names = ROOT_KEYS[version.minor]
    dev_eui, join_eui, answers = _identity(options, names)
    if join_eui is None:
        raise UsageError(
            "the JoinEUI is missing",
            hint="Give --join-eui: it is on the label (older ones say AppEUI) or with the keys. "
            "A sensor that has a DevAddr instead: give --dev-addr",
        )
    _expect_new(desk, dev_eui)
    answers = answers or Answers(names)
    keys = {name: answers.key(name) for name in names}
    return Registration(dev_eui, join_eui, version, keys["AppKey"], keys.get("NwkKey"), revision)


def _abp(options: _Options, desk: DeviceDesk) -> Session:
    assert options.dev_addr is not None
    lorawan = options.lorawan or ABP_VERSION
    minor = lorawan if lorawan in SESSION_KEYS else _version(lorawan).minor
    dev_addr = _parsed("--dev-addr", options.dev_addr, DevAddr.parse, digits=8)
    names = SESSION_KEYS[minor]
    dev_eui, _, answers = _identity(options, names)
    _expect_new(desk, dev_eui)
    answers = answers or Answers(names)
    *network, app_s_key = [answers.key(name) for name in names]
    f_nwk_s_int_key, s_nwk_s_int_key, nwk_s_enc_key = network if minor == "1.1" else 3 * network
    return Session(
        dev_eui,
        dev_addr,
        minor,
        f_nwk_s_int_key,
        s_nwk_s_int_key,
        nwk_s_enc_key,
        app_s_key,
        f_cnt_up=options.f_cnt,
    )


def _identity(options: _Options, keys: tuple[str, ...]) -> tuple[DevEUI, JoinEUI | None, Answers | None]:
    """DevEUI and JoinEUI, by option or label; where the label is asked for, the answers begin with it."""
    dev_eui = None if options.dev_eui is None else _parsed("--dev-eui", options.dev_eui, DevEUI.parse)
    join_eui = None if options.join_eui is None else _parsed("--join-eui", options.join_eui, JoinEUI.parse)
    if options.label is None:
        if dev_eui is None:
            raise UsageError(
                "which sensor? Its DevEUI is missing",
                hint="Give --dev-eui and --join-eui, or --qr with the text of its QR code; many: --file",
            )
        return dev_eui, join_eui, None
    answers = Answers((_LABEL, *keys)) if options.label == STDIN else None
    try:
        label = parse_tr005(options.label if answers is None else answers.text(_LABEL))
    except ValueError as error:
        raise UsageError(str(error), hint="Or give --dev-eui and --join-eui instead of --qr") from None
    for option, given, printed in (
        ("--dev-eui", dev_eui, label.dev_eui),
        ("--join-eui", join_eui, label.join_eui),
    ):
        if given is not None and printed is not None and given != printed:
            raise UsageError(
                f"{option} is {given}, and the label says {printed}", hint=f"Leave {option} out, or --qr"
            )
    return label.dev_eui, join_eui or label.join_eui, answers


def _expect_new(desk: DeviceDesk, dev_eui: DevEUI) -> None:
    """So that nobody types keys in vain."""
    if desk.knows(dev_eui):
        raise UsageError(
            f"device {dev_eui} is here already",
            hint=f"To give it other keys, remove it first: edge-agent device remove {dev_eui}",
        )


def _parsed(option: str, text: str, parse: Callable[[str], T], digits: int = 16) -> T:
    """Without repeating the text: a key may have been pasted there."""
    try:
        return parse(text)
    except ValueError:
        there = f"{len(text)} characters are there" if len(text) != digits else "not all of them are"
        raise UsageError(
            f"{option} is {digits} hex digits; {there}",
            hint="It is on the sensor's label, or comes with its keys",
        ) from None


def _version(text: str | None) -> LoRaWANVersion:
    try:
        return LoRaWANVersion.parse(OTAA_VERSION if text is None else text)
    except ValueError:
        raise UsageError(
            f"--lorawan is one of {_VERSIONS}",
            hint=f"The sensor's data sheet says it. Not to be found? Leave it out: {OTAA_VERSION} is usual",
        ) from None


def _revision(text: str | None) -> str:
    if text is None:
        return REGION_REVISION
    if text.upper() not in REGION_REVISIONS:
        raise UsageError(
            f"--region-revision is one of {', '.join(REGION_REVISIONS)}", hint="Not to be found? Leave it out"
        )
    return text.upper()


def count_of(devices: Sequence[object]) -> str:
    """How many, in words."""
    return f"{len(devices)} device{'' if len(devices) == 1 else 's'}"


def added_text(devices: Sequence[Session | Registration]) -> str:
    """What was done, and what is to be done now."""
    done = f"Added {count_of(devices)}."
    if all(isinstance(device, Session) for device in devices):
        return done
    one = len(devices) == 1
    which = f"show {devices[0].dev_eui}" if one else "list"
    return (
        f"{done}\nNext: switch {'it' if one else 'them'} on near the gateway, "
        f"and see {'it' if one else 'them'} join: edge-agent device {which}"
    )
