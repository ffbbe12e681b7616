"""The operator's commands against a real PostgreSQL."""

# ruff: noqa: F811  (a fixture is imported, and then named by arguments)

import json
import stat
from pathlib import Path

import psycopg
import pytest
from cryptography import x509

from cloud_sync.cli.output import time_text
from cloud_sync.pki.keys import load_keys
from edge_agent.provision import provision
from edge_agent.settings import Sync
from edge_agent.sync.identity import load_identity
from edge_codecs.identifiers import GatewayId
from tests.rig.desk import Desk, without_configuration
from tests.rig.postgres import Postgres, migrated_database, postgres  # noqa: F401  fixture

pytestmark = pytest.mark.slow

GATEWAY = "00800000a0001234"
OTHER_GATEWAY = "00800000a0001235"
DEVICE = "70b3d57ed0000001"
EARLY = "2020-01-01T00:00:00Z"


@pytest.fixture
def desk(postgres: Postgres, tmp_path: Path):
    """An operator with an empty, migrated database, and keys and authority of his own."""
    with migrated_database(postgres) as dsn:
        desk = Desk(tmp_path, dsn)
        for command in ("ca init", "keys init"):
            desk.fine(*command.split())
        yield desk


@pytest.fixture
def tenant(desk: Desk) -> str:
    desk.fine("tenant", "add", "City Hospital")
    desk.fine("site", "add", "Ward 7", "--tenant", "city-hospital")
    return "city-hospital"


def identity(folder: Path, gateway: str = GATEWAY) -> Path:
    """What `edge-agent init` makes."""
    state = folder / gateway
    return provision(state / "config.toml", state, GatewayId.parse(gateway), "localhost", 8883, None).identity


class TestTenantsAndSites:
    def test_id_is_made_of_the_name(self, desk: Desk) -> None:
        assert desk.fine("tenant", "add", "Stadtwerke Köln, Bäder & Co.").out == (
            "Added tenant stadtwerke-koln-bader-co.\n"
        )
        desk.fine("tenant", "add", "acme")
        desk.fine("tenant", "add", "名古屋", "--id", "nagoya")
        rows = desk.fine("tenant", "list", "--json").rows
        assert [(row["tenant"], row["name"]) for row in rows] == [
            ("acme", "acme"),
            ("nagoya", "名古屋"),
            ("stadtwerke-koln-bader-co", "Stadtwerke Köln, Bäder & Co."),
        ]
        assert all(row["created_at"].endswith("Z") for row in rows)

    def test_table_for_people(self, desk: Desk, tenant: str) -> None:
        head, line = desk.fine("tenant", "list").out.splitlines()
        assert head.split() == ["tenant", "name", "created_at"]
        assert line.startswith("city-hospital  City Hospital")
        assert "ward-7" in desk.fine("site", "list", "--tenant", tenant).out

    def test_sites_of_one_tenant(self, desk: Desk, tenant: str) -> None:
        desk.fine("tenant", "add", "acme")
        desk.fine("site", "add", "Ward 7", "--id", "ward-7", "--tenant", "acme")
        assert len(desk.fine("site", "list", "--json").rows) == 2
        (site,) = desk.fine("site", "list", "--tenant", tenant, "--json").rows
        assert (site["tenant"], site["site"], site["name"]) == (tenant, "ward-7", "Ward 7")

    def test_empty_lists_say_what_to_do(self, desk: Desk) -> None:
        for thing in ("tenant", "site", "gateway", "device"):
            assert f"cloud-sync {thing} add" in desk.fine(thing, "list").out
            assert desk.fine(thing, "list", "--json").out == ""


