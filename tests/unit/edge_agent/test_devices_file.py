import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.device_entry import FIELDS
from edge_agent.device_record import from_record, to_record
from edge_agent.devices_file import MAX_DEVICES, check_devices, parse_devices, read_devices, write_devices
from edge_agent.errors import ConfigurationError
from edge_agent.lorawan.registration import REGION_REVISION
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.simulate.simulation import Simulation, sessions_of
from tests.rig.store import registration, session

KEY, KEY_2, KEY_3, KEY_4 = ("a1" * 16, "b2" * 16, "c3" * 16, "d4" * 16)
ENTRY = {"dev_eui": "70B3D57ED0000001", "dev_addr": "26011234", "nwk_s_key": KEY, "app_s_key": KEY_2}

JOINS = {"dev_eui": "70B3D57ED0000002", "join_eui": "70b3d57ed00000ff", "app_key": KEY_3}


def refused(text):
    with pytest.raises(ConfigurationError) as error:
        parse_devices(text, "devices")
    told = f"{error.value} {error.value.hint}".lower()
    for key in (KEY, KEY_2, KEY_3, KEY_4):
        assert key[:6] not in told
    assert error.value.exit_code == 78
    return str(error.value)


def test_json():
    [session] = parse_devices(json.dumps([ENTRY]))
    assert str(session.dev_eui) == "70b3d57ed0000001"
    assert str(session.dev_addr) == "26011234"
    assert (session.lorawan, session.codec, session.f_cnt_up) == ("1.0", "clipr", None)
    keys = session.f_nwk_s_int_key, session.s_nwk_s_int_key, session.nwk_s_enc_key, session.app_s_key
    assert [key.hex() for key in keys] == [KEY, KEY, KEY, KEY_2]
    assert parse_devices(json.dumps(ENTRY)) == [session]


def test_lorawan_1_1_has_three_network_keys():
    entry = {
        "dev_eui": "70b3d57ed0000001", "dev_addr": "26011234", "lorawan": "1.1", "f_cnt_up": 70_000,
        "f_nwk_s_int_key": KEY, "s_nwk_s_int_key": KEY_2, "nwk_s_enc_key": KEY_3, "app_s_key": KEY_4,
    }  # fmt: skip
    [session] = parse_devices(json.dumps([entry]))
    keys = session.f_nwk_s_int_key, session.s_nwk_s_int_key, session.nwk_s_enc_key, session.app_s_key
    assert [key.hex() for key in keys] == [KEY, KEY_2, KEY_3, KEY_4]
    assert session.f_cnt_up == 70_000


