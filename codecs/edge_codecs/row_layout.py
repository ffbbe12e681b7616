"""Numbers that writer and reader of rows share; the whole layout is in docs/wire.md."""

from __future__ import annotations

from typing import Final

MAX_ROWS: Final = 8192

COMPRESSED: Final = 0x01
"""Format byte: the body is one zstd frame that states its content's size."""
FREQUENCY_IN_HZ: Final = 0x02
"""Format byte: frequencies are in Hz, else in 100 kHz."""
DATA_RATES_SPELLED: Final = 0x04
"""Format byte: data rates are indices into texts in the body, else numbers of `edge_codecs.data_rate`."""
CODECS_SPELLED: Final = 0x08
"""Format byte: codecs are indices into names that are in the body, else all are Clip'R version 1."""
KNOWN_FORMAT: Final = 0x0F

FREQUENCY_UNIT_HZ: Final = 100_000
DEFAULT_CODEC: Final = ("clipr", 1)

NOT_A_REPORT: Final = 0x08
"""Traits: the row is no report; its payload is among the others."""

RSSI_BIAS_DBM: Final = 100
"""RSSI travels as dBm + 100, so that the usual ones take one byte."""
NO_SNR: Final = -0x8000
SNR_STEPS: Final = 10
"""SNR travels in 1/10 dB."""

CHANNEL_BITS: Final = 0x07
NO_SAMPLE_SHIFT: Final = 4
"""Bits 4 … 6 of a report's bitmap byte: channel 0 … 2 is present, without a valid sample."""

MAX_TEXT_BYTES: Final = 63
MAX_PAYLOAD_BYTES: Final = 255
MAX_U32: Final = 0xFFFF_FFFF
MAX_TIME_MS: Final = 253_402_300_799_999  # the end of the year 9999
MAX_FREQUENCY_HZ: Final = 0xFF_FFFF_FFFF


def max_body_bytes(count: int) -> int:
    """More than any body of this many rows takes: what a compressed one may unpack to."""
    return 1024 + 512 * count