class TestGateways:
    def test_answer_lets_the_gateway_in(self, desk: Desk, tenant: str, tmp_path: Path) -> None:
        file, out = identity(tmp_path), tmp_path / "answer"
        done = desk.fine(
            *("gateway", "add", file, "--tenant", tenant, "--site", "ward-7", "--from", EARLY, "--out", out)
        )
        assert f"Registered gateway {GATEWAY}." in done.out
        assert {f.name: stat.S_IMODE(f.stat().st_mode) & 0o444 for f in out.iterdir()} == dict.fromkeys(
            ["ca.crt", "gateway.crt", "receiver.json"], 0o444
        )
        for name in ("ca.crt", "gateway.crt", "receiver.json"):
            (out / name).replace(file.parent / name)
        state = file.parent
        sync = Sync(
            host="localhost",
            ca_file=state / "ca.crt",
            certificate_file=state / "gateway.crt",
            key_file=state / "gateway.key",
            signing_key_file=state / "signing.key",
            receiver_file=state / "receiver.json",
        )
        ours, theirs = load_keys(tmp_path / "keys"), load_identity(GATEWAY, sync)
        assert theirs.sealing_key == ours.sealing[1].public_key
        assert theirs.receipt_key == ours.receipt.verify_key
        (row,) = desk.fine("gateway", "list", "--json").rows
        assert row == {
            "gateway_id": GATEWAY,
            "tenant": tenant,
            "site": "ward-7",
            "label": "",
            "since": "2020-01-01T00:00:00.000Z",
            "revoked_at": None,
            "last_seen": None,
        }

    def test_again_renews_the_certificate(self, desk: Desk, tenant: str, tmp_path: Path) -> None:
        file = identity(tmp_path)
        desk.fine("gateway", "add", file, "--tenant", tenant, "--from", EARLY, "--out", tmp_path / "a")
        desk.fine("keys", "add")
        done = desk.fine("gateway", "add", file, "--out", tmp_path / "b", "--days", "7")
        assert f"Knew already gateway {GATEWAY}." in done.out
        first, second = (
            x509.load_pem_x509_certificate((tmp_path / name / "gateway.crt").read_bytes()) for name in "ab"
        )
        assert first.public_key() == second.public_key()
        assert (second.not_valid_after_utc - second.not_valid_before_utc).days == 7
        assert (first.not_valid_after_utc - first.not_valid_before_utc).days == 90
        keys = json.loads((tmp_path / "b" / "receiver.json").read_text())["sealing_keys"]
        assert [key["number"] for key in keys] == [1, 2]
        assert desk.fine("gateway", "list", "--json").rows[0]["tenant"] == tenant

    def test_asking_twice_changes_nothing(self, desk: Desk, tenant: str, tmp_path: Path) -> None:
        file = identity(tmp_path)
        for _ in range(2):
            desk.fine("gateway", "add", file, "--tenant", tenant, "--site", "ward-7", "--from", EARLY)
        done = desk.fine("gateway", "assign", GATEWAY, "--tenant", tenant, "--site", "ward-7")
        assert "belonged already" in done.out
        assert [row["since"] for row in desk.fine("gateway", "list", "--json").rows] == [
            "2020-01-01T00:00:00.000Z"
        ]

    def test_moves_to_another_tenant(self, desk: Desk, tenant: str, tmp_path: Path) -> None:
        desk.fine("tenant", "add", "acme")
        desk.fine("gateway", "add", identity(tmp_path), "--tenant", tenant, "--from", EARLY)
        desk.fine(
            "gateway", "assign", GATEWAY, "--tenant", "acme", "--from", "2021-01-01", "--label", "attic"
        )
        (row,) = desk.fine("gateway", "list", "--json").rows
        assert (row["tenant"], row["since"], row["label"]) == ("acme", "2021-01-01T00:00:00.000Z", "attic")

    def test_of_another_signing_key_is_refused(self, desk: Desk, tmp_path: Path) -> None:
        desk.fine("gateway", "add", identity(tmp_path / "a"))
        done = desk("gateway", "add", identity(tmp_path / "b"))
        assert done.status == 78
        assert f"gateway {GATEWAY} is registered with another signing key" in done.err

    def test_revoked_is_for_ever(self, desk: Desk, tmp_path: Path) -> None:
        file = identity(tmp_path)
        desk.fine("gateway", "add", file)
        desk.fine("gateway", "revoke", GATEWAY)
        (row,) = desk.fine("gateway", "list", "--json").rows
        desk.fine("gateway", "revoke", GATEWAY)
        assert desk.fine("gateway", "list", "--json").rows == [row]
        assert row["revoked_at"] is not None
        done = desk("gateway", "add", file, "--out", tmp_path / "answer")
        assert (done.status, f"gateway {GATEWAY} is revoked" in done.err) == (78, True)
        assert not (tmp_path / "answer").exists()

    @pytest.mark.parametrize("missing", ["ca", "keys"])
    def test_without_authority_or_keys_nothing_is_registered(
        self, desk: Desk, tmp_path: Path, missing: str
    ) -> None:
        (tmp_path / missing).rename(tmp_path / "away")
        done = desk("gateway", "add", identity(tmp_path), "--out", tmp_path / "answer")
        assert (done.status, f"cloud-sync {missing} init" in done.err) == (78, True)
        assert desk.fine("gateway", "list", "--json").rows == []

    def test_wrong_identity_registers_nothing(self, desk: Desk, tenant: str, tmp_path: Path) -> None:
        file = identity(tmp_path)
        file.write_text(file.read_text().replace(GATEWAY, OTHER_GATEWAY))
        done = desk("gateway", "add", file, "--tenant", tenant)
        assert done.status == 78
        assert f"{file}: the certificate request is not for CN {OTHER_GATEWAY} alone" in done.err
        assert "edge-agent init" in done.err
        assert desk.fine("gateway", "list", "--json").rows == []


