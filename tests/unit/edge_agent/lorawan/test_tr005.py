"""QR codes on devices."""

from __future__ import annotations

import pytest

from edge_agent.lorawan.tr005 import DeviceLabel, parse_tr005
from edge_codecs.identifiers import DevEUI, JoinEUI

JOIN_EUI = JoinEUI.parse("1122334455667788")
DEV_EUI = DevEUI.parse("aabbccddeeff0011")
IDS = "1122334455667788:AABBCCDDEEFF0011:AABB1122"
PLAIN = DeviceLabel(DEV_EUI, JOIN_EUI, "aabb", "1122")

EXAMPLE = f"LW:D0:{IDS}:OAABBCCDDEEFF:SYYWWNNNNNN:PFOOBAR:CAF2C"
"""The example of TR005, section 4.3, checksum and all."""


def full(token: str = "AABBCCDDEEFF") -> DeviceLabel:
    return DeviceLabel(DEV_EUI, JOIN_EUI, "aabb", "1122", token, "YYWWNNNNNN", "FOOBAR")


def test_the_example_of_the_standard() -> None:
    assert parse_tr005(EXAMPLE) == full()


@pytest.mark.parametrize(
    "text",
    [
        EXAMPLE.lower().replace("lw:d0", "LW:D0"),
        f"  {EXAMPLE}\r\n",
        EXAMPLE.replace(":CAF2C", ""),
        EXAMPLE.replace(":CAF2C", ":C"),
    ],
)
def test_what_hands_and_scanners_do_to_it(text: str) -> None:
    label = parse_tr005(text)
    assert (label.dev_eui, label.join_eui, label.vendor_id) == (DEV_EUI, JOIN_EUI, "aabb")
    assert (label.owner_token or "").upper() == "AABBCCDDEEFF"


def test_extensions_stand_in_any_order() -> None:
    mixed = f"LW:D0:{IDS}:PFOOBAR:SYYWWNNNNNN:OAABBCCDDEEFF"
    assert parse_tr005(mixed) == full()


def test_the_checksum_stands_anywhere() -> None:
    assert parse_tr005(f"LW:D0:{IDS}:CAF2C:OAABBCCDDEEFF:SYYWWNNNNNN:PFOOBAR") == full()


def test_identifiers_that_begin_like_a_checksum_are_covered_by_it() -> None:
    text = "LW:D0:C122334455667788:CABBCCDDEEFF0011:CABB1122"
    assert parse_tr005(f"{text}:CA6B7").dev_eui == DevEUI.parse("cabbccddeeff0011")
    with pytest.raises(ValueError, match="checksum"):
        parse_tr005(f"{text.replace('CABBCC', 'CABBCD')}:CA6B7")


@pytest.mark.parametrize("extensions", ["", ":", ":O:S:P", ":XNEW:Y", ":O"])
def test_empty_and_unknown_extensions_are_left_out(extensions: str) -> None:
    assert parse_tr005(f"LW:D0:{IDS}{extensions}") == PLAIN


@pytest.mark.parametrize(
    "text",
    [
        f"URN:LW:DP:{IDS}:%VAABBCCDDEEFF%SYYWWNNNNNN%PFOOBAR",
        f"URN:LW:DP:{IDS}:%25PFOOBAR%25SYYWWNNNNNN%25VAABBCCDDEEFF",
        f"urn:lw:dp:{IDS}:%VAABBCCDDEEFF%SYYWWNNNNNN%PFOOBAR",
        f"URN:DEV:LW:{IDS.replace(':', '_')}_VAABBCCDDEEFF_SYYWWNNNNNN_PFOOBAR",
    ],
)
def test_drafts(text: str) -> None:
    assert parse_tr005(text) == full()


@pytest.mark.parametrize("text", [f"URN:LW:DP:{IDS}", f"URN:DEV:LW:{IDS.replace(':', '_')}"])
def test_drafts_without_extensions(text: str) -> None:
    assert parse_tr005(text) == PLAIN


@pytest.mark.parametrize(
    "text", ["AABBCCDDEEFF0011", "aabbccddeeff0011", "AA-BB-CC-DD-EE-FF-00-11", "aa:bb:cc:dd:ee:ff:00:11"]
)
def test_a_bare_dev_eui(text: str) -> None:
    assert parse_tr005(text) == DeviceLabel(DEV_EUI)


def test_dev_eui_and_join_eui() -> None:
    assert parse_tr005("AABBCCDDEEFF0011:1122334455667788") == DeviceLabel(DEV_EUI, JOIN_EUI)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "The DevEUI there is not 16 hex digits"),
        ("https://example.org/device/42", "The DevEUI there is not 16 hex digits"),
        ("AABBCCDDEEFF001", "The DevEUI there is not 16 hex digits"),
        ("AABBCCDDEEFF0011:112233445566778", "The JoinEUI there is not 16 hex digits"),
        ("a:b:c", "neither a LoRaWAN QR code"),
        ("LW:D1:" + IDS, "neither a LoRaWAN QR code"),
        ("LW:D0", "ends before the ProfileID"),
        ("LW:D0:1122334455667788:AABBCCDDEEFF0011", "ends before the ProfileID"),
        ("LW:D0::AABBCCDDEEFF0011:AABB1122", "The JoinEUI there is not 16 hex digits"),
        ("LW:D0:1122334455667788:AABBCCDDEEFF001G:AABB1122", "The DevEUI there is not 16 hex digits"),
        ("LW:D0:1122334455667788:AABBCCDDEEFF0011:AABB", "The ProfileID there is not 8 hex digits"),
        (f"LW:D0:{IDS}:SONE:STWO", "says S twice"),
        (EXAMPLE.replace("CAF2C", "CAF2D"), "does not fit"),
        (EXAMPLE.replace("FOOBAR", "FO0BAR"), "does not fit"),
        (EXAMPLE.replace("CAF2C", "C0xAF2C"), "checksum of the QR code is not 4 hex digits"),
        ("URN:LW:DP", "ends before the ProfileID"),
        ("URN:DEV:LW", "ends before the ProfileID"),
        ("URN:DEV:LW:1122334455667788_AABBCCDDEEFF0011", "ends before the ProfileID"),
    ],
)
def test_nonsense_is_told_from_labels(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match="Scan the label again, or type the DevEUI and the JoinEUI") as error:
        parse_tr005(text)
    assert complaint in str(error.value)


def test_the_owner_token_is_not_shown() -> None:
    assert "AABBCCDDEEFF" not in repr(parse_tr005(EXAMPLE))
    with pytest.raises(ValueError, match="does not fit") as error:
        parse_tr005(EXAMPLE.replace("CAF2C", "CAF2D"))
    assert "AABBCCDDEEFF" not in str(error.value)


def test_a_byte_that_is_no_text_is_a_wrong_character() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        parse_tr005(EXAMPLE.replace("FOOBAR", "FOO\udcffBAR"))
