"""Sensors by the command line, with the agent running and without: added, told, shown, removed."""

import contextlib
import json
from dataclasses import replace

import pytest

from edge_agent.network.changes import DownlinkChanged, MacChanged, SessionTaken
from edge_agent.network.device import DownlinkState
from edge_agent.network.mac_state import initial
from tests.rig.edge_desk import EU868, EdgeDesk
from tests.rig.store import dev_eui, joined, registration, session, uplink

APP_KEY, NWK_KEY, KEY_3, KEY_4 = "a1" * 16, "b2" * 16, "c3" * 16, "d4" * 16
JOIN_EUI = "70b3d57ed00000ff"
SENSOR = "70b3d57ed0000001"
LABEL = "LW:D0:70B3D57ED00000FF:70B3D57ED0000001:00FF0001"


@pytest.fixture
def alone(tmp_path):
    """Without an agent."""
    desk = EdgeDesk(tmp_path)
    yield desk
    desk.close()


@pytest.fixture(params=["without", "with"])
def desk(request, alone):
    """Without an agent, and with one."""
    with alone.agent() if request.param == "with" else contextlib.nullcontext():
        yield alone


def add(desk, dev_eui=SENSOR, *more, key=APP_KEY):
    return desk("device", "add", "--dev-eui", dev_eui, "--join-eui", JOIN_EUI, *more, stdin=f"{key}\n")


def refused(done, said, status=64):
    """It ended with the error and a next step, and no key was told."""
    assert done.status == status
    assert said in done.err
    assert "→ " in done.err
    for key in (APP_KEY, NWK_KEY, KEY_3, KEY_4):
        assert key[:8] not in (done.out + done.err).lower()


def test_a_sensor_that_joins_is_added_and_shown(desk):
    added, next_step = add(desk).out.splitlines()
    assert added == "Added 1 device."
    assert next_step.endswith(f"see it join: edge-agent device show {SENSOR}")
    shown = desk.json("device", "show", SENSOR)
    assert shown["activation"] == "OTAA"
    assert (shown["lorawan"], shown["region_revision"]) == ("1.0.3", "RP002-1.0.4")
    assert (shown["join_eui"], shown["join"], shown["dev_addr"]) == (JOIN_EUI, "waiting", None)
    assert "not joined yet" in desk.fine("device", "show", SENSOR)
    assert desk.json("device", "list") == [
        {k: v for k, v in shown.items() if k not in ("downlinks", "frames_not_taken")}
    ]


def test_one_fact_a_line_fits_a_phone(desk):
    add(desk)
    configure(desk)
    desk.fine("device", "reboot", SENSOR)
    for command in ("show", "queue"):
        lines = desk.fine("device", command, SENSOR).splitlines()
        assert "   upper limit 65.00 °C" in lines
        assert max(map(len, lines)) <= 60


def test_the_label_gives_identifiers_and_never_a_key(desk):
    assert "Added 1 device." in desk.fine("device", "add", "--qr", LABEL, stdin=APP_KEY)
    assert desk.json("device", "show", SENSOR)["join_eui"] == JOIN_EUI


def test_the_label_may_come_before_the_keys(desk):
    desk.fine("device", "add", "--qr", "-", "--lorawan", "1.1", stdin=f"{LABEL}\n{NWK_KEY}\n{APP_KEY}\n")
    assert desk.json("device", "show", SENSOR)["lorawan"] == "1.1"


def test_which_key_is_which(alone):
    alone.fine("device", "add", "--qr", LABEL, "--lorawan", "1.1", stdin=f"{NWK_KEY}\n{APP_KEY}\n")
    keys = f"{APP_KEY}\n{NWK_KEY}\n{KEY_3}\n{KEY_4}\n"
    abp = ("--dev-eui", "70b3d57ed0000002", "--dev-addr", "26011234", "--f-cnt", 17)
    alone.fine("device", "add", *abp, "--lorawan", "1.1", stdin=keys)
    with alone.store() as store:
        joins, activated = store.network_devices()
    assert joins.registration.nwk_key.hex() == NWK_KEY
    assert joins.registration.app_key.hex() == APP_KEY
    kept = activated.session.session
    names = ("f_nwk_s_int_key", "s_nwk_s_int_key", "nwk_s_enc_key", "app_s_key")
    assert [getattr(kept, name).hex() for name in names] == [APP_KEY, NWK_KEY, KEY_3, KEY_4]
    assert (kept.lorawan, kept.f_cnt_up) == ("1.1", 17)