class TestDevices:
    def test_one(self, desk: Desk, tenant: str) -> None:
        done = desk.fine(
            *("device", "add", DEVICE, "--tenant", tenant, "--site", "ward-7", "--label", "kitchen, flow")
        )
        assert done.out == "Registered 1 device.\nIt belongs to tenant city-hospital, site ward-7.\n"
        (row,) = desk.fine("device", "list", "--json").rows
        assert set(row) == {"dev_eui", "tenant", "site", "label", "since"}
        assert (row["dev_eui"], row["label"]) == (DEVICE, "kitchen, flow")
        assert "kitchen, flow" in desk.fine("device", "list").out

    def test_without_tenant_and_assigned_later(self, desk: Desk, tenant: str) -> None:
        assert desk.fine("device", "add", DEVICE).out == "Registered 1 device.\n"
        assert desk.fine("device", "list", "--json").rows[0]["tenant"] is None
        desk.fine("device", "assign", DEVICE, "--tenant", tenant, "--from", EARLY)
        assert desk.fine("device", "list", "--json").rows[0]["since"] == "2020-01-01T00:00:00.000Z"

    def test_devices_file_of_a_gateway_without_its_keys(
        self,
        desk: Desk,
        tenant: str,
        tmp_path: Path,
        postgres: Postgres,
    ) -> None:
        key = "00112233445566778899aabbccddeeff"
        file = tmp_path / "devices.json"
        file.write_text(json.dumps([{"dev_eui": f"70b3d57ed000000{n}", "app_s_key": key} for n in range(3)]))
        done = desk.fine("device", "add", "--file", file, "--tenant", tenant, "--from", EARLY)
        assert done.out == "Registered 3 devices.\nThey belong to tenant city-hospital.\n"
        assert len(desk.fine("device", "list", "--json").rows) == 3
        assert key not in postgres.log

    def test_again_with_one_more(self, desk: Desk, tenant: str, tmp_path: Path) -> None:
        file = tmp_path / "devices.txt"
        file.write_text(f"{DEVICE}\n")
        arguments = ("device", "add", "--file", file, "--tenant", tenant, "--from", EARLY)
        desk.fine(*arguments)
        file.write_text(f"{DEVICE}\n70b3d57ed0000002\n")
        assert "Registered 1 device; knew 1 device already." in desk.fine(*arguments).out

    def test_all_or_none(self, desk: Desk, tenant: str, tmp_path: Path) -> None:
        desk.fine("tenant", "add", "acme")
        desk.fine("device", "add", DEVICE, "--tenant", "acme")
        file = tmp_path / "devices.txt"
        file.write_text(f"70b3d57ed0000002\n{DEVICE}\n")
        done = desk("device", "add", "--file", file, "--tenant", tenant, "--from", EARLY)
        assert done.status == 78
        assert f"{DEVICE} has an assignment that begins later" in done.err
        assert "cloud-sync device list" in done.err
        assert [row["dev_eui"] for row in desk.fine("device", "list", "--json").rows] == [DEVICE]


@pytest.fixture(scope="module")
def busy_desk(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory):
    """One for commands that change nothing, since they fail."""
    with migrated_database(postgres) as dsn:
        desk = Desk(tmp_path_factory.mktemp("desk"), dsn)
        for command in ("ca init", "keys init", "tenant add city-hospital"):
            desk.fine(*command.split())
        desk.fine("site", "add", "ward-7", "--tenant", "city-hospital")
        yield desk


