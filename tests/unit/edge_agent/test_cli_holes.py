"""What is missing between readings, as `readings --holes` shows it."""

import json

import pytest

from edge_agent.network.changes import HistoryAsked
from edge_agent.network.gap import MAX_ASKED
from tests.rig.edge_desk import EdgeDesk
from tests.rig.store import BOOT, clock, dev_eui, session, uplink

START_MS = 1_750_000_000_000
HEARD_S = (900, 1800, 4500)  # two reports of 900 s are missing in between


@pytest.fixture
def desk(tmp_path):
    """Two sensors with a hole each, of one of which the sensor was asked."""
    desk = EdgeDesk(tmp_path)
    with desk.store() as store:
        store.add_devices([session(1), session(2)])
        for number in (1, 2):
            for f_cnt, at_s in enumerate(HEARD_S):
                store.keep([uplink(number, f_cnt, at_s=at_s)], clock(at_s, boot=BOOT, boot_ms=START_MS))
        store.cover()
    yield desk
    desk.close()


def ask(desk, times):
    to_ms = START_MS + 3_600_000
    with desk.store() as store:
        store.apply([HistoryAsked(dev_eui(1), 0, to_ms)] * times)


def test_holes_are_lines_of_json(desk):
    ask(desk, 1)
    first, second = [json.loads(line) for line in desk.fine("readings", "--holes", "--json").splitlines()]
    assert first == {
        "dev_eui": str(dev_eui(1)),
        "channel": 0,
        "from": "2025-06-15T15:36:40.000Z",
        "to": "2025-06-15T16:06:40.000Z",
        "interval_s": 900,
        "intervals": 2,
        "asked": 1,
        "state": "asking",
    }
    assert (second["dev_eui"], second["state"]) == (str(dev_eui(2)), "waiting")


def test_holes_of_one_sensor(desk):
    told = desk.fine("readings", "--holes", "--device", dev_eui(2))
    assert str(dev_eui(2)) in told
    assert str(dev_eui(1)) not in told
    assert "asked with the answers to their next uplinks" in told


def test_a_sensor_that_is_not_here_has_no_holes_to_tell_of(desk):
    done = desk("readings", "--holes", "--device", dev_eui(7))
    assert done.status == 64
    assert f"there is no device {dev_eui(7)}" in done.err


def test_a_hole_that_is_given_up_says_so(desk):
    ask(desk, MAX_ASKED)
    [line] = desk.fine("readings", "--holes", "--json", "--device", dev_eui(1)).splitlines()
    assert json.loads(line)["state"] == "given_up"
    assert "are asked" not in desk.fine("readings", "--holes", "--device", dev_eui(1))


def test_nobody_is_asked_where_history_is_off(desk):
    text = desk.configuration.read_text()
    desk.configuration.write_text(text.replace("history = true", "history = false"))
    assert "Sensors are not asked for them: see downlinks and history" in desk.fine("readings", "--holes")


def test_no_hole_is_said(tmp_path):
    desk = EdgeDesk(tmp_path)
    with desk.store() as store:
        store.add_devices([session(1)])
    assert desk.fine("readings", "--holes") == "No interval is missing.\n"
    assert desk.fine("readings", "--holes", "--json") == ""
    desk.close()


@pytest.mark.parametrize("more", [("--since", "2026-01-01"), ("--until", "2026-01-01"), ("--limit", 3)])
def test_holes_are_all_holes(desk, more):
    done = desk("readings", "--holes", *more)
    assert done.status == 64
    assert "→ Leave" in done.err