@pytest.mark.parametrize("delimiter", [",", ";", "\t", ", "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv(delimiter, end):
    lines = [
        ["dev_eui", "dev_addr", "lorawan", "nwk_s_key", "app_s_key", "codec", "f_cnt_up"],
        ["70-B3-D5-7E-D0-00-00-01", "26011234", "1.0", KEY, KEY_2, "clipr", "17"],
        ["70b3d57ed0000002", "26011235", "", KEY_2, KEY, "", ""],
    ]
    text = "\ufeff" + "".join(delimiter.join(line) + end for line in lines)
    first, second = parse_devices(text)
    assert (str(first.dev_eui), first.f_cnt_up) == ("70b3d57ed0000001", 17)
    assert (str(second.dev_eui), second.f_cnt_up, second.lorawan) == ("70b3d57ed0000002", None, "1.0")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"nwk_s_key": KEY[:-1]}, "device 1: nwk_s_key must be 32 hex digits; 31 characters are there"),
        ({"app_s_key": None}, "app_s_key is missing"),
        ({"app_s_key": 5}, "app_s_key must be text in quotes"),
        ({"dev_eui": KEY}, "dev_eui must be 16 hex digits; 32 characters are there"),
        ({"dev_addr": KEY}, "dev_addr must be 8 hex digits; 32 characters are there"),
        ({"codec": KEY}, "codec is one of: clipr"),
        ({KEY: "x"}, "a field of an unknown name"),
        ({"lorawan": KEY}, 'lorawan is "1.0" or "1.1"'),
        ({"lorawan": "1.1"}, "f_nwk_s_int_key is missing"),
        ({"nwk_s_enc_key": KEY}, "nwk_s_enc_key is no key of LoRaWAN 1.0"),
        ({"f_cnt_up": KEY}, "f_cnt_up is a number"),
        ({"f_cnt_up": -1}, "f_cnt_up is a number"),
        ({"f_cnt_up": 1 << 32}, "f_cnt_up is a number"),
        ({"f_cnt_up": "9" * 5000}, "f_cnt_up is a number"),
    ],
)
def test_errors_name_device_and_field_and_no_key(change, told):
    assert told in refused(json.dumps([{**ENTRY, **change}]))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no device"),
        ("[]", "has no device"),
        ("[5]", "has no object as device 1"),
        ('[{"nwk_s_key": "' + KEY, "not JSON at line 1"),
        (json.dumps([ENTRY, ENTRY]), "device 2: 70b3d57ed0000001 stands here twice"),
        (f"dev_eui,nwk_s_key\nx,{KEY},{KEY_2}\n", "more fields than names"),
        (f"{KEY},{KEY_2}\n{KEY},{KEY_2}\n", "a field of an unknown name"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_files_that_make_no_sense(text, told):
    assert told in refused(text)


@given(st.text(max_size=200))
def test_any_text_is_devices_or_the_one_error(text):
    try:
        assert parse_devices(text)
    except ConfigurationError as error:
        assert error.hint


def test_what_the_simulator_writes_only_its_owner_can_read(tmp_path):
    sessions = sessions_of(Simulation(sensors=3, f_cnt_start=100_000))
    file = tmp_path / "devices.json"
    file.write_text("old")
    file.chmod(0o644)
    (tmp_path / "devices.json.new").write_text("left over")
    write_devices(file, sessions)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_devices(file) == sessions
    assert [path.name for path in tmp_path.iterdir()] == ["devices.json"]


def test_reading_what_is_not_there_or_no_text(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_devices(tmp_path / "none.json")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read_devices(tmp_path / "binary")


def test_a_device_that_joins():
    [device] = parse_devices(json.dumps(JOINS))
    assert (str(device.dev_eui), str(device.join_eui)) == ("70b3d57ed0000002", "70b3d57ed00000ff")
    assert (device.version, device.region_revision) == (LoRaWANVersion.V1_0_3, REGION_REVISION)
    assert (device.app_key.hex(), device.nwk_key, device.codec) == (KEY_3, None, "clipr")


def test_a_device_that_joins_under_1_1_has_two_keys():
    entry = {**JOINS, "lorawan": "1.1.1", "nwk_key": KEY_4, "region_revision": "RP001-1.1-B"}
    [device] = parse_devices(json.dumps(entry))
    assert (device.version, device.region_revision) == (LoRaWANVersion.V1_1, "RP001-1.1-B")
    assert (device.app_key.hex(), device.nwk_key.hex()) == (KEY_3, KEY_4)


def test_a_table_of_both_kinds_in_the_specifications_spelling():
    text = (
        "DevEUI;JoinEUI;AppKey;LoRaWAN;DevAddr;NwkSKey;AppSKey\r\n"
        f"70b3d57ed0000002;70b3d57ed00000ff;{KEY};1.0.2;;;\r\n"
        ";;;;;;\r\n"
        f"70b3d57ed0000003;;;1.0.4;26011234;{KEY_2};{KEY_3}\r\n"
    )
    joins, activated = parse_devices(text)
    assert joins.version is LoRaWANVersion.V1_0_2
    assert (activated.lorawan, activated.nwk_s_enc_key.hex()) == ("1.0", KEY_2)


def test_app_eui_is_the_former_name_of_join_eui():
    [device] = parse_devices(f"dev_eui,AppEUI,app_key\n70b3d57ed0000002,70b3d57ed00000ff,{KEY}\n")
    assert str(device.join_eui) == "70b3d57ed00000ff"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"join_eui": KEY}, "join_eui must be 16 hex digits; 32 characters are there"),
        ({"join_eui": "x" * 16}, "join_eui must be 16 hex digits; not all of them are"),
        ({"app_key": None}, "app_key is missing"),
        ({"app_key": "70b3d57ed0000002"}, "app_key must be 32 hex digits; 16 characters are there"),
        ({"nwk_key": KEY_4}, "nwk_key is no key of LoRaWAN 1.0"),
        ({"lorawan": "1.1"}, "nwk_key is missing"),
        ({"lorawan": "1.0"}, "lorawan of a device that joins is one of: 1.0.0, 1.0.1, 1.0.2"),
        ({"lorawan": KEY}, "lorawan of a device that joins is one of"),
        ({"region_revision": KEY}, "region_revision is one of: "),
        ({"codec": KEY}, "codec is one of: clipr"),
        ({"dev_addr": "26011234"}, "join_eui is of a device that joins (OTAA), dev_addr of one"),
        ({"f_cnt_up": 1}, "f_cnt_up of one that is activated already"),
        ({"app_keyy": KEY_4}, "field 4 is a field of an unknown name: is it app_key?"),
        ({"AppKey": KEY_4}, "field 4 is app_key once more"),
    ],
)
def test_errors_of_a_device_that_joins(change, told):
    assert told in refused(json.dumps([{**JOINS, **change}]))


