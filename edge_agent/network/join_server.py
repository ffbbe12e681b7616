"""The join server of this gateway: whose join request is answered, and with which session.

In memory; the changes it hands out must be on disk before the join accept is sent (see `network_server`).
"""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.join_request import JoinRequest
from edge_agent.lorawan.region import Region
from edge_agent.lorawan.registration import Registration
from edge_agent.network.activation import Activation
from edge_agent.network.activations import Activations
from edge_agent.network.answer import Answer
from edge_agent.network.decision import Decision
from edge_agent.network.device import JoinNonces
from edge_agent.network.join import (
    Grant,
    Refusal,
    grant_join,
    grant_rejoin,
    refusal_of_join,
    refusal_of_rejoin,
)
from edge_agent.network.moment import Moment
from edge_agent.network.outcome import JoinAsked, Joined, Rejected
from edge_agent.network.policy import Policy
from edge_agent.network.reason import Reason
from edge_agent.network.windows import HELD_BACK, is_past, join_windows
from edge_codecs.identifiers import DevEUI

ADDRESS_ROLLS = 8  # until an address is found that no device here has
TOGETHER_NS = 2_000_000_000  # one request heard twice, by two antennas or front ends


class JoinServer:
    """Registrations and nonces of all devices that join. `roll(n)`: a random number below n."""

    def __init__(self, region: Region, policy: Policy, roll: Callable[[int], int]) -> None:
        self._region = region
        self._policy = policy
        self._roll = roll
        self._known: dict[DevEUI, tuple[Registration, JoinNonces]] = {}
        self._last: dict[DevEUI, tuple[bytes, int]] = {}  # MIC of the last request taken, and when

    def add(self, registration: Registration, nonces: JoinNonces) -> None:
        """Know a device, or know it anew."""
        self._known[registration.dev_eui] = registration, nonces

    def remove(self, dev_eui: DevEUI) -> None:
        """Forget a device and its root keys; nothing happens where it is not known."""
        self._known.pop(dev_eui, None)
        self._last.pop(dev_eui, None)

    def answer(self, asked: JoinAsked, activations: Activations, moment: Moment) -> Decision:
        """Judge a request; where it is answered, its session is pending in `activations` from now on."""
        dev_eui, frame, request = asked.dev_eui, asked.frame, asked.request
        known = self._known.get(dev_eui)
        if known is None:
            ours = dev_eui if dev_eui in activations else None
            detail = f"{dev_eui} is here, but activated by personalisation (ABP)" if ours else str(dev_eui)
            return Decision(Rejected(Reason.JOIN_UNKNOWN_DEVICE, frame, dev_eui=ours, detail=detail))
        registration, nonces = known
        present = activations.present(dev_eui)
        windows = join_windows(frame, self._region, self._policy)
        refusal = self._refusal(asked, registration, nonces, present)
        if refusal is None and is_past(frame, windows, moment):
            refusal = Reason.JOIN_NOT_SERVED, HELD_BACK
        if refusal is not None:
            reason, detail = refusal
            return Decision(Rejected(reason, frame, dev_eui=dev_eui, detail=detail))
        grant = self._grant(asked, registration, nonces, present, activations.dev_addrs())
        self._known[dev_eui] = registration, grant.nonces
        self._last[dev_eui] = request.mic, frame.monotonic_ns
        if present is not None and grant.change.rj_count_0 is not None:
            present.rj_count_0 = grant.change.rj_count_0
        activations.add_pending(grant.change.pending)
        session = grant.change.pending.session
        answer = Answer(dev_eui, frame, grant.phy_payload, windows, "join accept", session.number)
        rejoin_type = None if isinstance(request, JoinRequest) else request.rejoin_type
        joined = Joined(dev_eui, session.dev_addr, session.number, rejoin_type, frame)
        return Decision(joined, (grant.change,), answer)

    def _refusal(
        self, asked: JoinAsked, registration: Registration, nonces: JoinNonces, present: Activation | None
    ) -> Refusal | None:
        request, frame = asked.request, asked.frame
        if not self._policy.downlinks:
            return Reason.JOIN_NOT_SERVED, "downlinks are off: [network] downlinks"
        if frame.counter_us is None:
            return Reason.JOIN_NOT_SERVED, f"{frame.source} gives no time to answer by"
        mic, heard_ns = self._last.get(asked.dev_eui, (b"", 0))
        if mic == request.mic and abs(frame.monotonic_ns - heard_ns) < TOGETHER_NS:
            return Reason.DUPLICATE, "the same request, heard twice"
        if isinstance(request, JoinRequest):
            return refusal_of_join(request, registration, nonces)
        return refusal_of_rejoin(request, registration, nonces, present, self._policy)

    def _grant(
        self,
        asked: JoinAsked,
        registration: Registration,
        nonces: JoinNonces,
        present: Activation | None,
        taken: frozenset[DevAddr],
    ) -> Grant:
        request, region, policy = asked.request, self._region, self._policy
        dev_addr = self._dev_addr(taken)
        if isinstance(request, JoinRequest):
            return grant_join(request, registration, nonces, dev_addr, region, policy)
        return grant_rejoin(request, registration, nonces, present, dev_addr, region, policy)

    def _dev_addr(self, taken: frozenset[DevAddr]) -> DevAddr:
        """One that nobody here has, if a few rolls find it; else the MIC tells its devices apart."""
        net_id = self._policy.net_id
        addresses = 1 << (32 - net_id.prefix[1])
        for _ in range(ADDRESS_ROLLS):
            dev_addr = net_id.dev_addr(self._roll(addresses))
            if dev_addr not in taken:
                break
        return dev_addr
