"""kill -9 of a real agent between any two steps of joins, rejoins, confirmed uplinks and downlinks.

Its devices are of the specification's side, its packet forwarder takes downlinks as the reference does. What
was on air is judged against what was on disk when the agent died, round by round and over all rounds.
"""

import os
import random
import threading
import time
from collections import Counter

import pytest

from edge_agent.devices_file import write_devices
from edge_agent.errors import AgentError
from edge_agent.lorawan.regions import REGIONS
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.simulate.class_a import ClassADevice, Joined, Received
from edge_agent.store.key_provider import load_store_key
from edge_agent.store.reader import Reader
from edge_codecs.clipr import Configure, encode_downlink
from tests.rig.agent import Agent
from tests.rig.air import Air, first, join_of, rejoin_of, repetition_of, uplink_of
from tests.rig.air_judge import AirJudge, disk_of, is_on_disk, twice
from tests.rig.lorawan_frames import REPORT, new_session
from tests.rig.site import new_registration

IS_FULL = os.environ.get("CAMPAIGN") == "full"
SHARES, ROUNDS = (4, 250) if IS_FULL else (1, 25)  # each share has an agent of its own
VERSIONS = (LoRaWANVersion.V1_0_3, LoRaWANVersion.V1_0_4, LoRaWANVersion.V1_1)
EU868 = REGIONS["EU868"]
MOMENTS = ("at random", "at random", "aimed", "aimed", "before its TX_ACK", "after its TX_ACK")
STEPS = ("not on disk", "on disk, not on air", "on air, no TX_ACK", "on air, TX_ACK given")
ANSWER_S = 0.5  # it takes some milliseconds, if there is one
PATIENCE_S = 5.0  # where there must be one


