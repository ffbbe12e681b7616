import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.devices_file import parse_devices, read_devices, write_devices
from edge_agent.errors import ConfigurationError
from edge_agent.simulate.simulation import Simulation, sessions_of

KEY, KEY_2, KEY_3, KEY_4 = ("a1" * 16, "b2" * 16, "c3" * 16, "d4" * 16)
ENTRY = {"dev_eui": "70B3D57ED0000001", "dev_addr": "26011234", "nwk_s_key": KEY, "app_s_key": KEY_2}


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
