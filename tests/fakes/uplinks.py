"""Uplinks to fill stores and batches with."""

from __future__ import annotations

from edge_codecs.clipr import CentiCelsius, Extremes, Report
from edge_codecs.identifiers import DevEUI
from edge_codecs.reading import TimeQuality, Uplink

T0_MS = 1_790_000_000_000


def dev_eui(device: int) -> DevEUI:
    return DevEUI(bytes.fromhex("70b3d57ed000") + device.to_bytes(2, "big"))


def uplink(f_cnt: int, device: int = 0, at_ms: int | None = None) -> Uplink:
    message = Report(
        flags=0,
        battery=200,
        interval_s=600,
        channels=(Extremes(1, CentiCelsius(1212), CentiCelsius(4131), CentiCelsius(2420)),),
    )
    return Uplink(
        dev_eui=dev_eui(device),
        session=0,
        f_cnt=f_cnt,
        received_ms=T0_MS + 1000 * f_cnt if at_ms is None else at_ms,
        time_quality=TimeQuality.SYNCHRONISED,
        frequency_hz=868_100_000,
        data_rate="SF7BW125",
        rssi_dbm=-80,
        snr_db=7.5,
        codec="clipr",
        codec_version=1,
        message=message,
    )
