import json

import pytest

from edge_agent.network.rx_frame import Crc
from edge_agent.radio.gwmp import (
    NotGwmp,
    PullData,
    PushData,
    TxAck,
    acknowledgement,
    parse_datagram,
    pull_data,
    pull_resp,
    push_data,
    tx_ack,
)
from edge_agent.radio.rxpk import Flaw
from edge_codecs.identifiers import EUI64

GATEWAY = EUI64.parse("aa555a0000000101")
LORA = {
    "jver": 1, "tmst": 3512348611, "chan": 2, "rfch": 0, "freq": 868.5, "mid": 8, "stat": 1, "modu": "LORA",
    "datr": "SF7BW125", "codr": "4/6", "rssis": -36, "lsnr": 5.1, "foff": -120, "rssi": -35, "size": 4,
    "data": "QAECAw==",
}  # fmt: skip


def pushed(*rxpks, **more):
    message = parse_datagram(push_data(b"\x12\x34", GATEWAY, json.dumps({"rxpk": list(rxpks), **more})))
    assert isinstance(message, PushData)
    return message


def one(**changes):
    rxpk = {**LORA, **changes}
    [read] = pushed({name: value for name, value in rxpk.items() if value is not None}).rxpks
    return read


@pytest.mark.parametrize("version", [1, 2])
def test_acknowledgements_repeat_version_and_token(version):
    push = push_data(b"\x12\x34", GATEWAY, "{}", version)
    assert acknowledgement(push) == bytes((version, 0x12, 0x34, 1))
    assert acknowledgement(pull_data(b"\x56\x78", GATEWAY, version)) == bytes((version, 0x56, 0x78, 4))


@pytest.mark.parametrize(
    "datagram",
    [b"", b"\x02\0\0\0", push_data(b"ab", GATEWAY, "")[:11], b"\x03" + push_data(b"ab", GATEWAY, "")[1:]],
)
def test_what_is_no_gwmp_gets_no_answer(datagram):
    assert acknowledgement(datagram) is None
    assert isinstance(parse_datagram(datagram), NotGwmp)


def test_kinds_that_only_servers_send_are_refused():
    for kind in (1, 3, 4, 6, 255):
        assert isinstance(parse_datagram(bytes((2, 0, 0, kind)) + GATEWAY), NotGwmp)


def test_a_lora_frame():
    rxpk = one()
    assert rxpk.phy_payload == b"\x40\x01\x02\x03"
    assert rxpk.crc is Crc.OK
    assert (rxpk.frequency_hz, rxpk.data_rate, rxpk.coding_rate) == (868_500_000, "SF7BW125", "4/6")
    assert (rxpk.rssi_dbm, rxpk.snr_db) == (-35, 5.1)
    assert (rxpk.counter_us, rxpk.channel, rxpk.rf_chain) == (3512348611, 2, 0)
    assert json.loads(rxpk.raw) == LORA


def test_an_fsk_frame():
    rxpk = one(modu="FSK", datr=50000, codr=None, lsnr=None)
    assert (rxpk.data_rate, rxpk.snr_db, rxpk.coding_rate) == ("50000", None, None)
    assert one(modu="FSK", datr="50000").snr_db is None


@pytest.mark.parametrize(("stat", "crc"), [(1, Crc.OK), (-1, Crc.BAD), (0, Crc.NONE), ("x", Crc.NONE)])
def test_crc(stat, crc):
    assert one(stat=stat).crc is crc


def test_an_old_forwarder_says_less():
    rxpk = one(jver=None, mid=None, rssis=None, foff=None, time="2013-03-31T16:21:17.528002Z")
    assert rxpk.rssi_dbm == -35
    assert rxpk.time == "2013-03-31T16:21:17.528002Z"
    assert one(stat=None).crc is Crc.OK


@pytest.mark.parametrize("value", [None, "x", True, -1, 1.5, [], {}, 1 << 70, float("nan")])
def test_a_strange_counter_is_none(value):
    assert one(tmst=value).counter_us is None


def test_a_counter_of_more_bits_is_cut_to_32():
    assert one(tmst=(7 << 32) + 5).counter_us == 5


@pytest.mark.parametrize("value", [None, "x", True, -1000, 1000, float("nan"), float("inf"), [], {}])
def test_strange_signal_values_are_not_given(value):
    assert one(lsnr=value).snr_db is None
    assert one(rssi=value).rssi_dbm == -36
    assert one(rssi=value, rssis=value).rssi_dbm == 0


def test_the_best_antenna_counts():
    weak = {"ant": 0, "chan": 3, "rssic": -100, "lsnr": -7.5, "etime": "eA=="}
    strong = {"ant": 1, "chan": 5, "rssic": -80, "rssis": -81, "lsnr": 2.25}
    for signals in ([weak, strong], [strong, weak], ["?", strong, None]):
        rxpk = one(rsig=signals, rssi=None, rssis=None, lsnr=None)
        assert (rxpk.antenna, rxpk.channel, rxpk.rssi_dbm, rxpk.snr_db) == (1, 5, -80, 2.25)
    assert one(rsig="?").rssi_dbm == -35
    assert one(rsig=[{}]).rssi_dbm == -35


