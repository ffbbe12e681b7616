"""The agent's configuration: a TOML file, every key overridable by the environment.

`[sync] host` is overridden by EDGE_AGENT__SYNC__HOST, and so on; `[[radio]]` as a whole by
EDGE_AGENT__RADIO as a JSON list. Unknown keys are errors: a misspelt protection must not be a silent one.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from edge_agent.errors import ConfigurationError
from edge_agent.lorawan.netid import NetID
from edge_agent.lorawan.regions import REGIONS
from edge_codecs.identifiers import GatewayId

DEFAULT_FILE = Path("/etc/edge-agent/config.toml")
STATE_DIRECTORY = Path("/var/lib/edge-agent")


def _gateway_id(text: str) -> str:
    return str(GatewayId.parse(text))


def _net_id(text: str) -> str:
    return str(NetID.parse(text))


def _region(text: str) -> str:
    if text not in REGIONS:
        raise ValueError(f"is one of {', '.join(REGIONS)}, not {text!r}")
    return text


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Gateway(_Section):
    """Who this gateway is, and where in the world it listens."""

    id: Annotated[str, AfterValidator(_gateway_id)] = Field(
        description="EUI-64 of this gateway, 16 hex digits: its certificate's name and its topic"
    )
    region: Annotated[str, AfterValidator(_region)] = Field(
        "EU868", description=f"LoRaWAN region: {', '.join(REGIONS)}"
    )
    net_ids: list[Annotated[str, AfterValidator(_net_id)]] = Field(
        [],
        description="NetIDs (6 hex digits) whose devices are ours; those that join get addresses of the "
        'first. Empty: any DevAddr may be one of ours, and addresses are of "000000", which is everybody\'s',
    )


class Network(_Section):
    """How the sensors' network is run. What is left out is as the region has it."""

    downlinks: bool = Field(
        default=True, description="false: only listen, because another network server answers these sensors"
    )
    history: bool = Field(default=True, description="ask sensors for intervals that are missing")
    rx1_delay_s: int = Field(
        5, ge=1, le=15, description="receive window RX1 opens so long after an uplink (RX2 a second later)"
    )
    rx1_dr_offset: int = Field(0, ge=0, le=7, description="RX1 is so many data rates slower than the uplink")
    rx2_data_rate: int | None = Field(None, ge=0, le=15, examples=[0], description="data rate of RX2")
    rx2_frequency_hz: int | None = Field(
        None, examples=[869_525_000], description="frequency of RX2, a multiple of 100 Hz"
    )
    adr: bool = Field(
        default=True, description="let sensors send faster and with less power where the link is good"
    )
    adr_margin_db: float = Field(10.0, ge=0.0, le=30.0, description="reserve that stays on the link, dB")
    adr_max_data_rate: int | None = Field(
        None, ge=0, le=15, examples=[5], description="the fastest data rate that sensors are told to use"
    )
    channel_block: int = Field(
        0,
        ge=0,
        le=8,
        description="US915 and AU915: the block of eight channels that the gateway hears, 1 to 8; 0: all",
    )
    max_duty_cycle: int = Field(
        0, ge=0, le=15, description="sensors may be on air 1/2^n of the time; 0: as the law says"
    )
    status_every_h: int = Field(
        24, ge=0, le=24 * 365, description="ask each sensor for battery and link margin so often; 0: never"
    )
    max_eirp_dbm: float | None = Field(
        None, ge=-10.0, le=36.0, examples=[14.0], description="the gateway never radiates more, dBm EIRP"
    )
    antenna_gain_dbi: float = Field(
        0.0, ge=-20.0, le=20.0, description="the antenna's gain less its cable's loss: sent with so much less"
    )


class Clock(_Section):
    """When the gateway's clock may date a reading."""

    source: Literal["kernel", "trusted"] = Field(
        "kernel",
        description='"kernel": only while the kernel says that the clock is in step (chrony, timesyncd); '
        '"trusted": always, because you know that this clock is right',
    )


class Store(_Section):
    """The encrypted store."""

    path: Path = Field(STATE_DIRECTORY / "store.db", description="the store's file")
    key_file: Path = Field(
        STATE_DIRECTORY / "store.key",
        description="32-byte key, readable by root only; a systemd credential of the same name goes first",
    )
    max_bytes: int = Field(
        2_000_000_000, ge=1_000_000, description="the store never grows beyond this many bytes"
    )
    retention_days: int = Field(
        400, ge=0, description="readings that the cloud has confirmed stay this long (a restored cloud asks)"
    )


class SemtechUdpRadio(_Section):
    """A packet forwarder that speaks Semtech UDP (GWMP)."""

    type: Literal["semtech_udp"]
    bind: str = Field("127.0.0.1", description="address; the port has no authentication: keep it on loopback")
    port: int = Field(1700, ge=0, le=65535, description="UDP port")
    map_directory: Path = Field(
        Path("/run/edge-agent"),
        description="keeps the forwarders' clocks over a restart; on a file system that a reboot empties",
    )


