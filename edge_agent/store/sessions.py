"""Rows of the table `sessions`: keys, counters and what device and network agree on."""

from __future__ import annotations

from typing import Final

from edge_agent.errors import AgentBug
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.session import Session
from edge_agent.network.device import MAX_PENDING, NetworkSession
from edge_agent.network.mac_state import MacState
from edge_agent.store.connection import Database, Row
from edge_codecs.identifiers import DevEUI

SESSION: Final = (
    "s.session, s.dev_addr, s.lorawan, s.f_nwk_s_int_key, s.s_nwk_s_int_key, s.nwk_s_enc_key, s.app_s_key, "
    "s.f_cnt_up, s.mac, s.n_f_cnt_down, s.a_f_cnt_down, s.conf_f_cnt, s.rj_count_0"
)
"""What `network_session` takes."""


def network_session(dev_eui: DevEUI, codec: str, codec_version: int, row: Row) -> NetworkSession:
    """The session of a row of SESSION."""
    number, dev_addr, lorawan, f_int, s_int, enc, app, f_cnt_up, mac, n_down, a_down, conf, rj_count_0 = row
    return NetworkSession(
        Session(
            dev_eui,
            DevAddr(dev_addr),
            lorawan,
            AES128Key(f_int),
            AES128Key(s_int),
            AES128Key(enc),
            AES128Key(app),
            number,
            f_cnt_up,
            codec,
            codec_version,
        ),
        None if mac is None else MacState.from_text(mac),
        n_down,
        a_down,
        conf,
        rj_count_0,
    )


def insert_session(database: Database, session: NetworkSession, *, pending: bool) -> None:
    """Keep a new session, within the caller's transaction. Of those pending the newest MAX_PENDING stay."""
    keys = session.session
    database.execute(
        "INSERT INTO sessions (dev_eui, pending, session, dev_addr, lorawan, f_nwk_s_int_key, "
        "s_nwk_s_int_key, nwk_s_enc_key, app_s_key, f_cnt_up, mac, n_f_cnt_down, a_f_cnt_down, conf_f_cnt, "
        "rj_count_0) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            bytes(keys.dev_eui),
            int(pending),
            keys.number,
            bytes(keys.dev_addr),
            keys.lorawan,
            bytes(keys.f_nwk_s_int_key),
            bytes(keys.s_nwk_s_int_key),
            bytes(keys.nwk_s_enc_key),
            bytes(keys.app_s_key),
            keys.f_cnt_up,
            None if session.mac is None else session.mac.to_text(),
            session.n_f_cnt_down,
            session.a_f_cnt_down,
            session.conf_f_cnt,
            session.rj_count_0,
        ),
    )
    database.execute(
        "DELETE FROM sessions WHERE dev_eui = ?1 AND pending = 1 AND session NOT IN (SELECT session "
        "FROM sessions WHERE dev_eui = ?1 AND pending = 1 ORDER BY session DESC LIMIT ?2)",
        (bytes(keys.dev_eui), MAX_PENDING),
    )


def take_pending(database: Database, dev_eui: DevEUI, number: int) -> None:
    """The device used a pending session: it takes the place of all that were given before it.

    Within the caller's transaction. Raises AgentBug if that session is not pending.
    """
    database.execute("DELETE FROM sessions WHERE dev_eui = ? AND session < ?", (bytes(dev_eui), number))
    taken = database.execute(
        "UPDATE sessions SET pending = 0 WHERE dev_eui = ? AND pending = 1 AND session = ?",
        (bytes(dev_eui), number),
    )
    if taken != 1:
        raise AgentBug(f"session {number} of {dev_eui} is not pending")


def reserve(database: Database, dev_eui: DevEUI, number: int, n_f_cnt_down: int, a_f_cnt_down: int) -> None:
    """Downlink counters below these bounds may be used. Raises AgentBug for a bound that goes back."""
    present = database.one(
        "SELECT n_f_cnt_down, a_f_cnt_down FROM sessions WHERE dev_eui = ? AND session = ?",
        (bytes(dev_eui), number),
    )
    if present is None:  # reset meanwhile
        return
    if n_f_cnt_down < present[0] or a_f_cnt_down < present[1]:
        raise AgentBug(f"a downlink counter of {dev_eui} would be used twice")
    database.execute(
        "UPDATE sessions SET n_f_cnt_down = ?, a_f_cnt_down = ? WHERE dev_eui = ? AND session = ?",
        (n_f_cnt_down, a_f_cnt_down, bytes(dev_eui), number),
    )


def confirmed_sent(database: Database, dev_eui: DevEUI, number: int, conf_f_cnt: int) -> None:
    """A confirmed downlink goes out. Raises AgentBug if its counter was not reserved."""
    bound = database.one(
        "SELECT max(n_f_cnt_down, a_f_cnt_down) FROM sessions WHERE dev_eui = ? AND session = ?",
        (bytes(dev_eui), number),
    )
    if bound is None:  # reset meanwhile
        return
    if conf_f_cnt >= bound[0]:
        raise AgentBug(f"downlink counter {conf_f_cnt} of {dev_eui} is not reserved")
    database.execute(
        "UPDATE sessions SET conf_f_cnt = ? WHERE dev_eui = ? AND session = ?",
        (conf_f_cnt, bytes(dev_eui), number),
    )


def set_mac(database: Database, dev_eui: DevEUI, number: int, mac: MacState) -> None:
    """Keep what device and network agree on; nothing happens where the session was reset meanwhile."""
    database.execute(
        "UPDATE sessions SET mac = ? WHERE dev_eui = ? AND session = ?",
        (mac.to_text(), bytes(dev_eui), number),
    )
