import json

from edge_agent.clock import ClockReading
from edge_agent.network.rx_frame import Crc
from edge_agent.radio.forwarder import Forwarder
from edge_agent.radio.gwmp import parse_datagram, push_data, tx_ack
from edge_codecs.identifiers import EUI64
from edge_codecs.reading import TimeQuality

GATEWAY = EUI64.parse("aa555a0000000101")
NS = 1_000_000_000
RXPK = {"freq": 868.1, "stat": 1, "datr": "SF9BW125", "lsnr": -3.5, "rssi": -101, "data": "QAECAw=="}
GPS_MS_OF_UTC = 18_000 - 315_964_800_000
UTC_MS = 1_795_512_833_000


def no_clock():
    return None


def push(forwarder, at_s, *rxpks, clock=no_clock, **more):
    body = json.dumps({"rxpk": [{**RXPK, **rxpk} for rxpk in rxpks], **more})
    return forwarder.push(parse_datagram(push_data(b"ab", GATEWAY, body)), round(at_s * NS), clock)


def test_a_frame_as_handed_over():
    [frame] = push(Forwarder(GATEWAY, "here"), 50, {"tmst": 7})
    assert frame.phy_payload == b"\x40\x01\x02\x03"
    assert (frame.crc, frame.frequency_hz, frame.data_rate) == (Crc.OK, 868_100_000, "SF9BW125")
    assert (frame.rssi_dbm, frame.snr_db) == (-101, -3.5)
    assert (frame.source, frame.forwarder) == ("here", GATEWAY)
    assert (frame.monotonic_ns, frame.gps_ms, frame.counter_us) == (50 * NS, None, 7)
    assert json.loads(frame.raw)["tmst"] == 7


def test_frames_are_dated_by_counter_and_those_without_by_arrival():
    forwarder = Forwarder(GATEWAY, "here")
    push(forwarder, 100, {"tmst": 40_000_000})
    frames = push(forwarder, 200, {"tmst": 60_000_000}, {}, {"tmst": 140_000_000})
    assert [frame.monotonic_ns for frame in frames] == [120 * NS, 200 * NS, 200 * NS]


def test_time_stamps_that_step_move_nothing():
    forwarder = Forwarder(GATEWAY, "here")
    for n, time in enumerate(
        ["2026-11-24T09:00:00Z", "1970-01-01T00:00:00Z", "2036-01-01T00:00:00Z", "?", ""]
    ):
        [frame] = push(forwarder, 100 + n, {"tmst": 1_000_000 * n, "time": time})
        assert (frame.monotonic_ns, frame.gps_ms) == ((100 + n) * NS, None)


def test_tmms_is_gps_time():
    def clock():
        return ClockReading("boot", 100 * NS, UTC_MS, TimeQuality.TRUSTED)

    forwarder = Forwarder(GATEWAY, "here")
    [frame] = push(forwarder, 101, {"tmst": 5, "tmms": UTC_MS + 990 + GPS_MS_OF_UTC}, clock=clock)
    assert frame.gps_ms == UTC_MS + 990
    assert forwarder.gps == (101 * NS, UTC_MS + 990)
    [frame] = push(forwarder, 102, {"tmst": 1_000_005, "tmms": UTC_MS + 990 + GPS_MS_OF_UTC}, clock=clock)
    assert frame.gps_ms is None
    assert forwarder.status(200 * NS)["gps_refused"] == 1


def test_time_counts_as_gps_only_beside_a_position():
    forwarder = Forwarder(GATEWAY, "here")

    def clock():
        return ClockReading("boot", 100 * NS, UTC_MS, TimeQuality.TRUSTED)

    rxpk = {"tmst": 5, "time": "2026-11-24T09:33:53.250Z"}
    assert push(forwarder, 100.25, rxpk, clock=clock)[0].gps_ms is None
    place = {"lati": 46.2, "long": 3.2, "alti": 145}
    assert push(forwarder, 100.25, rxpk, clock=clock, stat=place)[0].gps_ms == UTC_MS + 250
    assert push(forwarder, 100.25 + 3600, rxpk, clock=clock)[0].gps_ms is None


def test_status():
    forwarder = Forwarder(GATEWAY, "here")
    push(forwarder, 10, {"stat": -1}, {"data": "?"}, {}, stat={"rxnb": 3, "ackr": 100.0})
    forwarder.tx_ack(parse_datagram(tx_ack(b"ab", GATEWAY, "TOO_LATE")), 11 * NS, expected=True)
    forwarder.tx_ack(parse_datagram(tx_ack(b"ab", GATEWAY, "ODD")), 11 * NS, expected=True)
    forwarder.tx_ack(parse_datagram(tx_ack(b"ab", GATEWAY, "FORGED")), 11 * NS, expected=False)
    forwarder.tx_ack(parse_datagram(tx_ack(b"ab", GATEWAY)), 12 * NS, expected=True)
    status = forwarder.status(20 * NS)
    json.dumps(status)
    assert status["frames"] == 2
    assert status["crc_bad"] == 1
    assert status["flaws"] == {"data": 1}
    assert status["tx_acks"] == {"TOO_LATE": 1, "other": 1, "OK": 1}
    assert status["tx_acks_unexpected"] == 1
    assert status["stat"]["rxnb"] == 3
    assert (status["seen_s_ago"], status["frame_s_ago"]) == (8, 10)
