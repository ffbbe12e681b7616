"""What may never be on the air, and what must be on disk before it is: judged by looking at both."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.join_accept import EncryptedJoinAccept, JoinAccept
from edge_agent.lorawan.key_derivation import join_server_keys
from edge_agent.lorawan.phypayload import DataFrame, parse
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.device import Device, NetworkSession
from edge_agent.simulate.class_a import Ignored, Joined, Received
from edge_agent.store.files import LOG_SUFFIXES, beside
from edge_agent.store.key_provider import StoreKey
from edge_agent.store.reader import Reader
from edge_codecs.identifiers import DevEUI
from tests.rig.air import OnAir, Talk

MEMORY_DISK = Path("/dev/shm")
Disk = Mapping[DevEUI, Device]


def disk_of(store: Path, key: StoreKey) -> Disk:
    """What a start would find now, read from a copy: the original keeps the shape that the crash gave it."""
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK if MEMORY_DISK.is_dir() else None) as folder:
        copy = Path(folder) / store.name
        for suffix in ("", *LOG_SUFFIXES):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(beside(store, suffix), beside(copy, suffix))
        with Reader.open(copy, key) as reader:
            return {entry.device.dev_eui: entry.device for entry in reader.devices()}


class AirJudge:
    """Remembers everything that was on air. Each method raises AssertionError at what must not be."""

    def __init__(self) -> None:
        self.acknowledged: set[tuple[DevEUI, int, int]] = set()  # confirmed uplinks: session, FCntUp
        self.received: set[tuple[DevEUI, bytes]] = set()  # application payloads
        self.joins = 0
        self.data = 0
        self._accepts: dict[tuple[object, ...], bytes] = {}  # by DevNonce or RJcount
        self._join_nonces: dict[tuple[DevEUI, int], bytes] = {}
        self._counters: dict[tuple[DevEUI, int, bool, int], bytes] = {}
        self._sessions: dict[tuple[DevEUI, bytes], int] = {}  # by DevAddr

    def take(self, one: OnAir, disk: Disk | None = None) -> None:
        """A downlink was on air. With `disk`, as it was found after a kill, its ground must be there."""
        assert not isinstance(one.heard, Ignored), f"{one.heard} of the answer to a {one.talk.what}"
        frame = parse(one.transmission.phy_payload)
        if isinstance(frame, EncryptedJoinAccept):
            self._join_accept(one, frame, disk)
        else:
            assert isinstance(frame, DataFrame)
            self._data(one, frame, disk)

    def _join_accept(self, one: OnAir, frame: EncryptedJoinAccept, disk: Disk | None) -> None:
        talk, phy_payload = one.talk, one.transmission.phy_payload
        accept, dev_eui = _opened(talk, frame), talk.device.dev_eui
        assert talk.nonce is not None, "a join accept, and nobody asked to join"
        same = self._accepts.setdefault(talk.nonce, phy_payload) == phy_payload
        assert same, f"{talk.nonce} was answered twice"
        same = self._join_nonces.setdefault((dev_eui, accept.join_nonce), phy_payload) == phy_payload
        assert same, f"JoinNonce {accept.join_nonce} twice"
        self.joins += isinstance(one.heard, Joined)
        self._sessions[dev_eui, bytes(accept.dev_addr)] = accept.join_nonce
        if disk is not None:
            device = disk[dev_eui]
            assert device.nonces.join_nonce >= accept.join_nonce, "JoinNonce on air, not on disk"
            assert _used(device, talk), f"{talk.nonce} answered, and not used up on disk"
            is_over = device.session is not None and device.session.session.number > accept.join_nonce
            assert is_over or _session(device, accept.join_nonce), "the session is on air, not on disk"

    def _data(self, one: OnAir, frame: DataFrame, disk: Disk | None) -> None:
        talk, dev_eui = one.talk, one.talk.device.dev_eui
        session = self._sessions.get((dev_eui, bytes(frame.fhdr.dev_addr)), 0)
        counts_apart = talk.device.version is LoRaWANVersion.V1_1 and bool(frame.f_port)
        counter = (dev_eui, session, counts_apart, frame.fhdr.f_cnt_16)
        phy_payload = one.transmission.phy_payload
        same = self._counters.setdefault(counter, phy_payload) == phy_payload
        assert same, f"FCntDown {counter} with other bytes"
        if isinstance(one.heard, Received):
            self.data += 1
            if one.heard.ack:
                assert talk.sent.f_cnt is not None
                self.acknowledged.add((dev_eui, session, talk.sent.f_cnt))
            if one.heard.f_port:
                self.received.add((dev_eui, one.heard.payload))
        kept = None if disk is None else _session(disk[dev_eui], session)
        if kept is not None:
            bound = kept.a_f_cnt_down if counts_apart else kept.n_f_cnt_down
            assert frame.fhdr.f_cnt_16 < bound, "a counter on air that the disk has not reserved"
            if frame.fhdr.f_ctrl.ack:
                assert is_on_disk(disk or {}, talk), "an uplink is acknowledged, and not on disk"


def is_on_disk(disk: Disk, talk: Talk) -> bool:
    """Whether the uplink, or the nonce of the join, is on disk."""
    device = disk[talk.device.dev_eui]
    if talk.nonce is not None:
        return _used(device, talk)
    kept, f_cnt = _session(device, talk.session), talk.sent.f_cnt
    assert f_cnt is not None
    return kept is not None and kept.session.f_cnt_up is not None and kept.session.f_cnt_up >= f_cnt


def twice(keys: Sequence[tuple[DevEUI, int, int]]) -> set[tuple[DevEUI, int, int]]:
    """Those that are there more than once."""
    seen: set[tuple[DevEUI, int, int]] = set()
    return {key for key in keys if key in seen or seen.add(key)}  # type: ignore[func-returns-value]


def _used(device: Device, talk: Talk) -> bool:
    assert talk.nonce is not None
    kind, number = talk.nonce[1], talk.nonce[-1]
    assert isinstance(number, int)
    nonces, last = device.nonces, None
    if kind == "DevNonce":
        last = nonces.dev_nonce
        if number in nonces.dev_nonces:
            return True
    elif kind == "RJcount1":
        last = nonces.rj_count_1
    elif device.session is not None:
        if device.session.session.number > talk.session:
            return True  # a later session is in use: this one's RJcount0 is nobody's any more
        last = device.session.rj_count_0 if device.session.session.number == talk.session else None
    return last is not None and number <= last


def _session(device: Device, number: int) -> NetworkSession | None:
    known = (*device.pending, *([device.session] if device.session is not None else ()))
    return next((one for one in known if one.session.number == number), None)


def _opened(talk: Talk, frame: EncryptedJoinAccept) -> JoinAccept:
    joiner = talk.device.joiner
    assert joiner is not None
    own = joiner.registration
    if talk.what == "join":
        return frame.decrypt(AES128(own.join_key))
    assert own.nwk_key is not None
    return frame.decrypt(AES128(join_server_keys(own.nwk_key, own.dev_eui).js_enc_key))
