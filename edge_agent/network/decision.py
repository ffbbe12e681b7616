"""What becomes of one frame, whole."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.network.answer import Answer, Transmitted
from edge_agent.network.changes import Change
from edge_agent.network.outcome import Admitted, Joined, Rejected


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome for people and store; `changes` must be on disk before `answer` goes to the radio.

    `unsent` is an answer that was due and could not be made. `notes` are what a person wants to know of the
    MAC commands in it.
    """

    outcome: Admitted | Rejected | Joined
    changes: tuple[Change, ...] = ()
    answer: Answer | None = None
    notes: tuple[str, ...] = ()
    unsent: Transmitted | None = None
