"""TxDr and TxCh of a frame, as far as the gateway can know them."""

from __future__ import annotations

from edge_agent.lorawan.regions import REGIONS
from edge_agent.network.tx_indices import tx_indices

EVERYTHING = {(data_rate, channel) for data_rate in range(16) for channel in range(96)}


def test_a_default_channel_comes_first_and_then_those_of_the_network() -> None:
    indices = tx_indices(868_300_000, "SF7BW125", REGIONS["EU868"])
    assert indices == tuple((5, channel) for channel in (1, *range(3, 16), 0, 2))


def test_a_channel_of_the_network_may_have_any_index() -> None:
    indices = tx_indices(867_100_000, "SF9BW125", REGIONS["EU868"])
    assert indices == tuple((3, channel) for channel in (*range(3, 16), 0, 1, 2))


def test_a_fixed_plan_knows_the_channel() -> None:
    us915, au915 = REGIONS["US915"], REGIONS["AU915"]
    assert tx_indices(903_900_000, "SF10BW125", us915)[0] == (0, 8)
    assert tx_indices(904_600_000, "SF8BW500", us915)[0] == (4, 65)
    assert tx_indices(916_800_000, "SF10BW125", au915)[0] == (2, 8)


def test_what_the_region_does_not_have_is_tried_as_anything() -> None:
    eu868 = REGIONS["EU868"]
    assert set(tx_indices(915_000_000, "SF7BW125", eu868)) == EVERYTHING
    assert set(tx_indices(868_100_000, "SF7BW500", eu868)) == EVERYTHING
    assert set(tx_indices(868_100_000, "SF7BW125", None)) == EVERYTHING
