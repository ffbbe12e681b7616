"""When a sensor speaks."""

import pytest

from edge_agent.lorawan.airtime import downlink_airtime_us
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.simulate.class_a import Joined
from tests.fakes.small_network import SmallNetwork
from tests.rig.cellar import new_node


@pytest.mark.parametrize("number", range(10))
def test_a_sensor_waits_until_the_gateway_has_finished(number):
    """While the gateway sends it hears nobody, and at SF12 that takes a while."""
    node = new_node(number, LoRaWANVersion.V1_0_4, "SF12BW125")
    request = node.wake(node.next_us).sent.phy_payload
    accept = SmallNetwork(node.device.joiner.registration).accept(request, 1)
    window = node.device.windows()[0]
    heard = node.receive(accept, window.begin_us, window.frequency_hz, window.data_rate, 8.0)
    assert isinstance(heard, Joined)
    assert node.next_us > window.begin_us + downlink_airtime_us(len(accept), window.data_rate)
