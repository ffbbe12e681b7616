"""A look into the store from any process, while the agent writes it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from edge_agent.network.gap import Gap
from edge_agent.store import devices
from edge_agent.store.connection import Database, connect
from edge_agent.store.counters import uncounted
from edge_agent.store.coverage import gaps
from edge_agent.store.devices import DeviceEntry
from edge_agent.store.key_provider import StoreKey
from edge_agent.store.migrations import expect_current, released
from edge_agent.store.rejections import RejectionSum, rejections
from edge_agent.store.rows import DATED, SELECT, uplink_of
from edge_codecs.identifiers import DevEUI, GatewayId
from edge_codecs.reading import Reading, Uplink, readings_of

_CHUNK: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Query:
    """Which readings. Their uplinks were received from `since_ms` on and before `until_ms`, UTC."""

    dev_eui: DevEUI | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    newest_first: bool = False
    limit: int | None = None
    """How many at most."""


_EVERYTHING: Final = Query()


@dataclass(frozen=True, slots=True)
class KeptReading:
    """A reading, and the uplink that brought it."""

    reading: Reading
    uplink: Uplink
    gateway: GatewayId

    def as_dict(self) -> dict[str, object]:
        """JSON-able; the keys of `readings --json`."""
        reading, uplink = self.reading, self.uplink
        return {
            "dev_eui": str(reading.dev_eui),
            "channel": reading.channel,
            "quantity": reading.quantity,
            "unit": reading.unit,
            "interval_end": rfc3339(reading.interval_end),
            "interval_s": reading.interval_s,
            "minimum": _number(reading.minimum),
            "maximum": _number(reading.maximum),
            "last": _number(reading.last),
            "f_cnt": uplink.f_cnt,
            "gateway_id": str(self.gateway),
            "rssi_dbm": uplink.rssi_dbm,
            "snr_db": uplink.snr_db,
            "received_at": rfc3339(_EPOCH + timedelta(milliseconds=uplink.received_ms)),
            "time_quality": uplink.time_quality.name.lower(),
        }


def rfc3339(moment: datetime) -> str:
    """UTC with milliseconds, such as 2026-11-24T12:00:00.000Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


class Reader:
    """Reads only. Between two chunks of an iterator it holds no snapshot, so that the log can shrink."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gateway = GatewayId(database.value("SELECT gateway FROM life"))

    @classmethod
    def open(cls, path: Path, key: StoreKey) -> Self:
        """Raises ConfigurationError: no store there, no key that fits, another schema; StoreDamaged."""
        database = connect(path, key)
        try:
            expect_current(database, released())
            return cls(database)
        except BaseException:
            database.close()
            raise

    def uplinks(self, query: Query = _EVERYTHING) -> Iterator[Uplink]:
        """Uplinks in the order of acceptance; those that wait for their date are left out."""
        for limit, uplink in enumerate(self._matching(query)):
            if limit == query.limit:
                return
            yield uplink

    def readings(self, query: Query = _EVERYTHING) -> Iterator[KeptReading]:
        """Readings of these uplinks, in the same order."""
        count = 0
        for uplink in self._matching(query):
            for reading in readings_of(uplink):
                if count == query.limit:
                    return
                count += 1
                yield KeptReading(reading, uplink, self._gateway)

    def _matching(self, query: Query) -> Iterator[Uplink]:
        backwards = query.newest_first
        sql = (
            f"{SELECT} WHERE u.id {'<' if backwards else '>'} ?1 AND {DATED} "
            "AND (?2 IS NULL OR u.dev_eui = ?2) "
            "AND (u.received_ms IS NULL OR (?3 IS NULL OR u.received_ms >= ?3)) "
            "AND (u.received_ms IS NULL OR (?4 IS NULL OR u.received_ms < ?4)) "
            f"ORDER BY u.id {'DESC' if backwards else 'ASC'} LIMIT ?5"
        )
        since_ms = -math.inf if query.since_ms is None else query.since_ms
        until_ms = math.inf if query.until_ms is None else query.until_ms
        dev_eui = None if query.dev_eui is None else bytes(query.dev_eui)
        position = 1 << 62 if backwards else 0
        while rows := self._database.all(sql, (position, dev_eui, query.since_ms, query.until_ms, _CHUNK)):
            position = rows[-1][0]
            for row in rows:
                uplink = uplink_of(row)
                if since_ms <= uplink.received_ms < until_ms:
                    yield uplink

    def devices(self, dev_eui: DevEUI | None = None) -> list[DeviceEntry]:
        """All devices by DevEUI; or the one, if it is here."""
        return devices.entries(self._database, uncounted(self._database), dev_eui)

    def rejections(self, dev_eui: DevEUI | None = None) -> list[RejectionSum]:
        """Sums by reason, most frequent first: of one device, or of all frames."""
        return rejections(self._database, dev_eui)

    def gaps(self, dev_eui: DevEUI | None = None) -> list[Gap]:
        """What is missing of one device or of each, by channel and time, as far as the agent has looked."""
        return gaps(self._database, dev_eui)

    def close(self) -> None:
        """Let the file go."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
