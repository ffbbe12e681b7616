"""Which join request is answered; each reason why one is not. The judge is a device of the specification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.join_accept import EncryptedJoinAccept
from edge_agent.lorawan.join_request import JoinRequest
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.netid import NetID
from edge_agent.lorawan.regions import REGIONS
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.changes import JoinAnswered, SessionTaken
from edge_agent.network.device import Device, JoinNonces, NetworkSession
from edge_agent.network.join import MAX_JOIN_NONCE, grant_join
from edge_agent.network.outcome import Admitted, Joined, Rejected
from edge_agent.network.policy import Policy
from edge_agent.network.reason import Reason
from edge_agent.simulate.class_a import ClassADevice
from edge_agent.simulate.class_a import Joined as DeviceJoined
from edge_codecs.identifiers import JoinEUI
from tests.rig.lorawan_frames import REPORT, new_session
from tests.rig.site import Site, moment, new_registration, rx_frame

EU868 = REGIONS["EU868"]
ROLL = Random(3)
OLD = new_registration(ROLL, LoRaWANVersion.V1_0_3)
RISING = new_registration(ROLL, LoRaWANVersion.V1_0_4)
NEW = new_registration(ROLL, LoRaWANVersion.V1_1)
STRANGER = new_registration(ROLL)
OTHER_KEY = AES128Key(ROLL.randbytes(16))


def device(registration: Registration, seed: int = 5) -> ClassADevice:
    return ClassADevice(registration, EU868, Random(seed))


def site(*registrations: Registration, **policy: object) -> Site:
    devices = [Device(one.dev_eui, one) for one in registrations or (OLD, RISING, NEW)]
    return Site(devices, policy=Policy(**policy))  # type: ignore[arg-type]


def _unknown() -> Rejected:
    return refused(site(), device(STRANGER))


def _wrong_key() -> Rejected:
    return refused(site(), device(replace(RISING, app_key=OTHER_KEY)))


def _wrong_join_eui() -> Rejected:
    return refused(site(), device(replace(RISING, join_eui=JoinEUI(bytes(8)))))


def _passive() -> Rejected:
    return refused(site(downlinks=False), device(RISING))


def _recorded() -> Rejected:
    place, own = site(), device(RISING)
    sent = own.join_request(place.now_us)
    assert isinstance(place.hear(sent).outcome, Joined)
    outcome = place.hear(replace(sent, end_us=sent.end_us + 3_600_000_000)).outcome
    assert isinstance(outcome, Rejected)
    return outcome


def _heard_twice() -> Rejected:
    place = site()
    sent = device(RISING).join_request(place.now_us)
    place.hear(sent)
    outcome = place.hear(replace(sent, end_us=sent.end_us + 30)).outcome
    assert isinstance(outcome, Rejected)
    return outcome


def _worn_out() -> Rejected:
    worn = Device(RISING.dev_eui, RISING, JoinNonces(join_nonce=MAX_JOIN_NONCE))
    return refused(Site([worn]), device(RISING))


def _held_back() -> Rejected:
    place = site()
    frame = rx_frame(device(RISING).join_request(place.now_us))
    decision = place.server.receive(frame, moment(frame.monotonic_ns // 1000 + 6_500_000))
    assert isinstance(decision.outcome, Rejected)
    assert (decision.changes, decision.answer) == ((), None), "no nonce is used up"
    return decision.outcome


JOIN_REFUSALS: dict[str, tuple[Callable[[], Rejected], Reason]] = {
    "unknown": (_unknown, Reason.JOIN_UNKNOWN_DEVICE),
    "wrong key": (_wrong_key, Reason.JOIN_MIC_FAILED),
    "wrong JoinEUI": (_wrong_join_eui, Reason.JOIN_EUI_DIFFERS),
    "downlinks are off": (_passive, Reason.JOIN_NOT_SERVED),
    "a recording": (_recorded, Reason.NONCE_USED),
    "heard twice": (_heard_twice, Reason.DUPLICATE),
    "worn out": (_worn_out, Reason.JOIN_NONCES_EXHAUSTED),
    "held back": (_held_back, Reason.JOIN_NOT_SERVED),
}


def refused(place: Site, own: ClassADevice) -> Rejected:
    decision, _ = place.join(own)
    assert isinstance(decision.outcome, Rejected)
    assert decision.changes == ()
    assert decision.answer is None
    return decision.outcome


@pytest.mark.parametrize(("refusal", "reason"), JOIN_REFUSALS.values(), ids=JOIN_REFUSALS)
def test_refusals(refusal: Callable[[], Rejected], reason: Reason) -> None:
    outcome = refusal()
    assert outcome.reason is reason
    assert outcome.dev_eui == (None if reason is Reason.JOIN_UNKNOWN_DEVICE else RISING.dev_eui)


@pytest.mark.parametrize("registration", [OLD, RISING, NEW], ids=lambda one: str(one.version))
@pytest.mark.parametrize("window", [0, 1], ids=["RX1", "RX2"])
def test_a_device_joins_and_its_first_uplink_takes_the_session(
    registration: Registration, window: int
) -> None:
    place, own = site(), device(registration)
    decision, heard = place.join(own, window)
    assert isinstance(decision.outcome, Joined)
    assert isinstance(heard, DeviceJoined)
    assert heard.dev_addr == decision.outcome.dev_addr
    change = decision.changes[0]
    assert isinstance(change, JoinAnswered)
    assert change.join_nonce == change.pending.session.number == heard.join_nonce == 1

    decision, _ = place.exchange(own, 10, REPORT)
    assert isinstance(decision.outcome, Admitted)
    assert decision.outcome.session == 1
    assert decision.changes[0] == SessionTaken(registration.dev_eui, 1)
    decision, _ = place.exchange(own, 10, REPORT)
    assert not any(isinstance(change, SessionTaken) for change in decision.changes)


def test_the_old_session_works_until_the_new_one_is_used() -> None:
    place = site(NEW)
    own = device(NEW)
    place.join(own)
    place.exchange(own, 10, REPORT)
    place.now_us += 60_000_000
    decision = place.hear(own.rejoin_request(place.now_us, 0))
    assert isinstance(decision.outcome, Joined)  # and the accept is lost on the air
    decision, _ = place.exchange(own, 10, REPORT)
    assert isinstance(decision.outcome, Admitted)
    assert decision.outcome.session == 1
    place.now_us += 60_000_000
    decision = place.hear(own.rejoin_request(place.now_us, 0))
    assert decision.answer is not None
    assert isinstance(place.deliver(decision.answer, own), DeviceJoined)
    decision, _ = place.exchange(own, 10, REPORT)
    assert isinstance(decision.outcome, Admitted)
    assert decision.outcome.session == 3
    assert place.server.activations.pending(NEW.dev_eui) == ()


@pytest.mark.parametrize("rejoin_type", [0, 1, 2])
def test_a_1_1_device_joins_anew(rejoin_type: int) -> None:
    place, own = site(NEW), device(NEW)
    place.join(own)
    place.exchange(own, 10, REPORT)
    place.now_us += 60_000_000
    sent = own.rejoin_request(place.now_us, rejoin_type)
    decision = place.hear(sent)
    assert isinstance(decision.outcome, Joined)
    assert decision.outcome.rejoin_type == rejoin_type
    assert decision.answer is not None
    heard = place.deliver(decision.answer, own)
    assert isinstance(heard, DeviceJoined)
    assert heard.rejoin_type == rejoin_type
    outcome = place.hear(replace(sent, end_us=sent.end_us + 3_600_000_000)).outcome
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.NONCE_USED
    decision, _ = place.exchange(own, 10, REPORT)
    assert isinstance(decision.outcome, Admitted)
    assert decision.outcome.session == 2


def test_only_1_1_knows_rejoin_requests() -> None:
    frame = rx_frame(device(RISING).join_request(0))
    rejoin = b"\xc0\x00" + bytes(3) + RISING.dev_eui[::-1] + bytes(6)
    decision = site().server.receive(replace(frame, phy_payload=rejoin), moment(0))
    assert isinstance(decision.outcome, Rejected)
    assert decision.outcome.reason is Reason.JOIN_NOT_SERVED


def test_an_abp_device_does_not_join() -> None:
    session = new_session(Random(1))
    place = Site([Device(session.dev_eui, session=NetworkSession(session))])
    decision, _ = place.join(device(replace(RISING, dev_eui=session.dev_eui)))
    assert isinstance(decision.outcome, Rejected)
    assert decision.outcome.reason is Reason.JOIN_UNKNOWN_DEVICE
    assert "ABP" in decision.outcome.detail


def test_addresses_are_the_networks_and_differ() -> None:
    net_id = NetID.parse("e00001")  # type 7: 128 addresses
    registrations = [new_registration(ROLL) for _ in range(100)]
    place = site(*registrations, net_id=net_id)
    addresses: list[DevAddr] = []
    for registration in registrations:
        decision, _ = place.join(device(registration))
        assert isinstance(decision.outcome, Joined)
        addresses.append(decision.outcome.dev_addr)
    assert all(map(net_id.covers, addresses))
    assert len(set(addresses)) > 90


@pytest.mark.parametrize("registration", [OLD, RISING, NEW], ids=lambda one: str(one.version))
def test_no_nonce_is_used_twice_over_a_restart(registration: Registration) -> None:
    place, own = site(registration), device(registration)
    sent = own.join_request(place.now_us)
    change = place.hear(sent).changes[0]
    assert isinstance(change, JoinAnswered)
    assert change.dev_nonce is not None
    nonces = JoinNonces(change.join_nonce, change.dev_nonce, frozenset({change.dev_nonce}))
    again = Site([Device(registration.dev_eui, registration, nonces, pending=(change.pending,))])
    outcome = again.hear(replace(sent, end_us=sent.end_us + 60_000_000)).outcome
    assert isinstance(outcome, Rejected)
    assert outcome.reason is Reason.NONCE_USED
    _, heard = again.join(own)
    assert isinstance(heard, DeviceJoined)
    assert heard.join_nonce == 2


@pytest.mark.parametrize(
    ("version", "revision", "knows"),
    [("1.0.2", "RP002-1.0.4", False), ("1.0.3", "RP001-1.0.2-B", False), ("1.0.3", "RP001-1.0.3-A", True)],
)
@pytest.mark.parametrize("name", ["US915", "EU868"])
def test_channel_masks_are_given_to_devices_that_read_them(
    name: str, version: str, revision: str, knows: bool
) -> None:
    region = REGIONS[name]
    registration = replace(new_registration(ROLL, LoRaWANVersion.parse(version)), region_revision=revision)
    request = JoinRequest(registration.join_eui, registration.dev_eui, 1, bytes(4))
    policy = Policy(channel_block=2)
    grant = grant_join(request, registration, JoinNonces(), DevAddr(bytes(4)), region, policy)
    accept = EncryptedJoinAccept(grant.phy_payload[1:]).decrypt(AES128(registration.app_key))
    mac = grant.change.pending.mac
    assert mac is not None
    if name == "EU868":
        assert accept.cf_list is not None
        assert accept.cf_list.type == 0
    else:
        assert (accept.cf_list is not None) is knows
        assert len(mac.enabled) == (9 if knows else 72)
