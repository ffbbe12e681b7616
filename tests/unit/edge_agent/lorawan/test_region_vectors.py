"""Known answers on the region and on QR codes, out of two open projects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_agent.lorawan.cflist import parse_cflist
from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.regions.eu868 import EU868
from edge_agent.lorawan.tr005 import DeviceLabel, parse_tr005

FILE = Path(__file__).parents[5] / "shared" / "vectors" / "lorawan.json"

Vector = dict[str, Any]

VECTORS: list[Vector] = json.loads(FILE.read_text())["vectors"] if FILE.exists() else []
pytestmark = pytest.mark.skipif(not VECTORS, reason=f"no {FILE}")


def of_kind(kind: str) -> pytest.MarkDecorator:
    chosen = [vector for vector in VECTORS if vector["kind"] == kind]
    return pytest.mark.parametrize("vector", chosen, ids=[vector["id"] for vector in chosen])


@of_kind("region_eu868")
def test_eu868(vector: Vector) -> None:
    expect = vector["expect"]
    assert {"freq_hz": EU868.rx2_frequency_hz, "dr": EU868.rx2_data_rate} == expect["rx2"]
    assert [channel.frequency_hz for channel in EU868.default_channels] == expect["default_channels_hz"]
    for index, name in expect["dr"].items():
        assert EU868.data_rates_up[int(index)] == name.removeprefix("FSK")
        assert EU868.data_rates_down[int(index)] == name.removeprefix("FSK")
    for index, n in expect["max_payload_n"].items():
        assert EU868.max_frm_payload(Direction.DOWN, int(index), dwell_time=False) == n
    for index, row in expect["rx1_dr"].items():
        offsets = range(EU868.max_rx1_dr_offset + 1)
        assert [EU868.rx1_data_rate(int(index), offset, False) for offset in offsets] == row
    assert [-2 * power for power in range(EU868.max_tx_power + 1)] == expect["tx_power_offset_db"]


@of_kind("duty_cycle_eu868")
def test_duty_cycle_of_eu868(vector: Vector) -> None:
    ours = [
        {"min_hz": band.low_hz, "max_hz": band.high_hz, "duty": band.duty_cycle} for band in EU868.sub_bands
    ]
    assert ours == vector["expect"]


def test_the_cf_list_of_eu868_is_what_another_server_sends() -> None:
    vector = next(vector for vector in VECTORS if vector["id"] == "cs-cf-chan")
    ours = EU868.cf_list()
    assert ours is not None
    assert ours.to_bytes().hex() == vector["hex"]
    assert parse_cflist(bytes.fromhex(vector["hex"])) == ours


def as_expected(label: DeviceLabel) -> dict[str, str]:
    fields = {
        "joineui": label.join_eui,
        "deveui": label.dev_eui,
        "vendor_id": label.vendor_id,
        "vendor_profile_id": label.vendor_profile_id,
        "owner_token": label.owner_token,
        "serial": label.serial_number,
        "proprietary": label.proprietary,
    }
    return {name: str(value) for name, value in fields.items() if value is not None}


@of_kind("qr_tr005")
def test_qr_code(vector: Vector) -> None:
    expect = dict(vector["expect"])
    text = vector["text"]
    if "error" in expect:
        with pytest.raises(ValueError, match="Scan the label again"):
            parse_tr005(text)
        return
    if checksum := expect.pop("checksum", None):  # the word CHECKSUM, which that project does not verify
        with pytest.raises(ValueError, match="checksum"):
            parse_tr005(text)
        text = text.replace(f":C{checksum}", "")
    assert as_expected(parse_tr005(text)) == expect
