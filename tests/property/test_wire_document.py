"""The reader printed in docs/wire.md, written apart from ours, reads the same rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from edge_codecs import clipr
from edge_codecs.reading import Uplink
from edge_codecs.rows import encode_rows
from tests.property import uplinks
from tests.unit.edge_codecs.batch_vectors import VECTORS, named, uplinks_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "wire.md"


def _printed_reader() -> Callable[[bytes, int], list[dict[str, Any]]]:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(next(block for block in blocks if "def read_rows" in block), namespace)
    reader: Callable[[bytes, int], list[dict[str, Any]]] = namespace["read_rows"]
    return reader


READ_ROWS = _printed_reader()


def _as_printed(uplink: Uplink) -> dict[str, Any]:
    f_port, payload = clipr.encode(uplink.message)
    return {
        "dev_eui": str(uplink.dev_eui),
        "session": uplink.session,
        "codec": (uplink.codec, uplink.codec_version),
        "f_cnt": uplink.f_cnt,
        "received_ms": uplink.received_ms,
        "time_quality": int(uplink.time_quality),
        "frequency_hz": uplink.frequency_hz,
        "data_rate": uplink.data_rate,
        "rssi_dbm": uplink.rssi_dbm,
        "snr_db": uplink.snr_db,
        "payload": (f_port, payload.hex()),
    }


@pytest.mark.parametrize("vector", VECTORS["rows"], ids=named)
def test_golden_rows(vector: dict[str, Any]) -> None:
    expected = uplinks_of(vector)
    assert READ_ROWS(bytes.fromhex(vector["encoded"]), len(expected)) == list(map(_as_printed, expected))


@given(uplinks.batches())
def test_any_rows(rows: list[Uplink]) -> None:
    assert READ_ROWS(encode_rows(rows), len(rows)) == list(map(_as_printed, rows))
