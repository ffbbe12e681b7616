"""All sessions, by DevAddr, each with its keys at work and its counters.

Several devices may share a DevAddr: it is short, and networks hand it out anew. Only the MIC tells whose a
frame is. A device that was sent a join accept has several sessions until it uses a new one: the accept may
have been lost on the air, and so may have been the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.region import Region
from edge_agent.lorawan.regions import REGIONS
from edge_agent.lorawan.session import Session
from edge_agent.network.activation import Activation
from edge_agent.network.device import MAX_PENDING, NetworkSession
from edge_agent.network.mac_state import initial
from edge_agent.network.outcome import Admitted
from edge_codecs.identifiers import DevEUI

EU868 = REGIONS["EU868"]


class Activations:
    """All sessions. Holds the keys of present devices only: a removed device's are let go."""

    def __init__(self, sessions: Sequence[Session] = (), region: Region = EU868) -> None:
        self._region = region
        self._initial = initial(region)
        self._present: dict[DevEUI, Activation] = {}
        self._pending: dict[DevEUI, tuple[Activation, ...]] = {}
        self._by_dev_addr: dict[DevAddr, tuple[Activation, ...]] = {}
        for session in sessions:
            self.add(session)

    def add(self, session: Session | NetworkSession) -> None:
        """Know a device's session in use; it replaces all former ones.

        Raises ValueError for a codec or a LoRaWAN version that there is not.
        """
        activation = self._activation(session)
        self.remove(activation.session.dev_eui)
        self._present[activation.session.dev_eui] = activation
        self._enter(activation)

    def add_pending(self, kept: NetworkSession) -> None:
        """Know what a join accept gave, beside what earlier ones gave: at most MAX_PENDING."""
        activation = self._activation(kept)
        dev_eui = activation.session.dev_eui
        given = (*self._pending.get(dev_eui, ()), activation)
        for old in given[:-MAX_PENDING]:
            self._leave(old)
        self._pending[dev_eui] = given[-MAX_PENDING:]
        self._enter(activation)

    def take_pending(self, activation: Activation) -> None:
        """The device used this pending session: those that were given before it are let go."""
        dev_eui, number = activation.session.dev_eui, activation.session.number
        if dev_eui in self._present:
            self._leave(self._present[dev_eui])
        self._present[dev_eui] = activation
        given = self._pending.pop(dev_eui)
        for old in given:
            if old.session.number < number:
                self._leave(old)
        later = tuple(one for one in given if one.session.number > number)
        if later:
            self._pending[dev_eui] = later

    def remove(self, dev_eui: DevEUI) -> None:
        """Forget the device's sessions and their keys; nothing happens where there is none."""
        for gone in self._all_of(dev_eui):
            self._leave(gone)
        self._present.pop(dev_eui, None)
        self._pending.pop(dev_eui, None)

    def present(self, dev_eui: DevEUI) -> Activation | None:
        """The device's session in use."""
        return self._present.get(dev_eui)

    def pending(self, dev_eui: DevEUI) -> tuple[Activation, ...]:
        """What join accepts gave and the device has not used yet, oldest first."""
        return self._pending.get(dev_eui, ())

    def of(self, dev_eui: DevEUI, number: int) -> Activation | None:
        """The device's session of this number, in use or pending."""
        for activation in self._all_of(dev_eui):
            if activation.session.number == number:
                return activation
        return None

    def sessions(self) -> list[Session]:
        """The sessions in use as they stand, each with its highest counter."""
        return [replace(one.session, f_cnt_up=one.f_cnt_up) for one in self._present.values()]

    def dev_addrs(self) -> frozenset[DevAddr]:
        """Every address that a device has or was given."""
        return frozenset(self._by_dev_addr)

    def twin(self, session: Session) -> DevEUI | None:
        """Another device with the same DevAddr and signing key: their frames cannot be told apart."""
        key = session.f_nwk_s_int_key
        for other in self.at(session.dev_addr):
            if other.session.dev_eui != session.dev_eui and other.session.f_nwk_s_int_key == key:
                return other.session.dev_eui
        return None

    def at(self, dev_addr: DevAddr) -> tuple[Activation, ...]:
        """The sessions with this address, in the order in which they were added."""
        return self._by_dev_addr.get(dev_addr, ())

    def __contains__(self, dev_eui: object) -> bool:
        return dev_eui in self._present

    def advance(self, admitted: Admitted) -> None:
        """Move the session's counter to an admitted uplink, so that no frame up to it is taken again.

        Nothing happens where the device or its session is gone meanwhile, or has moved further.
        """
        activation = self.of(admitted.dev_eui, admitted.session)
        if activation is None:
            return
        if activation.f_cnt_up is None or admitted.f_cnt > activation.f_cnt_up:
            activation.f_cnt_up = admitted.f_cnt
            activation.recent.append((admitted.f_cnt, admitted.frame.phy_payload[-2:]))

    def _all_of(self, dev_eui: DevEUI) -> tuple[Activation, ...]:
        present = self._present.get(dev_eui)
        return (() if present is None else (present,)) + self.pending(dev_eui)

    def _activation(self, session: Session | NetworkSession) -> Activation:
        kept = NetworkSession(session) if isinstance(session, Session) else session
        return Activation(kept, self._initial, self._region)

    def _enter(self, activation: Activation) -> None:
        dev_addr = activation.session.dev_addr
        self._by_dev_addr[dev_addr] = (*self.at(dev_addr), activation)

    def _leave(self, activation: Activation) -> None:
        dev_addr = activation.session.dev_addr
        left = tuple(one for one in self._by_dev_addr[dev_addr] if one is not activation)
        if left:
            self._by_dev_addr[dev_addr] = left
        else:
            del self._by_dev_addr[dev_addr]
