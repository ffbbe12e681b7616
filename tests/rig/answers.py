"""Answers to uplinks that were never sent."""

from __future__ import annotations

from edge_agent.network.answer import Answer, Window
from edge_agent.network.rx_frame import Crc, RxFrame
from edge_codecs.identifiers import EUI64, DevEUI

MS = 1_000_000
S = 1_000_000_000
DEV_EUI = DevEUI.parse("70b3d57ed0000001")
FORWARDER = EUI64.parse("aa555a0000000101")
RX1 = Window("RX1", 5_000_000, 868_100_000, "SF7BW125", 16.0)
RX2 = Window("RX2", 6_000_000, 869_525_000, "SF12BW125", 29.0)


def uplink(
    monotonic_ns: int,
    counter_us: int | None = 0,
    source: str = "test",
    forwarder: EUI64 | None = FORWARDER,
    host: str = "127.0.0.1",
) -> RxFrame:
    return RxFrame(
        phy_payload=bytes(12),
        crc=Crc.OK,
        monotonic_ns=monotonic_ns,
        gps_ms=None,
        frequency_hz=868_100_000,
        data_rate="SF7BW125",
        rssi_dbm=-87,
        snr_db=7.5,
        source=source,
        forwarder=forwarder,
        counter_us=counter_us,
        host=host,
    )


def answer(
    heard: RxFrame | int, phy_payload: bytes = bytes(12), windows: tuple[Window, ...] = (RX1, RX2)
) -> Answer:
    """To an uplink, or to one heard at that moment."""
    frame = uplink(heard) if isinstance(heard, int) else heard
    return Answer(DEV_EUI, frame, phy_payload, windows, "acknowledgement", session=1, f_cnt_down=7)
