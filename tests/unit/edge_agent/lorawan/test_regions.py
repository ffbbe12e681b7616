"""The regions: what their tables must have in common, and known answers of each."""

from __future__ import annotations

from itertools import pairwise

import pytest

from edge_agent.lorawan.airtime import airtime_us, modulation_of
from edge_agent.lorawan.cflist import parse_cflist
from edge_agent.lorawan.fixed_plan import FixedPlan
from edge_agent.lorawan.frequency import frequency_hz, frequency_steps
from edge_agent.lorawan.mac_commands import MAX_EIRP_DBM
from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.region import Region
from edge_agent.lorawan.regions import REGIONS

UP, DOWN = Direction.UP, Direction.DOWN

EU868, US915, AU915 = REGIONS["EU868"], REGIONS["US915"], REGIONS["AU915"]
AS923 = REGIONS["AS923-1"]

every_region = pytest.mark.parametrize("region", REGIONS.values(), ids=REGIONS)


def frequencies(region: Region) -> list[int]:
    channels = [channel.frequency_hz for channel in region.default_channels + region.extra_channels]
    rx1 = region.downlink_channels_hz if isinstance(region, FixedPlan) else ()
    return [*channels, *rx1, region.rx2_frequency_hz]


def tables(region: Region) -> list[dict[int, tuple[int, ...]]]:
    both = (region.rx1_data_rates, region.rx1_data_rates_dwell)
    return [dict(table) for table in both if table is not None]


def test_regions_are_named_as_they_are_listed() -> None:
    assert list(REGIONS) == [
        *("EU868", "US915", "AU915"),
        *("AS923-1", "AS923-2", "AS923-3", "AS923-4"),
        *("IN865", "KR920"),
    ]
    assert all(region.name == name for name, region in REGIONS.items())


@every_region
def test_every_frequency_may_be_sent_and_said(region: Region) -> None:
    for hertz in frequencies(region):
        assert hertz in region.band_hz
        assert region.sub_band(hertz) is not None
        assert frequency_hz(frequency_steps(hertz)) == hertz


@every_region
def test_channels_use_data_rates_of_the_region(region: Region) -> None:
    for channel in region.default_channels + region.extra_channels:
        span = range(channel.min_data_rate, channel.max_data_rate + 1)
        assert span
        assert set(span) <= set(region.data_rates_up)
        assert all(modulation_of(region.data_rates_up[index]) for index in span)
    assert region.adr_max_data_rate in region.data_rates_up
    assert region.rx2_data_rate in region.data_rates_down


@every_region
def test_channels_fit_the_plan(region: Region) -> None:
    channels = region.default_channels + region.extra_channels
    assert len(channels) <= region.max_channels
    assert len({channel.frequency_hz for channel in channels}) == len(channels)
    assert region.is_fixed_plan == (len(region.default_channels) == region.max_channels)


@every_region
def test_every_uplink_has_an_answer_in_rx1(region: Region) -> None:
    for table in tables(region):
        assert table.keys() == region.data_rates_up.keys()
        for row in table.values():
            assert len(row) == region.max_rx1_dr_offset + 1
            assert set(row) <= set(region.data_rates_down)


@every_region
def test_a_greater_offset_is_never_faster_but_for_the_two_that_say_so(region: Region) -> None:
    for table in tables(region):
        for row in table.values():
            assert list(row[:6]) == sorted(row[:6], reverse=True)
            assert all(faster >= row[0] for faster in row[6:])


@every_region
def test_there_is_no_rx1_beyond_the_tables(region: Region) -> None:
    with pytest.raises(LookupError):
        region.rx1_data_rate(0, region.max_rx1_dr_offset + 1, downlink_dwell_time=False)
    with pytest.raises(LookupError):
        region.rx1_data_rate(15, 0, downlink_dwell_time=False)


@every_region
def test_payloads_grow_with_the_data_rate_until_the_limit(region: Region) -> None:
    for direction, names in ((UP, region.data_rates_up), (DOWN, region.data_rates_down)):
        for dwell_time in (False, True):
            sizes = [region.max_frm_payload(direction, index, dwell_time) for index in sorted(names)]
            assert sizes == sorted(sizes)
            assert sizes[-1] == 222
            assert dwell_time or min(sizes) >= 11


