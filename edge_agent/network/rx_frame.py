"""A frame as a radio front end hands it over."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from edge_codecs.identifiers import EUI64


class Crc(enum.Enum):
    """What the radio says of the physical-layer CRC."""

    OK = 1
    BAD = -1
    NONE = 0


@dataclass(frozen=True, slots=True)
class RxFrame:
    """One received PHYPayload with its radio metadata.

    `monotonic_ns` is CLOCK_BOOTTIME of this host at the end of reception, worked out from the
    concentrator's counter where there is one, else the arrival. `gps_ms` is UTC in milliseconds since 1970 by
    the concentrator's GPS, None without. `snr_db` is None for FSK. `raw` is the rxpk as it came (JSON text),
    for `tail --raw`. `host` and `forwarder` name the packet forwarder that heard it, where there is one.
    """

    phy_payload: bytes
    crc: Crc
    monotonic_ns: int
    gps_ms: int | None
    frequency_hz: int
    data_rate: str  # "SF7BW125", or bit/s of FSK such as "50000"
    rssi_dbm: int
    snr_db: float | None
    source: str  # the front end, such as "semtech_udp 127.0.0.1:1700"
    forwarder: EUI64 | None  # EUI in the forwarder's header
    counter_us: int | None  # 32-bit concentrator counter, end of reception
    raw: str = ""
    host: str = ""