def test_a_device_of_neither_kind():
    assert "neither join_eui and app_key" in refused('{"dev_eui": "70b3d57ed0000002"}')
    assert "neither join_eui and app_key" in refused("[{}]")


def test_every_fault_of_every_line_is_told_at_once():
    text = (
        "dev_eui,join_eui,app_key,lorawan\n"
        f"70b3d57ed0000001,70b3d57ed00000ff,{KEY},\n"
        f"70b3d57ed000000,{KEY_2},70b3d57ed00000ff,9\n"
        "\n"
        f"70b3d57ed0000001,70b3d57ed00000ff,{KEY_3},1.0.4\n"
        f"70b3d57ed0000004,70b3d57ed00000ff,{KEY_4},1.0.4,5\n"
    )
    found = check_devices(text)
    assert [place for place, _ in found.devices] == ["line 2"]
    assert [str(fault) for fault in found.faults] == [
        "line 3: lorawan of a device that joins is one of: 1.0.0, 1.0.1, 1.0.2, 1.0.3, 1.0.4, 1.1",
        "line 3: dev_eui must be 16 hex digits; 15 characters are there",
        "line 3: join_eui must be 16 hex digits; 32 characters are there",
        "line 3: app_key must be 32 hex digits; 16 characters are there",
        "line 5: 70b3d57ed0000001 stands here twice, first at line 2",
        "line 6: more fields than names in the first line",
    ]


def test_a_file_of_too_many_devices_is_refused():
    row = f"{{:016x}},70b3d57ed00000ff,{KEY}\n"
    text = "dev_eui,join_eui,app_key\n" + "".join(row.format(n) for n in range(MAX_DEVICES + 1))
    assert "more than 5000 devices" in refused(text)


LINES = {
    "otaa": {"dev_eui": "70b3d57ed0000001", "join_eui": "70b3d57ed00000ff", "lorawan": "1.1"}
    | {"app_key": KEY, "nwk_key": KEY_2, "region_revision": "RP002-1.0.4", "codec": "clipr"},
    "abp": {"dev_eui": "70b3d57ed0000002", "dev_addr": "26011234", "lorawan": "1.1", "f_cnt_up": "7"}
    | {"f_nwk_s_int_key": KEY, "s_nwk_s_int_key": KEY_2, "nwk_s_enc_key": KEY_3, "app_s_key": KEY_4},
}


@given(data=st.data(), kind=st.sampled_from(sorted(LINES)), as_json=st.booleans())
def test_no_key_is_told_however_the_columns_are_shifted(data, kind, as_json):
    line = LINES[kind]
    names = list(data.draw(st.permutations([*line, *data.draw(st.sets(st.sampled_from(FIELDS)))])))
    values = list(data.draw(st.permutations([*line.values(), data.draw(st.sampled_from([KEY, ""]))])))
    header = names if data.draw(st.booleans()) else values
    if as_json:
        text = json.dumps(dict(zip(header, values, strict=False)))
    else:
        text = "\n".join(";".join(cells) for cells in (header, values, values[1:], values[::-1]))
    found = check_devices(text)
    told = " ".join(str(fault) for fault in found.faults) + repr(found)
    for key in (KEY, KEY_2, KEY_3, KEY_4):
        assert key[:8] not in told.lower()


def test_what_is_written_is_read_again(tmp_path):
    devices = [registration(n, version) for n, version in enumerate(LoRaWANVersion)] + [session(9)]
    write_devices(tmp_path / "devices.json", devices)
    assert read_devices(tmp_path / "devices.json") == devices


@pytest.mark.parametrize("device", [session(1, f_cnt_up=70_000), *map(registration, (2, 3), LoRaWANVersion)])
def test_a_record_brings_back_the_device(device):
    assert from_record(json.loads(json.dumps(to_record(device)))) == device


def test_a_record_of_1_1_has_both_root_keys():
    device = registration(1, LoRaWANVersion.V1_1)
    assert from_record(to_record(device)).nwk_key == device.nwk_key