@every_region
def test_a_frame_within_the_dwell_time_takes_no_more(region: Region) -> None:
    for index, name in region.data_rates_up.items():
        n = region.max_frm_payload(UP, index, dwell_time=True)
        if region.default_dwell_time and n and name.startswith("SF"):
            assert airtime_us(1 + 8 + n + 4, modulation_of(name)) <= 400_000


@every_region
def test_the_device_may_be_told_its_power(region: Region) -> None:
    assert not region.has_tx_param_setup or region.max_eirp_dbm in MAX_EIRP_DBM
    assert region.has_tx_param_setup or not (region.uplink_dwell_time or region.downlink_dwell_time)
    assert region.max_eirp_dbm - 2 * region.max_tx_power >= 0


@every_region
def test_sub_bands_follow_one_another(region: Region) -> None:
    bands = region.sub_bands
    assert all(band.low_hz < band.high_hz and 0 < band.duty_cycle <= 1 for band in bands)
    assert all(left.high_hz <= right.low_hz for left, right in pairwise(bands))


@every_region
def test_the_cf_list_gives_the_extra_channels(region: Region) -> None:
    cf_list = region.cf_list()
    if cf_list is None:
        assert not region.extra_channels
    else:
        given = [hertz for hertz in parse_cflist(cf_list.to_bytes()).frequencies_hz if hertz]
        assert given == [channel.frequency_hz for channel in region.extra_channels]


@pytest.mark.parametrize("name", ["US915", "AU915"])
def test_a_block_of_eight_channels_and_the_wide_one_among_them(name: str) -> None:
    region = REGIONS[name]
    every: set[int] = set()
    for block in range(1, 9):
        cf_list = region.cf_list(block)
        assert cf_list is not None
        masks = parse_cflist(cf_list.to_bytes()).channel_masks
        enabled = {16 * at + bit for at, mask in enumerate(masks) for bit in range(16) if mask >> bit & 1}
        assert len(enabled) == 9
        hertz = [region.default_channels[index].frequency_hz for index in sorted(enabled)]
        assert hertz[0] < hertz[-1] < hertz[7], "the wide channel lies among the narrow ones"
        every |= enabled
    assert every == set(range(72))
    with pytest.raises(ValueError, match="blocks"):
        region.cf_list(9)


@every_region
def test_a_channel_is_found_by_its_frequency(region: Region) -> None:
    for index, channel in enumerate(region.default_channels):
        assert region.channel_indices(channel.frequency_hz + 1_500) == (index,)
    assert region.channel_indices(100_000_000) == ()


@every_region
def test_data_rates_have_one_name_each(region: Region) -> None:
    for index, name in region.data_rates_up.items():
        assert region.data_rate_up(name) == index
    assert region.data_rate_up("SF4BW125") is None


@pytest.mark.parametrize(
    ("hertz", "duty_cycle", "eirp_dbm"),
    [
        (862_999_999, None, None),
        (863_000_000, 0.001, 16.0),
        (864_999_999, 0.001, 16.0),
        (865_000_000, 0.01, 16.0),
        (868_100_000, 0.01, 16.0),
        (868_650_000, None, None),
        (868_800_000, 0.001, 16.0),
        (869_300_000, None, None),
        (869_525_000, 0.1, 29.0),
        (869_850_000, 0.01, 16.0),
        (870_000_000, None, None),
    ],
)
def test_eu868_has_gaps_between_its_sub_bands(
    hertz: int, duty_cycle: float | None, eirp_dbm: float | None
) -> None:
    band = EU868.sub_band(hertz)
    got = (band.duty_cycle, band.max_eirp_dbm) if band else (None, None)
    assert got == (duty_cycle, eirp_dbm)


@pytest.mark.parametrize("region", [US915, AU915], ids=["US915", "AU915"])
def test_rx1_of_a_fixed_plan_is_the_channel_modulo_eight(region: Region) -> None:
    for index, channel in enumerate(region.default_channels):
        assert region.rx1_frequency_hz(channel.frequency_hz) == 923_300_000 + index % 8 * 600_000


@pytest.mark.parametrize(
    ("region", "uplink_hz", "rx1_hz"),
    [
        (US915, 914_900_000, 927_500_000),
        (US915, 903_000_000, 923_300_000),
        (US915, 902_310_000, 923_300_000),  # beside the plan, next to channel 0
        (AU915, 915_900_000, 923_300_000),
        (AU915, 927_800_000, 927_500_000),
        (EU868, 867_900_000, 867_900_000),
    ],
)
def test_rx1_frequency(region: Region, uplink_hz: int, rx1_hz: int) -> None:
    assert region.rx1_frequency_hz(uplink_hz) == rx1_hz


