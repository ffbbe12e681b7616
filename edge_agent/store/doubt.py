"""A store that may be an older one than the last at work: what another may have given is passed over.

A backup, an older image of the card or a store with damage may know lower numbers than were given. So before
anything is sent with it, JoinNonces (session numbers) and downlink counters go up by a step, and application
messages that waited are done with, for they may have been sent.
"""

from __future__ import annotations

from typing import Final

from edge_agent.lorawan.fcnt import MAX_F_CNT
from edge_agent.store import downlinks
from edge_agent.store.connection import Database
from edge_agent.store.network_changes import MAX_JOIN_NONCE

JOIN_NONCE_STEP: Final = 1_000
"""More joins than a device makes while a backup lies about; of 24 bits, some 16,000 such steps."""
F_CNT_DOWN_STEP: Final = 4_096
"""An answer every 15 minutes for 42 days. A device takes up to 16,384 lost downlinks (MAX_FCNT_GAP)."""


def pass_over(database: Database) -> None:
    """Raise what must not be given twice, within the caller's transaction."""
    for table in ("devices", "former_devices"):
        database.execute(
            f"UPDATE {table} SET last_session = min(last_session + ?, ?)",  # noqa: S608 - our names
            (JOIN_NONCE_STEP, MAX_JOIN_NONCE),
        )
    for table in ("sessions", "former_devices"):
        database.execute(
            f"UPDATE {table} SET n_f_cnt_down = min(n_f_cnt_down + ?1, ?2), "  # noqa: S608 - our names
            "a_f_cnt_down = min(a_f_cnt_down + ?1, ?2)",
            (F_CNT_DOWN_STEP, MAX_F_CNT + 1),
        )
    database.execute("UPDATE life SET last_downlink = last_downlink + ?", (JOIN_NONCE_STEP,))
    downlinks.give_up(database, "the store is a copy or was damaged: it may have been sent")
