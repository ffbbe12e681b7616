"""What is known of one packet forwarder, and its frames dated. No I/O: the arrival comes as an argument."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from edge_agent.clock import ClockReading
from edge_agent.lorawan.gps_time import unix_ms_of_gps_ms
from edge_agent.network.rx_frame import Crc, RxFrame
from edge_agent.radio.counter_map import CounterMap
from edge_agent.radio.forwarder_file import KnownForwarder
from edge_agent.radio.gps_time import GpsTime, utc_of_text
from edge_agent.radio.gwmp import PullData, PushData, TxAck
from edge_agent.radio.rxpk import RxPk
from edge_agent.radio.stat import Stat
from edge_codecs.identifiers import EUI64

TX_ACK_ERRORS = (
    "TOO_LATE", "TOO_EARLY", "COLLISION_PACKET", "COLLISION_BEACON", "TX_FREQ", "TX_POWER", "GPS_UNLOCKED",
)  # fmt: skip
STAT_VALID_NS = 15 * 60 * 1_000_000_000  # a position said longer ago does not vouch for `time`

Address = tuple[str, int]


class Forwarder:
    """One packet forwarder, by the EUI in its datagrams and the host that they come from.

    Counters are since the agent's start. `gps` is its latest believable GPS time with the monotonic moment
    (CLOCK_BOOTTIME, nanoseconds) that it belongs to.
    """

    def __init__(self, eui: EUI64, source: str, known: KnownForwarder | None = None, host: str = "") -> None:
        self.eui = eui
        self.source = source
        self.host = host
        self.counter_map = CounterMap(known.offset if known else None)
        self.gps: tuple[int, int] | None = None  # monotonic ns, UTC ms
        self.stat: Stat | None = None
        self.protocol = known.protocol if known else 0
        self.seen_ns = 0  # latest datagram
        self.frame_ns = 0  # latest frame; 0: none yet
        self.downlink_address: Address | None = None  # where its latest PULL_DATA came from
        if known and known.downlink_port:
            self.downlink_address = (host, known.downlink_port)
        self.frames = 0
        self.crc_bad = 0
        self.flaws: Counter[str] = Counter()
        self.tx_acks: Counter[str] = Counter()
        self.tx_acks_unexpected = 0
        self._gps_time = GpsTime()
        self._stat_ns = 0

    @property
    def known(self) -> KnownForwarder | None:
        """What the next process needs to go on; None before there is a counter map."""
        offset = self.counter_map.offset
        if offset is None:
            return None
        return KnownForwarder(offset, self.downlink_address and self.downlink_address[1], self.protocol)

    def push(
        self, message: PushData, arrival_ns: int, clock: Callable[[], ClockReading | None]
    ) -> list[RxFrame]:
        """Take a PUSH_DATA: count, learn, and date its frames."""
        self.seen_ns = arrival_ns
        if message.stat is not None:
            self.stat, self._stat_ns = message.stat, arrival_ns
        for flaw in message.flaws:
            self.flaws[flaw.value] += 1
        if not message.rxpks:
            return []
        self.frames += len(message.rxpks)
        self.frame_ns = arrival_ns
        return self._dated(message.rxpks, arrival_ns, clock)

    def pull(self, _message: PullData, address: Address, arrival_ns: int) -> None:
        """Take a PULL_DATA: the way for downlinks is open."""
        self.seen_ns = arrival_ns
        self.downlink_address = address

    def tx_ack(self, message: TxAck, arrival_ns: int, *, expected: bool) -> None:
        """Take a TX_ACK. `expected`: a downlink was waiting for it."""
        self.seen_ns = arrival_ns
        if not expected:
            self.tx_acks_unexpected += 1
        elif message.error and message.error not in TX_ACK_ERRORS:
            self.tx_acks["other"] += 1
        else:
            self.tx_acks[message.error or "OK"] += 1

    def _dated(
        self, rxpks: tuple[RxPk, ...], arrival_ns: int, clock: Callable[[], ClockReading | None]
    ) -> list[RxFrame]:
        counters_us = [rxpk.counter_us for rxpk in rxpks if rxpk.counter_us is not None]
        dates_us = iter(self.counter_map.date(counters_us, arrival_ns // 1000))
        has_gps = self._has_gps(arrival_ns)
        frames = []
        for rxpk in rxpks:
            monotonic_ns = arrival_ns if rxpk.counter_us is None else next(dates_us) * 1000
            utc_ms = None
            if rxpk.gps_epoch_ms is not None:
                utc_ms = unix_ms_of_gps_ms(rxpk.gps_epoch_ms)
            elif has_gps and rxpk.time is not None:
                utc_ms = utc_of_text(rxpk.time)
            if utc_ms is not None:
                utc_ms = self._gps_time.judge(utc_ms, monotonic_ns, clock())
            if utc_ms is not None:
                self.gps = (monotonic_ns, utc_ms)
            if rxpk.crc is Crc.BAD:
                self.crc_bad += 1
            frames.append(frame_of(rxpk, monotonic_ns, utc_ms, self.source, self.eui, self.host))
        return frames

    def _has_gps(self, now_ns: int) -> bool:
        stat = self.stat
        return stat is not None and stat.has_position and now_ns - self._stat_ns <= STAT_VALID_NS

    def status(self, now_ns: int) -> Mapping[str, object]:
        """For people and JSON."""
        stat = self.stat
        return {
            "eui": str(self.eui),
            "protocol": self.protocol,
            "seen_s_ago": _seconds(now_ns - self.seen_ns),
            "frame_s_ago": _seconds(now_ns - self.frame_ns) if self.frame_ns else None,
            "frames": self.frames,
            "crc_bad": self.crc_bad,
            "flaws": dict(self.flaws),
            "counter_restarts": self.counter_map.restarts,
            "gps_time": self.gps is not None,
            "gps_refused": self._gps_time.refused,
            "downlinks": "possible" if self.downlink_address else "no PULL_DATA yet",
            "tx_acks": dict(self.tx_acks),
            "tx_acks_unexpected": self.tx_acks_unexpected,
            "stat_s_ago": _seconds(now_ns - self._stat_ns) if stat else None,
            "stat": {name: getattr(stat, name) for name in stat.__slots__} if stat else None,
        }


def frame_of(
    rxpk: RxPk, monotonic_ns: int, gps_ms: int | None, source: str, forwarder: EUI64 | None, host: str = ""
) -> RxFrame:
    """The frame that an rxpk describes."""
    return RxFrame(
        phy_payload=rxpk.phy_payload,
        crc=rxpk.crc,
        monotonic_ns=monotonic_ns,
        gps_ms=gps_ms,
        frequency_hz=rxpk.frequency_hz,
        data_rate=rxpk.data_rate,
        rssi_dbm=rxpk.rssi_dbm,
        snr_db=rxpk.snr_db,
        source=source,
        forwarder=forwarder,
        counter_us=rxpk.counter_us,
        raw=rxpk.raw,
        host=host,
    )


def _seconds(ns: int) -> float:
    return round(ns / 1e9, 1)