class Campaign:
    """One agent, its devices, and what the operator tells them."""

    def __init__(self, folder, rng):
        self.rng = rng
        self.key_file, self.store = folder / "gateway" / "store.key", folder / "gateway" / "store.db"
        identities = [new_registration(rng, version) for version in VERSIONS]
        identities.append(new_session(rng))
        write_devices(folder / "devices.json", identities)
        self.devices = [ClassADevice(identity, EU868, rng) for identity in identities[:-1]]
        self.devices.append(ClassADevice(identities[-1], EU868, rng, version=VERSIONS[0]))
        self.agent = Agent(folder / "gateway", "00800000a0000010")
        self.agent.command("device", "import", folder / "devices.json")
        self.air = Air(self.agent.port)
        self.judge = AirJudge()
        self.judged = 0
        self.talks = []
        self.unheard = {}  # by device: its last uplink if it was confirmed and the answer cut off
        self.told = {}  # what the operator was told is queued: number to its entry
        self.deaths = Counter()
        self.latencies_s = [0.003]
        self.agent.start()

    # One round

    def round(self):
        teller = threading.Thread(target=self._tell) if self.rng.random() < 0.3 else None
        if teller is not None:
            teller.start()
        for _ in range(self.rng.randrange(3)):
            talk = self._next_talk()
            self._say(talk)
            self.air.listen(0.05)
        talk = self._next_talk()
        before, said_us = len(self.air.on_air), self.air.now_us
        word_given = self._say_and_kill(talk)
        while self.air.listen(0):
            pass  # it handed these over before it died
        if teller is not None:
            teller.join()
        self._judge_death(talk, before, said_us, word_given=word_given)
        self._start_again(talk)

    def _next_talk(self):
        cut_off = [device for device in self.unheard if device.windows()]
        device = self.rng.choice(cut_off or self.devices)
        does, at_us = self.rng.random(), self.air.next_us
        if self.talks and does < 0.05:
            return self.rng.choice(self.talks)  # an attacker's recording
        if not device.joined or (device.joiner is not None and does < 0.3):
            talk = join_of(device, at_us)
        elif device.version is LoRaWANVersion.V1_1 and does < 0.55:
            talk = rejoin_of(device, at_us, self.rng.randrange(3))
        elif does < 0.8 and device in cut_off:
            talk = repetition_of(self.unheard[device], at_us)
        else:
            if does > 0.9:
                device.ask_link_check()
            talk = uplink_of(device, at_us, 10, REPORT, confirmed=does < 0.8)
        self.talks.append(talk)
        return talk

    def _say_and_kill(self, talk):
        """The uplink, and kill -9 at a moment; returns whether the forwarder has given its word by then."""
        moment, words = self.rng.choice(MOMENTS), sum(self.air.words.values())

        def die(_):
            self.latencies_s.append(time.monotonic() - said_s)
            if moment == "before its TX_ACK":
                self.agent.kill()
            return moment == "before its TX_ACK"

        self._say(talk)
        said_s = time.monotonic()
        self.air.before_tx_ack = die
        usual_s = sorted(self.latencies_s[-50:])[len(self.latencies_s[-50:]) // 2]
        if moment == "at random":
            self._listen_for(self.rng.uniform(0, 0.03))
        elif moment == "aimed":
            self._listen_for(self.rng.uniform(0.2, 1.2) * usual_s)
        else:
            self.air.listen(ANSWER_S)
            if self.agent.running:
                self._listen_for(self.rng.uniform(0, 0.006))
        word_given = self.agent.running and sum(self.air.words.values()) > words
        self.agent.kill()
        self.air.before_tx_ack = lambda _: True  # what is read now came from the dead
        return word_given

    def _say(self, talk):
        self.unheard.pop(talk.device, None)
        if talk.sent.end_us < self.air.now_us:
            self.air.push(talk, self.air.now_us)
        else:
            self.air.say(talk)

    def _listen_for(self, wait_s):
        until_s = time.monotonic() + wait_s
        while (left_s := until_s - time.monotonic()) > 0:
            self.air.listen(left_s)

    def _judge_death(self, talk, before, said_us, *, word_given):
        disk = disk_of(self.store, load_store_key(self.key_file).key)
        what = talk.what
        if talk.sent.end_us < said_us:
            what = "recording"
        was_on_air = any(one.talk is talk for one in self.air.on_air[before:])
        if was_on_air:
            step = "on air, TX_ACK given" if word_given else "on air, no TX_ACK"
        else:
            step = "on disk, not on air" if is_on_disk(disk, talk) else "not on disk"
        self.deaths[f"{what}: {step}"] += 1
        self.deaths[step] += 1
        if talk.what in ("confirmed", "repetition") and what == talk.what and not was_on_air:
            self.unheard[talk.device] = talk
        self._judge_air(disk)

    def _judge_air(self, disk=None):
        for one in self.air.on_air[self.judged :]:
            self.judge.take(one, disk)
        self.judged = len(self.air.on_air)

    def _start_again(self, talk):
        self.air.before_tx_ack = lambda _: False
        if self.rng.random() < 0.1:  # a power supply that bounces
            self.agent.launch()
            self._listen_for(self.rng.uniform(0.1, 0.9))
            self.agent.kill()
            self.deaths["at its start"] += 1
        self._let_the_hour_pass()
        self.agent.launch()
        while not self.agent.answers():
            assert self.agent.running, self.agent.log[-3000:]
            self.air.listen(0.02)
        self.air.listen(0.05)  # what it makes of what it had not done with
        heard = self.air.on_air[self.judged :]
        self.deaths["answered by the next start"] += any(one.talk is talk for one in heard)
        self._judge_air()
        self._look_at_queues()

    def _let_the_hour_pass(self):
        """The account of the law's hour lies where a reboot forgets it: this start begins a new one."""
        (self.key_file.parent / "duty-cycle.json").unlink(missing_ok=True)

    # The operator

    def _tell(self):
        """By the real command or at the control socket; the agent may die meanwhile."""
        device, number = self.rng.choice(self.devices), len(self.told) + 1
        dev_eui, interval_s = str(device.dev_eui), 100 + number
        try:
            if self.rng.random() < 0.3:
                limits = ("--upper-limit", "60", "--lower-limit", "off")
                intervals = ("--report-interval-s", str(interval_s), "--sampling-interval-s", "10")
                self.agent.command("device", "configure", dev_eui, *intervals, *limits)
            else:
                f_port, payload = encode_downlink(Configure(interval_s, 10, None, None))
                entry = self.agent.call(
                    "downlink.add", dev_eui=dev_eui, f_port=f_port, payload=payload.hex(), confirmed=True
                )
                self.told[entry["number"]] = entry
        except (AgentError, AssertionError, OSError):
            pass  # it died, and nobody was told that it is queued

    def _look_at_queues(self):
        for device in self.devices:
            for entry in self.agent.call("downlink.list", dev_eui=str(device.dev_eui)):
                self.told[entry["number"]] = entry

    # The end

    def end(self):
        """With the power on everybody goes on in the session that he has, joins anew, and hears all."""
        for device in self.devices:
            if device.joined:
                self._is_heard(device)
            if device.joiner is not None:
                self._until(lambda at_us, one=device: join_of(one, at_us), Joined)
                self._is_heard(device)
        for device in self.devices:
            for _ in range(40):
                self._is_heard(device)
                entries = self.agent.call("downlink.list", dev_eui=str(device.dev_eui))
                if all(entry["done"] for entry in entries):
                    break
        self._look_at_queues()
        self._judge_air()
        self.agent.stop()

    def _is_heard(self, device):
        self._until(lambda at_us: uplink_of(device, at_us, 10, REPORT, confirmed=True), Received)

    def _until(self, make, wanted):
        """A try or two may lose their place to another answer, or draw a DevNonce that was used before."""
        for _ in range(4):
            self.air.listen(0.2)
            talk = make(self.air.next_us)
            self.air.say(talk)
            self.air.listen(PATIENCE_S)
            if isinstance(first(self.air.on_air, talk), wanted):
                return
        raise AssertionError(f"locked out: {talk.what} of {talk.device.version}\n{self.agent.log[-3000:]}")

    def kept(self):
        with Reader.open(self.store, load_store_key(self.key_file).key) as reader:
            return [(one.dev_eui, one.session, one.f_cnt) for one in reader.uplinks()]


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.timeout(7200 if IS_FULL else 600)
@pytest.mark.parametrize("share", range(SHARES))
def test_no_step_is_lost_or_done_twice_wherever_it_is_killed(tmp_path, share):
    campaign = Campaign(tmp_path, random.Random(2027 + share))
    with campaign.agent:
        try:
            for _ in range(ROUNDS):
                campaign.round()
            campaign.end()
            report = campaign.agent.command("store", "check")
        finally:
            campaign.air.close()
            print(*_lines(campaign), sep="\n")
    kept, told = campaign.kept(), campaign.told.values()
    assert twice(kept) == set()
    assert campaign.judge.acknowledged <= set(kept)
    assert len(campaign.judge.acknowledged) > ROUNDS // 4
    assert {entry["state"] for entry in told} <= {"acknowledged"}
    for entry in told:
        received = {(str(dev_eui), payload.hex()) for dev_eui, payload in campaign.judge.received}
        assert (entry["dev_eui"], entry["payload"]) in received, entry
    assert "sound" in report
    assert not IS_FULL or all(campaign.deaths[step] for step in STEPS)


def _lines(campaign):
    judge, states = campaign.judge, Counter(entry["state"] for entry in campaign.told.values())
    yield f"joined {judge.joins}, downlinks taken {judge.data}, acknowledged {len(judge.acknowledged)}"
    yield f"on air {len(campaign.air.on_air)}, the forwarder's words {dict(campaign.air.words)}"
    yield f"the operator's messages {dict(states)}"
    yield from (f"{count:5} times {step}" for step, count in sorted(campaign.deaths.items()))
