"""AU915-928 (RP002-1.0.4, section 2.8), for Australia and much of South America."""

from __future__ import annotations

from edge_agent.lorawan.fixed_plan import FixedPlan, downlink_channels_hz, narrow_channels, wide_channels
from edge_agent.lorawan.region import SubBand

# Section 2.8.3. 7 is LR-FHSS, which an SX1302 does not hear.
_DATA_RATES_UP = {
    0: "SF12BW125",
    1: "SF11BW125",
    2: "SF10BW125",
    3: "SF9BW125",
    4: "SF8BW125",
    5: "SF7BW125",
    6: "SF8BW500",
}
_DATA_RATES_DOWN = {
    8: "SF12BW500",
    9: "SF11BW500",
    10: "SF10BW500",
    11: "SF9BW500",
    12: "SF8BW500",
    13: "SF7BW500",
}

# Section 2.8.7: data rate of RX1 by that of the uplink, for RX1DROffset 0…5.
_RX1_DATA_RATES = {
    0: (8, 8, 8, 8, 8, 8),
    1: (9, 8, 8, 8, 8, 8),
    2: (10, 9, 8, 8, 8, 8),
    3: (11, 10, 9, 8, 8, 8),
    4: (12, 11, 10, 9, 8, 8),
    5: (13, 12, 11, 10, 9, 8),
    6: (13, 13, 12, 11, 10, 9),
}

# Section 2.8.6, the tables for devices behind repeaters: without and with UplinkDwellTime.
_MAX_FRM_PAYLOADS_DOWN = {8: 53, 9: 129, 10: 222, 11: 222, 12: 222, 13: 222}
_MAX_FRM_PAYLOADS = {0: 51, 1: 51, 2: 51, 3: 115, 4: 222, 5: 222, 6: 222, **_MAX_FRM_PAYLOADS_DOWN}
_MAX_FRM_PAYLOADS_DWELL = {2: 11, 3: 53, 4: 125, 5: 222, 6: 222, **_MAX_FRM_PAYLOADS_DOWN}

_SUB_BANDS = (SubBand(915_000_000, 928_000_000, 1.0, 30.0),)

AU915 = FixedPlan(
    name="AU915",
    band_hz=range(915_000_000, 928_000_001),
    default_channels=narrow_channels(915_200_000, max_data_rate=5) + wide_channels(915_900_000, data_rate=6),
    extra_channels=(),
    downlink_channels_hz=downlink_channels_hz(923_300_000),
    max_channels=72,
    data_rates_up=_DATA_RATES_UP,
    data_rates_down=_DATA_RATES_DOWN,
    rx1_data_rates=_RX1_DATA_RATES,
    max_frm_payloads=_MAX_FRM_PAYLOADS,
    max_frm_payloads_dwell=_MAX_FRM_PAYLOADS_DWELL,
    rx2_frequency_hz=923_300_000,
    rx2_data_rate=8,
    max_eirp_dbm=30.0,
    max_tx_power=14,
    adr_max_data_rate=5,
    sub_bands=_SUB_BANDS,
    has_tx_param_setup=True,
    uplink_dwell_time=True,  # the law in Brazil; Australia has no such limit
    default_dwell_time=True,
)
