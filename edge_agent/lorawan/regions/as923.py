"""AS923-1 to AS923-4 (RP002-1.0.4, section 2.10): one table, moved by AS923_FREQ_OFFSET for each group."""

from __future__ import annotations

from edge_agent.lorawan.region import PlanChannel, Region, SubBand

# Section 2.10.3.
_DATA_RATES = {
    0: "SF12BW125",
    1: "SF11BW125",
    2: "SF10BW125",
    3: "SF9BW125",
    4: "SF8BW125",
    5: "SF7BW125",
    6: "SF7BW250",
    7: "50000",
}

# Section 2.10.7: data rate of RX1 by that of the uplink, for RX1DROffset 0…7, without DownlinkDwellTime.
_RX1_DATA_RATES = {
    0: (0, 0, 0, 0, 0, 0, 1, 2),
    1: (1, 0, 0, 0, 0, 0, 2, 3),
    2: (2, 1, 0, 0, 0, 0, 3, 4),
    3: (3, 2, 1, 0, 0, 0, 4, 5),
    4: (4, 3, 2, 1, 0, 0, 5, 6),
    5: (5, 4, 3, 2, 1, 0, 6, 7),
    6: (6, 5, 4, 3, 2, 1, 7, 7),
    7: (7, 6, 5, 4, 3, 2, 7, 7),
}

# The same with DownlinkDwellTime.
_RX1_DATA_RATES_DWELL = {
    0: (2, 2, 2, 2, 2, 2, 2, 2),
    1: (2, 2, 2, 2, 2, 2, 2, 3),
    2: (2, 2, 2, 2, 2, 2, 3, 4),
    3: (3, 2, 2, 2, 2, 2, 4, 5),
    4: (4, 3, 2, 2, 2, 2, 5, 6),
    5: (5, 4, 3, 2, 2, 2, 6, 7),
    6: (6, 5, 4, 3, 2, 2, 7, 7),
    7: (7, 6, 5, 4, 3, 2, 7, 7),
}

# Section 2.10.6, the tables for devices behind repeaters: without and with dwell time.
_MAX_FRM_PAYLOADS = {0: 51, 1: 51, 2: 115, 3: 115, 4: 222, 5: 222, 6: 222, 7: 222}
_MAX_FRM_PAYLOADS_DWELL = {2: 11, 3: 53, 4: 125, 5: 222, 6: 222, 7: 222}


def _group(name: str, offset_hz: int, low_hz: int, high_hz: int) -> Region:
    return Region(
        name=name,
        band_hz=range(low_hz, high_hz + 1),
        default_channels=(
            PlanChannel(923_200_000 + offset_hz, 0, 5),
            PlanChannel(923_400_000 + offset_hz, 0, 5),
        ),
        extra_channels=(
            PlanChannel(923_600_000 + offset_hz, 0, 5),
            PlanChannel(923_800_000 + offset_hz, 0, 5),
            PlanChannel(924_000_000 + offset_hz, 0, 5),
            PlanChannel(924_200_000 + offset_hz, 0, 5),
            PlanChannel(924_400_000 + offset_hz, 0, 5),
        ),
        max_channels=16,
        data_rates_up=_DATA_RATES,
        data_rates_down=_DATA_RATES,
        rx1_data_rates=_RX1_DATA_RATES,
        rx1_data_rates_dwell=_RX1_DATA_RATES_DWELL,
        max_frm_payloads=_MAX_FRM_PAYLOADS,
        max_frm_payloads_dwell=_MAX_FRM_PAYLOADS_DWELL,
        rx2_frequency_hz=923_200_000 + offset_hz,
        rx2_data_rate=2,
        max_eirp_dbm=16.0,
        max_tx_power=7,
        adr_max_data_rate=5,
        sub_bands=(SubBand(low_hz, high_hz, 0.01, 16.0),),
        has_tx_param_setup=True,
        uplink_dwell_time=True,  # the law in Japan; other countries are more lenient
        downlink_dwell_time=True,
        default_dwell_time=True,
    )


# Section 2.10.2.
AS923 = (
    _group("AS923-1", 0, 915_000_000, 928_000_000),
    _group("AS923-2", -1_800_000, 920_000_000, 923_000_000),
    _group("AS923-3", -6_600_000, 915_000_000, 921_000_000),
    _group("AS923-4", -5_900_000, 917_000_000, 920_000_000),
)