@pytest.mark.parametrize(("lorawan", "kept"), [((), "1.0"), (("--lorawan", "1.0.2"), "1.0")])
def test_one_that_is_activated_already(desk, lorawan, kept):
    abp = ("--dev-eui", SENSOR, "--dev-addr", "26011234", *lorawan)
    assert desk.fine("device", "add", *abp, stdin=f"{APP_KEY}\n{NWK_KEY}\n") == "Added 1 device.\n"
    shown = desk.json("device", "show", SENSOR)
    assert (shown["activation"], shown["lorawan"], shown["join"]) == ("ABP", kept, None)
    assert shown["dev_addr"] == "26011234"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Its DevEUI is missing"),
        (("--dev-eui", SENSOR), "the JoinEUI is missing"),
        (("--qr", SENSOR), "the JoinEUI is missing"),
        (
            ("--dev-eui", APP_KEY, "--join-eui", JOIN_EUI),
            "--dev-eui is 16 hex digits; 32 characters are there",
        ),
        (
            ("--dev-eui", SENSOR, "--join-eui", APP_KEY),
            "--join-eui is 16 hex digits; 32 characters are there",
        ),
        (("--dev-eui", SENSOR, "--dev-addr", APP_KEY), "--dev-addr is 8 hex digits; 32 characters are there"),
        (("--qr", APP_KEY), "16 hex digits"),
        (("--qr", LABEL + ":C0000"), "checksum"),
        (("--qr", LABEL, "--dev-eui", "70b3d57ed0000002"), "the label says 70b3d57ed0000001"),
        (("--qr", LABEL, "--join-eui", SENSOR), "the label says 70b3d57ed00000ff"),
        (("--qr", LABEL, "--lorawan", "1.0"), "--lorawan is one of 1.0.0, 1.0.1"),
        (("--qr", LABEL, "--region-revision", "B"), "--region-revision is one of"),
        (("--qr", LABEL, "--f-cnt", "1"), "--f-cnt is for a sensor with --dev-addr"),
        (
            ("--dev-eui", SENSOR, "--dev-addr", "26011234", "--join-eui", JOIN_EUI),
            "--join-eui is of a sensor that joins",
        ),
        (("--qr", LABEL, "--file", "x"), "either --file, or one device"),
        (("--qr", LABEL), "AppKey is 32 hex digits; what came is none (31 characters)"),
        (("--qr", LABEL, "--lorawan", "1.1"), "standard input must hold the keys only, 2 lines; 1 is there"),
    ],
)
def test_what_is_wrong_is_told_with_the_next_step(alone, arguments, said):
    refused(alone("device", "add", *arguments, stdin=APP_KEY[:31]), said)
    assert alone.json("device", "list") == []


def test_a_sensor_that_is_here_is_told_before_keys_are_asked_for(desk):
    add(desk)
    refused(desk("device", "add", "--qr", LABEL, stdin=""), f"device {SENSOR} is here already")


def test_a_copied_label_is_refused(desk):
    abp = ("--dev-addr", "26011234")
    keys = f"{APP_KEY}\n{NWK_KEY}\n"
    desk.fine("device", "add", "--dev-eui", SENSOR, *abp, stdin=keys)
    done = desk("device", "add", "--dev-eui", "70b3d57ed0000002", *abp, stdin=keys)
    refused(done, f"device 70b3d57ed0000002 has the DevAddr and network key of {SENSOR}")
    other_key = f"{KEY_3}\n{NWK_KEY}\n"
    desk.fine("device", "add", "--dev-eui", "70b3d57ed0000002", *abp, stdin=other_key)


def test_the_running_agent_knows_at_once(alone):
    with alone.agent() as network:
        add(alone)
        assert len(network) == 1
        alone.fine("device", "reboot", SENSOR)
        alone.fine("device", "queue", SENSOR, "--clear")
        alone.fine("device", "reset", SENSOR)
        alone.fine("device", "remove", SENSOR)
        assert len(network) == 0
    refused(alone("device", "show", SENSOR), f"there is no device {SENSOR}")


