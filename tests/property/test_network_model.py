"""Counters, nonces and sessions against devices of the specification, with the power cut after any step.

Whatever is sent, lost, recorded, played back and cut off in whichever order:

* no frame counter, DevNonce or JoinNonce is on air twice;
* no frame that was taken once is taken again, of this life or a former one;
* a device that hears an answer can use it, and none is ever locked out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.regions import REGIONS
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.answer import Answer, Transmitted, TxResult
from edge_agent.network.decision import Decision
from edge_agent.network.outcome import Admitted, Joined
from edge_agent.network.policy import Policy
from edge_agent.simulate.class_a import ClassADevice, Ignored, Sent
from edge_agent.simulate.class_a import Joined as DeviceJoined
from edge_codecs.identifiers import DevEUI
from tests.rig.crashing import CrashingGateway, PowerCut, Step
from tests.rig.lorawan_frames import REPORT, new_session
from tests.rig.site import LAP_US, moment, new_registration, rx_frame

STEPS = 1_000_000 if os.environ.get("CAMPAIGN") == "full" else 100_000
SHARES = 4  # of the steps, so that several processes can walk them
LONGEST = 200  # steps of one walk
REMEMBERED = 50  # recordings of an attacker
EU868 = REGIONS["EU868"]
NUMBERS = st.integers(0, 3)
SAYINGS = st.sampled_from(
    ["uplink"] * 5 + ["confirmed"] * 3 + ["ask"] * 2 + ["repeat", "join"] + ["rejoin"] * 2
)
CUTS = st.sampled_from([None] * 8 + list(Step))
LOST = st.sampled_from([False, False, True])
WINDOWS = st.integers(0, 1)


@dataclass
class Recording:
    """A frame that was on air, and whether the gateway has taken it."""

    sent: Sent
    taken: bool = False


class NetworkModel(RuleBasedStateMachine):
    """Four devices: 1.0.3, 1.0.4 and 1.1 over the air, 1.0.3 by personalisation."""

    steps = 0  # of all walks

    @initialize(seed=st.integers(0, 1 << 16))
    def start(self, seed: int) -> None:
        roll = Random(seed)
        versions = (LoRaWANVersion.V1_0_3, LoRaWANVersion.V1_0_4, LoRaWANVersion.V1_1)
        identities: list[Registration] = [new_registration(roll, version) for version in versions]
        personalised = replace(new_session(roll), app_s_key=AES128Key(roll.randbytes(16)))
        self.gateway = CrashingGateway(EU868, Policy(status_every_h=1), [*identities, personalised])
        self.devices = [ClassADevice(identity, EU868, roll) for identity in identities]
        self.devices.append(ClassADevice(personalised, EU868, roll, version=versions[0]))
        self.now_us = 1_000_000
        self.recordings: list[Recording] = []
        self.counters: set[tuple[DevEUI, int, bool, int]] = set()
        self.join_nonces: set[tuple[DevEUI, int]] = set()

    def teardown(self) -> None:
        if not hasattr(self, "gateway"):
            return
        try:
            for device in self.devices:
                self.gateway.cut_after = None
                self._is_served(device)
        finally:
            self.gateway.close()

    # What devices do

    @rule(
        number=NUMBERS,
        says=SAYINGS,
        rejoin_type=st.integers(0, 2),
        cut=CUTS,
        lost_up=LOST,
        lost_down=LOST,
        window=WINDOWS,
    )
    def say(
        self,
        number: int,
        says: str,
        rejoin_type: int,
        cut: Step | None,
        lost_up: bool,
        lost_down: bool,
        window: int,
    ) -> None:
        """One frame of a device, and the answer to it."""
        device = self.devices[number]
        self._pass_time()
        if not device.joined or (says == "join" and device.joiner is not None):
            sent = device.join_request(self.now_us)
        elif says == "rejoin" and device.version is LoRaWANVersion.V1_1:
            sent = device.rejoin_request(self.now_us, rejoin_type)
        elif says == "repeat":
            try:
                sent = device.repeat(self.now_us)
            except ValueError:
                return  # there is nothing to repeat
        else:
            if says == "ask":
                device.ask_link_check()
            sent = device.send(self.now_us, 10, REPORT[: device.room()], confirmed=says == "confirmed")
        self._say(device, sent, cut, lost_up, lost_down, window)

    # What others do

    @rule(number=NUMBERS, confirmed=st.booleans())
    def queue(self, number: int, confirmed: bool) -> None:
        """The operator has something for a device."""
        dev_eui = self.devices[number].dev_eui
        if len(self.gateway.store.downlinks(dev_eui)) < 10:
            self.gateway.queue(dev_eui, 20, bytes(9), confirmed=confirmed)

    @precondition(lambda self: getattr(self, "recordings", ()))
    @rule(pick=st.floats(0, 1, exclude_max=True), cut=CUTS)
    def play_back(self, pick: float, cut: Step | None) -> None:
        """An attacker sends again what was on air, from another place, at another time."""
        recording = self.recordings[int(pick * len(self.recordings))]
        self._pass_time()
        sent = replace(recording.sent, end_us=self.now_us)
        was_taken = recording.taken
        decision = self._through(sent, recording, cut)
        if decision is not None:
            assert not (was_taken and isinstance(decision.outcome, Admitted | Joined)), "taken twice"
            if decision.answer is not None:
                self._goes_on_air(decision.answer)

    # How it goes on

    def _pass_time(self) -> None:
        NetworkModel.steps += 1
        self.now_us += 10_000_000

    def _say(
        self,
        device: ClassADevice,
        sent: Sent,
        cut: Step | None,
        lost_up: bool,
        lost_down: bool,
        window: int,
    ) -> None:
        recording = Recording(sent)
        self.recordings = [*self.recordings[1 - REMEMBERED :], recording]
        if lost_up:
            return
        decision = self._through(sent, recording, cut)
        if decision is None or decision.answer is None:
            return
        answer, chosen = decision.answer, decision.answer.windows[window]
        result = TxResult.COLLISION if lost_down and window else TxResult.SENT
        try:
            if result is TxResult.SENT:
                self._goes_on_air(answer)
                if not lost_down:
                    assert answer.uplink.counter_us is not None
                    at_us = (answer.uplink.counter_us + chosen.delay_us) % LAP_US
                    heard = device.receive(answer.phy_payload, at_us, chosen.frequency_hz, chosen.data_rate)
                    assert not isinstance(heard, Ignored), heard
                self.gateway.on_air()
            self.gateway.transmitted(Transmitted(answer, result, chosen if result is TxResult.SENT else None))
        except PowerCut:
            pass

    def _through(self, sent: Sent, recording: Recording, cut: Step | None) -> Decision | None:
        """The frame comes to the gateway; None where the power goes before an answer does."""
        self.gateway.cut_after = cut
        try:
            decision = self.gateway.receive(rx_frame(sent), moment(sent.end_us + 20_000))
        except PowerCut:
            if cut is Step.COMMITTED:
                recording.taken |= isinstance(self.gateway.committed, Admitted | Joined)
            return None
        recording.taken |= isinstance(decision.outcome, Admitted | Joined)
        return decision

    def _goes_on_air(self, answer: Answer) -> None:
        if answer.f_cnt_down is None:
            join_nonce = (answer.dev_eui, answer.session)
            assert join_nonce not in self.join_nonces, "a JoinNonce twice"
            self.join_nonces.add(join_nonce)
            return
        is_1_1 = answer.dev_eui == self.devices[2].dev_eui
        counts_apart = is_1_1 and "FPort" in answer.what
        counter = (answer.dev_eui, answer.session, counts_apart, answer.f_cnt_down)
        assert counter not in self.counters, "a downlink counter twice"
        self.counters.add(counter)

    def _is_served(self, device: ClassADevice) -> None:
        """With the air clear and the power on, the device is heard in its session, and can join."""
        if device.joined:
            self._is_heard(device)
        if device.joiner is not None:
            self._pass_time()
            decision = self._through(*self._new(device.join_request(self.now_us)), None)
            assert decision is not None
            assert isinstance(decision.outcome, Joined), decision.outcome
            assert isinstance(self._hears(device, decision.answer), DeviceJoined)
            self._is_heard(device)

    def _is_heard(self, device: ClassADevice) -> None:
        self._pass_time()
        sent = device.send(self.now_us, 10, REPORT, confirmed=True)
        decision = self._through(*self._new(sent), None)
        assert decision is not None
        assert isinstance(decision.outcome, Admitted), decision.outcome
        heard = self._hears(device, decision.answer)
        assert not isinstance(heard, Ignored), heard

    def _new(self, sent: Sent) -> tuple[Sent, Recording]:
        return sent, Recording(sent)

    def _hears(self, device: ClassADevice, answer: Answer | None) -> object:
        assert answer is not None
        assert answer.uplink.counter_us is not None
        self._goes_on_air(answer)
        chosen = answer.windows[0]
        at_us = (answer.uplink.counter_us + chosen.delay_us) % LAP_US
        return device.receive(answer.phy_payload, at_us, chosen.frequency_hz, chosen.data_rate)


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("share", range(SHARES))
def test_nothing_is_used_twice_and_nobody_is_locked_out(share: int) -> None:
    wanted = NetworkModel.steps + STEPS // SHARES
    walks = settings(
        max_examples=100,
        stateful_step_count=LONGEST,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    while NetworkModel.steps < wanted:
        run_state_machine_as_test(NetworkModel, settings=walks)
