"""QR codes: whatever is scanned, and checksums that notice a wrong character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.lorawan.tr005 import parse_tr005
from edge_codecs.identifiers import DevEUI, JoinEUI

ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ$*+-./"  # of a QR code, without separators
EUI = st.binary(min_size=8, max_size=8)
PROFILE_ID = st.binary(min_size=4, max_size=4).map(lambda raw: raw.hex().upper())
VALUE = st.text(ALPHANUMERIC, min_size=1, max_size=12)
PREFIX = st.sampled_from(
    ["", "LW:D0:", "URN:LW:DP:", "URN:DEV:LW:", "LW:D0:1122334455667788:AABBCCDDEEFF0011:"]
)


def crc_16_modbus(text: str) -> int:
    """As a division of polynomials over GF(2), which the table of bits in the parser must agree with."""
    bits = [byte >> shift & 1 for byte in text.encode() for shift in range(8)] + [0] * 16
    bits[:16] = [bit ^ 1 for bit in bits[:16]]
    for at in range(len(bits) - 16):
        if bits[at]:
            for power in (16, 15, 2, 0):
                bits[at + 16 - power] ^= 1
    return sum(bit << power for power, bit in enumerate(bits[-16:]))


@given(PREFIX, st.text(max_size=80))
def test_any_text_is_a_label_or_the_one_error(prefix: str, text: str) -> None:
    try:
        label = parse_tr005(prefix + text)
    except ValueError as error:
        assert "Scan the label again" in str(error)
    else:
        assert isinstance(label.dev_eui, DevEUI)


@given(EUI, EUI, PROFILE_ID, st.dictionaries(st.sampled_from("OSP"), VALUE), st.data())
def test_labels_are_read_with_their_checksum_anywhere(
    join_eui: bytes, dev_eui: bytes, profile_id: str, extensions: dict[str, str], data: st.DataObject
) -> None:
    head = f"LW:D0:{join_eui.hex().upper()}:{dev_eui.hex().upper()}:{profile_id}"
    parts = [letter + value for letter, value in extensions.items()]
    checksum = f"C{crc_16_modbus(':'.join([head, *parts])):04X}"
    at = data.draw(st.integers(0, len(parts)))
    text = ":".join([head, *parts[:at], checksum, *parts[at:]])

    label = parse_tr005(text)
    assert label.join_eui == JoinEUI(join_eui)
    assert label.dev_eui == DevEUI(dev_eui)
    assert (label.vendor_id or "") + (label.vendor_profile_id or "") == profile_id.lower()
    read = {"O": label.owner_token, "S": label.serial_number, "P": label.proprietary}
    assert {letter: value for letter, value in read.items() if value} == extensions

    wrong = data.draw(st.integers(len("LW:D0:"), len(head) - 1).filter(lambda index: text[index] != ":"))
    digit = data.draw(st.sampled_from("0123456789ABCDEF").filter(lambda digit: digit != text[wrong]))
    with pytest.raises(ValueError, match="does not fit"):
        parse_tr005(text[:wrong] + digit + text[wrong + 1 :])