FILE = f"""dev_eui,join_eui,app_key,dev_addr,nwk_s_key,app_s_key
70b3d57ed0000001,{JOIN_EUI},{APP_KEY},,,
70b3d57ed0000002,,,26011234,{NWK_KEY},{KEY_3}
"""


def test_a_dry_run_changes_nothing_and_a_real_one_adds_all(desk, tmp_path):
    (tmp_path / "devices.csv").write_text(FILE)
    command = ("device", "import", tmp_path / "devices.csv")
    would = desk.json(*command, "--dry-run")
    assert would["faults"] == []
    assert [entry["activation"] for entry in would["would_add"]] == ["OTAA", "ABP"]
    assert "Would add: 2 devices" in desk.fine(*command, "--dry-run")
    assert desk.json("device", "list") == []
    assert desk.fine(*command).startswith("Added 2 devices.")
    assert len(desk.json("device", "list")) == 2


def test_who_imported_a_file_is_told_that_it_holds_keys(alone, tmp_path):
    (tmp_path / "devices.csv").write_text(FILE)
    assert "devices.csv holds keys: delete it" in alone.fine("device", "import", tmp_path / "devices.csv")


def test_a_file_with_faults_adds_nothing_and_tells_each(desk, tmp_path):
    add(desk)
    (tmp_path / "devices.csv").write_text(
        FILE
        + f"70b3d57ed0000003,{APP_KEY},{JOIN_EUI},,,\n"
        + f"70b3d57ed0000004,,,26011234,{NWK_KEY},{KEY_4}\n"
        + f"70b3d57ed0000005,{JOIN_EUI},{KEY_4},,,\n"
    )
    for more, nothing in (((), "nothing is added"), (("--dry-run",), "nothing would be added")):
        done = desk("device", "import", tmp_path / "devices.csv", *more)
        refused(done, f"5 faults, so {nothing}", status=1)
        told = [line for line in done.out.splitlines() if line.startswith("line ")]
        assert [line[:6] for line in told] == ["line 2", "line 3", "line 4", "line 4", "line 5"]
        assert "is here already" in told[0]
        assert "nobody could tell their frames apart" in told[1]
    assert "Fine: 1 device\n  line 6  70b3d57ed0000005" in done.out
    faults = json.loads(desk("device", "import", tmp_path / "devices.csv", "--json").out)
    assert (len(faults["faults"]), faults["added"]) == (5, [])
    assert [device["dev_eui"] for device in desk.json("device", "list")] == [SENSOR]


def test_a_file_by_standard_input(desk):
    assert desk.fine("device", "import", "-", stdin=FILE).startswith("Added 2 devices.")
    again = desk("device", "add", "--file", "-", stdin=FILE)
    refused(again, "is here already")


def configure(desk, *more, report=900, sampling=10, upper="65", lower="off"):
    intervals = ("--report-interval-s", report, "--sampling-interval-s", sampling)
    limits = ("--upper-limit", upper, "--lower-limit", lower)
    return desk("device", "configure", SENSOR, *intervals, *limits, *more)


def test_a_sensor_is_configured_with_its_next_uplink(desk):
    add(desk)
    told = configure(desk, lower="-12,5").out
    assert "the answer to the sensor's next uplink" in told
    assert f"edge-agent device queue {SENSOR}" in told
    [entry] = desk.json("device", "queue", SENSOR)
    assert (entry["f_port"], entry["payload"]) == (20, "100384000a1964fb1e")
    assert (entry["confirmed"], entry["state"], entry["done"]) == (True, "waiting", False)
    assert json.loads(configure(desk, "--unconfirmed", "--json").out)["confirmed"] is False


def test_a_reboot_is_never_confirmed(desk):
    add(desk)
    assert desk.json("device", "reboot", SENSOR)["confirmed"] is False
    [entry] = desk.json("device", "queue", SENSOR)
    assert (entry["f_port"], entry["payload"], entry["what"]) == (22, "10", "reboot")
    assert desk("device", "reboot", SENSOR, "--confirmed").status == 64


