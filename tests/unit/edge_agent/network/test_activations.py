"""Sessions come, move on and go."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from edge_agent.network.admit import Activations, Admitted, Rejected, admit
from edge_agent.network.reason import Reason
from tests.rig.lorawan_frames import heard, new_session, phy_payload

ROLL = random.Random(11)
SESSION = new_session(ROLL)
NEIGHBOUR = new_session(ROLL, dev_addr=SESSION.dev_addr)


def outcome_of(activations: Activations, f_cnt: int) -> Admitted | Rejected:
    return admit(heard(phy_payload(SESSION, f_cnt)), activations)


def test_a_removed_device_is_unknown_and_its_neighbour_stays() -> None:
    activations = Activations([SESSION, NEIGHBOUR])
    activations.remove(SESSION.dev_eui)
    activations.remove(SESSION.dev_eui)
    assert activations.sessions() == [NEIGHBOUR]
    assert SESSION.dev_eui not in activations
    activations.remove(NEIGHBOUR.dev_eui)
    outcome = outcome_of(activations, 1)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.UNKNOWN_DEV_ADDR


def test_a_session_replaces_the_devices_former_one() -> None:
    activations = Activations([SESSION])
    moved = replace(SESSION, dev_addr=new_session(ROLL).dev_addr, number=1)
    activations.add(moved)
    assert activations.sessions() == [moved]
    assert activations.at(SESSION.dev_addr) == ()


def test_a_frame_of_the_former_session_does_not_move_the_new_one() -> None:
    activations = Activations([SESSION])
    late = outcome_of(activations, 900)
    assert isinstance(late, Admitted)
    activations.add(replace(SESSION, number=1))
    activations.advance(late)
    assert activations.sessions()[0].f_cnt_up is None
    activations.remove(SESSION.dev_eui)
    activations.advance(late)
    assert activations.sessions() == []


def test_a_counter_never_goes_back() -> None:
    activations = Activations([SESSION])
    first, second = outcome_of(activations, 1), outcome_of(activations, 2)
    assert isinstance(first, Admitted)
    assert isinstance(second, Admitted)
    activations.advance(second)
    activations.advance(first)
    assert activations.sessions()[0].f_cnt_up == 2


def test_a_counter_that_was_kept_counts_after_a_restart() -> None:
    activations = Activations([replace(SESSION, f_cnt_up=7)])
    outcome = outcome_of(activations, 7)
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.REPLAY
    assert isinstance(outcome_of(activations, 8), Admitted)


def test_two_devices_with_one_address_and_one_key_are_found() -> None:
    twin = replace(NEIGHBOUR, f_nwk_s_int_key=SESSION.f_nwk_s_int_key)
    activations = Activations([SESSION])
    assert activations.twin(twin) == SESSION.dev_eui
    assert activations.twin(NEIGHBOUR) is None
    assert activations.twin(SESSION) is None


@pytest.mark.parametrize(
    "change", [{"codec": "other"}, {"codec_version": 99}, {"lorawan": "2.0"}], ids=lambda change: str(change)
)
def test_what_cannot_be_served_is_refused(change: dict[str, object]) -> None:
    activations = Activations([NEIGHBOUR])
    with pytest.raises(ValueError, match=str(next(iter(change.values())))):
        activations.add(replace(SESSION, **change))  # type: ignore[arg-type]
    assert activations.sessions() == [NEIGHBOUR]
