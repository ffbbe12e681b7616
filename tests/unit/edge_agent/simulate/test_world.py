"""Sensors that join, against the network server, in virtual time."""

from collections import Counter
from dataclasses import replace

import pytest

from edge_agent.network.device import DownlinkState
from edge_agent.network.policy import Policy
from edge_agent.network.reason import Reason
from edge_agent.simulate.plan import Simulation
from edge_codecs.clipr import Configure, Event, EventKind, Flag, Reboot, Report, ResetCause, Status
from tests.rig.virtual_gateway import START_MS, VirtualGateway

PLAN = Simulation(activation="otaa", sensors=6, seed=4, interval_s=60)
POLICY = Policy(rx1_delay_s=1)


def missing(gateway):
    """Intervals between the first and the last known ones of their sensor and channel that nobody knows."""
    holes = []
    for registration in gateway.registrations:
        for channel in range(3):
            known = gateway.known(registration.dev_eui, channel)
            holes += [
                entry
                for entry in gateway.intervals
                if (entry["dev_eui"], entry["channel"]) == (str(registration.dev_eui), channel)
                and known
                and known[0] < entry["interval_end_ms"] < known[-1]
                and min(abs(entry["interval_end_ms"] - one) for one in known) > 500 * entry["interval_s"]
            ]
    return holes


def reports(gateway, registration):
    return [m for _, m in gateway.messages[registration.dev_eui] if isinstance(m, Report)]


def test_sensors_join_are_configured_by_the_network_and_get_into_step():
    gateway = VirtualGateway(PLAN, POLICY)
    gateway.run(20 * 60)
    assert gateway.world.joined == PLAN.sensors
    for node, registration in zip(gateway.world.nodes, gateway.registrations, strict=True):
        assert node.device.radio.rx1_delay_s == 1
        assert len(node.device.radio.channels) == 8
        assert node.device.utc_ms(gateway.now_us) == pytest.approx(START_MS + gateway.now_us / 1000, abs=5)
        first = gateway.messages[registration.dev_eui][0][1]
        assert isinstance(first, Status)
        assert first.reset_cause is ResetCause.POWER_ON
        assert all(m.flags & Flag.CLOCK_IN_STEP for m in reports(gateway, registration)[1:])
        assert 18 <= len(reports(gateway, registration)) <= 20


def test_the_server_takes_what_the_ledger_says():
    plan = replace(PLAN, loss=0.1, duplicates=0.1, bad_crc=0.1, foreign=0.2, replays=0.1, confirmed=0.2)
    gateway = VirtualGateway(plan, POLICY)
    gateway.run(3600)
    stored = Counter(str(dev_eui) for dev_eui, messages in gateway.messages.items() for _ in messages)
    assert stored == Counter(entry["dev_eui"] for entry in gateway.uplinks)
    assert gateway.rejected[Reason.BAD_CRC] > 10


@pytest.mark.slow
def test_what_the_air_swallowed_comes_back_out_of_the_sensors_memory():
    plan = replace(PLAN, loss=0.15, downlink_loss=0.1, duration_s=7200, calm_s=1200)
    for history in (False, True):
        gateway = VirtualGateway(plan, replace(POLICY, history=history))
        gateway.run(7200)
        assert (len(missing(gateway)) == 0) is history


@pytest.mark.slow
def test_six_hours_of_a_gateway_switched_off():
    gateway = VirtualGateway(replace(PLAN, sensors=3), POLICY)
    gateway.run(1800)
    gateway.is_down = True
    gateway.run(1800 + 6 * 3600)
    gateway.is_down = False
    gateway.run(1800 + 6 * 3600 + 300)
    assert len(missing(gateway)) > 3 * 300
    gateway.run(1800 + 10 * 3600)
    assert missing(gateway) == []


def test_a_sensor_is_reconfigured():
    gateway = VirtualGateway(replace(PLAN, sensors=1), POLICY)
    gateway.run(300)
    [registration] = gateway.registrations
    gateway.say(registration.dev_eui, Configure(120, 5, None, 10_000))
    gateway.run(900)
    assert {m.interval_s for m in reports(gateway, registration)[-3:]} == {120}
    kinds = {m.kind for _, m in gateway.messages[registration.dev_eui] if isinstance(m, Event)}
    assert EventKind.BELOW_LOWER_LIMIT in kinds
    assert list(gateway.downlinks.values()) == [DownlinkState.ACKNOWLEDGED]


def test_a_sensor_reboots_and_joins_anew():
    gateway = VirtualGateway(replace(PLAN, sensors=3), POLICY)
    gateway.run(300)
    for registration in gateway.registrations:
        gateway.say(registration.dev_eui, Reboot(), confirmed=False)
    gateway.run(900)
    assert gateway.world.joined == 6
    for registration in gateway.registrations:
        causes = [m.reset_cause for _, m in gateway.messages[registration.dev_eui] if isinstance(m, Status)]
        assert causes == [ResetCause.POWER_ON, ResetCause.DOWNLINK]


def test_the_same_plan_gives_the_same_receptions():
    def heard():
        gateway = VirtualGateway(replace(PLAN, loss=0.1), POLICY)
        gateway.run(600)
        return gateway.uplinks, gateway.intervals

    assert heard() == heard()


@pytest.mark.slow
def test_with_five_seconds_to_the_first_window_and_ten_between_reports():
    gateway = VirtualGateway(replace(PLAN, interval_s=10, loss=0.1, duration_s=900, calm_s=300))
    gateway.run(900)
    assert gateway.world.joined >= PLAN.sensors
    assert all(node.device.utc_ms(gateway.now_us) for node in gateway.world.nodes)
    assert missing(gateway) == []


def test_sensors_ask_to_join_until_a_gateway_is_there():
    gateway = VirtualGateway(PLAN, POLICY)
    gateway.is_down = True
    gateway.run(120)
    asked = [
        node.device.joiner.dev_nonce for node in gateway.world.nodes if node.device.version.dev_nonce_rises
    ]
    assert all(3 <= times <= 12 for times in asked)
    gateway.is_down = False
    gateway.run(600)
    assert gateway.world.joined == PLAN.sensors
    assert all(gateway.messages[registration.dev_eui] for registration in gateway.registrations)


@pytest.mark.slow
def test_a_sensor_of_1_1_whose_keys_are_not_confirmed_joins_again():
    gateway = VirtualGateway(replace(PLAN, interval_s=10), POLICY)
    gateway.run(6)
    gateway.is_mute = True
    gateway.run(1800)
    nodes = [node for node in gateway.world.nodes if node.device.version.value == "1.1" and node.join_nonce]
    assert nodes
    assert all(node.device.must_join for node in nodes)


@pytest.mark.parametrize("downlink_loss", [0.0, 0.4])
def test_confirmed_uplinks_are_repeated_until_they_are_acknowledged(downlink_loss):
    plan = replace(PLAN, confirmed=1.0, downlink_loss=downlink_loss, interval_s=120)
    gateway = VirtualGateway(plan, POLICY)
    gateway.run(3600)
    assert (gateway.rejected[Reason.DUPLICATE] > 0) is bool(downlink_loss)
    assert all(node.device.session.confirmed_f_cnt is None for node in gateway.world.nodes)