def test_what_waits_can_be_dropped(desk):
    add(desk)
    configure(desk)
    desk.fine("device", "reboot", SENSOR)
    assert desk.json("device", "show", SENSOR)["queued"] == 2
    assert desk.fine("device", "queue", SENSOR, "--clear").startswith("Dropped 2 messages.")
    assert desk.json("device", "show", SENSOR)["queued"] == 0
    assert all(entry["done"] for entry in desk.json("device", "queue", SENSOR))
    assert desk.json("device", "queue", SENSOR, "--clear") == {"cleared": 0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"report": 9}, "--report-interval-s"),
        ({"report": 65_536}, "--report-interval-s"),
        ({"sampling": 0}, "--sampling-interval-s"),
        ({"sampling": 901}, "too seldom"),
        ({"upper": "125.01"}, "--upper-limit is -40 … 125 °C"),
        ({"lower": "-40.01"}, "--lower-limit is -40 … 125 °C"),
        ({"upper": "57.555"}, "two decimals"),
        ({"upper": "NaN"}, "--upper-limit is -40"),
        ({"upper": "hot"}, "--upper-limit is -40"),
        ({"upper": "60", "lower": "60"}, "--lower-limit 60 is not below --upper-limit 60"),
    ],
)
def test_values_that_no_sensor_takes(alone, change, said):
    add(alone)
    refused(configure(alone, **change), said)
    assert alone.json("device", "queue", SENSOR) == []


@pytest.mark.parametrize("value", ["-40", "125", "0"])
def test_the_ends_of_the_range_are_in_it(alone, value):
    add(alone)
    assert configure(alone, report=10, sampling=10, upper="off", lower=value).status == 0
    assert configure(alone, report=65_535, sampling=1, upper=value).status == 0


def test_a_gateway_that_only_listens_tells_nobody(alone):
    add(alone)
    alone.configuration.write_text(
        alone.configuration.read_text().replace("downlinks = true", "downlinks = false")
    )
    refused(configure(alone), "this gateway only listens")


@pytest.mark.parametrize("command", ["show", "remove", "reset", "reboot", "queue"])
def test_a_sensor_that_is_not_here(desk, command):
    refused(desk("device", command, SENSOR), f"there is no device {SENSOR}")
    refused(desk("device", command, "sensor"), "DevEUI is 16 hex digits")


def test_what_a_reset_means_depends_on_the_kind(desk):
    add(desk)
    abp = ("--dev-eui", "70b3d57ed0000002", "--dev-addr", "26011234")
    desk.fine("device", "add", *abp, stdin=f"{APP_KEY}\n{NWK_KEY}\n")
    assert "may join anew" in desk.fine("device", "reset", SENSOR)
    assert "may count from 0 again" in desk.fine("device", "reset", "70b3d57ed0000002")


def test_what_is_known_of_a_sensor_that_joined(alone):
    with alone.store() as store:
        store.add_devices([registration(1), session(2)])
        store.apply([joined(1, 1, dev_nonce=5)])
        answered = str(dev_eui(1))
    assert alone.json("device", "show", answered)["join"] == "answered"
    mac = replace(
        initial(EU868),
        battery=128,
        margin=7,
        status_ms=1_750_000_000_000,
        data_rate=5,
        tx_power=2,
        nb_trans=2,
    )
    with alone.store() as store:
        taken = [SessionTaken(dev_eui(1), 1), MacChanged(dev_eui(1), 1, mac)]
        store.keep([uplink(1, 0, session=1)], None, taken)
        number = store.queue_downlink(dev_eui(1), 20, bytes.fromhex("100384000a1964fb1e"), True, 0).number
        store.apply([DownlinkChanged(number, DownlinkState.SENT, 2, 7)])
    shown = alone.json("device", "show", answered)
    assert (shown["join"], shown["session"], shown["f_cnt_up"], shown["uplinks"]) == ("joined", 1, 0, 1)
    assert (shown["battery"], shown["margin_db"], shown["status_at"]) == (
        "50 %",
        7,
        "2025-06-15T15:06:40.000Z",
    )
    assert (shown["data_rate"], shown["tx_power_dbm"], shown["nb_trans"]) == ("SF7BW125", 12.0, 2)
    assert "not acknowledged it yet (2 tries)" in alone.fine("device", "show", answered)
    with alone.store() as store:
        store.apply(
            [joined(1, 2, dev_nonce=6), DownlinkChanged(number, DownlinkState.FAILED, 8, 9, "no answer")]
        )
    assert alone.json("device", "show", answered)["join"] == "answered again"
    assert "given up: no answer (8 tries)" in alone.fine("device", "queue", answered)
    assert "ABP" in alone.fine("device", "list")
