"""The network server of this gateway: what each frame means, what it changes, and what is answered.

Theory of operation. Pure and in memory: frames and moments in, decisions out. A decision holds the outcome,
what must be changed on disk, and the answer; whoever asked writes the changes in one transaction with the
uplink and only then hands the answer to the radio. So a power cut between any two steps loses an answer at
most: counters are reserved before they are sent, a nonce is used before the accept that it led to goes out,
and no acknowledgement is on air before the reading that it acknowledges is on disk.

A join accept gives a pending session. The session in use stays until the first valid uplink of a pending
one, for the accept may be lost on the air. Several may be pending: nobody knows which accept was heard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.lorawan.mac_commands import parse_mac_commands
from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.netid import NetID
from edge_agent.lorawan.region import Region
from edge_agent.network.activation import Activation
from edge_agent.network.activations import Activations
from edge_agent.network.admit import admit
from edge_agent.network.answer import Answer, Transmitted, TxResult
from edge_agent.network.app_queue import AppQueue
from edge_agent.network.asking import Asking
from edge_agent.network.changes import (
    Change,
    ConfirmedSent,
    CountersReserved,
    HistoryAsked,
    MacChanged,
    SessionTaken,
)
from edge_agent.network.compose import Application, Composed, acknowledge_again, compose
from edge_agent.network.decision import Decision
from edge_agent.network.device import Device, QueuedDownlink
from edge_agent.network.downlink import build_downlink
from edge_agent.network.gap import Gap
from edge_agent.network.join_server import JoinServer
from edge_agent.network.mac_exchange import take
from edge_agent.network.mac_requests import not_sent
from edge_agent.network.mac_state import MacState
from edge_agent.network.moment import Moment
from edge_agent.network.outcome import Admitted, JoinAsked, Rejected
from edge_agent.network.policy import Policy
from edge_agent.network.rx_frame import RxFrame
from edge_codecs.identifiers import DevEUI

AGAIN_AFTER_NS = 1_000_000_000  # two receptions closer than this are one transmission heard twice
AGAIN_AT_MOST = 8  # acknowledgements of one uplink: its repetitions may be a recording
LONGEST_AIRTIME_NS = 3_000_000_000
NO_COUNTER = "no downlink counter is left in this session"


class NetworkServer:
    """All devices of this gateway. `roll(n)` is a random number below n that nobody can foresee."""

    def __init__(
        self, region: Region, policy: Policy, net_ids: Sequence[NetID], roll: Callable[[int], int]
    ) -> None:
        self.activations = Activations(region=region)
        self._region = region
        self._policy = policy
        self._net_ids = tuple(net_ids)
        self._join_server = JoinServer(region, policy, roll)
        self._queues: dict[DevEUI, AppQueue] = {}  # one for each device that is known
        self._asking = Asking()

    # What operator and store say

    def add(self, device: Device) -> None:
        """Know a device, or know it anew. Raises ValueError for a codec that there is not."""
        self.remove(device.dev_eui)
        if device.session is not None:
            self.activations.add(device.session)
        for given in device.pending:
            self.activations.add_pending(given)
        if device.registration is not None:
            self._join_server.add(device.registration, device.nonces)
        self._queues[device.dev_eui] = AppQueue(device.downlinks)

    def remove(self, dev_eui: DevEUI) -> None:
        """Forget a device and its keys; nothing happens where it is not known."""
        self.activations.remove(dev_eui)
        self._join_server.remove(dev_eui)
        self._queues.pop(dev_eui, None)
        self._asking.forget(dev_eui)

    def enqueue(self, entry: QueuedDownlink) -> None:
        """One more application downlink for a device that is known."""
        self._queues[entry.dev_eui].append(entry)

    def cancel(self, dev_eui: DevEUI) -> None:
        """Nothing of what waits for the device is wanted any more."""
        self._queues[dev_eui].clear()

    def gaps_are(self, gaps: Mapping[DevEUI, Iterable[Gap]]) -> None:
        """Which intervals of these devices are missing now."""
        for dev_eui, missing in gaps.items():
            if dev_eui in self._queues:
                self._asking.gaps_are(dev_eui, missing)

    def __len__(self) -> int:
        return len(self._queues)

    # What the radio says

    def receive(self, frame: RxFrame, moment: Moment) -> Decision:
        """Decide about one frame."""
        outcome = admit(frame, self.activations, self._net_ids)
        match outcome:
            case Admitted():
                return self._uplink(outcome, moment)
            case JoinAsked():
                return self._join_server.answer(outcome, self.activations)
            case Rejected(waits_for_ack=True):
                return self._repetition(outcome)
            case Rejected():
                return Decision(outcome)

    def transmitted(self, sending: Transmitted) -> tuple[Change, ...]:
        """What the end of an answer changes."""
        answer = sending.answer
        activation = self.activations.of(answer.dev_eui, answer.session)
        queue = self._queues.get(answer.dev_eui)
        if activation is None or queue is None or answer.f_cnt_down is None:
            return ()  # a join accept, or the device is gone meanwhile
        was_sent = sending.result is TxResult.SENT
        changes = _Changes()
        if answer.downlink is not None:
            number = answer.downlink
            changes.add(queue.sent(number) if was_sent else queue.not_sent(number, sending.result.value))
        gap = self._asking.settled(answer.dev_eui, answer.f_cnt_down, sent=was_sent)
        if gap is not None:
            changes.add(HistoryAsked(gap.dev_eui, gap.channel, gap.to_ms))
        if not was_sent:
            _settle_mac(activation, not_sent(activation.mac, answer.uplink), changes)
        return tuple(changes)

    # Uplinks

    def _uplink(self, uplink: Admitted, moment: Moment) -> Decision:
        dev_eui, frame = uplink.dev_eui, uplink.frame
        activation = self.activations.of(dev_eui, uplink.session)
        assert activation is not None, "an uplink is admitted by a session that is known"
        queue = self._queues[dev_eui]
        changes = _Changes()
        if activation is not self.activations.present(dev_eui):
            self.activations.take_pending(activation)
            changes.add(SessionTaken(dev_eui, uplink.session))
            changes.add(queue.begin_session())
        self._note(uplink, activation)
        changes.add(queue.heard(ack=uplink.ack, received_ns=frame.monotonic_ns))
        said = parse_mac_commands(Direction.UP, uplink.payload if uplink.f_port == 0 else uplink.f_opts)
        exchange = take(activation.mac, said.commands, uplink, moment, self._region, self._policy)
        mac, made = exchange.mac, None
        if self._may_answer(frame):
            waiting = self._waiting(dev_eui, queue, moment)
            composed = compose(
                uplink, activation, exchange, waiting.application, self._region, self._policy, moment
            )
            if composed is not None:
                made = self._answer(frame, activation, composed, waiting, changes)
                mac = composed.mac if isinstance(made, Answer) else mac
        _settle_mac(activation, mac, changes)
        return _decision(uplink, changes, made, exchange.notes)

    def _note(self, uplink: Admitted, activation: Activation) -> None:
        """What is known in memory only: a restart may forget it."""
        self.activations.advance(uplink)
        frame = uplink.frame
        activation.confirmed = (uplink.f_cnt, frame.monotonic_ns, 1) if uplink.confirmed else None
        data_rate = self._region.data_rate_up(frame.data_rate)
        if data_rate is not None and frame.snr_db is not None:
            activation.adr.add(uplink.f_cnt, frame.snr_db, data_rate)
        self._asking.heard(uplink.dev_eui, uplink.message)

    def _repetition(self, rejected: Rejected) -> Decision:
        """The last uplink once more: its acknowledgement was not heard, or we were killed before it."""
        frame, f_cnt, dev_eui = rejected.frame, rejected.f_cnt, rejected.dev_eui
        assert f_cnt is not None and dev_eui is not None, "a repetition is told by its MIC"
        activation = self.activations.present(dev_eui)
        if activation is None or activation.f_cnt_up != f_cnt or not self._may_answer(frame):
            return Decision(rejected)
        _, heard_ns, times = activation.confirmed or (f_cnt, 0, 0)
        if times >= AGAIN_AT_MOST or (times and frame.monotonic_ns - heard_ns < AGAIN_AFTER_NS):
            return Decision(rejected)
        composed = acknowledge_again(frame, f_cnt, activation, self._region, self._policy)
        if composed is None:
            return Decision(rejected)
        activation.confirmed = (f_cnt, frame.monotonic_ns, times + 1)
        changes = _Changes()
        made = self._answer(frame, activation, composed, _NOTHING, changes)
        return _decision(rejected, changes, made)

    def _may_answer(self, frame: RxFrame) -> bool:
        """Whether downlinks are wanted, and the radio that heard the frame has a counter to send by."""
        return self._policy.downlinks and frame.counter_us is not None

    def _waiting(self, dev_eui: DevEUI, queue: AppQueue, moment: Moment) -> _Waiting:
        """What the application has for the device: what was queued, else a question for what is missing."""
        entry = queue.next
        if entry is not None:
            application = Application(entry.f_port, entry.payload, entry.confirmed, len(queue) > 1)
            return _Waiting(application, entry=entry)
        if not self._policy.history or len(queue) or moment.utc_ms is None:
            return _NOTHING
        asked = self._asking.request(dev_eui, moment.utc_ms)
        if asked is None:
            return _NOTHING
        gap, f_port, payload = asked
        return _Waiting(Application(f_port, payload, confirmed=False, more=False), gap=gap)

    def _answer(
        self,
        frame: RxFrame,
        activation: Activation,
        composed: Composed,
        waiting: _Waiting,
        changes: _Changes,
    ) -> Answer | Transmitted:
        """Give a downlink its counter; it ends here where 32 bits hold no more and only a join helps."""
        content, session = composed.content, activation.session
        counter = activation.a_f_cnt_down if content.is_application else activation.n_f_cnt_down
        if not counter.left:
            if content.is_application and waiting.entry is not None:
                changes.add(self._queues[session.dev_eui].give_up(NO_COUNTER))
            answer = Answer(session.dev_eui, frame, b"", composed.windows, content.what, session.number)
            return Transmitted(answer, TxResult.NO_COUNTER, None, NO_COUNTER)
        bound, f_cnt = counter.bound, counter.take()
        if counter.bound != bound:
            bounds = activation.n_f_cnt_down.bound, activation.a_f_cnt_down.bound
            changes.add(CountersReserved(session.dev_eui, session.number, *bounds))
        if content.confirmed:
            activation.conf_f_cnt = f_cnt
            changes.add(ConfirmedSent(session.dev_eui, session.number, f_cnt))
        number: int | None = None
        if content.is_application and waiting.entry is not None:
            number = waiting.entry.number
            on_air_ns = frame.monotonic_ns + 1000 * composed.windows[-1].delay_us + LONGEST_AIRTIME_NS
            changes.add(self._queues[session.dev_eui].sending(f_cnt, on_air_ns))
        elif content.is_application and waiting.gap is not None:
            self._asking.sending(waiting.gap, f_cnt)
        return Answer(
            session.dev_eui,
            frame,
            build_downlink(activation, content, f_cnt),
            composed.windows,
            content.what,
            session.number,
            f_cnt,
            number,
        )


@dataclass(frozen=True, slots=True)
class _Waiting:
    application: Application | None = None
    entry: QueuedDownlink | None = None
    gap: Gap | None = None


_NOTHING = _Waiting()


class _Changes(list[Change]):
    def add(self, change: Change | None) -> None:
        if change is not None:
            self.append(change)


def _decision(
    outcome: Admitted | Rejected,
    changes: _Changes,
    made: Answer | Transmitted | None,
    notes: tuple[str, ...] = (),
) -> Decision:
    if isinstance(made, Transmitted):
        return Decision(outcome, tuple(changes), None, notes, made)
    return Decision(outcome, tuple(changes), made, notes)


def _settle_mac(activation: Activation, mac: MacState, changes: _Changes) -> None:
    if mac != activation.mac:
        activation.mac = mac
        changes.add(MacChanged(activation.session.dev_eui, activation.session.number, mac))
