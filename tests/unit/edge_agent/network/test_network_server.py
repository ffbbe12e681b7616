"""What each uplink changes and is answered. The judge is a device of the specification."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from edge_agent.lorawan.mac_commands import DeviceTimeAns, LinkCheckAns
from edge_agent.lorawan.regions import REGIONS
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.answer import Transmitted, TxResult
from edge_agent.network.app_queue import MAX_TRIES
from edge_agent.network.changes import ConfirmedSent, CountersReserved, DownlinkChanged, HistoryAsked
from edge_agent.network.device import Device, DownlinkState, NetworkSession, QueuedDownlink
from edge_agent.network.f_cnt_down import RESERVED_AHEAD
from edge_agent.network.gap import Gap
from edge_agent.network.outcome import Admitted, Joined, Rejected
from edge_agent.network.policy import Policy
from edge_agent.network.reason import Reason
from edge_agent.simulate.class_a import ClassADevice, Ignored, Received
from edge_codecs.clipr import RequestHistory, decode_downlink
from tests.rig.lorawan_frames import REPORT, new_session
from tests.rig.site import T0_MS, Site, moment, new_registration, rx_frame

EU868 = REGIONS["EU868"]
VERSIONS = (LoRaWANVersion.V1_0_3, LoRaWANVersion.V1_0_4, LoRaWANVersion.V1_1)
QUIET = Policy(status_every_h=0, adr=False)  # nothing that the network wants by itself
MESSAGE = bytes(range(9))


def joined(version: LoRaWANVersion, policy: Policy = QUIET, seed: int = 1) -> tuple[Site, ClassADevice]:
    """A site with a device that has joined and whose session is settled."""
    registration = new_registration(Random(seed), version)
    place = Site([Device(registration.dev_eui, registration)], policy=policy)
    device = ClassADevice(registration, EU868, Random(seed))
    place.join(device)
    for _ in range(2):
        place.exchange(device, 10, REPORT)
    return place, device


def queued(device: ClassADevice, number: int = 1, *, confirmed: bool = False) -> QueuedDownlink:
    return QueuedDownlink(number, device.dev_eui, 20, MESSAGE, confirmed, created_ms=T0_MS)


def states(changes: tuple[object, ...] | list[object]) -> list[DownlinkState]:
    return [change.state for change in changes if isinstance(change, DownlinkChanged)]


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_silence_where_there_is_nothing_to_say(version: LoRaWANVersion) -> None:
    place, device = joined(version)
    decision, heard = place.exchange(device, 10, REPORT)
    assert isinstance(decision.outcome, Admitted)
    assert heard is None
    assert decision.changes == ()


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_a_confirmed_uplink_is_acknowledged(version: LoRaWANVersion) -> None:
    place, device = joined(version)
    for _ in range(3):
        _, heard = place.exchange(device, 10, REPORT, confirmed=True)
        assert isinstance(heard, Received)
        assert heard.ack


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_a_repeated_confirmed_uplink_is_acknowledged_again(version: LoRaWANVersion) -> None:
    place, device = joined(version)
    place.now_us += 10_000_000
    first = place.hear(device.send(place.now_us, 10, REPORT, confirmed=True))
    assert first.answer is not None  # and is lost on the air
    place.now_us += 10_000_000
    again = place.hear(device.repeat(place.now_us))
    assert isinstance(again.outcome, Rejected)
    assert again.answer is not None
    assert again.answer.f_cnt_down != first.answer.f_cnt_down
    heard = place.deliver(again.answer, device)
    assert isinstance(heard, Received)
    assert heard.ack


def test_an_uplink_that_acknowledges_is_known_again_though_a_confirmed_downlink_followed() -> None:
    """Under 1.1 its MIC is over the counter of the downlink that it acknowledges, not of the last one."""
    place, device = joined(LoRaWANVersion.V1_1)
    for number in (1, 2):
        place.server.enqueue(queued(device, number, confirmed=True))
    place.exchange(device, 10, REPORT)
    place.now_us += 10_000_000
    first = place.hear(device.send(place.now_us, 10, REPORT, confirmed=True))
    assert first.answer is not None  # with the second message, and is lost on the air
    place.now_us += 10_000_000
    again = place.hear(device.repeat(place.now_us))
    assert isinstance(again.outcome, Rejected)
    assert again.outcome.reason is Reason.DUPLICATE
    assert again.answer is not None
    heard = place.deliver(again.answer, device)
    assert isinstance(heard, Received)
    assert heard.ack


def test_a_frame_heard_twice_is_acknowledged_once_and_a_recording_not_for_ever() -> None:
    place, device = joined(LoRaWANVersion.V1_0_4)
    place.now_us += 10_000_000
    sent = device.send(place.now_us, 10, REPORT, confirmed=True)
    assert place.hear(sent).answer is not None
    assert place.hear(replace(sent, end_us=sent.end_us + 50)).answer is None
    answers = [
        place.hear(replace(sent, end_us=sent.end_us + number * 20_000_000)).answer for number in range(1, 30)
    ]
    assert sum(answer is not None for answer in answers) < 8


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_a_queued_downlink_goes_with_the_next_answer(version: LoRaWANVersion) -> None:
    place, device = joined(version)
    place.server.enqueue(queued(device, 1))
    place.server.enqueue(queued(device, 2))
    for number in (1, 2):
        place.changes.clear()
        decision, heard = place.exchange(device, 10, REPORT)
        assert isinstance(heard, Received)
        assert (heard.f_port, heard.payload, heard.confirmed) == (20, MESSAGE, False)
        assert decision.answer is not None
        assert decision.answer.downlink == number
        assert states(place.changes) == [DownlinkState.WAITING, DownlinkState.SENT]
    assert place.exchange(device, 10, REPORT)[1] is None


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_a_confirmed_downlink_waits_for_its_acknowledgement(version: LoRaWANVersion) -> None:
    place, device = joined(version)
    place.server.enqueue(queued(device, confirmed=True))
    decision, heard = place.exchange(device, 10, REPORT)
    assert isinstance(heard, Received)
    assert heard.confirmed
    assert any(isinstance(change, ConfirmedSent) for change in decision.changes)
    decision, heard = place.exchange(device, 10, REPORT)
    assert states(decision.changes) == [DownlinkState.ACKNOWLEDGED]
    assert heard is None


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_a_confirmed_downlink_that_is_not_heard_is_tried_and_given_up(version: LoRaWANVersion) -> None:
    place, device = joined(version)
    place.server.enqueue(queued(device, confirmed=True))
    counters = []
    for _ in range(MAX_TRIES):
        place.now_us += 10_000_000
        answer = place.hear(device.send(place.now_us, 10, REPORT)).answer
        assert answer is not None
        counters.append(answer.f_cnt_down)
        place.changes += place.server.transmitted(Transmitted(answer, TxResult.SENT, answer.windows[0]))
    assert len(set(counters)) == MAX_TRIES
    decision, _ = place.exchange(device, 10, REPORT)
    assert states(decision.changes) == [DownlinkState.FAILED]


def test_a_device_that_rejoined_gets_what_it_had_not_acknowledged() -> None:
    place, device = joined(LoRaWANVersion.V1_0_4)
    place.server.enqueue(queued(device, confirmed=True))
    place.now_us += 10_000_000
    assert place.hear(device.send(place.now_us, 10, REPORT)).answer is not None
    place.join(device)
    _, heard = place.exchange(device, 10, REPORT)
    assert isinstance(heard, Received)
    assert heard.payload == MESSAGE


@pytest.mark.parametrize("result", [result for result in TxResult if result is not TxResult.SENT], ids=str)
def test_what_was_not_sent_goes_with_the_next_answer(result: TxResult) -> None:
    place, device = joined(LoRaWANVersion.V1_1)
    place.server.enqueue(queued(device, confirmed=True))
    for _ in range(2 * MAX_TRIES):
        place.now_us += 10_000_000
        decision = place.hear(device.send(place.now_us, 10, REPORT))
        assert decision.answer is not None
        place.changes += place.server.transmitted(Transmitted(decision.answer, result, None))
    _, heard = place.exchange(device, 10, REPORT)
    assert isinstance(heard, Received)
    assert heard.payload == MESSAGE


def test_a_cleared_queue_is_silent() -> None:
    place, device = joined(LoRaWANVersion.V1_0_4)
    place.server.enqueue(queued(device))
    place.server.cancel(device.dev_eui)
    assert place.exchange(device, 10, REPORT)[1] is None


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_counters_are_reserved_before_they_are_used(version: LoRaWANVersion) -> None:
    place, device = joined(version)
    bound = {"n": 0, "a": 0}
    for change in place.changes:
        if isinstance(change, CountersReserved):
            bound = {"n": change.n_f_cnt_down, "a": change.a_f_cnt_down}
    for number in range(3 * RESERVED_AHEAD):
        if number % 3 == 0:
            place.server.enqueue(queued(device, number + 1))
        decision, heard = place.exchange(device, 10, REPORT, confirmed=True)
        for change in decision.changes:
            if isinstance(change, CountersReserved):
                assert change.n_f_cnt_down >= bound["n"]
                assert change.a_f_cnt_down >= bound["a"]
                bound = {"n": change.n_f_cnt_down, "a": change.a_f_cnt_down}
        assert decision.answer is not None
        assert decision.answer.f_cnt_down is not None
        is_application = decision.answer.downlink is not None and version is LoRaWANVersion.V1_1
        assert decision.answer.f_cnt_down < bound["a" if is_application else "n"]
        assert isinstance(heard, Received)


def test_a_restart_skips_what_was_reserved() -> None:
    session = replace(new_session(Random(1)), f_cnt_up=None)
    place = Site([Device(session.dev_eui, session=NetworkSession(session, n_f_cnt_down=64))], policy=QUIET)
    device = ClassADevice(session, EU868, Random(1), version=LoRaWANVersion.V1_0_3)
    decision, heard = place.exchange(device, 10, REPORT, confirmed=True)
    assert decision.answer is not None
    assert decision.answer.f_cnt_down == 64
    assert isinstance(heard, Received)


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_time_and_link_are_told(version: LoRaWANVersion) -> None:
    place, device = joined(version)
    device.ask_link_check()
    device.ask_time()
    decision, heard = place.exchange(device, 10, REPORT, snr_db=2.0)
    assert isinstance(heard, Received)
    kinds = {type(command) for command in heard.commands}
    assert {DeviceTimeAns, LinkCheckAns} <= kinds
    end_us = decision.outcome.frame.monotonic_ns // 1000
    told_ms = device.utc_ms(end_us)
    assert told_ms is not None
    assert abs(told_ms - (T0_MS + end_us // 1000)) <= 4


def test_the_time_is_not_told_while_it_is_not_known() -> None:
    place, device = joined(LoRaWANVersion.V1_0_4)
    device.ask_time()
    place.now_us += 10_000_000
    decision = place.hear(device.send(place.now_us, 10, REPORT), in_step=False)
    assert decision.answer is None
    assert any("DeviceTimeReq" in note for note in decision.notes)


def test_a_radio_without_counter_is_not_answered_through() -> None:
    place, device = joined(LoRaWANVersion.V1_0_4)
    place.now_us += 10_000_000
    sent = device.send(place.now_us, 10, REPORT, confirmed=True)
    frame = replace(rx_frame(sent), counter_us=None)
    decision = place.server.receive(frame, moment(place.now_us))
    assert isinstance(decision.outcome, Admitted)
    assert decision.answer is None


def test_a_listening_gateway_takes_uplinks_and_never_answers() -> None:
    session = new_session(Random(4))
    policy = Policy(downlinks=False)
    place = Site([Device(session.dev_eui, session=NetworkSession(session))], policy=policy)
    device = ClassADevice(session, EU868, Random(1), version=LoRaWANVersion.V1_0_3)
    decision, _ = place.exchange(device, 10, REPORT, confirmed=True)
    assert isinstance(decision.outcome, Admitted)
    assert decision.answer is None


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_missing_intervals_are_asked_for(version: LoRaWANVersion) -> None:
    place, device = joined(version)
    now_ms = T0_MS + place.now_us // 1000
    gap = Gap(device.dev_eui, 1, now_ms - 3_600_000, now_ms - 1_800_000, 900)
    place.server.gaps_are({device.dev_eui: [gap]})
    place.changes.clear()
    _, heard = place.exchange(device, 10, REPORT)
    assert isinstance(heard, Received)
    assert heard.f_port is not None
    question = decode_downlink(heard.f_port, heard.payload)
    assert isinstance(question, RequestHistory)
    assert question.channel == 1
    assert question.from_s * 1000 == pytest.approx(gap.from_ms + 450_000, abs=1000)
    assert question.to_s * 1000 == pytest.approx(gap.to_ms + 450_000, abs=1000)
    assert heard.confirmed
    assert not [c for c in place.changes if isinstance(c, HistoryAsked)], "it has not said that it heard"
    assert place.exchange(device, 10, REPORT)[1] is None  # not again at once
    asked = [c for c in place.changes if isinstance(c, HistoryAsked)]
    assert asked == [HistoryAsked(device.dev_eui, 1, gap.to_ms)]
    place.server.gaps_are({device.dev_eui: []})
    for _ in range(20):
        assert place.exchange(device, 10, REPORT)[1] is None


def test_a_question_that_was_not_sent_does_not_count() -> None:
    place, device = joined(LoRaWANVersion.V1_0_4)
    now_ms = T0_MS + place.now_us // 1000
    gap = Gap(device.dev_eui, 0, now_ms - 3_600_000, now_ms - 1_800_000, 900)
    place.server.gaps_are({device.dev_eui: [gap]})
    for _ in range(3):
        place.now_us += 10_000_000
        answer = place.hear(device.send(place.now_us, 10, REPORT)).answer
        assert answer is not None
        assert place.server.transmitted(Transmitted(answer, TxResult.DUTY_CYCLE, None)) == ()


def test_a_removed_device_is_forgotten() -> None:
    place, device = joined(LoRaWANVersion.V1_0_4)
    place.now_us += 10_000_000
    answer = place.hear(device.send(place.now_us, 10, REPORT, confirmed=True)).answer
    assert answer is not None
    place.server.remove(device.dev_eui)
    assert place.server.transmitted(Transmitted(answer, TxResult.SENT, answer.windows[0])) == ()
    assert len(place.server) == 0
    decision, _ = place.exchange(device, 10, REPORT)
    assert isinstance(decision.outcome, Rejected)


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS)
@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_every_region_serves_a_whole_life(region, version: LoRaWANVersion) -> None:  # type: ignore[no-untyped-def]
    registration = new_registration(Random(2), version)
    place = Site([Device(registration.dev_eui, registration)], region=region)
    device = ClassADevice(registration, region, Random(2))
    decision, heard = place.join(device)
    assert isinstance(decision.outcome, Joined)
    assert not isinstance(heard, Ignored)
    device.ask_time()
    for number in range(40):
        decision, heard = place.exchange(device, 10, REPORT, confirmed=number % 3 == 0)
        assert isinstance(decision.outcome, Admitted), decision.outcome
        assert not isinstance(heard, Ignored), heard
    assert device.utc_ms(place.now_us) is not None
    assert place.exchange(device, 10, REPORT)[1] is None  # all is agreed


def test_a_device_with_no_counter_left_hears_nothing_more() -> None:
    session = new_session(Random(1))
    kept = NetworkSession(session, n_f_cnt_down=1 << 32)
    place = Site([Device(session.dev_eui, session=kept)], policy=QUIET)
    device = ClassADevice(session, EU868, Random(1), version=LoRaWANVersion.V1_0_3)
    decision, _ = place.exchange(device, 10, REPORT, confirmed=True)
    assert isinstance(decision.outcome, Admitted)
    assert decision.answer is None
    assert decision.unsent is not None
    assert decision.unsent.result is TxResult.NO_COUNTER
    assert decision.unsent.answer.what.startswith("acknowledgement")
    assert place.server.transmitted(decision.unsent) == ()
    place.server.enqueue(queued(device))
    decision, _ = place.exchange(device, 10, REPORT)
    assert decision.answer is None
    assert decision.unsent is not None
    assert states(decision.changes) == [DownlinkState.FAILED]


@pytest.mark.parametrize("version", VERSIONS, ids=str)
@pytest.mark.parametrize("name", ["US915", "AU915"])
def test_devices_keep_to_the_block_that_the_gateway_hears(name: str, version: LoRaWANVersion) -> None:
    region = REGIONS[name]
    registration = new_registration(Random(6), version)
    personalised = new_session(Random(7))
    place = Site(
        [
            Device(registration.dev_eui, registration),
            Device(personalised.dev_eui, session=NetworkSession(personalised)),
        ],
        region=region,
        policy=Policy(channel_block=2),
    )
    joins = ClassADevice(registration, region, Random(2))
    place.join(joins)
    own = ClassADevice(personalised, region, Random(3), version=LoRaWANVersion.V1_0_3)
    for device in (joins, own):
        for _ in range(30):
            place.exchange(device, 10, REPORT, confirmed=True)
        block = {region.default_channels[index].frequency_hz for index in (*range(8, 16), 65)}
        frequencies = {place.exchange(device, 10, REPORT)[0].outcome.frame.frequency_hz for _ in range(30)}
        assert frequencies <= block


@pytest.mark.parametrize("is_queued", [True, False], ids=["a queued downlink", "a question"])
def test_what_was_under_way_when_the_device_joined_anew_goes_again(is_queued: bool) -> None:
    """Its answer ended only after the first uplink of the new session."""
    place, device = joined(LoRaWANVersion.V1_0_4)
    now_ms = T0_MS + place.now_us // 1000
    if is_queued:
        place.server.enqueue(queued(device))
    else:
        gap = Gap(device.dev_eui, 0, now_ms - 3_600_000, now_ms - 1_800_000, 900)
        place.server.gaps_are({device.dev_eui: [gap]})
    place.now_us += 10_000_000
    late = place.hear(device.send(place.now_us, 10, REPORT)).answer
    assert late is not None
    place.join(device)
    place.exchange(device, 10, REPORT)
    place.server.transmitted(Transmitted(late, TxResult.TOO_LATE, None))
    answers = [place.exchange(device, 10, REPORT)[0].answer for _ in range(3)]
    assert [answer.what for answer in answers if answer is not None] == [late.what]


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_nothing_is_used_up_for_a_device_that_does_not_listen_any_more(version: LoRaWANVersion) -> None:
    place, device = joined(version)
    place.server.enqueue(queued(device, confirmed=True))
    for _ in range(40):  # held back by the packet forwarder, and all come at once
        place.now_us += 10_000_000
        frame = rx_frame(device.send(place.now_us, 10, REPORT, confirmed=True))
        decision = place.server.receive(frame, moment(place.now_us + 600_000_000))
        assert isinstance(decision.outcome, Admitted)
        assert (decision.changes, decision.answer) == ((), None)
        assert decision.unsent is not None
        assert decision.unsent.result is TxResult.TOO_LATE
        assert place.server.transmitted(decision.unsent) == ()
    _, heard = place.exchange(device, 10, REPORT)
    assert isinstance(heard, Received)
    assert heard.payload == MESSAGE