class TestWrong:
    @pytest.mark.parametrize(
        ("command", "status", "sentence", "step"),
        [
            ("readings --tenant nobody", 64, "there is no tenant nobody", "cloud-sync tenant list"),
            ("uplinks --tenant nobody --json", 64, "there is no tenant nobody", "cloud-sync tenant add"),
            ("site add x --tenant nobody", 64, "there is no tenant nobody", "cloud-sync tenant add"),
            ("site list --tenant nobody", 64, "there is no tenant nobody", "cloud-sync tenant list"),
            (f"device add {DEVICE} --tenant nobody", 64, "there is no tenant nobody", "tenant list"),
            (
                f"device add {DEVICE} --tenant city-hospital --site attic",
                64,
                "tenant city-hospital has no site attic",
                "cloud-sync site list --tenant city-hospital",
            ),
            (f"device add {DEVICE} --site ward-7", 64, "--site, --from and --label need --tenant", ""),
            ("device add", 64, "either a DevEUI or --file", "device add --help"),
            (f"device add {DEVICE} --file x", 64, "either a DevEUI or --file", "device add --help"),
            ("device add 70b3", 64, "DevEUI is 16 hex digits", ""),
            ("device add --file /nowhere/x", 78, "cannot read /nowhere/x: No such file", "path"),
            (f"device assign {DEVICE} --tenant city-hospital", 64, "is not registered", "device add"),
            (f"gateway assign {GATEWAY} --tenant city-hospital", 64, "is not registered", "gateway add"),
            (f"gateway revoke {GATEWAY}", 64, f"gateway {GATEWAY} is not registered", "gateway list"),
            ("gateway revoke broker", 64, "GatewayId is 16 hex digits", ""),
            ("gateway add /nowhere/identity.json", 64, "does not exist", "gateway add --help"),
            ("readings --tenant city-hospital --device 7", 64, "DevEUI is 16 hex digits", ""),
            ("readings --tenant city-hospital --since noon", 64, "'noon' is no time", "2026-11-24T12:00:00Z"),
            ("readings --tenant city-hospital --until 0001-01-01", 64, "not between 1970 and 9998", "2026"),
            ("readings --tenant city-hospital --since 9999-12-31T23:59:59-12:00", 64, "is no time", "2026"),
            ("readings --tenant city-hospital --limit 0", 64, "--limit", "readings --help"),
            ("readings", 64, "Missing option '--tenant'", "readings --help"),
            ("tenant add city-hospital", 78, "tenant city-hospital exists already", "list"),
            (
                "site add ward-7 --tenant city-hospital",
                78,
                "site ward-7 of tenant city-hospital exists",
                "list",
            ),
            ("tenant add X --id City", 64, "'City' is no id", "lower-case"),
            ("tenant add !!", 64, "'' is no id", "--id"),
            ("quarantine show 1", 64, "there is no entry 1", "cloud-sync quarantine list"),
            ("quarantine show x", 64, "valid integer", "quarantine show --help"),
            ("db partitions --from 2024 --to 2025-01", 64, "'2024' is no month from 2000 on", "2024-01"),
            ("db partitions --from 2024-02 --to 2024-01", 64, "is not 1 to 600 months", ""),
            ("db partitions --from 2000-01 --to 2050-01", 64, "is not 1 to 600 months", ""),
            ("ca init", 78, "there is an authority already", "Keep it"),
            ("keys init", 78, "there are keys already", "Keep them"),
            ("ca issue-server a..b --out x", 78, "neither a host name nor an address", "broker.example.org"),
            ("tenant ad", 64, "No such command 'ad'", "cloud-sync tenant --help"),
            ("frobnicate", 64, "No such command 'frobnicate'", "cloud-sync --help"),
        ],
    )
    def test_says_what_and_what_next(
        self, busy_desk: Desk, command: str, status: int, sentence: str, step: str
    ) -> None:
        done = busy_desk(*command.split())
        assert done.status == status, done.err
        assert done.out == ""
        first, *others = done.err.splitlines()
        assert first.startswith("cloud-sync: ")
        assert sentence in first
        assert len(others) <= 1
        assert step in "".join(others)

    def test_no_command_at_all_shows_the_help(self) -> None:
        done = without_configuration()
        assert done.status == 64
        assert "Commands:" in done.out