class ReplayRadio(_Section):
    """Frames out of a file, as `edge-agent tail --raw` records them."""

    type: Literal["replay"]
    file: Path = Field(description="JSON lines of rxpk objects")


Radio = Annotated[SemtechUdpRadio | ReplayRadio, Field(discriminator="type")]


class Sync(_Section):
    """The way to the cloud: MQTT 5 over mutual TLS 1.3. Leave the section out to keep readings here only."""

    host: str = Field(min_length=1, description="the broker's host name, as its certificate spells it")
    port: int = Field(8883, ge=1, le=65535, description="the broker's port")
    ca_file: Path = Field(STATE_DIRECTORY / "ca.crt", description="certificate of the broker's authority")
    certificate_file: Path = Field(STATE_DIRECTORY / "gateway.crt", description="this gateway's certificate")
    key_file: Path = Field(
        STATE_DIRECTORY / "gateway.key", description="its private key, readable by root only"
    )
    signing_key_file: Path = Field(
        STATE_DIRECTORY / "signing.key", description="Ed25519 key that signs batches, readable by root only"
    )
    receiver_file: Path = Field(
        STATE_DIRECTORY / "receiver.json", description="the receiver's public keys (cloud-sync gateway add)"
    )
    keepalive_s: int = Field(
        300, ge=5, le=3600, description="MQTT keepalive; a ping costs 204 bytes on the wire"
    )
    backlog_rows_per_s: int = Field(
        5000, ge=1, description="how fast readings of an outage are caught up, behind the live ones"
    )


class Health(_Section):
    """How the agent is asked for its state."""

    control_socket: Path = Field(
        Path("/run/edge-agent/control.sock"),
        description="Unix socket of the command line; root and group only",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="what the log shows")


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="EDGE_AGENT__",
        env_nested_delimiter="__",
        validate_default=True,
    )

    gateway: Gateway
    network: Network = Network()
    clock: Clock = Clock()
    store: Store = Store()
    radio: list[Radio] = Field([SemtechUdpRadio(type="semtech_udp")], description="radio front ends")
    sync: Sync | None = None
    health: Health = Health()

    @model_validator(mode="after")
    def _network_fits_region(self) -> Self:
        """Whether the region knows what `[network]` names."""
        region, network = REGIONS[self.gateway.region], self.network
        wrong = []
        if network.rx1_dr_offset > region.max_rx1_dr_offset:
            wrong.append(f"network.rx1_dr_offset is 0 … {region.max_rx1_dr_offset}")
        if network.rx2_data_rate is not None and network.rx2_data_rate not in region.data_rates_down:
            wrong.append(f"network.rx2_data_rate is one of {_numbers(region.data_rates_down)}")
        if network.adr_max_data_rate is not None and network.adr_max_data_rate not in region.data_rates_up:
            wrong.append(f"network.adr_max_data_rate is one of {_numbers(region.data_rates_up)}")
        frequency_hz = network.rx2_frequency_hz
        if frequency_hz is not None and (frequency_hz % 100 or region.sub_band(frequency_hz) is None):
            wrong.append("network.rx2_frequency_hz is a multiple of 100 Hz on which a gateway may send")
        if wrong:
            raise ValueError("; ".join(f"{fault} in {region.name}" for fault in wrong))
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file; nothing else is read."""
        return env_settings, init_settings


def load(file: Path) -> Settings:
    """Read `file` and the environment. Raises ConfigurationError that names each wrong key."""
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no configuration at {file}", hint="Make one with: edge-agent init"
        ) from None
    except PermissionError:
        raise ConfigurationError(
            f"may not read {file}", hint="Run as root, or as the user edge-agent"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {file}: {error.strerror}", hint="Name the configuration file: --config FILE"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} is not UTF-8 text", hint="Save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file} is not TOML: {error}", hint="Mend that line") from None
    unknown = [name for name in os.environ if _is_unknown(name)]
    if unknown:
        raise ConfigurationError(
            f"unknown environment variable {unknown[0]}",
            hint="It is EDGE_AGENT__SECTION__KEY, such as EDGE_AGENT__SYNC__HOST",
        )
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigurationError(
            f"{file}: " + "; ".join(_sentence(e) for e in error.errors()),
            hint="Every key and its meaning: edge-agent config show --example",
        ) from None


def _is_unknown(variable: str) -> bool:
    """Whether it looks like one of ours and names no section: pydantic-settings would pass over it."""
    prefix, _, rest = variable.partition("__")
    return prefix == "EDGE_AGENT" and rest.split("__")[0].lower() not in Settings.model_fields


def _numbers(values: Iterable[int]) -> str:
    return ", ".join(str(value) for value in sorted(values))


def _sentence(error: object) -> str:
    assert isinstance(error, dict)
    location = ".".join(str(part) for part in error["loc"])
    if not location:
        return str(error["msg"].removeprefix("Value error, "))
    if error["type"] == "extra_forbidden":
        return f"unknown key {location}"
    if error["type"] == "missing":
        return f"{location} is missing"
    return f"{location}: {error['msg'].removeprefix('Value error, ')}"
