"""LinkADRReq blocks of every region undo themselves, and the tables of RX1 are the rule of their region."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.lorawan.mac_commands import LinkADRReq, build_mac_commands, parse_mac_commands
from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.region import Region
from edge_agent.lorawan.regions import REGIONS
from edge_agent.network.tx_indices import tx_indices

REGION = st.sampled_from(list(REGIONS.values()))


@st.composite
def regions_with_channels(draw: st.DrawFn) -> tuple[Region, frozenset[int], frozenset[int]]:
    """A region, the channels that were on, and those that shall be."""
    region = draw(REGION)
    channels = st.frozensets(st.integers(0, region.max_channels - 1))
    nearly_all = channels.map(lambda some: frozenset(range(region.max_channels)) - some)
    return region, draw(channels | nearly_all), draw(channels | nearly_all)


def after(region: Region, before: frozenset[int], block: tuple[tuple[int, int], ...]) -> frozenset[int]:
    def one(enabled: frozenset[int], masks: tuple[int, int]) -> frozenset[int]:
        result = region.masked(enabled, *masks)
        assert result is not None
        return result

    return reduce(one, block, before)


@given(regions_with_channels())
def test_a_block_leaves_exactly_the_channels_asked_for(
    given_: tuple[Region, frozenset[int], frozenset[int]],
) -> None:
    region, before, enabled = given_
    assert after(region, before, region.link_adr_masks(enabled)) == enabled


@given(regions_with_channels())
def test_a_block_is_short_and_goes_on_air_as_it_is(
    given_: tuple[Region, frozenset[int], frozenset[int]],
) -> None:
    region, _, enabled = given_
    block = region.link_adr_masks(enabled)
    assert len(block) <= (4 if region.is_fixed_plan else 1) + 1
    requests = [LinkADRReq(15, 15, mask, cntl, 1) for cntl, mask in block]
    assert parse_mac_commands(Direction.DOWN, build_mac_commands(requests)).commands == requests


@given(regions_with_channels(), st.integers(0, 255), st.integers(0, 0xFFFF))
def test_one_request_names_channels_of_the_plan_or_is_refused(
    given_: tuple[Region, frozenset[int], frozenset[int]], cntl: int, mask: int
) -> None:
    region, before, _ = given_
    result = region.masked(before, cntl, mask)
    assert result is None or result <= set(range(region.max_channels))
    assert result is not None or cntl > 7 or not region.is_fixed_plan


@pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS)
@pytest.mark.parametrize("dwell_time", [False, True])
def test_rx1_is_the_uplink_less_the_offset(region: Region, dwell_time: bool) -> None:
    """From 10 on in US915, from 8 on in AU915, and within the data rates of downlinks."""
    base = {"US915": 10, "AU915": 8}.get(region.name, 0)
    slowest = 2 if dwell_time and region.rx1_data_rates_dwell else min(region.data_rates_down)
    for up_data_rate in range(region.adr_max_data_rate + 1):
        for offset in range(min(region.max_rx1_dr_offset, 5) + 1):
            expected = max(base + up_data_rate - offset, slowest)
            assert region.rx1_data_rate(up_data_rate, offset, dwell_time) == expected


@given(REGION, st.integers(0, 2**32), st.sampled_from(["SF7BW125", "SF12BW125", "SF8BW500", "50000", "?"]))
def test_tx_indices_cover_every_channel_once(region: Region, hertz: int, data_rate: str) -> None:
    indices = tx_indices(hertz, data_rate, region)
    assert len(set(indices)) == len(indices)
    assert {channel for _, channel in indices} >= set(range(region.max_channels))
