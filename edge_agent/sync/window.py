"""The batches under way: which to send now, which to send again, and when. Pure, told the time.

A batch *waits* until it is handed to a connection, is *sent* until the broker takes it, and is *taken* until
a receipt frees it. Receipts are cumulative, so a late one is asked for by sending the first batch again, not
all of them: a receiver that is away for a night costs a batch now and then. Once a receipt shows that the
receiver is back, everything else that has waited too long goes again at once.

A refusal (of broker or receiver) stops the stream at that batch: later ones stay back, and it alone is tried
again, ever more rarely, until it is taken.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.sync.backoff import (
    RECEIPT_FIRST_S,
    RECEIPT_MAX_S,
    REFUSED_FIRST_S,
    REFUSED_MAX_S,
    equal_jitter_s,
)
from edge_codecs.batch import Lane

SIZE = 20
AFTER_RECONNECT_S = 5.0
"""A receipt may have been lost with the connection: the first batch goes again if none comes by then."""
AFTER_RESEND_S = 1.0
"""The receiver misses a batch; another receiver may be about to commit it, so it gets a moment."""


class _Step(enum.Enum):
    WAITING = enum.auto()
    SENT = enum.auto()
    TAKEN = enum.auto()


@dataclass(slots=True)
class _Flight:
    lane: Lane
    formed_at: float
    step: _Step = _Step.WAITING
    sendings: int = 0
    again_at: float | None = None  # if no receipt has come by then


@dataclass(slots=True)
class _Stop:
    number: int
    by_broker: bool
    attempt: int
    until: float


@dataclass(frozen=True, slots=True)
class Landed:
    """A batch that a receipt has freed."""

    number: int
    lane: Lane
    took_s: float  # since it was formed, or loaded at the start


class Window:
    """At most `size` batches, in the order of their numbers. `roll` gives random numbers in [0, 1)."""

    def __init__(self, roll: Callable[[], float], size: int = SIZE) -> None:
        self._roll = roll
        self._size = size
        self._flights: dict[int, _Flight] = {}
        self._attempt = 0  # how often the first batch was sent again for want of a receipt
        self._stop: _Stop | None = None
        self._strays: list[int] = []  # handed over before `rewind`, and not acknowledged since

    def __len__(self) -> int:
        return len(self._flights)

    @property
    def room(self) -> bool:
        """Whether one more batch may be formed."""
        return len(self._flights) < self._size and self._stop is None

    @property
    def stopped(self) -> bool:
        """Whether a refusal holds the stream."""
        return self._stop is not None

    def of_lane(self, lane: Lane) -> int:
        """How many batches of `lane` are under way."""
        return sum(flight.lane is lane for flight in self._flights.values())

    def add(self, number: int, lane: Lane, now: float) -> None:
        """A batch has been formed; numbers rise."""
        assert not self._flights or number > max(self._flights), "batches are added in order"
        self._flights[number] = _Flight(lane, now)

    def rewind(self) -> None:
        """Forget all batches, since earlier ones go first. What is on its way still takes its place."""
        self._strays += [number for number, flight in self._flights.items() if flight.step is _Step.SENT]
        self._flights.clear()
        self._attempt = 0
        self._stop = None

    def sendable(self, now: float, unacknowledged: int) -> list[int]:
        """What to hand to the connection now, in order; each is to be followed by `sent`.

        `unacknowledged` is how many messages the broker takes before it has acknowledged the first.
        """
        self._notice_silence(now)
        numbers = [n for n, flight in self._flights.items() if flight.step is _Step.WAITING]
        if self._stop is not None:
            stop = self._stop
            numbers = [n for n in numbers if n < stop.number or (n == stop.number and now >= stop.until)]
        return numbers[: self._places(unacknowledged)]

    def _places(self, unacknowledged: int) -> int:
        """How many more batches the connection takes for now."""
        sent = sum(flight.step is _Step.SENT for flight in self._flights.values())
        return max(unacknowledged - sent - len(self._strays), 0)

    def sent(self, number: int) -> bool:
        """It was handed over; returns whether it had been before."""
        flight = self._flights[number]
        flight.step, flight.again_at = _Step.SENT, None
        flight.sendings += 1
        return flight.sendings > 1

    def taken(self, number: int, now: float) -> None:
        """The broker has it."""
        if number in self._strays:
            self._strays.remove(number)
            return
        flight = self._flights.get(number)
        if flight is None or flight.step is not _Step.SENT:
            return
        flight.step = _Step.TAKEN
        flight.again_at = now + equal_jitter_s(self._attempt, self._roll(), RECEIPT_FIRST_S, RECEIPT_MAX_S)
        if self._stop is not None and self._stop.by_broker and self._stop.number == number:
            self._stop = None

    def refused(self, number: int, now: float, *, by_broker: bool) -> bool:
        """Broker or receiver refuses the batch; False if it is none of those under way."""
        if by_broker and number in self._strays:
            self._strays.remove(number)
            return False
        flight = self._flights.get(number)
        if flight is None:
            return False
        flight.step, flight.again_at = _Step.WAITING, None
        if self._stop is None or self._stop.number > number:
            self._stop = _Stop(number, by_broker, attempt=0, until=0.0)
        elif self._stop.number < number:
            return True  # its turn comes
        else:
            self._stop.by_broker = by_broker
        wait_s = equal_jitter_s(self._stop.attempt, self._roll(), REFUSED_FIRST_S, REFUSED_MAX_S)
        self._stop.until = now + wait_s
        self._stop.attempt += 1
        return True

    def receipted(self, up_to: int, now: float) -> list[Landed]:
        """A receipt frees every batch up to `up_to`; returns those that were under way."""
        landed = []
        for number in [n for n in self._flights if n <= up_to]:
            flight = self._flights.pop(number)
            landed.append(Landed(number, flight.lane, now - flight.formed_at))
        if landed:
            self._attempt = 0
            for flight in self._flights.values():
                if flight.again_at is None:
                    continue
                if now >= flight.again_at:
                    flight.step, flight.again_at = _Step.WAITING, None
                else:
                    flight.again_at = min(flight.again_at, now + RECEIPT_FIRST_S)
        if self._stop is not None and self._stop.number <= up_to:
            self._stop = None
        return landed

    def missed(self, number: int, now: float) -> None:
        """The receiver asks for batch `number` again."""
        flight = self._flights.get(number)
        if flight is not None and flight.step is _Step.TAKEN:
            soon = now + AFTER_RESEND_S
            flight.again_at = soon if flight.again_at is None else min(flight.again_at, soon)

    def connected(self, now: float, *, session_present: bool) -> None:
        """A new connection: what the last one did not get acknowledged waits again.

        A broker that has forgotten our session may have forgotten what it had taken, too: all waits again.
        """
        self._strays.clear()
        for flight in self._flights.values():
            if flight.step is _Step.SENT or not session_present:
                flight.step, flight.again_at = _Step.WAITING, None
            elif flight.step is _Step.TAKEN and flight.again_at is not None:
                flight.again_at = min(flight.again_at, now + AFTER_RECONNECT_S)
        if self._stop is not None:
            self._stop.until = min(self._stop.until, now + AFTER_RECONNECT_S)

    def wake_at(self, unacknowledged: int) -> float | None:
        """When `sendable` has something new to say if nothing happens before; None: not until then.

        If it was asked at `now` and had nothing to hand out, that is later than `now`.
        """
        if self._places(unacknowledged) == 0:
            return None  # the next acknowledgement makes room
        times = []
        if (first := next(iter(self._flights.values()), None)) is not None and first.again_at is not None:
            times.append(first.again_at)
        if self._stop is not None and self._is_waiting(self._stop.number):
            times.append(self._stop.until)
        return min(times, default=None)

    def _is_waiting(self, number: int) -> bool:
        flight = self._flights.get(number)
        return flight is not None and flight.step is _Step.WAITING

    def _notice_silence(self, now: float) -> None:
        """The first batch goes again if its receipt is late; a receipt for it speaks for the others, too."""
        first = next(iter(self._flights.values()), None)
        if first is not None and first.again_at is not None and now >= first.again_at:
            first.step, first.again_at = _Step.WAITING, None
            self._attempt += 1