class TestDatabase:
    def test_away(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, f"host={tmp_path} dbname=clipr password=sesame connect_timeout=2")
        for command in ("tenant list", "readings --tenant x", "db migrate", "quarantine list"):
            done = desk(*command.split())
            assert done.status == 69
            assert "cloud-sync: no database answers" in done.err
            assert "Is PostgreSQL running where [database] dsn points?" in done.err
            assert "sesame" not in done.err

    def test_no_connection_string(self, tmp_path: Path) -> None:
        done = Desk(tmp_path, "password=sesame nonsense")("tenant", "list")
        assert done.status == 78
        assert "[database] dsn is not a connection string" in done.err
        assert "sesame" not in done.err

    def test_not_there(self, postgres: Postgres, tmp_path: Path) -> None:
        done = Desk(tmp_path, postgres.dsn("nowhere"))("tenant", "list")
        assert done.status == 78
        assert 'database "nowhere" does not exist' in done.err

    def test_not_migrated_and_then_migrated(self, postgres: Postgres, tmp_path: Path) -> None:
        with migrated_database(postgres):
            pass  # roles belong to the server: they are there, whichever database is migrated first
        dsn = postgres.create_database()
        desk = Desk(tmp_path, dsn)
        done = desk("tenant", "list")
        assert done.status == 78
        assert "cloud-sync db migrate" in done.err
        first = desk.fine("db", "migrate").out.splitlines()
        assert first[0] == "applied 0001_records.sql"
        assert first[-1].startswith("made 27 partitions: readings_")
        assert desk.fine("db", "migrate").out == "The database is up to date.\n"
        assert desk.fine("tenant", "list", "--json").out == ""
        made = "made readings_2000_11, readings_2000_12, readings_2001_01\n"
        arguments = ("db", "partitions", "--from", "2000-11", "--to", "2001-01")
        assert desk.fine(*arguments).out == made
        assert desk.fine(*arguments).out == "All of them are there already.\n"
        postgres.drop_database(dict(part.split("=") for part in dsn.split())["dbname"])

    def test_isolation_is_checked(self, desk: Desk) -> None:
        assert desk.fine("db", "check").out == "Tenants are kept apart: no fault found.\n"
        assert desk.fine("db", "check", "--json").out == ""
        with psycopg.connect(desk.dsn, autocommit=True) as connection:
            connection.execute("CREATE VIEW clipr.everything AS SELECT * FROM clipr.readings")
        done = desk("db", "check", "--json")
        assert done.status == 1
        assert any("everything" in row["object"] and "security_invoker" in row["fault"] for row in done.rows)
        assert "tenants are not kept apart" in done.err
        assert "everything" in desk("db", "check").out

    def test_login_without_the_role(
        self,
        desk: Desk,
        postgres: Postgres,
        tmp_path: Path,
    ) -> None:
        name = dict(part.split("=") for part in desk.dsn.split())["dbname"]
        with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
            connection.execute("DROP ROLE IF EXISTS clerk")
            connection.execute("CREATE ROLE clerk LOGIN")
            connection.execute("GRANT clipr_dossier TO clerk")
        (tmp_path / "clerk").mkdir()
        clerk = Desk(tmp_path / "clerk", postgres.dsn(name, "clerk"))
        done = clerk("tenant", "list")
        assert done.status == 78
        assert "may not act as clipr_operator" in done.err
        assert "GRANT clipr_operator TO" in done.err
        desk.fine("tenant", "add", "acme")
        assert clerk.fine("readings", "--tenant", "acme").out == "There are none.\n"


