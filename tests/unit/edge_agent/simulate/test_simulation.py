"""The simulator against a real socket."""

import contextlib
import json
import socket
import threading

import pytest

from edge_agent.errors import ServiceUnavailable
from edge_agent.radio.gwmp import PullData, PushData, TxAck, acknowledgement, parse_datagram
from edge_agent.simulate.forwarder import datagrams
from edge_agent.simulate.scenario import receptions
from edge_agent.simulate.simulation import Outcome, Simulation, simulate

PLAN = Simulation(sensors=5, rate_per_s=2000, uplinks=300, start_ms=1_795_512_833_000, bundle=5, foreign=0.1)


class Receiver:
    """Keeps what comes, and acknowledges if told to."""

    def __init__(self, *, acknowledges=True, answers=()):
        self.messages = []
        self.datagrams = []
        self._acknowledges = acknowledges
        self._answers = list(answers)  # PULL_RESPs, sent after the first PULL_DATA
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while True:
            datagram, address = self._socket.recvfrom(65_536)
            if datagram == b"end":
                return
            self.datagrams.append(datagram)
            self.messages.append(parse_datagram(datagram))
            if self._acknowledges:
                due = acknowledgement(datagram)
                if due is not None:
                    self._socket.sendto(due, address)
            if isinstance(self.messages[-1], PullData):
                while self._answers:
                    self._socket.sendto(self._answers.pop(0), address)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
            door.sendto(b"end", ("127.0.0.1", self.port))
        self._thread.join(10)
        self._socket.close()

    def pushed(self):
        return [m for m in self.messages if isinstance(m, PushData)]


def test_everything_is_sent_acknowledged_and_in_the_ledger(tmp_path):
    ledger, seen = tmp_path / "ledger.jsonl", []
    with Receiver() as receiver:
        outcome = simulate(PLAN, "127.0.0.1", receiver.port, ledger=ledger, progress=seen.append)
    assert outcome.uplinks == 300
    assert outcome.unacknowledged == 0
    assert outcome.datagrams == len(receiver.pushed())
    frames = [rxpk for message in receiver.pushed() for rxpk in message.rxpks]
    assert len(frames) == outcome.uplinks + outcome.foreign
    assert any(isinstance(message, PullData) for message in receiver.messages)
    assert receiver.pushed()[0].stat.rxnb == 0
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert len({(line["dev_eui"], line["f_cnt"]) for line in lines}) == 300
    assert seen[-1] == outcome


def test_the_same_plan_sends_the_same_datagrams(tmp_path):
    sent, ledgers = [], []
    for run in range(2):
        ledger = tmp_path / f"{run}.jsonl"
        with Receiver() as receiver:
            simulate(PLAN, "127.0.0.1", receiver.port, ledger=ledger)
        sent.append([d[4:] for d in receiver.datagrams if b'"rxpk"' in d])
        ledgers.append(ledger.read_bytes())
    assert sent[0] == sent[1]
    assert ledgers[0] == ledgers[1]


def test_missing_acknowledgements_are_reported():
    plan = Simulation(rate_per_s=1000, uplinks=10)
    with Receiver(acknowledges=False) as receiver:
        outcome = simulate(plan, "127.0.0.1", receiver.port)
    assert outcome.unacknowledged == outcome.datagrams == 11
    assert outcome.uplinks == sum(len(message.rxpks) for message in receiver.pushed()) == 10


def test_nobody_listens():
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
    outcome = simulate(Simulation(rate_per_s=1000, uplinks=5), "127.0.0.1", port)
    assert outcome.unacknowledged == outcome.datagrams


def test_it_stops_when_told():
    seen = []
    with Receiver() as receiver:
        outcome = simulate(
            Simulation(rate_per_s=1000),
            "127.0.0.1",
            receiver.port,
            progress=seen.append,
            should_stop=lambda: len(seen) > 1,
        )
    assert isinstance(outcome, Outcome)
    assert outcome.uplinks > 0


def test_an_impossible_address():
    with pytest.raises(ServiceUnavailable, match="cannot send"):
        simulate(Simulation(uplinks=1), "not a host", 1700)


@pytest.mark.parametrize("bundle", [1, 7, 200])
def test_datagrams_hold_no_more_than_a_bundle_and_fit(bundle):
    plan = Simulation(
        sensors=5, rate_per_s=1e6, uplinks=1000, loss=0.1, duplicates=0.5, foreign=0.5, bundle=bundle
    )
    groups = list(datagrams(receptions(plan, 1_795_512_833_000), bundle))
    sizes = [[len(r.rxpk) for r in group if r.rxpk] for group in groups]
    assert max(map(len, sizes)) == bundle
    assert max(sum(group) + len(group) for group in sizes) < 65_000
    assert sum(map(len, groups)) == len(list(receptions(plan, 1_795_512_833_000)))


def pull_resp(number, at_us, **changes):
    txpk = {"imme": False, "tmst": at_us, "freq": 869.525, "rfch": 0, "powe": 14, "modu": "LORA"}
    txpk |= {"datr": "SF12BW125", "codr": "4/5", "ipol": True, "size": 12, "data": "A" * 16}
    return bytes((2, 0, number, 3)) + json.dumps({"txpk": txpk | changes}).encode()


def test_downlinks_are_answered_as_the_reference_does():
    answers = [
        pull_resp(1, 60_000_000),
        pull_resp(2, 60_100_000),
        pull_resp(3, 4_000_000_000),
        pull_resp(4, 70_000_000, freq=915.0),
        pull_resp(5, 80_000_000, data=None),
    ]
    with Receiver(answers=answers) as receiver:
        outcome = simulate(Simulation(rate_per_s=100, uplinks=30), "127.0.0.1", receiver.port)
    acks = {m.token[1]: m.error for m in receiver.messages if isinstance(m, TxAck)}
    assert acks == {1: "", 2: "COLLISION_PACKET", 3: "TOO_EARLY", 4: "TX_FREQ"}
    assert (outcome.downlinks, outcome.downlinks_refused) == (1, 3)


def test_sensors_that_join_begin_with_a_join_request():
    plan, seen = Simulation(activation="otaa", sensors=2, interval_s=1), []
    with Receiver() as receiver:
        outcome = simulate(
            plan,
            "127.0.0.1",
            receiver.port,
            progress=seen.append,
            should_stop=lambda: bool(seen) and seen[-1].signalling == 2,
        )
    frames = [rxpk for message in receiver.pushed() for rxpk in message.rxpks]
    assert outcome.signalling == len(frames) == 2
    assert all(len(rxpk.phy_payload) == 23 for rxpk in frames)
    assert (outcome.joined, outcome.uplinks) == (0, 0)
