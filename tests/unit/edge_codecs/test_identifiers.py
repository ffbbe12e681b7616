"""EUI-64 identifiers, and that one kind never stands in for another."""

from __future__ import annotations

import pytest

from edge_codecs.identifiers import EUI64, DevEUI, GatewayId, JoinEUI

TEXT = "70b3d57ed0000001"


@pytest.mark.parametrize(
    "text", [TEXT, TEXT.upper(), "70-B3-D5-7E-D0-00-00-01", "70:b3:d5:7e:d0:00:00:01", f" {TEXT}\n"]
)
def test_text_forms(text: str) -> None:
    assert str(DevEUI.parse(text)) == TEXT
    assert f"{DevEUI.parse(text):>18}" == f"  {TEXT}"


@pytest.mark.parametrize("text", ["", TEXT[:-1], TEXT + "0", "70b3d57ed000000g", "70 b3 d5 7e d0 00 00 01"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="16 hex digits"):
        DevEUI.parse(text)


@pytest.mark.parametrize("raw", [b"", bytes(7), bytes(9)])
def test_other_lengths_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        DevEUI(raw)


def test_over_the_air_the_least_significant_byte_comes_first() -> None:
    assert DevEUI.from_air(bytes.fromhex("010000d07ed5b370")) == DevEUI.parse(TEXT)
    assert DevEUI.parse(TEXT).to_air().hex() == "010000d07ed5b370"


def test_kinds_are_never_equal() -> None:
    kinds = [kind.parse(TEXT) for kind in (DevEUI, JoinEUI, GatewayId, EUI64)]
    assert len(set(kinds)) == 4
    assert kinds[0] != bytes.fromhex(TEXT)
    assert repr(kinds[0]) == f"DevEUI({TEXT})"
