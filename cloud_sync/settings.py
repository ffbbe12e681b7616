"""The receiver's configuration: a TOML file, every key overridable by the environment.

`[database] dsn` is overridden by CLOUD_SYNC__DATABASE__DSN, and so on. Unknown keys are errors: a
misspelt protection must not be a silent one.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from cloud_sync.errors import ConfigurationError

DEFAULT_FILE = Path("/etc/cloud-sync/config.toml")
STATE_DIRECTORY = Path("/var/lib/cloud-sync")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Database(_Section):
    """PostgreSQL 15 or newer. Keep a password out of this file: PGPASSFILE, or peer authentication."""

    dsn: str = Field(
        default="dbname=clipr",
        repr=False,
        description="connection string; the login must be a member of the role that a command needs",
    )


class Mqtt(_Section):
    """The broker, MQTT 5 over mutual TLS 1.3."""

    host: str = Field(default="localhost", description="the broker's host name, as its certificate spells it")
    port: int = Field(default=8883, ge=1, le=65535, description="the broker's port")
    ca_file: Path = Field(
        default=STATE_DIRECTORY / "ca" / "ca.crt", description="certificate of the authority"
    )
    certificate_file: Path = Field(
        default=STATE_DIRECTORY / "receiver.crt", description="the receiver's certificate (ca issue-receiver)"
    )
    key_file: Path = Field(default=STATE_DIRECTORY / "receiver.key", description="its private key, mode 0600")
    shared_group: str = Field(
        default="receivers",
        pattern=r"^[A-Za-z0-9_-]+$",
        description="receivers of one group share the load; each message goes to one of them",
    )
    client_id: str = Field(
        default="receiver-1",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="stable, and different for each receiver: its unfinished share waits under this name",
    )
    keepalive_s: int = Field(default=60, ge=5, le=3600, description="MQTT keepalive, seconds")


class Keys(_Section):
    """The receiver's own keys (made by: keys init)."""

    directory: Path = Field(
        default=STATE_DIRECTORY / "keys",
        description="sealing keys (X25519, numbered) and the receipt key (Ed25519)",
    )


class Ca(_Section):
    """The development authority; leave it off the receiver's machine in production."""

    directory: Path = Field(default=STATE_DIRECTORY / "ca", description="the authority's key and certificate")


class CloudSettings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="CLOUD_SYNC__",
        env_nested_delimiter="__",
        validate_default=True,
    )

    database: Database = Database()
    mqtt: Mqtt = Mqtt()
    keys: Keys = Keys()
    ca: Ca = Ca()

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


def load(file: Path) -> CloudSettings:
    """Read `file` and the environment. Raises ConfigurationError that names each wrong key."""
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no configuration at {file}",
            hint="Print a commented one with: cloud-sync config example",
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"may not read {file}: {error.strerror}",
            hint="Is it a file, and may the user cloud-sync read it?",
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file} is not UTF-8 text", hint="Save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file} is not TOML: {error}", hint="Mend that line") from None
    return _checked(values, str(file))


def defaults() -> CloudSettings:
    """The defaults and the environment, without a file."""
    return _checked({}, "environment")


def _checked(values: dict[str, object], source: str) -> CloudSettings:
    unknown = [name for name in os.environ if _is_unknown(name)]
    if unknown:
        raise ConfigurationError(
            f"unknown environment variable {unknown[0]}",
            hint="It is CLOUD_SYNC__SECTION__KEY, such as CLOUD_SYNC__MQTT__HOST",
        )
    try:
        return CloudSettings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigurationError(
            f"{source}: " + "; ".join(_sentence(e) for e in error.errors(include_input=False)),
            hint="Every key and its meaning: cloud-sync config example",
        ) from None


def _is_unknown(variable: str) -> bool:
    """Whether it looks like one of ours and names no section: pydantic-settings would pass over it."""
    prefix, _, rest = variable.partition("__")
    return prefix == "CLOUD_SYNC" and rest.split("__")[0].lower() not in CloudSettings.model_fields


def _sentence(error: object) -> str:
    assert isinstance(error, dict)
    location = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key {location}"
    if error["type"] == "missing":
        return f"{location} is missing"
    return f"{location}: {error['msg'].removeprefix('Value error, ')}"
