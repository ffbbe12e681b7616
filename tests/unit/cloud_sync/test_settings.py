import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync import config_text
from cloud_sync.errors import ConfigurationError
from cloud_sync.settings import CloudSettings, Database, Keys, Mqtt, defaults, load

EXAMPLE = Path(__file__).parents[3] / "config" / "cloud-sync.example.toml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_example_is_what_the_model_says() -> None:
    assert EXAMPLE.read_text() == config_text.example(), (
        "cloud-sync config example > config/cloud-sync.example.toml"
    )


def test_example_reads_back_as_the_defaults() -> None:
    assert load(EXAMPLE) == defaults()


def test_example_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_SYNC__DATABASE__DSN", "password=sesame")
    assert "sesame" not in config_text.example()


def test_example_explains_every_key() -> None:
    lines = config_text.example().splitlines()
    for number, line in enumerate(lines):
        if " = " in line and not line.startswith("#"):
            assert lines[number - 1].startswith("# "), line


@given(
    dsn=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    directory=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    port=st.integers(1, 65535),
)
def test_rendered_text_reads_back_as_it_was(dsn: str, directory: str, port: int) -> None:
    settings = CloudSettings(
        database=Database(dsn=dsn), mqtt=Mqtt(port=port), keys=Keys(directory=Path(directory))
    )
    assert CloudSettings(**tomllib.loads(config_text.render(settings))) == settings


def test_environment_goes_before_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('[mqtt]\nhost = "a.example.org"\nport = 1883\n')
    monkeypatch.setenv("CLOUD_SYNC__MQTT__HOST", "b.example.org")
    settings = load(file)
    assert (settings.mqtt.host, settings.mqtt.port) == ("b.example.org", 1883)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[mqtt]\nhots = 'a'\n", "unknown key mqtt.hots"),
        ("[mqqt]\nhost = 'a'\n", "unknown key mqqt"),
        ("[mqtt]\nport = 70000\n", "mqtt.port: Input should be less than or equal to 65535"),
        ("[mqtt]\nclient_id = 'a/b'\n", "mqtt.client_id: "),
        ("[mqtt]\nshared_group = '#'\n", "mqtt.shared_group: "),
        ("[database]\ndsn = 5\n", "database.dsn: Input should be a valid string"),
        ("mqtt = 5\n", "mqtt: "),
        ("[mqtt\n", "is not TOML"),
        ("[mqtt]\nport = 70000\nhots = 'a'\n", "; "),
    ],
)
def test_wrong_key_or_value_is_named(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(file)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == 78


def test_wrong_value_is_not_repeated(file: Path) -> None:
    file.write_text("[database]\ndsn = ['password=sesame']\n")
    with pytest.raises(ConfigurationError) as caught:
        load(file)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("CLOUD_SYNC__MQQT__HOST", "unknown environment variable CLOUD_SYNC__MQQT__HOST"),
        ("CLOUD_SYNC__MQTT__HOTS", "unknown key mqtt.hots"),
    ],
)
def test_misspelt_variable_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, variable: str, message: str
) -> None:
    file.write_text("")
    monkeypatch.setenv(variable, "a")
    with pytest.raises(ConfigurationError, match=message):
        load(file)


def test_no_file(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no configuration at") as caught:
        load(file)
    assert "cloud-sync config example" in caught.value.hint


def test_not_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load(file)


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        load(tmp_path)


def test_connection_string_does_not_print() -> None:
    settings = CloudSettings(database=Database(dsn="password=sesame"))
    assert "sesame" not in f"{settings} {settings!r}"


def test_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        defaults().mqtt.host = "b.example.org"  # type: ignore[misc]
