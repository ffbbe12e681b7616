"""Whatever a network sends, a class A device goes on: it takes, refuses or ignores."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.regions import REGIONS
from edge_agent.simulate.class_a import ClassADevice, Ignored, Received
from tests.fakes.small_network import SmallNetwork, hand, registration, session

CIDS = st.sampled_from([*range(1, 0x14), 0x20])
COMMANDS = st.lists(st.tuples(CIDS, st.binary(max_size=5)).map(lambda c: bytes((c[0],)) + c[1]), max_size=6)


@given(
    st.sampled_from(sorted(REGIONS)),
    st.sampled_from(["1.0", "1.1"]),
    st.lists(COMMANDS.map(b"".join), min_size=1, max_size=6),
)
@settings(max_examples=300, deadline=None)
def test_any_mac_commands(region, lorawan, downlinks):
    device = ClassADevice(session(lorawan), REGIONS[region], Random(1))
    network = SmallNetwork.of(session(lorawan))
    for number, raw in enumerate(downlinks):
        device.send(number * 10**7)
        heard = hand(device, network.down(raw, 0))
        assert isinstance(heard, Received) or "carries" in heard.why
        assert device.room() <= 242
        dwell_time = device.radio.uplink_dwell_time
        assert REGIONS[region].max_frm_payload(Direction.UP, device.radio.data_rate, dwell_time) > 0
    device.send(10**9)
    assert len(device.windows()) == 2


@given(st.binary(max_size=255), st.booleans(), st.integers(0, 1))
def test_any_bytes(phy_payload, joins, window):
    device = ClassADevice(registration("1.1") if joins else session(), REGIONS["EU868"], Random(1))
    if joins:
        device.join_request(0)
    else:
        device.send(0, 10, b"hello")
    assert isinstance(hand(device, phy_payload, window), Ignored)
    assert len(device.windows()) == 2
