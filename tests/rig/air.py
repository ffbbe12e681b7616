"""Class A devices and one packet forwarder in real time, over real UDP, before a real agent.

Uplinks go out when they end. A downlink that the forwarder takes is heard at once, though its window opens
some seconds later: devices go by the concentrator's counter, and nobody waits for what is certain.
"""

from __future__ import annotations

import json
import select
import socket
import time
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_agent.radio.gwmp import Kind, pull_data, push_data, tx_ack
from edge_agent.simulate.class_a import ClassADevice, Heard, Sent
from edge_agent.simulate.class_a_air import Window, fitting
from edge_agent.simulate.jit import JitQueue, Transmission, parse_txpk
from edge_codecs.identifiers import EUI64

LAP_US = 1 << 32
GATEWAY = EUI64(bytes.fromhex("0200fffe51000001"))
PULL_DATA_EVERY_S = 0.5
SHORT_US = 60_000  # time on air of a report at SF7
APART_US = 150_000  # what an answer at SF7 takes, and to spare
LAGS_US = (0, 1_000_000)  # RX1 beside RX1, and beside RX2 of another uplink
DELAYS_US = tuple(seconds * 1_000_000 for seconds in range(1, 17))
TAKES = ""
SILENCE = "say nothing"


@dataclass(eq=False)
class Talk:
    """An uplink on the air. `what` is the test's word for it, `nonce` what a join must not use twice."""

    device: ClassADevice
    sent: Sent
    what: str
    session: int
    nonce: tuple[object, ...] | None = None


@dataclass(frozen=True)
class OnAir:
    """A downlink that the forwarder has taken. `heard` is None where no window of its device was open."""

    talk: Talk
    transmission: Transmission
    window: str
    heard: Heard | None


class Air:
    """The forwarder, its devices' uplinks and every downlink.

    `replies` are the forwarder's words for the next downlinks, `TAKES` and `SILENCE` among them; without one
    it judges as the reference does. `is_pulling` off: it never asks for downlinks. `before_tx_ack` is called
    with each downlink before the forwarder says a word; what it returns keeps the forwarder silent.
    """

    def __init__(self, port: int) -> None:
        self.replies: deque[str] = deque()
        self.is_pulling = True
        self.before_tx_ack: Callable[[Transmission], bool] = lambda _: False
        self.on_air: list[OnAir] = []
        self.words: Counter[str] = Counter()
        self._talks: dict[int, Talk] = {}
        self._jit = JitQueue()
        self._ends: deque[int] = deque(maxlen=32)
        self._token = 0
        self._pull_s = 0.0
        self._begin_s = time.monotonic() - 1
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._agent = ("127.0.0.1", port)
        self._socket.setblocking(False)

    @property
    def now_us(self) -> int:
        """The concentrator's counter, counted on."""
        return round((time.monotonic() - self._begin_s) * 1_000_000)

    @property
    def next_us(self) -> int:
        """When the next uplink may begin, so that its answer does not meet another in RX1 or RX2."""
        at_us = self.now_us
        while any(
            abs(at_us + SHORT_US - end_us - lag_us) < APART_US for end_us in self._ends for lag_us in LAGS_US
        ):
            at_us += SHORT_US // 10
        return at_us

    def say(self, talk: Talk) -> None:
        """An uplink is on the air until its end, and then at the agent."""
        while self.now_us < talk.sent.end_us:
            self.listen((talk.sent.end_us - self.now_us) / 1e6)
        self.push(talk, talk.sent.end_us)

    def push(self, talk: Talk, end_us: int) -> None:
        """Hand a frame to the agent as one that ended at `end_us`: another time than its own is a replay."""
        self._talks[end_us % LAP_US] = talk
        self._ends.append(end_us)
        sent = talk.sent
        rxpk = {
            "tmst": end_us % LAP_US,
            "freq": sent.frequency_hz / 1e6,
            "stat": 1,
            "modu": "LORA",
            "datr": sent.data_rate,
            "codr": "4/5",
            "rssi": -70,
            "lsnr": 7.0,
            "size": len(sent.phy_payload),
            "data": b64encode(sent.phy_payload).decode(),
        }
        self._send(push_data(self._next_token(), GATEWAY, json.dumps({"rxpk": [rxpk]})))

    def listen(self, wait_s: float) -> bool:
        """Take what comes; returns at the first downlink, or after `wait_s`: whether one came."""
        until_s = time.monotonic() + wait_s
        while True:
            if self.is_pulling and time.monotonic() >= self._pull_s:
                self.pull()
            left_s = until_s - time.monotonic()
            step_s = max(0.0, min(left_s, PULL_DATA_EVERY_S))
            if select.select([self._socket], [], [], step_s)[0]:
                datagram = self._socket.recv(65_536)
                if datagram[3] == Kind.PULL_RESP and self._take(datagram[1:3], datagram[4:]):
                    return True
            elif left_s <= 0:
                return False

    def pull(self) -> None:
        """Ask for downlinks."""
        self._pull_s = time.monotonic() + PULL_DATA_EVERY_S
        self._send(pull_data(self._next_token(), GATEWAY))

    def close(self) -> None:
        """The end."""
        self._socket.close()

    def _take(self, token: bytes, body: bytes) -> bool:
        asked = parse_txpk(body)
        assert asked is not None, "a PULL_RESP that no forwarder understands"
        assert asked.inverted, "a downlink that no device hears"
        word = self.replies.popleft() if self.replies else self._jit_word(asked)
        self.words[word or "taken"] += 1
        if word == TAKES:
            self._goes_out(asked)
        if not self.before_tx_ack(asked) and word != SILENCE:
            self._send(tx_ack(token, GATEWAY, word))
        return True

    def _jit_word(self, asked: Transmission) -> str:
        taken = self._jit.take(asked, self.now_us)
        return taken if isinstance(taken, str) else TAKES

    def _goes_out(self, sent: Transmission) -> None:
        ends = [(sent.at_us - delay_us) % LAP_US for delay_us in DELAYS_US]
        talk = next((self._talks[end] for end in ends if end in self._talks), None)
        assert talk is not None, "a downlink at a time that follows from no uplink"
        device = talk.device
        window = fitting(device.windows(), sent.at_us, sent.frequency_hz, sent.data_rate)
        heard: Heard | None = None
        if isinstance(window, Window):
            heard = device.receive(sent.phy_payload, sent.at_us, sent.frequency_hz, sent.data_rate)
        self.on_air.append(OnAir(talk, sent, getattr(window, "name", ""), heard))

    def _send(self, datagram: bytes) -> None:
        self._socket.sendto(datagram, self._agent)

    def _next_token(self) -> bytes:
        self._token = (self._token + 1) & 0xFFFF
        return self._token.to_bytes(2)


