"""A sensor that was assigned late: what the commands say, and that its rows come in."""

# ruff: noqa: F811  (a fixture is imported, and then named by arguments)

from datetime import timedelta
from pathlib import Path

import pytest

from cloud_sync.cli.output import time_text
from cloud_sync.db.connection import RECEIVER, connect
from cloud_sync.db.records import Records
from tests.rig.batches import EPOCH, NOW_MS, Gateway, dev_eui, register, uplink
from tests.rig.desk import Desk
from tests.rig.postgres import Postgres, migrated_database, postgres  # noqa: F401

pytestmark = pytest.mark.slow

GATEWAY, LATER = Gateway(1), Gateway(2)
STRANGER, OTHER = dev_eui(50), dev_eui(51)
HOUR = timedelta(hours=1)


@pytest.fixture
def desk(postgres: Postgres, tmp_path: Path):
    """Tenant a; three rows of STRANGER and one of OTHER in quarantine."""
    with migrated_database(postgres) as dsn:
        register(dsn, "a", [GATEWAY], [1])
        door = Records(connect(dsn, RECEIVER), lambda: NOW_MS)
        gateway = Gateway(1)
        rows = [uplink(50, n, at=EPOCH + n * HOUR) for n in range(3)]
        door.process([gateway.batch([uplink(1, 1), *rows, uplink(51, 1)])])
        door.close()
        yield Desk(tmp_path, dsn)


def test_assigned_late_and_brought_in(desk: Desk) -> None:
    told = desk.fine("device", "add", STRANGER, "--tenant", "a").out.splitlines()
    assert told[2] == (
        f"3 rows are in quarantine, the oldest of {time_text(EPOCH)}. "
        f"Next: cloud-sync quarantine retry --device {STRANGER}"
    )
    assert "earlier --from" in told[3]
    still = desk.fine("quarantine", "retry", "--device", STRANGER).out
    assert still.startswith("Placed 0 of 3 rows.\n")
    assert "device_unassigned" in still

    told = desk.fine("device", "assign", STRANGER, "--tenant", "a", "--from", time_text(EPOCH + HOUR)).out
    assert "earlier --from" in told
    (done,) = desk.fine("quarantine", "retry", "--json").rows
    assert done == {"placed": 2, "open": {"device_unassigned": 2}}

    told = desk.fine("device", "assign", STRANGER, "--tenant", "a", "--from", time_text(EPOCH)).out
    assert "1 row is in quarantine" in told
    assert "earlier --from" not in told
    assert desk.fine("quarantine", "retry", "--device", STRANGER).out == "Placed 1 of 1 row.\n"
    assert desk.fine("quarantine", "retry", "--device", STRANGER).out == (
        "There are no such rows in quarantine.\n"
    )
    shown = desk.fine("uplinks", "--tenant", "a", "--device", STRANGER, "--json").rows
    assert [row["f_cnt"] for row in shown] == [0, 1, 2]
    told = desk.fine("device", "assign", STRANGER, "--tenant", "a", "--from", time_text(EPOCH)).out
    assert told == f"Device {STRANGER} belonged already to tenant a.\n"


def test_settled_entries_are_shown_if_asked_for(desk: Desk) -> None:
    assert "settled_at" not in desk.fine("quarantine", "list").out
    desk.fine("device", "add", STRANGER, "--tenant", "a", "--from", time_text(EPOCH))
    desk.fine("quarantine", "retry", "--reason", "device_unassigned")
    (row,) = desk.fine("quarantine", "list", "--json").rows
    assert (row["dev_eui"], row["settled_at"]) == (str(OTHER), None)
    rows = desk.fine("quarantine", "list", "--all", "--json").rows
    assert [row["settled_at"] is None for row in rows] == [True, False, False, False]
    assert "settled_at" in desk.fine("quarantine", "list", "--all").out


def test_a_gateway_that_has_rows_in_quarantine_says_so(desk: Desk) -> None:
    told = desk.fine("gateway", "assign", GATEWAY.id, "--tenant", "a").out.splitlines()
    assert told[1].endswith("Next: cloud-sync quarantine retry")
    assert told[1].startswith("4 rows are in quarantine")


@pytest.mark.parametrize(
    ("arguments", "says"), [(("--reason", "conflict"), "--reason"), (("--device", "50"), "16 hex digits")]
)
def test_what_cannot_be_retried(desk: Desk, arguments: tuple[str, str], says: str) -> None:
    done = desk("quarantine", "retry", *arguments)
    assert (done.status, says in done.err) == (64, True), done.err
