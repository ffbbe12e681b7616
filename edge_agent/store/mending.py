"""After damage: put in place what other rows refer to; no number begins anew because its row was lost."""

from __future__ import annotations

from typing import Final

from edge_agent.store.connection import Database
from edge_codecs.identifiers import DevEUI

_USABLE: Final = (
    "SELECT d.dev_eui FROM devices d WHERE d.app_key IS NOT NULL OR EXISTS "
    "(SELECT 1 FROM sessions s WHERE s.dev_eui = d.dev_eui AND s.pending = 0)"
)
"""Devices with keys: those that join, and those with a session of their own."""
_TRACES: Final = (
    "SELECT * FROM ("  # noqa: S608 - our names
    "SELECT dev_eui, last_session AS session, dev_nonce, rj_count_1, 0 AS n_down, 0 AS a_down FROM devices "
    "UNION ALL SELECT dev_eui, session, NULL, NULL, n_f_cnt_down, a_f_cnt_down FROM sessions "
    "UNION ALL SELECT dev_eui, session, NULL, NULL, f_cnt + 1, f_cnt + 1 FROM uplinks "
    "UNION ALL SELECT dev_eui, 0, NULL, NULL, 0, 0 FROM dev_nonces) "
    f"WHERE dev_eui NOT IN ({_USABLE})"
)
"""What is left of the others."""


def mend(target: Database) -> list[DevEUI]:
    """Make a half-copied store whole, within the caller's transaction; returns devices that lost their keys.

    Those have to be added again (or were removed long ago, and the trace of that was lost).
    """
    target.execute(
        "INSERT OR IGNORE INTO boots SELECT DISTINCT boot, 'lost ' || boot FROM uplinks "
        "WHERE boot NOT IN (SELECT number FROM boots)"
    )
    target.execute(
        "INSERT INTO spans (number, boot) SELECT span, min(boot) FROM uplinks WHERE span IS NOT NULL "
        "AND span NOT IN (SELECT number FROM spans) GROUP BY span"
    )
    target.execute(
        "UPDATE life SET last_downlink = max(last_downlink, (SELECT coalesce(max(number), 0) FROM downlinks))"
    )
    return _let_lost_devices_go(target)


def _let_lost_devices_go(target: Database) -> list[DevEUI]:
    """Devices without keys become former ones, with the highest numbers that anything tells of them.

    A downlink answers an uplink: where the session is lost, the uplinks' counters bound those of the
    downlinks. What `doubt` adds comes on top.
    """
    told = target.all(f"SELECT dev_eui FROM ({_TRACES}) EXCEPT SELECT dev_eui FROM former_devices ORDER BY 1")  # noqa: S608
    target.execute(
        "INSERT INTO former_devices "  # noqa: S608 - our names
        "(dev_eui, last_session, dev_nonce, rj_count_1, n_f_cnt_down, a_f_cnt_down) "
        "SELECT dev_eui, max(session), max(dev_nonce), max(rj_count_1), max(n_down), max(a_down) "
        f"FROM ({_TRACES}) GROUP BY dev_eui ON CONFLICT (dev_eui) DO UPDATE SET "
        "dev_nonce = coalesce(excluded.dev_nonce, dev_nonce), "
        "rj_count_1 = coalesce(excluded.rj_count_1, rj_count_1), "
        "n_f_cnt_down = iif(excluded.last_session > last_session, excluded.n_f_cnt_down, n_f_cnt_down), "
        "a_f_cnt_down = iif(excluded.last_session > last_session, excluded.a_f_cnt_down, a_f_cnt_down), "
        "last_session = max(last_session, excluded.last_session)"
    )
    for table in ("devices", "sessions", "downlinks"):
        target.execute(f"DELETE FROM {table} WHERE dev_eui NOT IN ({_USABLE})")  # noqa: S608 - our names
    return [DevEUI(raw) for (raw,) in told]
