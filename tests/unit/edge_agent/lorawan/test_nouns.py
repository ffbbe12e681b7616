"""The small nouns: known answers out of standards, and what they refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.airtime import Modulation, airtime_us, downlink_airtime_us, modulation_of
from edge_agent.lorawan.cflist import CFList, parse_cflist
from edge_agent.lorawan.fcnt import full_f_cnt, other_f_cnts
from edge_agent.lorawan.fhdr import FHDR, FCtrl
from edge_agent.lorawan.frequency import frequency_hz, frequency_steps
from edge_agent.lorawan.gps_time import gps_seconds, unix_ms_of_gps_ms, utc_of_gps_seconds
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.keywrap import unwrap, wrap
from edge_agent.lorawan.mac_commands import (
    MAX_EIRP_DBM,
    DevStatusAns,
    LinkADRReq,
    NewChannelReq,
    RXTimingSetupReq,
    build_mac_commands,
    parse_mac_commands,
)
from edge_agent.lorawan.mhdr import Direction, MType
from edge_agent.lorawan.netid import NetID
from edge_agent.lorawan.phypayload import DataFrame, parse
from edge_agent.lorawan.regions.eu868 import EU868

RFC_4493_MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)


@pytest.mark.parametrize(
    ("length", "cmac"),
    [
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ],
)
def test_cmac_of_rfc_4493_section_4(length: int, cmac: str) -> None:
    aes = AES128(AES128Key.parse("2b7e151628aed2a6abf7158809cf4f3c"))
    assert aes.cmac(RFC_4493_MESSAGE[:length]).hex() == cmac


def test_key_wrap_of_rfc_3394_section_4_1() -> None:
    kek, key = bytes(range(16)), bytes.fromhex("00112233445566778899aabbccddeeff")
    wrapped = bytes.fromhex("1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5")
    assert wrap(kek, key) == wrapped
    assert unwrap(kek, wrapped) == key


@pytest.mark.parametrize(
    ("net_id", "first", "last"),
    [
        ("000013", "26000000", "27ffffff"),
        ("000000", "00000000", "01ffffff"),
        ("00002d", "5a000000", "5bffffff"),
        ("200010", "90000000", "90ffffff"),
        ("c00053", "fc014c00", "fc014fff"),
        ("ffffff", "feffff80", "feffffff"),
    ],
)
def test_address_blocks(net_id: str, first: str, last: str) -> None:
    network = NetID.parse(net_id)
    low, high = (int(text, 16) for text in (first, last))
    assert network.covers(DevAddr.parse(first))
    assert network.covers(DevAddr.parse(last))
    for outside in (low - 1, high + 1):
        if 0 <= outside < 1 << 32:
            assert not network.covers(DevAddr(outside.to_bytes(4, "big")))
    assert network.dev_addr(0) == DevAddr.parse(first)
    assert network.dev_addr(high - low) == DevAddr.parse(last)
    with pytest.raises(ValueError, match="NwkAddr"):
        network.dev_addr(high - low + 1)


def test_identifiers_refuse_other_lengths() -> None:
    with pytest.raises(ValueError, match="NetID"):
        NetID(bytes(4))
    with pytest.raises(ValueError, match="NetID"):
        NetID.parse("xx")
    assert NetID.from_air(b"\x03\x02\x01") == NetID.parse("010203")
    assert NetID.parse("010203").to_air() == b"\x03\x02\x01"
    assert (str(NetID.parse("0000AB")), repr(NetID.parse("0000ab"))) == ("0000ab", "NetID(0000ab)")


def test_counters_rebuilt() -> None:
    assert full_f_cnt(None, 7) == 7
    assert full_f_cnt(6, 7) == 7
    assert full_f_cnt(7, 7) == 65536 + 7
    assert full_f_cnt(65535, 0) == 65536
    assert full_f_cnt(2**32 - 1, 5) is None
    assert list(other_f_cnts(None, 7))[:2] == [65536 + 7, 2 * 65536 + 7]
    assert next(other_f_cnts(10, 7)) == 7
    # an equal counter, then a reset device, then ahead and back
    found = list(other_f_cnts(5 * 65536 + 9, 9))
    assert found[:4] == [5 * 65536 + 9, 9, 7 * 65536 + 9, 4 * 65536 + 9]


def test_commands_stop_at_the_first_unknown_one() -> None:
    raw = bytes.fromhex("0307" + "ee0102" + "0307")
    commands, rest = parse_mac_commands(Direction.UP, raw)
    assert [command.name for command in commands] == ["LinkADRAns"]
    assert rest.hex() == "ee01020307"


def test_commands_stop_at_a_truncated_one() -> None:
    commands, rest = parse_mac_commands(Direction.DOWN, bytes.fromhex("06" + "03120400"))
    assert [command.name for command in commands] == ["DevStatusReq"]
    assert rest.hex() == "03120400"


def test_commands_built() -> None:
    request = LinkADRReq(data_rate=5, tx_power=1, ch_mask=0x00FF, ch_mask_cntl=0, nb_trans=1)
    assert build_mac_commands([request, RXTimingSetupReq(5)]).hex() == "0351ff00010805"
    assert DevStatusAns(battery=255, margin=-32).to_bytes().hex() == "06ff20"
    assert MAX_EIRP_DBM[5] == 16


@pytest.mark.parametrize(
    "command",
    [
        LinkADRReq(16, 0, 0, 0, 0),
        DevStatusAns(0, 32),
        DevStatusAns(0, -33),
        NewChannelReq(0, 868_100_050, 5, 0),
        RXTimingSetupReq(-1),
    ],
)
def test_commands_refuse_what_does_not_fit(command: LinkADRReq) -> None:
    with pytest.raises(ValueError, match=r"not|cannot"):
        command.to_bytes()


@pytest.mark.parametrize(("hertz", "steps"), [(0, 0), (868_100_000, 0x847628), (2_403_000_000, 12_015_000)])
def test_frequencies(hertz: int, steps: int) -> None:
    assert frequency_steps(hertz) == steps
    assert frequency_hz(steps) == hertz


@pytest.mark.parametrize("hertz", [-100, 50, 1_200_000_000, 2_400_000_100, 1_677_721_600])
def test_frequencies_that_cannot_be_sent(hertz: int) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        frequency_steps(hertz)


def test_cflist_of_a_reserved_type_is_kept() -> None:
    raw = bytes(range(15)) + b"\x07"
    assert parse_cflist(raw).to_bytes() == raw
    with pytest.raises(ValueError, match="not more"):
        CFList(0, frequencies_hz=(868_100_000,) * 6).to_bytes()
    with pytest.raises(ValueError, match="16 bytes"):
        parse_cflist(bytes(15))


def test_frame_headers_refuse_contradictions() -> None:
    address = DevAddr(bytes(4))
    with pytest.raises(ValueError, match="FOpts"):
        FCtrl.build(f_opts_len=16)
    with pytest.raises(ValueError, match="FOpts"):
        FHDR(address, FCtrl(0), 0, b"\x02").to_bytes()
    with pytest.raises(ValueError, match="16 bits"):
        FHDR(address, FCtrl(0), 65536).to_bytes()
    with pytest.raises(ValueError, match="FPort"):
        DataFrame(MType.UNCONFIRMED_DATA_UP, FHDR(address, FCtrl(0), 0), None, b"\x01", bytes(4)).to_bytes()


def test_directions_and_confirmation() -> None:
    frames = {mtype: parse(bytes([mtype << 5]) + bytes(11)) for mtype in (*MType,)[2:6]}
    for mtype, frame in frames.items():
        assert isinstance(frame, DataFrame)
        assert (frame.direction is Direction.UP) == mtype.name.endswith("UP")
        assert frame.confirmed == mtype.name.startswith("CONFIRMED")
        assert frame.mtype.text.startswith(("Confirmed", "Unconfirmed"))


@pytest.mark.parametrize(
    ("length", "data_rate", "airtime"),
    [
        # SX1276 formula by hand: (12.25 + 8 + ceil((8·24 − 4·7 + 28 + 16)/28)·5) · 1.024 ms
        (24, "SF7BW125", 61_696),
        (24, "SF10BW125", 370_688),
        (24, "SF12BW125", 1_482_752),
        (13, "SF7BW250", 23_168),
    ],
)
def test_airtime(length: int, data_rate: str, airtime: int) -> None:
    assert airtime_us(length, modulation_of(data_rate)) == airtime


@pytest.mark.parametrize(
    ("length", "data_rate", "airtime"),
    [
        # without CRC: (12.25 + 8 + ceil((8·24 − 4·7 + 28)/28)·5) · 1.024 ms
        (24, "SF7BW125", 56_576),
        (17, "SF12BW125", 1_155_072),
        (24, "50000", 5_600),
        (1, "300", 320_000),
    ],
)
def test_airtime_of_downlinks(length: int, data_rate: str, airtime: int) -> None:
    assert downlink_airtime_us(length, data_rate) == airtime


def test_low_data_rate_optimisation_follows_the_symbol() -> None:
    optimised = [
        text for text in EU868.data_rates_up.values() if text != "50000" and modulation_of(text).optimised
    ]
    assert optimised == ["SF12BW125", "SF11BW125"]
    assert not Modulation(12, low_data_rate_optimise=False).optimised
    assert not modulation_of("SF12BW500").optimised


@pytest.mark.parametrize("text", ["50000", "SF7", "SFBW", "SF4BW125", "SF13BW125", "SF7BW0", "SF7BWx", ""])
def test_what_is_no_lora_data_rate(text: str) -> None:
    with pytest.raises(ValueError, match="no LoRa data rate"):
        modulation_of(text)


@pytest.mark.parametrize("before", [datetime(1981, 6, 30, tzinfo=UTC), datetime(2016, 12, 31, tzinfo=UTC)])
def test_a_leap_second_makes_the_gps_step_longer(before: datetime) -> None:
    day = timedelta(days=1)
    assert gps_seconds(before + day) - gps_seconds(before) == 86_401
    assert gps_seconds(before) - gps_seconds(before - day) == 86_400
    for moment in (before, before + day, before + day - timedelta(milliseconds=1)):
        assert utc_of_gps_seconds(gps_seconds(moment)) == moment


def test_gps_is_18_seconds_ahead_since_2017() -> None:
    moment = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    since_epoch = (moment - datetime(1980, 1, 6, tzinfo=UTC)).total_seconds()
    assert gps_seconds(moment) - since_epoch == 18
    assert unix_ms_of_gps_ms(round(gps_seconds(moment) * 1000)) == moment.timestamp() * 1000
