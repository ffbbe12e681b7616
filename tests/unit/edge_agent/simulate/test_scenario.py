import base64
import json
from collections import Counter
from dataclasses import replace

import pytest

from edge_agent.errors import UsageError
from edge_agent.network.admit import Activations, Admitted, JoinAsked, admit
from edge_agent.network.reason import Reason
from edge_agent.radio.forwarder import frame_of
from edge_agent.radio.rxpk import RxPk, parse_rxpk
from edge_agent.simulate.plan import Simulation
from edge_agent.simulate.scenario import Kind, receptions, sessions_of
from edge_codecs.identifiers import EUI64

START_MS = 1_795_512_833_000
PLAN = Simulation(
    sensors=10, rate_per_s=50, uplinks=1500, loss=0.05, duplicates=0.1, bad_crc=0.1, foreign=0.2, replays=0.1
)


def heard(plan=PLAN):
    return list(receptions(plan, START_MS))


def frame(reception):
    rxpk = parse_rxpk(json.loads(reception.rxpk), reception.rxpk)
    assert isinstance(rxpk, RxPk)
    return frame_of(rxpk, 0, None, "test", None)


def test_the_same_plan_gives_the_same_bytes():
    plan = replace(PLAN, uplinks=300)
    once = heard(plan)
    assert once == heard(plan)
    assert once != heard(replace(plan, seed=2))
    assert once != heard(replace(plan, gateway=EUI64(bytes(8))))


def test_shares_are_kept():
    counts = Counter(reception.kind for reception in heard())
    assert counts[Kind.UPLINK] == 1500
    for kind, share in [
        (Kind.LOST, 0.05), (Kind.DUPLICATE, 0.1), (Kind.BAD_CRC, 0.1), (Kind.FOREIGN, 0.2), (Kind.REPLAY, 0.1)
    ]:  # fmt: skip
        assert counts[kind] == pytest.approx(1580 * share, rel=0.35)


@pytest.mark.parametrize("f_cnt_start", [0, 65_530, 200_000])
def test_the_agent_takes_what_the_ledger_says_and_nothing_else(f_cnt_start):
    plan = replace(PLAN, f_cnt_start=f_cnt_start)
    activations = Activations()
    for session in sessions_of(plan):
        activations.add(session)
    reasons = Counter()
    for reception in heard(plan):
        if reception.kind is Kind.LOST:
            assert not reception.rxpk
            continue
        outcome = admit(frame(reception), activations)
        if isinstance(outcome, JoinAsked):
            assert reception.kind is Kind.FOREIGN
            continue
        if not isinstance(outcome, Admitted):
            assert reception.kind is not Kind.UPLINK
            reasons[reception.kind, outcome.reason] += 1
            continue
        activations.advance(outcome)
        assert outcome.flaw is None
        assert reception.kind is Kind.UPLINK
        entry = json.loads(reception.ledger)
        assert (entry["dev_eui"], entry["f_cnt"]) == (str(outcome.dev_eui), outcome.f_cnt)
        assert (entry["f_port"], entry["payload"]) == (outcome.f_port, outcome.payload.hex())
    assert {reason for kind, reason in reasons if kind is Kind.BAD_CRC} == {Reason.BAD_CRC}
    assert {reason for kind, reason in reasons if kind is Kind.DUPLICATE} == {Reason.DUPLICATE}
    assert {reason for kind, reason in reasons if kind is Kind.REPLAY} <= {Reason.DUPLICATE, Reason.REPLAY}
    assert Reason.UNKNOWN_DEV_ADDR in {reason for kind, reason in reasons if kind is Kind.FOREIGN}


def test_the_forwarders_words():
    [first, *_] = heard(Simulation(uplinks=5, rate_per_s=1))
    rxpk = json.loads(first.rxpk)
    assert rxpk["size"] == len(base64.b64decode(rxpk["data"]))
    assert rxpk["stat"] == 1
    assert rxpk["freq"] in {867.1, 867.3, 867.5, 867.7, 867.9, 868.1, 868.3, 868.5}
    assert json.loads(first.ledger)["sent_at"] == "2026-11-24T09:33:53.000Z"


def test_signal_values_and_data_rates_are_plausible():
    frames = [frame(r) for r in heard(Simulation(sensors=200, uplinks=2000, rate_per_s=10))]
    assert {f.data_rate for f in frames} > {"SF7BW125", "SF9BW125", "SF12BW125"}
    assert all(-135 <= f.rssi_dbm <= -30 and -21 <= f.snr_db <= 13.5 for f in frames)
    mean = {
        rate: sum(f.rssi_dbm for f in frames if f.data_rate == rate)
        / sum(f.data_rate == rate for f in frames)
        for rate in ("SF7BW125", "SF12BW125")
    }
    assert mean["SF7BW125"] > mean["SF12BW125"] + 15


def test_confirmed_uplinks():
    frames = [frame(r) for r in heard(Simulation(uplinks=200, rate_per_s=10, confirmed=0.3))]
    assert 40 < sum(f.phy_payload[0] >> 5 == 4 for f in frames) < 80


def test_pace_and_end():
    by_rate = heard(Simulation(sensors=3, rate_per_s=20, duration_s=2))
    assert [r.at_s for r in by_rate] == pytest.approx([n / 20 for n in range(40)])
    counters = [json.loads(r.rxpk)["tmst"] for r in by_rate]
    assert counters == [n * 50_000 for n in range(40)]
    compressed = heard(Simulation(sensors=4, interval_s=900, speed_up=900, duration_s=30))
    assert len(compressed) == pytest.approx(4 * 30, rel=0.15)


def test_sensors_of_two_simulations_are_told_apart_by_their_numbers():
    one = {s.dev_eui for s in sessions_of(Simulation(sensors=20))}
    other = {s.dev_eui for s in sessions_of(Simulation(sensors=20, first_sensor=20))}
    assert not one & other


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": 1.5},
        {"sensors": 0},
        {"bundle": 255},
        {"interval_s": 70_000},
        {"speed_up": 0},
        {"rate_per_s": -1},
        {"downlink_loss": 2},
        {"activation": "otaa", "rate_per_s": 1},
        {"activation": "otaa", "f_cnt_start": 1},
    ],
)
def test_impossible_plans(wrong):
    with pytest.raises(UsageError):
        Simulation(**wrong)
