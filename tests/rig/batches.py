"""Made-up but valid batches, as the receiver has them after opening them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from cloud_sync.db import registry
from cloud_sync.db.connection import OPERATOR, Scope, connect, transaction
from cloud_sync.db.records import Verified
from edge_codecs.batch import (
    Lane,
    Manifest,
    RowRange,
    SealingPrivateKey,
    SigningKey,
    StreamId,
    header_bytes,
    link,
)
from edge_codecs.clipr import Extremes, Message, Report
from edge_codecs.identifiers import DevEUI, GatewayId
from edge_codecs.reading import TimeQuality, Uplink
from edge_codecs.rows import decode_columns, encode_rows

RECEIVER_KEY = SealingPrivateKey.generate(1)
EPOCH = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
NOW_MS = round((EPOCH + timedelta(days=20)).timestamp() * 1000)


def gateway_id(number: int) -> GatewayId:
    """Gateway 1, 2, …"""
    return GatewayId(bytes.fromhex("24e124fffef00000")[:6] + number.to_bytes(2, "big"))


def dev_eui(number: int) -> DevEUI:
    """Device 1, 2, …"""
    return DevEUI(bytes.fromhex("70b3d57ed0000000")[:6] + number.to_bytes(2, "big"))


def report(
    *channels: tuple[int, int, int, int] | tuple[int, None, None, None], interval_s: int = 900
) -> Report:
    """A report of (channel, minimum, maximum, last), hundredths of a degree."""
    return Report(0, 110, interval_s, tuple(Extremes(*channel) for channel in channels))


def uplink(
    device: int,
    f_cnt: int,
    message: Message | None = None,
    at: datetime = EPOCH,
    *,
    session: int = 0,
    quality: TimeQuality = TimeQuality.SYNCHRONISED,
    rssi_dbm: int = -97,
) -> Uplink:
    """One uplink; by default a report of channel 0."""
    return Uplink(
        dev_eui(device),
        session,
        f_cnt,
        round(at.timestamp() * 1000),
        quality,
        868_100_000,
        "SF7BW125",
        rssi_dbm,
        7.5,
        "clipr",
        1,
        message or report((0, 5800, 6000, 5890)),
    )


class Gateway:
    """Forms batches as a gateway's store does: numbered, chained, rows numbered gap-free."""

    def __init__(self, number: int = 1, stream: bytes | None = None) -> None:
        self.id = gateway_id(number)
        self.signing_key = SigningKey.generate()
        self.stream = StreamId(stream or random.randbytes(8))
        self.number = 0
        self.hash = b""
        self.row = 1

    def batch(self, uplinks: Sequence[Uplink], lane: Lane = Lane.LIVE, received_ms: int = NOW_MS) -> Verified:
        """The next batch."""
        ranges = (RowRange(self.row, len(uplinks)),)
        manifest = Manifest(
            self.id, self.stream, self.number + 1, lane, ranges, link(self.hash), encode_rows(uplinks)
        )
        self.number, self.hash, self.row = self.number + 1, manifest.hash, self.row + len(uplinks)
        return verified(manifest, self.signing_key, received_ms)


def verified(manifest: Manifest, signing_key: SigningKey, received_ms: int = NOW_MS) -> Verified:
    """As after opening and verifying."""
    header = header_bytes(manifest, RECEIVER_KEY.public_key)
    columns = decode_columns(manifest.rows, manifest.count)
    return Verified(manifest, header, signing_key.sign(header), columns, received_ms)


def register(
    dsn: str, tenant: str, gateways: Sequence[Gateway], devices: Sequence[int], since: datetime | None = None
) -> None:
    """A tenant with gateways and devices of its own."""
    begin = since or EPOCH - timedelta(days=365)
    with connect(dsn, OPERATOR) as connection, transaction(connection, scope=Scope.OPERATOR):
        registry.add_tenant(connection, tenant, tenant.title())
        for gateway in gateways:
            registry.add_gateway(connection, gateway.id, gateway.signing_key.verify_key.raw)
            registry.assign(connection, gateway.id, tenant, None, begin)
        for device in devices:
            registry.add_device(connection, dev_eui(device))
            registry.assign(connection, dev_eui(device), tenant, None, begin)


def steady(
    devices: Sequence[int], channels: int = 2, seed: int = 1, begin: datetime = EPOCH
) -> Iterator[Uplink]:
    """What a site sends day after day: each device every 15 minutes, one report after the other."""
    roll = random.Random(seed)
    for f_cnt in range(1 << 30):
        for place, device in enumerate(devices):
            at = begin + timedelta(minutes=15 * f_cnt, seconds=place * 900 / len(devices))
            low = [roll.randint(1200, 5600) for _ in range(channels)]
            yield uplink(
                device,
                f_cnt,
                report(*((c, t, t + roll.randint(50, 400), t + 50) for c, t in enumerate(low))),
                at,
                rssi_dbm=roll.randint(-120, -60),
            )
