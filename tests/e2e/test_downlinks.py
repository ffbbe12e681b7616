"""Answers of a real agent before a packet forwarder that refuses them, and what an operator sees of it."""

import json
from random import Random

import pytest

from edge_agent.devices import open_store
from edge_agent.devices_file import write_devices
from edge_agent.lorawan.fcnt import MAX_F_CNT
from edge_agent.lorawan.regions import REGIONS
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.changes import CountersReserved
from edge_agent.settings import load
from edge_agent.simulate.class_a import ClassADevice, Joined, Received
from edge_codecs.clipr import Configure, Reboot, decode_downlink, encode_downlink
from tests.rig.agent import EDGE_AGENT, Agent
from tests.rig.air import SILENCE, TAKES, Air, first, join_of, uplink_of
from tests.rig.lorawan_frames import REPORT, new_session
from tests.rig.process import Process, wait_until
from tests.rig.site import new_registration

EU868 = REGIONS["EU868"]
REFUSALS = {
    "TOO_LATE": "too_late",
    "TOO_EARLY": "too_early",
    "COLLISION_PACKET": "collision",
    "TX_FREQ": "tx_freq",
    "NO_MOOD": "refused",
    SILENCE: "no_tx_ack",
}
ANSWER_S = 10.0  # at most; it takes some milliseconds
QUIET_S = 0.7

pytestmark = pytest.mark.slow


class Gateway:
    """An agent, its air, and a device."""

    def __init__(self, folder, *, joins=True, **network):
        roll = Random(5)
        version = LoRaWANVersion.V1_0_4
        identity = new_registration(roll, version) if joins else new_session(roll)
        self.dev_eui = str(identity.dev_eui)
        self.device = ClassADevice(identity, EU868, roll, version=version)
        self.agent = Agent(folder / "gateway", "00800000a0000011")
        network = {"rx2_data_rate": "5"} | network  # SF7: at SF12 the time line would soon be full
        self.agent.environment |= {f"EDGE_AGENT__NETWORK__{key.upper()}": v for key, v in network.items()}
        write_devices(folder / "devices.json", [identity])
        self.agent.command("device", "import", folder / "devices.json")
        self.air = Air(self.agent.port)
        self.tail = Process(
            [EDGE_AGENT, "tail", "--config", self.agent.configuration],
            folder / "tail.log",
            self.agent.environment,
        )
        self.told = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tail.kill()
        self.air.close()
        self.agent.close()

    def start(self):
        self.agent.start()
        return self

    def watch(self):
        """`edge-agent tail` has begun when it shows a frame."""
        self.tail.start()

        def shows_a_frame():
            self.say()
            return self.tail.said()

        wait_until(shows_a_frame, "tail to show a frame", step_s=0.2)

    def join(self, *, words=1):
        return self._said(join_of(self.device, self.air.next_us), words)

    def say(self, *, words=1):
        """An uplink; what the device hears once the forwarder was asked so many times."""
        return self._said(uplink_of(self.device, self.air.next_us, 10, REPORT, confirmed=True), words)

    def _said(self, talk, words):
        self.air.say(talk)
        for _ in range(words):
            self.air.listen(ANSWER_S)
        return first(self.air.on_air, talk)

    def tell(self):
        """Something new for the device, waiting at the running agent."""
        self.told += 1
        f_port, payload = encode_downlink(Configure(600 + self.told, 10, None, None))
        self.agent.call(
            "downlink.add", dev_eui=self.dev_eui, f_port=f_port, payload=payload.hex(), confirmed=True
        )
        return payload

    def queue(self):
        return self.agent.call("downlink.list", dev_eui=self.dev_eui)

    def downlinks(self):
        return json.loads(self.agent.command("status", "--json"))["downlinks"]

    def count(self, result):
        return self.agent.status()["downlinks"]["results"].get(result, 0)

    def configure(self, interval_s):
        intervals = ("--report-interval-s", str(interval_s), "--sampling-interval-s", "10")
        limits = ("--upper-limit", "57.5", "--lower-limit", "off")
        return self.agent.command("device", "configure", self.dev_eui, *intervals, *limits)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("downlinks")) as gateway:
        gateway.start()
        assert isinstance(gateway.join(), Joined)
        gateway.watch()
        yield gateway


@pytest.mark.parametrize(("word", "result"), REFUSALS.items())
def test_what_is_refused_in_rx1_goes_out_in_rx2(gateway, word, result):
    refused = gateway.agent.status()["downlinks"]["refusals"].get(f"RX1 {result}", 0)
    payload = gateway.tell()
    gateway.air.replies.extend((word, TAKES))
    heard = gateway.say(words=2)
    assert isinstance(heard, Received)
    assert (heard.payload, heard.ack, heard.window) == (payload, True, "RX2")
    wait_until(
        lambda: gateway.agent.status()["downlinks"]["refusals"].get(f"RX1 {result}") == refused + 1,
        "the refusal to be counted",
    )
    wait_until(lambda: "in RX2" in gateway.tail.said().splitlines()[-1], "tail to show it")
    gateway.say()
    assert gateway.queue()[-1]["state"] == "acknowledged"


