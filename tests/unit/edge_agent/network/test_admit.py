"""Which frames are taken; each reason why one is not."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.mhdr import MType
from edge_agent.lorawan.netid import NetID
from edge_agent.lorawan.session import Session
from edge_agent.network.admit import Activations, Admitted, JoinAsked, Rejected, admit
from edge_agent.network.reason import Reason
from edge_agent.network.rx_frame import Crc, RxFrame
from edge_codecs.clipr import Report, Undecoded
from tests.rig.lorawan_frames import REPORT, heard, new_session, phy_payload
from tests.unit.edge_agent.network.test_join_server import JOIN_REFUSALS

LAP = 65536
ROLL = random.Random(7)
SESSION = new_session(ROLL, dev_addr=DevAddr.parse("260b1234"))
NEW = new_session(ROLL, lorawan="1.1", dev_addr=DevAddr.parse("260b4321"))
STRANGER = new_session(ROLL, dev_addr=DevAddr.parse("260bffff"))
FOREIGNER = new_session(ROLL, dev_addr=DevAddr.parse("78000001"))
OURS = [NetID.parse("000013")]


def network(*sessions: Session) -> Activations:
    return Activations(sessions or (SESSION, NEW))


def taken(frame: RxFrame, activations: Activations) -> Admitted:
    outcome = admit(frame, activations)
    assert isinstance(outcome, Admitted), outcome
    activations.advance(outcome)
    return outcome


def refused(frame: RxFrame, activations: Activations) -> Rejected:
    outcome = admit(frame, activations, OURS)
    assert isinstance(outcome, Rejected), outcome
    return outcome


def join(dev_eui: bytes) -> bytes:
    return b"\x00" + bytes(8) + dev_eui[::-1] + bytes(6)


def rejoin(dev_eui: bytes) -> bytes:
    return b"\xc0\x00" + bytes(3) + dev_eui[::-1] + bytes(6)


GOOD = phy_payload(SESSION, 1)
DOWNLINK = phy_payload(SESSION, 1, mtype=MType.CONFIRMED_DATA_DOWN)
AT_ONCE = phy_payload(SESSION, 1, b"\x02", f_port=0, f_opts=b"\x02")
SPOILT = GOOD[:-1] + bytes([GOOD[-1] ^ 1])
FAR = phy_payload(SESSION, 3 * LAP)

# what was heard, what was taken before, the reason, and whether a device of ours is named
REFUSALS = {
    "damaged": (heard(GOOD, crc=Crc.BAD), (), Reason.BAD_CRC, False),
    "without checksum": (heard(DOWNLINK, crc=Crc.NONE), (), Reason.NO_CRC, False),
    "no bytes": (heard(b""), (), Reason.TOO_SHORT, False),
    "short": (heard(GOOD[:11]), (), Reason.TOO_SHORT, False),
    "major version": (heard(b"\x41" + GOOD[1:]), (), Reason.NOT_LORAWAN_R1, False),
    "options beyond the end": (heard(GOOD[:5] + b"\x0f" + GOOD[6:16]), (), Reason.MALFORMED, False),
    "commands twice": (heard(AT_ONCE), (), Reason.MALFORMED, False),
    "too long": (heard(GOOD + bytes(256)), (), Reason.MALFORMED, False),
    "proprietary": (heard(b"\xe0" + GOOD), (), Reason.PROPRIETARY, False),
    "downlink": (heard(DOWNLINK), (), Reason.DOWNLINK_HEARD, False),
    "join accept": (heard(b"\x20" + bytes(16)), (), Reason.DOWNLINK_HEARD, False),
    "foreign": (heard(phy_payload(FOREIGNER, 1)), (), Reason.FOREIGN_NET_ID, False),
    "unknown": (heard(phy_payload(STRANGER, 1)), (), Reason.UNKNOWN_DEV_ADDR, False),
    "spoilt": (heard(SPOILT), (), Reason.MIC_FAILED, True),
    "far ahead at first": (heard(FAR), (), Reason.MIC_FITS_OTHER_UPPER_COUNTER, True),
    "far ahead later": (heard(FAR), (GOOD,), Reason.MIC_FITS_OTHER_UPPER_COUNTER, True),
    "the same": (heard(GOOD), (GOOD,), Reason.DUPLICATE, True),
    "the last but one": (heard(GOOD), (GOOD, phy_payload(SESSION, 2)), Reason.DUPLICATE, True),
    "older": (heard(GOOD), (phy_payload(SESSION, 2),), Reason.REPLAY, True),
    "reset": (heard(phy_payload(SESSION, 0, b"\x11")), (GOOD,), Reason.REPLAY, True),
    "the same counter, other words": (
        heard(phy_payload(SESSION, 1, b"\x11")),
        (GOOD,),
        Reason.REPLAY,
        True,
    ),
}
FLAWS = {
    "unknown port": (phy_payload(SESSION, 1, f_port=99), Reason.UNKNOWN_F_PORT),
    "test port": (phy_payload(SESSION, 1, f_port=224), Reason.UNKNOWN_F_PORT),
    "other version": (phy_payload(SESSION, 1, b"\x21" + REPORT[1:]), Reason.DECODE_ERROR),
    "empty": (phy_payload(SESSION, 1, b""), Reason.DECODE_ERROR),
}


@pytest.mark.parametrize(("frame", "before", "reason", "named"), REFUSALS.values(), ids=REFUSALS)
def test_refusals(frame: RxFrame, before: tuple[bytes, ...], reason: Reason, named: bool) -> None:
    activations = network()
    for raw in before:
        taken(heard(raw), activations)
    outcome = refused(frame, activations)
    assert outcome.reason is reason
    assert outcome.dev_eui == (SESSION.dev_eui if named else None)
    assert outcome.frame is frame


@pytest.mark.parametrize(("raw", "flaw"), FLAWS.values(), ids=FLAWS)
def test_an_authentic_frame_with_a_strange_payload_is_kept(raw: bytes, flaw: Reason) -> None:
    outcome = taken(heard(raw), network())
    assert outcome.flaw is flaw
    assert outcome.message == Undecoded(outcome.f_port or 0, outcome.payload)


def test_each_reason_is_shown_here_or_with_the_joins() -> None:
    shown = {reason for _, _, reason, _ in REFUSALS.values()} | {flaw for _, flaw in FLAWS.values()}
    assert shown | {reason for _, reason in JOIN_REFUSALS.values()} == set(Reason)


@pytest.mark.parametrize("raw", [join(SESSION.dev_eui), rejoin(SESSION.dev_eui)], ids=["join", "rejoin"])
def test_a_join_request_is_read_and_left_to_others(raw: bytes) -> None:
    outcome = admit(heard(raw), network())
    assert isinstance(outcome, JoinAsked)
    assert outcome.dev_eui == SESSION.dev_eui


@pytest.mark.parametrize(
    ("mtype", "f_cnt", "waits"),
    [
        (MType.CONFIRMED_DATA_UP, 7, True),
        (MType.UNCONFIRMED_DATA_UP, 7, False),
        (MType.CONFIRMED_DATA_UP, 6, False),
    ],
)
def test_a_repeated_confirmed_uplink_waits_for_its_acknowledgement(
    mtype: MType, f_cnt: int, waits: bool
) -> None:
    activations = network(replace(SESSION, f_cnt_up=7))
    assert refused(heard(phy_payload(SESSION, f_cnt, mtype=mtype)), activations).waits_for_ack is waits


def test_each_reason_has_a_sentence_and_stands_in_the_manual() -> None:
    manual = (Path(__file__).parents[4] / "docs" / "frames.md").read_text()
    for reason in Reason:
        assert f"`{reason.value}`" in manual
        assert " ".join(reason.sentence.split()) in " ".join(manual.split())


@pytest.mark.parametrize("session", [SESSION, NEW], ids=["1.0", "1.1"])
def test_a_report_is_taken(session: Session) -> None:
    activations = network()
    raw = phy_payload(session, 5, f_opts=b"\x02", mtype=MType.CONFIRMED_DATA_UP, adr=True)
    frame = heard(raw)
    outcome = taken(frame, activations)
    assert isinstance(outcome.message, Report)
    assert outcome == Admitted(
        dev_eui=session.dev_eui,
        session=0,
        f_cnt=5,
        confirmed=True,
        adr=True,
        f_opts=b"\x02",
        f_port=10,
        payload=REPORT,
        message=outcome.message,
        flaw=None,
        frame=frame,
        codec="clipr",
        codec_version=1,
    )


@pytest.mark.parametrize("session", [SESSION, NEW], ids=["1.0", "1.1"])
def test_mac_commands_alone_move_the_counter_and_make_no_row(session: Session) -> None:
    activations = network()
    on_port_0 = taken(heard(phy_payload(session, 5, b"\x02\x0d", f_port=0)), activations)
    assert (on_port_0.message, on_port_0.payload, on_port_0.f_port) == (None, b"\x02\x0d", 0)
    in_options = taken(heard(phy_payload(session, 6, f_port=None, f_opts=b"\x02")), activations)
    assert (in_options.message, in_options.payload, in_options.f_opts) == (None, b"", b"\x02")
    assert in_options.f_port is None
    assert session_of(activations, session).f_cnt_up == 6


def session_of(activations: Activations, like: Session) -> Session:
    return next(one for one in activations.sessions() if one.dev_eui == like.dev_eui)


def test_deciding_changes_nothing() -> None:
    activations = network()
    assert admit(heard(GOOD), activations) == admit(heard(GOOD), activations)
    assert activations.sessions() == [SESSION, NEW]


@pytest.mark.parametrize("last", [None, 0, 41, 65535, LAP, 3 * LAP + 7, 2**32 - 3])
def test_the_next_counter_is_taken_whatever_the_last_was(last: int | None) -> None:
    f_cnt = 0 if last is None else last + 1
    activations = network(replace(SESSION, f_cnt_up=last))
    assert taken(heard(phy_payload(SESSION, f_cnt)), activations).f_cnt == f_cnt
    assert session_of(activations, SESSION).f_cnt_up == f_cnt


def test_a_gap_of_almost_a_lap_is_taken() -> None:
    activations = network(replace(SESSION, f_cnt_up=10))
    assert taken(heard(phy_payload(SESSION, 10 + LAP)), activations).f_cnt == 10 + LAP


def test_a_device_that_was_reset_after_a_lap_is_called_so() -> None:
    activations = network(replace(SESSION, f_cnt_up=2 * LAP + 500))
    outcome = refused(heard(phy_payload(SESSION, 3)), activations)
    assert (outcome.reason, outcome.f_cnt) == (Reason.REPLAY, 3)


def test_an_old_frame_moves_nothing() -> None:
    activations = network(replace(SESSION, f_cnt_up=LAP + 500))
    for f_cnt in (0, 499, 500, 501, LAP, LAP + 499, LAP + 500):
        assert refused(heard(phy_payload(SESSION, f_cnt)), activations).reason is Reason.REPLAY
    assert taken(heard(phy_payload(SESSION, LAP + 501)), activations).f_cnt == LAP + 501


def test_used_up_counters_start_no_new_round() -> None:
    activations = network(replace(SESSION, f_cnt_up=2**32 - 1))
    assert refused(heard(phy_payload(SESSION, 0)), activations).reason is Reason.REPLAY
    assert refused(heard(phy_payload(SESSION, 2**32 - 1)), activations).reason is Reason.REPLAY


def test_devices_that_share_an_address_are_told_apart_by_their_mic() -> None:
    roll = random.Random(8)
    sharers = [
        new_session(roll, dev_addr=SESSION.dev_addr, lorawan=("1.0", "1.1")[number % 2])
        for number in range(40)
    ]
    activations = network(*sharers)
    for f_cnt in (1, 2):
        for session in sharers:
            assert taken(heard(phy_payload(session, f_cnt)), activations).dev_eui == session.dev_eui
    again = refused(heard(phy_payload(sharers[30], 2)), activations)
    assert (again.reason, again.dev_eui) == (Reason.DUPLICATE, sharers[30].dev_eui)
    lower = refused(heard(phy_payload(sharers[33], 0)), activations)
    assert (lower.reason, lower.dev_eui) == (Reason.REPLAY, sharers[33].dev_eui)
    nobody = refused(heard(phy_payload(new_session(roll, dev_addr=SESSION.dev_addr), 1)), activations)
    assert (nobody.reason, nobody.dev_eui) == (Reason.MIC_FAILED, None)


def test_explaining_a_frame_has_a_bound() -> None:
    roll = random.Random(9)
    sharers = [
        new_session(roll, dev_addr=SESSION.dev_addr, f_cnt_up=5 * LAP + number) for number in range(100)
    ]
    ahead = phy_payload(sharers[0], 7 * LAP)
    few, many = network(*sharers[:4]), network(*sharers)
    assert refused(heard(ahead), few).reason is Reason.MIC_FITS_OTHER_UPPER_COUNTER
    assert refused(heard(ahead), many).reason is Reason.MIC_FAILED
    # the likeliest explanation is looked at for each of them
    assert refused(heard(phy_payload(sharers[99], 5 * LAP)), many).reason is Reason.REPLAY


@pytest.mark.parametrize(
    ("frequency_hz", "data_rate", "tx_dr", "tx_ch"),
    [
        (868_100_000, "SF7BW125", 5, 0),
        (868_500_000, "SF12BW125", 0, 2),
        (867_100_000, "SF9BW125", 3, 3),
        (867_900_000, "SF7BW125", 5, 15),
        (868_300_000, "SF7BW125", 5, 9),  # somebody gave the default frequency another index
        (868_900_000, "SF7BW125", 5, 0),  # RU864: a default channel there
        (868_800_000, "50000", 7, 8),
        (904_600_000, "SF8BW500", 4, 65),
        (433_175_000, "SF10BW125", 2, 0),
    ],
)
def test_1_1_devices_are_taken_on_any_channel(
    frequency_hz: int, data_rate: str, tx_dr: int, tx_ch: int
) -> None:
    frame = heard(
        phy_payload(NEW, 1, tx_dr=tx_dr, tx_ch=tx_ch), frequency_hz=frequency_hz, data_rate=data_rate
    )
    assert taken(frame, network()).dev_eui == NEW.dev_eui


def test_both_halves_of_a_1_1_mic_count() -> None:
    other = AES128Key(bytes(16))
    activations = network(replace(NEW, s_nwk_s_int_key=other))
    outcome = refused(heard(phy_payload(NEW, 1)), activations)
    assert (outcome.reason, "SNwkSIntKey" in outcome.detail) == (Reason.MIC_FAILED, True)
    activations = network(replace(NEW, f_nwk_s_int_key=other))
    assert refused(heard(phy_payload(NEW, 1)), activations).reason is Reason.MIC_FAILED
    # a data rate that the region does not have at this spreading factor
    assert refused(heard(phy_payload(NEW, 1, tx_dr=4)), network()).reason is Reason.MIC_FAILED


def test_a_1_1_repetition_on_another_channel_is_a_duplicate() -> None:
    activations = network()
    taken(heard(phy_payload(NEW, 1, tx_ch=0)), activations)
    again = heard(phy_payload(NEW, 1, tx_ch=2), frequency_hz=868_500_000)
    assert refused(again, activations).reason is Reason.DUPLICATE


def test_an_acknowledgement_of_nothing_says_so() -> None:
    outcome = refused(heard(phy_payload(NEW, 1, ack=True, conf_f_cnt=77)), network())
    assert (outcome.reason, "acknowledges" in outcome.detail) == (Reason.MIC_FAILED, True)


def test_a_known_address_outside_our_networks_is_ours() -> None:
    activations = network(FOREIGNER)
    assert isinstance(admit(heard(phy_payload(FOREIGNER, 1)), activations, OURS), Admitted)


def test_without_net_ids_no_address_is_foreign() -> None:
    outcome = admit(heard(phy_payload(FOREIGNER, 1)), network())
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.UNKNOWN_DEV_ADDR


def test_outcomes_show_no_key() -> None:
    activations = network()
    shown = repr(admit(heard(GOOD), activations)) + repr(refused(heard(SPOILT), activations))
    shown += repr(activations.sessions()) + repr(vars(Activations)) + repr(activations.at(SESSION.dev_addr))
    for key in (SESSION.f_nwk_s_int_key, SESSION.app_s_key, NEW.s_nwk_s_int_key):
        assert key.hex() not in shown
        assert repr(bytes(key)) not in shown