class TestConfiguration:
    def test_example_and_version_need_none(self) -> None:
        assert without_configuration("config", "example").out.startswith("# Configuration of cloud-sync.")
        facts = without_configuration("version", "--json").rows[0]
        assert set(facts) >= {"cloud-sync", "python", "psycopg"}
        assert f"cloud-sync    {facts['cloud-sync']}" in without_configuration("version").out

    def test_passwords_are_not_shown(self, tmp_path: Path) -> None:
        for dsn in ("host=db.example.org password=sesame", "postgresql://clipr:sesame@db.example.org/clipr"):
            desk = Desk(tmp_path, dsn)
            for arguments in (("config", "show"), ("config", "show", "--json")):
                done = desk.fine(*arguments)
                assert "db.example.org" in done.out
                assert "***" in done.out
                assert "sesame" not in done.out

    def test_no_string_is_shown_that_we_do_not_understand(self, tmp_path: Path) -> None:
        shown = Desk(tmp_path, "pasword sesame").fine("config", "show", "--json").rows[0]
        assert shown["database"]["dsn"] == "(no connection string)"

    def test_unknown_key(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, "dbname=clipr")
        desk.configuration.write_text('[mqtt]\nhots = "broker.example.org"\n')
        done = desk("config", "check")
        assert done.status == 78
        assert f"{desk.configuration}: unknown key mqtt.hots" in done.err
        assert "cloud-sync config example" in done.err

    def test_check_looks_at_the_files(self, tmp_path: Path) -> None:
        desk = Desk(tmp_path, "dbname=clipr")
        assert "cloud-sync keys init" in desk("config", "check").err
        desk.fine("keys", "init")
        assert "cloud-sync ca init" in desk("config", "check").err
        desk.fine("ca", "init")
        desk.fine("ca", "issue-receiver", "--out", tmp_path)
        assert desk.fine("config", "check").out == "The configuration is fine.\n"
        desk.fine("ca", "issue-receiver", "--out", tmp_path / "other")
        (tmp_path / "other" / "receiver.key").replace(tmp_path / "receiver.key")
        done = desk("config", "check")
        assert (done.status, "do not fit together" in done.err) == (78, True)

    def test_run_without_keys(self, tmp_path: Path) -> None:
        done = Desk(tmp_path, "dbname=clipr")("run")
        assert (done.status, "cloud-sync keys init" in done.err) == (78, True)

    def test_file_is_named_before_the_command_after_it_or_by_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files = {}
        for name in ("before", "after", "environment"):
            files[name] = tmp_path / f"{name}.toml"
            files[name].write_text(f'[mqtt]\nclient_id = "{name}"\n')

        def client_id(*arguments: object) -> str:
            return without_configuration(*arguments).rows[0]["mqtt"]["client_id"]

        show = ("config", "show", "--json")
        monkeypatch.setenv("CLOUD_SYNC_CONFIG", str(files["environment"]))
        assert client_id(*show) == "environment"
        assert client_id("--config", files["before"], *show) == "before"
        assert client_id("--config", files["before"], *show, "--config", files["after"]) == "after"
        assert client_id(*show) == "environment"
        monkeypatch.delenv("CLOUD_SYNC_CONFIG")
        assert client_id(*show, "--config", files["after"]) == "after"
        done = without_configuration(*show)
        assert (done.status, "/etc/cloud-sync/config.toml" in done.err) == (78, True)


class TestAuthorityAndKeys:
    def test_certificates_are_issued_into_a_folder(self, desk: Desk, tmp_path: Path) -> None:
        desk.fine(
            "ca", "issue-server", "broker.example.org", "192.0.2.7", "--out", tmp_path / "b", "--days", "9"
        )
        assert stat.S_IMODE((tmp_path / "b" / "server.key").stat().st_mode) == 0o600
        certificate = x509.load_pem_x509_certificate((tmp_path / "b" / "server.crt").read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["localhost", "broker.example.org"]
        assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "192.0.2.7"]
        assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 9

    def test_folder_of_the_authority_may_be_given(self, tmp_path: Path) -> None:
        other = tmp_path / "other"
        made = without_configuration("ca", "init", "--directory", other)
        assert (made.status, made.err) == (0, "")
        issued = without_configuration("ca", "issue-receiver", "--directory", other, "--out", tmp_path)
        assert (issued.status, issued.err) == (0, "")
        assert (tmp_path / "receiver.crt").exists()

    def test_public_halves_are_shown(self, desk: Desk, tmp_path: Path) -> None:
        assert desk.fine("keys", "add").out == f"Made sealing key 2 in {tmp_path / 'keys'}.\n"
        keys = load_keys(tmp_path / "keys")
        lines = desk.fine("keys", "show").out.splitlines()
        assert [line.split()[-1] for line in lines[1:]] == [
            *(key.public_key.fingerprint for key in keys.sealing.values()),
            keys.receipt.verify_key.fingerprint,
        ]
        shown = desk.fine("keys", "show", "--json")
        assert set(shown.rows[0]) == {"sealing_keys", "receipt_key"}
        assert "PRIVATE" not in shown.out + "".join(lines)


def test_times_are_utc_with_milliseconds() -> None:
    from datetime import datetime

    assert time_text(datetime.fromisoformat("2026-11-24T12:00:00.1234+01:00")) == "2026-11-24T11:00:00.123Z"