@pytest.mark.parametrize(("word", "result"), REFUSALS.items())
def test_what_is_refused_twice_has_a_name_and_goes_with_the_next_answer(gateway, word, result):
    before = gateway.count(result)
    payload = gateway.tell()
    gateway.air.replies.extend((word, word))
    assert gateway.say(words=2) is None
    wait_until(lambda: gateway.count(result) == before + 1, f"the result {result}")
    failure = gateway.downlinks()["last_failure"]
    assert (failure["result"], failure["dev_eui"]) == (result, gateway.dev_eui)
    assert failure["detail"].count(result) == 2
    if word != SILENCE:
        assert failure["detail"].count(word) == 2
    line = f"{result} ({failure['detail']})"
    wait_until(lambda: line in gateway.tail.said(), "tail to name it")
    entry = gateway.queue()[-1]
    assert (entry["state"], entry["detail"]) == ("waiting", result)
    heard = gateway.say()
    assert isinstance(heard, Received)
    assert heard.payload == payload
    gateway.say()
    assert gateway.queue()[-1]["state"] == "acknowledged"


def test_a_forwarder_that_never_asks_for_downlinks_is_named(tmp_path):
    with Gateway(tmp_path) as gateway:
        gateway.air.is_pulling = False
        gateway.start()
        assert gateway.join(words=0) is None
        wait_until(lambda: gateway.count("no_route") == 1, "the result no_route")
        assert gateway.downlinks()["last_failure"]["what"] == "join accept"
        assert "PULL_DATA" in gateway.agent.command("status")
        gateway.air.is_pulling = True
        assert isinstance(gateway.join(), Joined)


def test_the_last_counters_before_the_wrap_are_used_and_then_it_says_so(tmp_path):
    with Gateway(tmp_path, joins=False) as gateway:
        store = open_store(load(gateway.agent.configuration))
        store.apply([CountersReserved(gateway.device.dev_eui, 0, MAX_F_CNT - 1, 0)])
        store.close()
        gateway.device.session._n_f_cnt_down = MAX_F_CNT - 2  # as one that has heard all of them
        gateway.start()
        heard = [gateway.say(), gateway.say()]
        assert [one.f_cnt for one in heard] == [MAX_F_CNT - 1, MAX_F_CNT]
        gateway.tell()
        gateway.say(words=0)
        wait_until(lambda: gateway.count("no_counter") == 1, "the result no_counter")
        assert gateway.downlinks()["last_failure"]["dev_eui"] == gateway.dev_eui
        entry = gateway.queue()[-1]
        assert entry["state"] == "failed"
        assert "counter" in entry["detail"]
        assert len(gateway.air.on_air) == 2


def test_a_sensor_is_configured_by_the_command_line_and_says_so(tmp_path):
    with Gateway(tmp_path) as gateway:
        gateway.start()
        gateway.join()
        assert "Queued" in gateway.configure(900)
        heard = gateway.say()
        assert heard.confirmed
        assert decode_downlink(heard.f_port, heard.payload) == Configure(900, 10, 5750, None)
        assert "not acknowledged it yet" in gateway.agent.command("device", "queue", gateway.dev_eui)
        gateway.say()
        assert "acknowledged by the sensor" in gateway.agent.command("device", "queue", gateway.dev_eui)
        gateway.agent.command("device", "reboot", gateway.dev_eui)
        heard = [gateway.say() for _ in range(3)]
        payloads = [decode_downlink(one.f_port, one.payload) for one in heard if one.f_port]
        assert payloads == [Reboot()]


def test_a_second_start_goes_on_with_what_waits(tmp_path):
    with Gateway(tmp_path) as gateway:
        gateway.start()
        gateway.join()
        heard, unheard = gateway.tell(), gateway.tell()
        assert gateway.say().payload == heard
        assert gateway.agent.stop() == 0
        gateway.configure(1200)  # nobody runs: it goes into the store
        gateway.start()
        assert gateway.say().payload == unheard
        assert gateway.queue()[0]["state"] == "acknowledged"
        assert decode_downlink(20, gateway.say().payload).report_interval_s == 1200
        gateway.say()
        assert [entry["state"] for entry in gateway.queue()] == ["acknowledged"] * 3


def test_what_was_being_sent_when_the_power_went_goes_again(tmp_path):
    with Gateway(tmp_path) as gateway:
        gateway.start()
        gateway.join()
        gateway.agent.command("device", "reboot", gateway.dev_eui)

        def power_cut(_):
            gateway.agent.kill()
            return True  # nobody is left to hear a TX_ACK

        gateway.air.before_tx_ack = power_cut
        cut_off = gateway.say()
        gateway.air.before_tx_ack = lambda _: False
        gateway.start()
        heard = [gateway.say() for _ in range(2)]
        payloads = [one.payload for one in (cut_off, *heard)]
        assert payloads == [encode_downlink(Reboot())[1]] * 2 + [b""]
        assert len({one.f_cnt for one in (cut_off, *heard)}) == 3


def test_a_gateway_that_only_listens_is_silent(tmp_path):
    with Gateway(tmp_path, joins=False, downlinks="false") as gateway:
        gateway.start()
        gateway.say(words=0)
        other = ClassADevice(new_registration(Random(6)), EU868, Random(6))
        gateway.air.say(join_of(other, gateway.air.next_us))
        with pytest.raises(AssertionError, match="only listens"):
            gateway.configure(900)
        wait_until(lambda: gateway.agent.status()["uplinks_taken"] == 1, "the uplink")
        gateway.air.listen(QUIET_S)
        assert gateway.air.words == {}
        assert gateway.agent.status()["downlinks"] is None
