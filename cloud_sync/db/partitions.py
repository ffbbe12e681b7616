"""One partition of `readings` per month: made ahead, and later for months that began in the default one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import psycopg
from psycopg import sql

MONTHS_BACK = 13
MONTHS_AHEAD = 13


def months(first: date, last: date) -> Iterator[date]:
    """The first day of each month from `first`'s to `last`'s."""
    month = first.replace(day=1)
    while month <= last:
        yield month
        month = following(month)


def following(month: date) -> date:
    """The first day of the next month."""
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1, day=1)


def around(today: date) -> tuple[date, date]:
    """The months that are kept ready: (first, last)."""

    def shifted(by: int) -> date:
        index = today.year * 12 + today.month - 1 + by
        return date(index // 12, index % 12 + 1, 1)

    return shifted(-MONTHS_BACK), shifted(MONTHS_AHEAD)


def name_of(month: date) -> str:
    """The partition's table."""
    return f"readings_{month:%Y_%m}"


def ensure(connection: psycopg.Connection, first: date, last: date) -> list[str]:
    """Make the partitions that are missing, as the owner, in one transaction; returns their names.

    Rows of such a month that lie in the default partition move into it; nobody else sees the table meanwhile.
    """
    made: list[str] = []
    with connection.transaction():
        known = {name for (name,) in connection.execute(_KNOWN).fetchall()}
        missing = [month for month in months(first, last) if name_of(month) not in known]
        if not missing:
            return made
        crowded = _begin_moving(connection)
        for month in missing:
            _make(connection, month)
            made.append(name_of(month))
        if crowded:
            _end_moving(connection)
    return made


_KNOWN = """SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'clipr.readings'::regclass"""


def _make(connection: psycopg.Connection, month: date) -> None:
    table = sql.Identifier("clipr", name_of(month))
    connection.execute(
        sql.SQL("CREATE TABLE {} PARTITION OF clipr.readings FOR VALUES FROM ({}) TO ({})").format(
            table, sql.Literal(f"{month} 00:00:00+00"), sql.Literal(f"{following(month)} 00:00:00+00")
        )
    )
    _guard(connection, table)


def _begin_moving(connection: psycopg.Connection) -> bool:
    """Take the default partition's rows out of the way, if it has any.

    The owner is held by row-level security like everybody; for the move it is lifted, inside this
    transaction and under an exclusive lock, so that nobody ever sees the table without it.
    """
    connection.execute("LOCK TABLE clipr.readings IN ACCESS EXCLUSIVE MODE")
    connection.execute("ALTER TABLE clipr.readings_other NO FORCE ROW LEVEL SECURITY")
    (crowded,) = connection.execute("SELECT EXISTS (SELECT 1 FROM clipr.readings_other)").fetchone() or (
        False,
    )
    if not crowded:
        connection.execute("ALTER TABLE clipr.readings_other FORCE ROW LEVEL SECURITY")
        return False
    connection.execute("ALTER TABLE clipr.readings NO FORCE ROW LEVEL SECURITY")
    connection.execute("ALTER TABLE clipr.readings DETACH PARTITION clipr.readings_other")
    connection.execute("ALTER TABLE clipr.readings_other RENAME TO readings_moving")
    connection.execute("CREATE TABLE clipr.readings_other PARTITION OF clipr.readings DEFAULT")
    _guard(connection, sql.Identifier("clipr", "readings_other"))
    return True


def _end_moving(connection: psycopg.Connection) -> None:
    connection.execute("INSERT INTO clipr.readings SELECT * FROM clipr.readings_moving")
    connection.execute("DROP TABLE clipr.readings_moving")
    connection.execute("ALTER TABLE clipr.readings FORCE ROW LEVEL SECURITY")


def _guard(connection: psycopg.Connection, table: sql.Identifier) -> None:
    """Nobody has a right on a partition itself; should somebody get one, it shows what its parent would."""
    connection.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(table))
    connection.execute(sql.SQL("ALTER TABLE {} FORCE ROW LEVEL SECURITY").format(table))
    connection.execute(
        sql.SQL("CREATE POLICY floor ON {} AS RESTRICTIVE FOR ALL TO PUBLIC ").format(table) + _MINE
    )
    connection.execute(
        sql.SQL("CREATE POLICY reads_own ON {} FOR SELECT TO clipr_dossier, clipr_auditor ").format(table)
        + _MINE
    )


_MINE = sql.SQL("USING (tenant = (SELECT current_setting('clipr.tenant', true)))")