def test_antennas_without_snr_are_told_apart_by_strength():
    assert one(datr=50000, rsig=[{"ant": 0, "rssis": -90}, {"ant": 1, "rssis": -70}]).antenna == 1


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        ({"data": "*"}, Flaw.DATA),
        ({"data": "Q"}, Flaw.DATA),
        ({"data": 5}, Flaw.DATA),
        ({"data": "ä"}, Flaw.DATA),
        ({"data": "QQ" * 256}, Flaw.DATA),
        ({"freq": "868.1"}, Flaw.FREQUENCY),
        ({"freq": 868_100_000}, Flaw.FREQUENCY),
        ({"datr": "SF99BW1"}, Flaw.DATA_RATE),
        ({"datr": -5}, Flaw.DATA_RATE),
        ({"datr": None}, Flaw.DATA_RATE),
    ],
)
def test_a_bad_rxpk_does_not_spoil_its_neighbours(change, flaw):
    message = pushed(LORA, {**LORA, **change}, LORA)
    assert len(message.rxpks) == 2
    assert message.flaws == (flaw,)


@pytest.mark.parametrize("broken", ['{"lsnr":nan,"data":"QA=="}', '{"a":}', "{", '{"a" 1}', '"\\'])
def test_a_syntax_error_does_not_spoil_neighbours(broken):
    sound = json.dumps(LORA)
    message = parse_datagram(push_data(b"ab", GATEWAY, f'{{"rxpk":[{sound},{broken},{sound},{sound}]}}'))
    assert len(message.rxpks) == 3
    assert Flaw.NOT_JSON in message.flaws


def test_order_blanks_and_other_members_do_not_matter():
    sound = json.dumps(LORA)
    body = f' {{ "stat" : {{"rxnb": 2}} , "x":[{{"data":1}}],\n"rxpk" : [ {sound} ,{sound}\t] }} \0'
    message = parse_datagram(push_data(b"ab", GATEWAY, body))
    assert len(message.rxpks) == 2
    assert not message.flaws
    assert message.stat.rxnb == 2


def test_a_frame_that_is_printed_on_many_lines_is_recorded_on_one():
    body = json.dumps({"rxpk": [LORA, LORA]}, indent=2).replace("\n", "\r\n")
    for rxpk in parse_datagram(push_data(b"ab", GATEWAY, body)).rxpks:
        assert len(rxpk.raw.splitlines()) == 1
        assert json.loads(rxpk.raw) == LORA


def test_255_frames_in_one_datagram():
    datagram = push_data(b"ab", GATEWAY, json.dumps({"rxpk": [LORA] * 255}, separators=(",", ":")))
    assert len(datagram) < 65_508
    assert len(parse_datagram(datagram).rxpks) == 255


def test_hostile_bodies_end():
    for body in (
        "[" * 30_000,
        '{"rxpk":' + '[{"a":' * 9000,
        '{"a":' * 9000,
        '{"rxpk":[' + "9" * 20_000 + "]}",
    ):
        message = parse_datagram(push_data(b"ab", GATEWAY, body))
        assert not message.rxpks
        assert message.flaws


def test_stat():
    stat = pushed(
        stat={
            "time": "2026-11-24 09:00:00 GMT", "lati": 46.24, "long": 3.2523, "alti": 145, "rxnb": 2,
            "rxok": 2, "rxfw": 1, "ackr": 99.5, "dwnb": 3, "txnb": 2, "temp": 31.5, "pfrm": "IMST",
        }
    ).stat  # fmt: skip
    assert (stat.latitude, stat.longitude, stat.altitude_m) == (46.24, 3.2523, 145)
    assert (stat.rxnb, stat.rxok, stat.rxfw, stat.ackr, stat.dwnb, stat.txnb) == (2, 2, 1, 99.5, 3, 2)
    assert (stat.temperature_c, stat.platform) == (31.5, "IMST")
    assert stat.has_position
    assert not pushed(stat={"lati": 0, "long": 0}).stat.has_position
    assert not pushed(stat={"lati": "x", "ackr": float("nan"), "rxnb": -1, "time": 5}).stat.has_position
    assert pushed(stat=[1]).stat is None


def test_pull_data():
    assert parse_datagram(pull_data(b"ab", GATEWAY)) == PullData(GATEWAY)


@pytest.mark.parametrize(
    ("body", "error", "warning", "value"),
    [
        ("", "", "", None),
        ('{"txpk_ack":{"error":"NONE"}}', "", "", None),
        ('{"txpk_ack":{"error":"TOO_LATE"}}', "TOO_LATE", "", None),
        ('{"txpk_ack":{"warn":"TX_POWER","value":14}}', "", "TX_POWER", 14),
        ("{", "UNREADABLE", "", None),
        ("[]", "UNREADABLE", "", None),
        ('{"txpk_ack":5}', "", "", None),
    ],
)
def test_tx_ack(body, error, warning, value):
    message = parse_datagram(bytes((2, 1, 2, 5)) + GATEWAY + body.encode())
    assert message == TxAck(GATEWAY, b"\x01\x02", error, warning, value)


def test_built_datagrams_read_back():
    assert parse_datagram(tx_ack(b"ab", GATEWAY, "COLLISION_PACKET")).error == "COLLISION_PACKET"
    assert parse_datagram(tx_ack(b"ab", GATEWAY)).error == ""
    assert pull_resp(b"ab", {"imme": True}) == b'\x02ab\x03{"txpk":{"imme":true}}'
    assert pull_resp(b"ab", {}, version=1)[:4] == b"\x01\0\0\x03"
