"""From a concentrator's 32-bit microsecond counter to this host's CLOCK_BOOTTIME. Pure.

Theory of operation
-------------------
The counter stamps the end of a reception in the radio chip, so it tells when a frame was *received*, however
long the forwarder held it back; the arrival of the datagram only bounds it from above. One number joins the
two: offset = arrival − counter, modulo 2^32 µs (71.6 min; there is no need to unwrap anything). Each frame
gives an offset that is too large by the frame's own delay, so the smallest recent one is nearest the truth: a
minimum-delay filter. A frame is dated arrival − delay, with delay = (arrival − counter − offset) mod 2^32.

* **Drift.** The two crystals part by up to some 50 ppm, 3 ms a minute. Where the counter gains, smaller
  offsets come by themselves. Where it loses, every prompt frame (delay ≤ 1 s) may raise the offset by up to
  `DRIFT` of the time since the last prompt one, never beyond its own offset; and after prompt frames in
  `BLOCK_ARRIVALS` different seconds of no less than `BLOCK_US` the least delay among them is taken as the
  map's own error. Frames held back raise nothing, so a map does not wear out in an outage: after 10 minutes
  without a frame it is wrong by the true drift of 10 minutes, at most 30 ms at 50 ppm.
* **Held back or restarted?** A restarted forwarder begins a new counter run, which looks like frames that are
  very late or come from the future. Nobody can be early: a delay below zero, which modulo 2^32 means one
  beyond `HORIZON_US` (30 min), moves the map at once. A delay up to the horizon means a frame held back,
  unless it is older than the newest frame so far *and* its counter is no larger than the time since then:
  chips start at zero, so that is a restart. If only the second holds (the old run would have wrapped just
  then), three frames over five seconds must agree within 250 ms on the new run, which frames held back never
  do; a run that starts elsewhere and falls into the horizon needs five over ten minutes. The price: a single
  frame that was overtaken by others and was received just after a wrap is taken for a restart and dated by
  its arrival; the next frame puts the map right.
* **One mad value** does not spoil the map: what a map replaced is kept until the new one has proven itself by
  frames of three arrivals, and gets its place back when the next frame fits it and not the new.

The fields `time` and `tmms` are not used: they are absent, wrong, or step, just when they would matter.
What remains: the least delay between antenna and datagram (some 10 ms by the forwarder's polling, more over
a network) dates every frame late by as much; and where the very first frames seen of a forwarder were held
back, they are dated by the least late of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

WRAP_US = 1 << 32
HORIZON_US = 30 * 60 * 1_000_000  # the longest that a frame may have been held back
PROMPT_US = 1_000_000
DRIFT = 50e-6
BLOCK_ARRIVALS = 8  # a second apart at least, so that one burst is one witness
BLOCK_US = 60 * 1_000_000
RESTART_SLACK_US = 1_000_000
SUSPECT_WITHIN_US = 250_000
SUSPECT_PROOF = (5, 10 * 60 * 1_000_000)  # frames, and the time between the first and the last
SUSPECT_PROOF_FROM_ZERO = (3, 5 * 1_000_000)
PROVEN_ARRIVALS = 3


@dataclass(frozen=True, slots=True)
class Offset:
    """arrival − counter modulo 2^32 µs, and how far it may be trusted."""

    us: int
    since_us: int  # arrival of the first frame that fitted
    prompt_us: int  # arrival of the latest prompt frame
    arrivals: int = 1  # how many different arrivals had prompt frames, counted up to PROVEN_ARRIVALS

    @property
    def proven(self) -> bool:
        """Whether frames of several arrivals agree on it."""
        return self.arrivals >= PROVEN_ARRIVALS


class CounterMap:
    """The map of one forwarder. Arrivals and dates are CLOCK_BOOTTIME in microseconds, arrivals rise.

    `restarts` counts how often a new run of the counter was seen.
    """

    def __init__(self, known: Offset | None = None) -> None:
        """Begin empty, or with an `offset` kept from before (of the same boot of this host)."""
        self.restarts = 0
        self._current = known
        self._former: Offset | None = None
        self._suspect: Offset | None = None
        self._suspect_frames = 0
        self._suspect_proof = SUSPECT_PROOF
        self._newest_us = known.prompt_us if known else 0
        self._block_start_us = known.prompt_us if known else 0
        self._block_arrivals = 0
        self._block_latest_us = 0
        self._block_least_us = WRAP_US

    @property
    def offset(self) -> Offset | None:
        """What the map has learned; give it to a new map to go on."""
        return self._current

    def date(self, counters_us: Sequence[int], arrival_us: int) -> list[int]:
        """When the frames of one datagram were received. Learns from all of them, then dates each."""
        for counter_us in counters_us:
            self._learn(counter_us, arrival_us)
        return [arrival_us - self._delay_us(counter_us, arrival_us) for counter_us in counters_us]

    def _delay_us(self, counter_us: int, arrival_us: int) -> int:
        assert self._current is not None
        delay_us = (arrival_us - counter_us - self._current.us) % WRAP_US
        return delay_us if delay_us <= HORIZON_US else 0

    def _learn(self, counter_us: int, arrival_us: int) -> None:
        current = self._current
        if current is None:
            self._replace(counter_us, arrival_us)
            return
        delay_us = (arrival_us - counter_us - current.us) % WRAP_US
        drift_us = int((arrival_us - current.prompt_us) * DRIFT)
        if delay_us <= PROMPT_US + drift_us:
            self._prompt(current, delay_us, drift_us, arrival_us)
        elif WRAP_US - delay_us <= PROMPT_US + drift_us:
            self._earlier(current, counter_us, arrival_us)
        elif self._fits_former(counter_us, arrival_us):
            self._current, self._former = self._former, None
            self._learn(counter_us, arrival_us)
        elif delay_us > HORIZON_US:
            self._replace(counter_us, arrival_us)
        else:
            self._late(counter_us, arrival_us, delay_us)

    def _prompt(self, current: Offset, delay_us: int, drift_us: int, arrival_us: int) -> None:
        raised_us = min(delay_us, drift_us)
        self._settle(current, (current.us + raised_us) % WRAP_US, arrival_us)
        self._newest_us = max(self._newest_us, arrival_us - delay_us)
        if arrival_us - self._block_latest_us >= 1_000_000:
            self._block_arrivals += 1
            self._block_latest_us = arrival_us
        self._block_least_us = min(self._block_least_us - raised_us, delay_us - raised_us)
        if self._block_arrivals >= BLOCK_ARRIVALS and arrival_us - self._block_start_us >= BLOCK_US:
            assert self._current is not None
            raised_us = max(0, self._block_least_us)
            self._current = replace(self._current, us=(self._current.us + raised_us) % WRAP_US)
            self._start_block(arrival_us)

    def _earlier(self, current: Offset, counter_us: int, arrival_us: int) -> None:
        """A smaller delay than any before: the map was late."""
        self._settle(current, (arrival_us - counter_us) % WRAP_US, arrival_us)
        self._newest_us = max(self._newest_us, arrival_us)
        self._start_block(arrival_us)

    def _settle(self, current: Offset, us: int, arrival_us: int) -> None:
        more = current.arrivals < PROVEN_ARRIVALS and arrival_us != current.prompt_us
        self._current = Offset(us, current.since_us, arrival_us, current.arrivals + more)
        self._suspect = None

    def _late(self, counter_us: int, arrival_us: int, delay_us: int) -> None:
        """Held back, if it is not the first of a new run."""
        is_older = arrival_us - delay_us < self._newest_us - PROMPT_US
        may_be_from_zero = counter_us <= arrival_us - self._newest_us + RESTART_SLACK_US
        if is_older and may_be_from_zero:
            self._replace(counter_us, arrival_us)
            return
        self._newest_us = max(self._newest_us, arrival_us - delay_us)
        us = (arrival_us - counter_us) % WRAP_US
        suspect = self._suspect
        if suspect is None or _apart_us(us, suspect.us) > SUSPECT_WITHIN_US:
            self._suspect = Offset(us, arrival_us, arrival_us)
            self._suspect_frames = 1
            self._suspect_proof = SUSPECT_PROOF_FROM_ZERO if may_be_from_zero else SUSPECT_PROOF
            return
        self._suspect_frames += 1
        frames, apart_us = self._suspect_proof
        if self._suspect_frames >= frames and arrival_us - suspect.since_us >= apart_us:
            self._replace(counter_us, arrival_us)

    def _fits_former(self, counter_us: int, arrival_us: int) -> bool:
        """Whether what the present map replaced explains this frame, while the present one is unproven."""
        former = self._former
        if former is None or self._current is None or self._current.proven:
            return False
        drift_us = int((arrival_us - former.prompt_us) * DRIFT)
        return _apart_us((arrival_us - counter_us) % WRAP_US, former.us) <= PROMPT_US + drift_us

    def _replace(self, counter_us: int, arrival_us: int) -> None:
        if self._current is not None and self._current.proven:
            self.restarts += 1
            self._former = self._current
        self._current = Offset((arrival_us - counter_us) % WRAP_US, arrival_us, arrival_us)
        self._suspect = None
        self._newest_us = arrival_us
        self._start_block(arrival_us)

    def _start_block(self, arrival_us: int) -> None:
        self._block_start_us = arrival_us
        self._block_arrivals = 0
        self._block_latest_us = 0
        self._block_least_us = WRAP_US


def _apart_us(one_us: int, other_us: int) -> int:
    """Distance on the circle of 2^32 µs."""
    distance_us = (one_us - other_us) % WRAP_US
    return min(distance_us, WRAP_US - distance_us)
