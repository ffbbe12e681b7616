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

from edge_agent.lorawan.mac_commands import parse_mac_commands
from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.netid import NetID
from edge_agent.lorawan.region import Region
from edge_agent.network.activation import Activation
from edge_agent.network.activations import Activations
from edge_agent.network.admit import admit
from edge_agent.network.answer import Answer, Transmitted, TxResult
from edge_agent.network.application_server import Application, ApplicationServer
from edge_agent.network.changes import Change, ConfirmedSent, CountersReserved, MacChanged, SessionTaken
from edge_agent.network.compose import Composed, acknowledge_again, compose
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
from edge_agent.network.windows import HELD_BACK, is_past
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
        self._applications = ApplicationServer(asks=policy.history)

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
        self._applications.add(device.dev_eui, device.downlinks)

    def remove(self, dev_eui: DevEUI) -> None:
        """Forget a device and its keys; nothing happens where it is not known."""
        self.activations.remove(dev_eui)
        self._join_server.remove(dev_eui)
        self._applications.remove(dev_eui)

    def enqueue(self, entry: QueuedDownlink) -> None:
        """One more application downlink for a device that is known."""
        self._applications.enqueue(entry)

    def cancel(self, dev_eui: DevEUI) -> None:
        """Nothing of what waits for the device is wanted any more."""
        self._applications.cancel(dev_eui)

    def gaps_are(self, gaps: Mapping[DevEUI, Iterable[Gap]]) -> None:
        """Which intervals of these devices are missing now."""
        self._applications.gaps_are(gaps)

    def __len__(self) -> int:
        return len(self._applications)

    # What the radio says

    def receive(self, frame: RxFrame, moment: Moment) -> Decision:
        """Decide about one frame."""
        outcome = admit(frame, self.activations, self._net_ids)
        match outcome:
            case Admitted():
                return self._uplink(outcome, moment)
            case JoinAsked():
                return self._join_server.answer(outcome, self.activations, moment)
            case Rejected(waits_for_ack=True):
                return self._repetition(outcome, moment)
            case Rejected():
                return Decision(outcome)

    def transmitted(self, sending: Transmitted) -> tuple[Change, ...]:
        """What the end of an answer changes."""
        answer = sending.answer
        if answer.dev_eui not in self._applications or answer.f_cnt_down is None:
            return ()  # a join accept, or the device is gone meanwhile
        changes = self._applications.settled(answer, sending.result)
        activation = self.activations.of(answer.dev_eui, answer.session)
        if activation is not None and sending.result is not TxResult.SENT:
            changes += _settle_mac(activation, not_sent(activation.mac, answer.uplink))
        return tuple(changes)

    # Uplinks

    def _uplink(self, uplink: Admitted, moment: Moment) -> Decision:
        dev_eui, frame = uplink.dev_eui, uplink.frame
        activation = self.activations.of(dev_eui, uplink.session)
        assert activation is not None, "an uplink is admitted by a session that is known"
        changes: list[Change] = []
        begins_session = activation is not self.activations.present(dev_eui)
        if begins_session:
            self.activations.take_pending(activation)
            changes.append(SessionTaken(dev_eui, uplink.session))
        self._note(uplink, activation)
        changes += self._applications.heard(uplink, begins_session=begins_session)
        said = parse_mac_commands(Direction.UP, uplink.payload if uplink.f_port == 0 else uplink.f_opts)
        exchange = take(activation.mac, said.commands, uplink, moment, self._region, self._policy)
        mac, made = exchange.mac, None
        if self._may_answer(frame):
            waiting = self._applications.waiting(dev_eui, moment)
            composed = compose(uplink, activation, exchange, waiting, self._region, self._policy, moment)
            if composed is not None:
                made = self._answer(frame, activation, composed, waiting, moment, changes)
                mac = composed.mac if isinstance(made, Answer) else mac
        changes += _settle_mac(activation, mac)
        return _decision(uplink, changes, made, exchange.notes)

    def _note(self, uplink: Admitted, activation: Activation) -> None:
        """What is known in memory only: a restart may forget it."""
        self.activations.advance(uplink)
        frame = uplink.frame
        activation.confirmed = (uplink.f_cnt, frame.monotonic_ns, 1) if uplink.confirmed else None
        data_rate = self._region.data_rate_up(frame.data_rate)
        if data_rate is not None and frame.snr_db is not None:
            activation.adr.add(uplink.f_cnt, frame.snr_db, data_rate)

    def _repetition(self, rejected: Rejected, moment: Moment) -> Decision:
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
        if composed is None or is_past(frame, composed.windows, moment):
            return Decision(rejected)
        activation.confirmed = (f_cnt, frame.monotonic_ns, times + 1)
        changes: list[Change] = []
        made = self._answer(frame, activation, composed, None, moment, changes)
        return _decision(rejected, changes, made)

    def _may_answer(self, frame: RxFrame) -> bool:
        """Whether downlinks are wanted, and the radio that heard the frame has a counter to send by."""
        return self._policy.downlinks and frame.counter_us is not None

    def _answer(
        self,
        frame: RxFrame,
        activation: Activation,
        composed: Composed,
        waiting: Application | None,
        moment: Moment,
        changes: list[Change],
    ) -> Answer | Transmitted:
        """Give a downlink its counter; it ends here where the device does not listen, or none is left."""
        content, session = composed.content, activation.session
        nothing = Answer(session.dev_eui, frame, b"", composed.windows, content.what, session.number)
        if is_past(frame, composed.windows, moment):
            return Transmitted(nothing, TxResult.TOO_LATE, None, HELD_BACK)
        application = waiting if content.is_application else None
        counter = activation.a_f_cnt_down if content.is_application else activation.n_f_cnt_down
        if not counter.left:
            if application is not None:
                changes += self._applications.give_up(application, NO_COUNTER)
            return Transmitted(nothing, TxResult.NO_COUNTER, None, NO_COUNTER)
        bound, f_cnt = counter.bound, counter.take()
        if counter.bound != bound:
            bounds = activation.n_f_cnt_down.bound, activation.a_f_cnt_down.bound
            changes.append(CountersReserved(session.dev_eui, session.number, *bounds))
        if content.confirmed:
            activation.confirmed_sent(f_cnt)
            changes.append(ConfirmedSent(session.dev_eui, session.number, f_cnt))
        if application is not None:
            on_air_ns = frame.monotonic_ns + 1000 * composed.windows[-1].delay_us + LONGEST_AIRTIME_NS
            changes += self._applications.sending(application, f_cnt, on_air_ns)
        return Answer(
            session.dev_eui,
            frame,
            build_downlink(activation, content, f_cnt),
            composed.windows,
            content.what,
            session.number,
            f_cnt,
            None if application is None else application.number,
        )


def _decision(
    outcome: Admitted | Rejected,
    changes: Sequence[Change],
    made: Answer | Transmitted | None,
    notes: tuple[str, ...] = (),
) -> Decision:
    if isinstance(made, Transmitted):
        return Decision(outcome, tuple(changes), None, notes, made)
    return Decision(outcome, tuple(changes), made, notes)


def _settle_mac(activation: Activation, mac: MacState) -> list[Change]:
    if mac == activation.mac:
        return []
    activation.mac = mac
    return [MacChanged(activation.session.dev_eui, activation.session.number, mac)]
