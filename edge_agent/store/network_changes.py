"""What the network decided, put on disk: nonces, counters, sessions, downlinks.

A change of a device that was removed since the decision, or of a session that was reset since, is passed
over. One that would use a nonce or a counter twice must never have been decided: AgentBug.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from edge_agent.errors import AgentBug
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.changes import (
    Change,
    ConfirmedSent,
    CountersReserved,
    DownlinkChanged,
    HistoryAsked,
    JoinAnswered,
    MacChanged,
    SessionTaken,
)
from edge_agent.store import downlinks
from edge_agent.store.connection import Database
from edge_agent.store.sessions import confirmed_sent, insert_session, reserve, set_mac, take_pending
from edge_codecs.identifiers import DevEUI

MAX_JOIN_NONCE = 2**24 - 1


def apply(
    database: Database,
    changes: Sequence[Change],
    present: Container[DevEUI],
    history_asked: Callable[[HistoryAsked], None],
) -> None:
    """Keep all changes in their order, within the caller's transaction. Raises AgentBug.

    `present` are the devices that are here. `history_asked` keeps how often sensors were asked.
    """
    for change in changes:
        match change:
            case DownlinkChanged():
                downlinks.changed(database, change)
            case _ if change.dev_eui not in present:
                pass
            case JoinAnswered():
                _join_answered(database, change)
            case SessionTaken(dev_eui, number):
                take_pending(database, dev_eui, number)
            case CountersReserved(dev_eui, number, n_f_cnt_down, a_f_cnt_down):
                reserve(database, dev_eui, number, n_f_cnt_down, a_f_cnt_down)
            case MacChanged(dev_eui, number, mac):
                set_mac(database, dev_eui, number, mac)
            case ConfirmedSent(dev_eui, number, conf_f_cnt):
                confirmed_sent(database, dev_eui, number, conf_f_cnt)
            case HistoryAsked():
                history_asked(change)


def taken_sessions(changes: Sequence[Change], present: Container[DevEUI]) -> dict[DevEUI, list[int]]:
    """The sessions that begin with these changes, by device."""
    taken: dict[DevEUI, list[int]] = {}
    for change in changes:
        if isinstance(change, SessionTaken) and change.dev_eui in present:
            taken.setdefault(change.dev_eui, []).append(change.session)
    return taken


def _join_answered(database: Database, change: JoinAnswered) -> None:
    dev_eui, number = change.dev_eui, change.join_nonce
    version, last_session, dev_nonce, rj_count_1 = database.all(
        "SELECT version, last_session, dev_nonce, rj_count_1 FROM devices WHERE dev_eui = ?",
        (bytes(dev_eui),),
    )[0]
    if version is None:
        raise AgentBug(f"{dev_eui} cannot join: it has session keys of its own")
    if not last_session < number <= MAX_JOIN_NONCE or change.pending.session.number != number:
        raise AgentBug(f"JoinNonce {number} of {dev_eui} does not follow {last_session}")
    match (change.dev_nonce, change.rj_count_0, change.rj_count_1):
        case (int(taken), None, None) if LoRaWANVersion(version).dev_nonce_rises:
            _expect_rising("DevNonce", dev_eui, dev_nonce, taken)
            dev_nonce = taken
        case (int(taken), None, None):
            _remember_dev_nonce(database, dev_eui, taken)
        case (None, int(taken), None):
            _take_rj_count_0(database, dev_eui, taken)
        case (None, None, int(taken)):
            _expect_rising("RJcount1", dev_eui, rj_count_1, taken)
            rj_count_1 = taken
        case _:
            raise AgentBug(f"a join of {dev_eui} has one nonce, not none or several")
    database.execute(
        "UPDATE devices SET last_session = ?, dev_nonce = ?, rj_count_1 = ? WHERE dev_eui = ?",
        (number, dev_nonce, rj_count_1, bytes(dev_eui)),
    )
    insert_session(database, change.pending, pending=True)


def _remember_dev_nonce(database: Database, dev_eui: DevEUI, dev_nonce: int) -> None:
    if not database.execute(
        "INSERT OR IGNORE INTO dev_nonces (dev_eui, dev_nonce) VALUES (?, ?)", (bytes(dev_eui), dev_nonce)
    ):
        raise AgentBug(f"DevNonce {dev_nonce} of {dev_eui} was taken before")


def _take_rj_count_0(database: Database, dev_eui: DevEUI, rj_count_0: int) -> None:
    row = database.one("SELECT rj_count_0 FROM sessions WHERE dev_eui = ? AND pending = 0", (bytes(dev_eui),))
    if row is None:
        raise AgentBug(f"{dev_eui} has no session to rejoin from")
    _expect_rising("RJcount0", dev_eui, row[0], rj_count_0)
    database.execute(
        "UPDATE sessions SET rj_count_0 = ? WHERE dev_eui = ? AND pending = 0", (rj_count_0, bytes(dev_eui))
    )


def _expect_rising(name: str, dev_eui: DevEUI, before: int | None, taken: int) -> None:
    if before is not None and taken <= before:
        raise AgentBug(f"{name} {taken} of {dev_eui} was taken before: {before} was the last")
