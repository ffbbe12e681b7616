"""The configuration: file, environment, and what is said of a wrong one."""

import tomllib
from pathlib import Path

import pytest

from edge_agent.config_text import render
from edge_agent.errors import ConfigurationError
from edge_agent.lorawan.regions import REGIONS
from edge_agent.settings import Gateway, Network, ReplayRadio, Settings, Sync, load
from edge_agent.settings_apart import SettingsApart

GOOD = '[gateway]\nid = "00800000A0001234"\n'


@pytest.fixture
def write(tmp_path):
    def _write(text):
        file = tmp_path / "config.toml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return _write


def test_a_short_file_is_enough(write):
    settings = load(write(GOOD))
    assert settings.gateway.id == "00800000a0001234"
    assert [radio.type for radio in settings.radio] == ["semtech_udp"]
    assert settings.radio[0].bind == "127.0.0.1"
    assert settings.sync is None


def test_environment_overrides_the_file(write, monkeypatch):
    monkeypatch.setenv("EDGE_AGENT__SYNC__HOST", "other.example")
    monkeypatch.setenv("EDGE_AGENT__RADIO", '[{"type": "replay", "file": "frames.jsonl"}]')
    settings = load(write(GOOD + '[sync]\nhost = "broker.example"\nport = 1884\n'))
    assert (settings.sync.host, settings.sync.port) == ("other.example", 1884)
    assert isinstance(settings.radio[0], ReplayRadio)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD + "[store]\nretention = 3\n", "unknown key store.retention"),
        (GOOD + "[stroe]\npath = 'x'\n", "unknown key stroe"),
        ("[gateway]\n", "gateway.id is missing"),
        ("[gateway]\nid = 'roof'\n", "16 hex digits"),
        (GOOD + "[[radio]]\ntype = 'carrier_pigeon'\n", "carrier_pigeon"),
        (GOOD + "[sync]\nhost = 'x'\nport = 123456\n", "sync.port"),
        (GOOD + "region = 'EU433'\n", "gateway.region: is one of EU868"),
        (GOOD + "net_ids = ['13']\n", "NetID is 6 hex digits"),
        (GOOD + "[network]\nrx1_delay_s = 0\n", "network.rx1_delay_s"),
        (GOOD + "[network]\nrx1_dr_offset = 6\n", "network.rx1_dr_offset is 0 … 5 in EU868"),
        (GOOD + "[network]\nrx2_data_rate = 15\n", "network.rx2_data_rate is one of 0, 1, 2"),
        (GOOD + "[network]\nadr_max_data_rate = 15\n", "network.adr_max_data_rate is one of 0, 1, 2"),
        (GOOD + "[network]\nrx2_frequency_hz = 915000000\n", "network.rx2_frequency_hz"),
        (GOOD + "[network]\nrx2_frequency_hz = 869525050\n", "a multiple of 100 Hz"),
        ("[gateway\n", "is not TOML"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_a_wrong_file_is_named_and_has_a_next_step(write, text, said):
    with pytest.raises(ConfigurationError, match=r"config\.toml") as caught:
        load(write(text))
    assert said in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == 78


def test_a_misspelt_variable_is_an_error(write, monkeypatch):
    monkeypatch.setenv("EDGE_AGENT__SNYC__HOST", "x")
    with pytest.raises(ConfigurationError, match="EDGE_AGENT__SNYC__HOST"):
        load(write(GOOD))


def test_a_missing_file_names_init(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / "nowhere.toml")
    assert "edge-agent init" in caught.value.hint


@pytest.mark.parametrize(
    "settings",
    [
        Settings(gateway=Gateway(id="00800000a0001234")),
        Settings(
            gateway=Gateway(id="00800000a0001234", net_ids=["000013"]),
            network=Network(downlinks=False, rx2_data_rate=3, rx2_frequency_hz=869_525_000, max_eirp_dbm=14),
            sync=Sync(host="broker.example"),
            radio=[ReplayRadio(type="replay", file="a 'quoted' \\ name.jsonl")],
        ),
    ],
)
def test_the_printed_configuration_reads_back(settings):
    assert Settings(**tomllib.loads(render(settings))) == settings


def test_every_key_is_explained():
    text = render(Settings(gateway=Gateway(id="00800000a0001234"), sync=Sync(host="x")))
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if " = " in line and not line.startswith(("#", "type")):
            assert lines[number - 1].startswith("# "), line


@pytest.mark.parametrize("region", REGIONS)
def test_every_region_goes_with_the_defaults(region):
    assert Settings(gateway=Gateway(id="00800000a0001234", region=region)).network == Network()


def test_what_is_as_the_region_has_it_stands_there_as_an_example():
    lines = render(Settings(gateway=Gateway(id="00800000a0001234"))).splitlines()
    for example in ("#rx2_data_rate = 0", "#rx2_frequency_hz = 869525000", "#max_eirp_dbm = 14.0"):
        assert example in lines


def test_the_shipped_example_is_what_the_command_prints():
    shipped = Path(__file__).resolve().parents[3] / "config" / "edge-agent.example.toml"
    assert shipped.read_text() == render(Settings(gateway=Gateway(id="00800000a0001234")))


def test_a_process_of_its_own_reads_the_same(write):
    file = write(GOOD + '[sync]\nhost = "broker.example"\n')
    there, here = SettingsApart(file).result(), load(file)
    assert there.sync.ca_file == here.sync.ca_file
    assert vars(there.store) == here.store.model_dump()
    assert vars(there.network) == here.network.model_dump()
    assert [radio.type for radio in there.radio] == ["semtech_udp"]


def test_a_process_of_its_own_reports_the_same_error(write):
    with pytest.raises(ConfigurationError, match="unknown key stroe") as caught:
        SettingsApart(write(GOOD + "[stroe]\nx = 1\n")).result()
    assert caught.value.hint
    assert caught.value.exit_code == 78