@pytest.mark.parametrize(
    ("enabled", "block"),
    [
        (set(range(72)), ((6, 0x00FF),)),
        (set(), ((7, 0x0000),)),
        ({*range(8), 64}, ((7, 0x0001), (0, 0x00FF))),
        ({*range(8, 16), 65}, ((7, 0x0002), (0, 0xFF00))),
        ({5, 63}, ((7, 0x0000), (0, 0x0020), (3, 0x8000))),
        (set(range(72)) - {20}, ((6, 0x00FF), (1, 0xFFEF))),
    ],
)
def test_link_adr_block_of_a_fixed_plan(enabled: set[int], block: tuple[tuple[int, int], ...]) -> None:
    assert US915.link_adr_masks(enabled) == block


@pytest.mark.parametrize(
    ("cntl", "mask", "after"),
    [
        (0, 0xFF00, {*range(8, 16), 20, 65}),
        (1, 0x0001, {1, 16, 65}),
        (4, 0x0080, {1, 20, 71}),
        (4, 0xFF00, {1, 20}),  # eight bits without a meaning
        (5, 0x0002, {*range(8, 16), 65}),
        (5, 0x0100, set()),
        (6, 0x0001, {*range(65)}),
        (7, 0x0004, {66}),
    ],
)
def test_one_link_adr_req_of_a_fixed_plan(cntl: int, mask: int, after: set[int]) -> None:
    assert AU915.masked({1, 20, 65}, cntl, mask) == after


@every_region
def test_what_is_reserved_is_no_mask(region: Region) -> None:
    reserved = (8,) if region.is_fixed_plan else (1, 2, 3, 4, 5, 7)
    assert all(region.masked({0}, cntl, 0x0001) is None for cntl in reserved)


def test_one_mask_of_a_dynamic_plan() -> None:
    assert EU868.masked({0, 1, 2}, 0, 0x00F8) == {3, 4, 5, 6, 7}
    assert EU868.masked({0}, 6, 0x0000) == set(range(16))
    assert EU868.link_adr_masks({0, 2, 15}) == ((0, 0x8005),)


@every_region
def test_a_channel_beyond_the_plan_cannot_be_enabled(region: Region) -> None:
    with pytest.raises(ValueError, match=f"0 to {region.max_channels - 1}, not {region.max_channels}"):
        region.link_adr_masks({0, region.max_channels})


def test_as923_groups_differ_by_their_offset() -> None:
    offsets = {"AS923-1": 0, "AS923-2": -1_800_000, "AS923-3": -6_600_000, "AS923-4": -5_900_000}
    for name, offset in offsets.items():
        assert frequencies(REGIONS[name]) == [hertz + offset for hertz in frequencies(AS923)]


@pytest.mark.parametrize(
    ("up_data_rate", "offset", "dwell_time", "rx1"),
    [(0, 0, False, 0), (0, 0, True, 2), (5, 1, True, 4), (5, 5, True, 2), (3, 7, False, 5), (5, 7, False, 7)],
)
def test_as923_answers_faster_under_dwell_time(
    up_data_rate: int, offset: int, dwell_time: bool, rx1: int
) -> None:
    assert AS923.rx1_data_rate(up_data_rate, offset, dwell_time) == rx1


def test_dwell_time_forbids_the_slow_data_rates() -> None:
    assert [AS923.max_frm_payload(UP, index, dwell_time=True) for index in range(8)] == [
        *(0, 0, 11, 53, 125),
        *(222, 222, 222),
    ]
    assert AU915.max_frm_payload(UP, 1, dwell_time=True) == 0
    assert AU915.max_frm_payload(UP, 1, dwell_time=False) == 51
    assert EU868.max_frm_payload(UP, 0, dwell_time=True) == 51


def test_a_data_rate_of_the_other_direction_carries_nothing() -> None:
    assert US915.max_frm_payload(UP, 8, dwell_time=False) == 0
    assert US915.max_frm_payload(DOWN, 0, dwell_time=False) == 0
    assert US915.max_frm_payload(DOWN, 8, dwell_time=False) == 53
