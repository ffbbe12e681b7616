"""The store against a model of what the network keeps: joins, sessions, counters, downlinks, in any order.

Over restarts, power cuts and new streams no nonce and no counter comes back.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_agent.errors import AgentBug
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.changes import CountersReserved, DownlinkChanged, SessionTaken
from edge_agent.network.device import MAX_PENDING, Device, DownlinkState, JoinNonces, NetworkSession
from edge_agent.store.check import check
from edge_agent.store.doubt import F_CNT_DOWN_STEP, JOIN_NONCE_STEP
from edge_agent.store.downlinks import MAX_WAITING
from edge_agent.store.store import Store
from tests.rig.store import (
    KEY,
    Now,
    clock,
    dev_eui,
    joined,
    mac_only,
    open_store,
    registration,
    session_of,
    uplink,
)

RISES, RANDOM = 0, 1
VERSIONS = {RISES: LoRaWANVersion.V1_0_4, RANDOM: LoRaWANVersion.V1_0_3}
DEVICES = st.sampled_from([RISES, RANDOM])


class NetworkModel(RuleBasedStateMachine):
    """`devices` are as the store must have them; `here` tells which are not removed."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="store-network-"))
        self.path = self.folder / "store.db"
        self.store: Store = open_store(self.path, now=Now(1e6))
        self.devices = {
            number: Device(dev_eui(number), registration(number, VERSIONS[number])) for number in VERSIONS
        }
        self.here = set(VERSIONS)
        self.store.add_devices([registration(number, VERSIONS[number]) for number in VERSIONS])
        self.downlinks = 0

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            assert check(self.path, KEY).findings == ()
            shutil.rmtree(self.folder)

    # What the network decides

    @rule(number=DEVICES, dev_nonce=st.integers(0, 12))
    def join(self, number: int, dev_nonce: int) -> None:
        device = self.devices[number]
        nonces, join_nonce = device.nonces, device.nonces.join_nonce + 1
        if number == RISES:
            again = nonces.dev_nonce is not None and dev_nonce <= nonces.dev_nonce
            nonces = replace(nonces, join_nonce=join_nonce, dev_nonce=dev_nonce)
        else:
            again = dev_nonce in nonces.dev_nonces
            taken = nonces.dev_nonces | {dev_nonce}
            nonces = replace(nonces, join_nonce=join_nonce, dev_nonces=taken)
        change = joined(number, join_nonce, dev_nonce=dev_nonce)
        if number in self.here and again:
            with pytest.raises(AgentBug):
                self.store.keep([], None, [change])
            return
        self.store.apply([change])
        if number in self.here:
            pending = (*device.pending, change.pending)[-MAX_PENDING:]
            self.devices[number] = replace(device, nonces=nonces, pending=pending)

    @rule(
        number=DEVICES, which=st.integers(0, MAX_PENDING - 1), f_cnt=st.integers(0, 3), with_row=st.booleans()
    )
    def take(self, number: int, which: int, f_cnt: int, with_row: bool) -> None:
        """The first uplink of a session, behind one more of the session before it."""
        device = self.devices[number]
        if which >= len(device.pending):
            return
        begun = device.pending[which]
        new = begun.session.number
        frame = uplink(number, f_cnt, session=new) if with_row else mac_only(number, f_cnt, session=new)
        frames = [frame]
        if device.session is not None:
            frames.insert(
                0, uplink(number, self.next_f_cnt(device.session), session=session_of(device).number)
            )
        bound = CountersReserved(dev_eui(number), new, begun.n_f_cnt_down + 32, begun.a_f_cnt_down)
        self.store.keep(frames, clock(1), [SessionTaken(dev_eui(number), new), bound])
        self.devices[number] = replace(
            device,
            session=replace(
                begun,
                session=replace(begun.session, f_cnt_up=f_cnt),
                n_f_cnt_down=begun.n_f_cnt_down + 32,
            ),
            pending=device.pending[which + 1 :],
        )

    @rule(number=DEVICES, count=st.integers(1, 3), with_row=st.booleans(), reserve=st.booleans())
    def send(self, number: int, count: int, with_row: bool, reserve: bool) -> None:
        device = self.devices[number]
        if device.session is None:
            return
        present, first = device.session, self.next_f_cnt(device.session)
        make = uplink if with_row else mac_only
        frames = [make(number, first + n, session=present.session.number) for n in range(count)]
        present = replace(present, session=replace(present.session, f_cnt_up=first + count - 1))
        changes = []
        if reserve:
            present = replace(present, n_f_cnt_down=present.n_f_cnt_down + 32)
            bounds = present.n_f_cnt_down, present.a_f_cnt_down
            changes = [CountersReserved(dev_eui(number), present.session.number, *bounds)]
        self.store.keep(frames, clock(1), changes)
        self.devices[number] = replace(device, session=present)

    @staticmethod
    def next_f_cnt(present: NetworkSession) -> int:
        f_cnt_up = present.session.f_cnt_up
        return 0 if f_cnt_up is None else f_cnt_up + 1

    # What people do

    @rule(number=DEVICES, confirmed=st.booleans())
    def queue(self, number: int, confirmed: bool) -> None:
        device = self.devices[number]
        if number not in self.here or len(device.downlinks) == MAX_WAITING:
            return
        entry = self.store.queue_downlink(dev_eui(number), 20, b"x", confirmed, 1)
        assert entry.number > self.downlinks, "no number twice"
        self.downlinks = entry.number
        self.devices[number] = replace(device, downlinks=(*device.downlinks, entry))

    @rule(number=DEVICES, state=st.sampled_from(DownlinkState), tries=st.integers(1, 8))
    def downlink(self, number: int, state: DownlinkState, tries: int) -> None:
        device = self.devices[number]
        if not device.downlinks:
            return
        head, *others = device.downlinks
        self.store.apply([DownlinkChanged(head.number, state, tries, 7, "why")])
        head = replace(head, state=state, tries=tries, f_cnt_down=7, detail="why")
        done = head.done
        self.devices[number] = replace(device, downlinks=tuple(others) if done else (head, *others))

    @rule(number=DEVICES)
    def clear(self, number: int) -> None:
        if number in self.here:
            assert self.store.cancel_downlinks(dev_eui(number)) == len(self.devices[number].downlinks)
            self.devices[number] = replace(self.devices[number], downlinks=())

    @rule(number=DEVICES)
    def remove(self, number: int) -> None:
        if number in self.here:
            self.store.remove_device(dev_eui(number))
            self.here.remove(number)
            device = self.devices[number]
            self.devices[number] = Device(device.dev_eui, device.registration, device.nonces)

    @rule(number=DEVICES)
    def add(self, number: int) -> None:
        if number not in self.here:
            added = self.store.add_device(registration(number, VERSIONS[number]))
            self.here.add(number)
            assert added == self.devices[number]

    @rule(number=DEVICES)
    def reset(self, number: int) -> None:
        if number in self.here:
            device = self.devices[number]
            device = replace(device, nonces=JoinNonces(device.nonces.join_nonce))
            self.devices[number] = device
            assert self.store.reset_counter(dev_eui(number)) == device

    # What happens to it

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = open_store(self.path, now=Now(1e6))

    @rule()
    def power_cut(self) -> None:
        main, log = self.path.read_bytes(), self.path.with_name("store.db-wal").read_bytes()
        self.store.close()
        self.path.write_bytes(main)
        self.path.with_name("store.db-wal").write_bytes(log)
        self.store = open_store(self.path, now=Now(1e6))

    @rule(only_one=st.booleans())
    def new_stream(self, only_one: bool) -> None:
        self.store.begin_stream(only_one=only_one)
        if not only_one:
            self.devices = {number: _passed_over(device) for number, device in self.devices.items()}

    @precondition(lambda self: hasattr(self, "store"))
    @invariant()
    def is_as_it_must_be(self) -> None:
        assert self.store.network_devices() == [self.devices[number] for number in sorted(self.here)]


def _passed_over(device: Device) -> Device:
    def further(kept: NetworkSession) -> NetworkSession:
        return replace(
            kept,
            n_f_cnt_down=kept.n_f_cnt_down + F_CNT_DOWN_STEP,
            a_f_cnt_down=kept.a_f_cnt_down + F_CNT_DOWN_STEP,
        )

    return replace(
        device,
        nonces=replace(device.nonces, join_nonce=device.nonces.join_nonce + JOIN_NONCE_STEP),
        session=None if device.session is None else further(device.session),
        pending=tuple(further(one) for one in device.pending),
        downlinks=(),
    )


NetworkModel.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestStoreNetwork = pytest.mark.slow(NetworkModel.TestCase)