def join_of(device: ClassADevice, at_us: int) -> Talk:
    """A join request."""
    assert device.joiner is not None
    sent = device.join_request(at_us)
    dev_nonce = int.from_bytes(sent.phy_payload[17:19], "little")
    return Talk(device, sent, "join", session_of(device), (device.dev_eui, "DevNonce", dev_nonce))


def rejoin_of(device: ClassADevice, at_us: int, rejoin_type: int) -> Talk:
    """A rejoin request of LoRaWAN 1.1."""
    sent = device.rejoin_request(at_us, rejoin_type)
    rj_count = int.from_bytes(sent.phy_payload[-6:-4], "little")
    session = session_of(device)
    nonce = ("RJcount1", rj_count) if rejoin_type == 1 else ("RJcount0", session, rj_count)
    return Talk(device, sent, "rejoin", session, (device.dev_eui, *nonce))


def uplink_of(
    device: ClassADevice, at_us: int, f_port: int, payload: bytes, *, confirmed: bool = False
) -> Talk:
    """A data frame."""
    sent = device.send(at_us, f_port, payload[: device.room()], confirmed=confirmed)
    return Talk(device, sent, "confirmed" if confirmed else "uplink", session_of(device))


def repetition_of(talk: Talk, at_us: int) -> Talk:
    """The same uplink once more: its acknowledgement was not heard."""
    return Talk(talk.device, talk.device.repeat(at_us), "repetition", talk.session)


def session_of(device: ClassADevice) -> int:
    """The number of its session: the JoinNonce, 0 of one activated by personalisation."""
    return 0 if device.joiner is None else device.joiner.join_nonce or 0


def first(heard: Sequence[OnAir], talk: Talk) -> Heard | None:
    """What the device made of the answer to this uplink."""
    return next((one.heard for one in heard if one.talk is talk and one.heard is not None), None)
