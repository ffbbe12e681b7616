"""US902-928 (RP002-1.0.4, section 2.5; FCC part 15.247)."""

from __future__ import annotations

from edge_agent.lorawan.fixed_plan import FixedPlan, downlink_channels_hz, narrow_channels, wide_channels
from edge_agent.lorawan.region import SubBand

# Section 2.5.3. 5 and 6 are LR-FHSS, which an SX1302 does not hear.
_DATA_RATES_UP = {
    0: "SF10BW125",
    1: "SF9BW125",
    2: "SF8BW125",
    3: "SF7BW125",
    4: "SF8BW500",
}
_DATA_RATES_DOWN = {
    8: "SF12BW500",
    9: "SF11BW500",
    10: "SF10BW500",
    11: "SF9BW500",
    12: "SF8BW500",
    13: "SF7BW500",
}

# Section 2.5.7: data rate of RX1 by that of the uplink, for RX1DROffset 0…3.
_RX1_DATA_RATES = {
    0: (10, 9, 8, 8),
    1: (11, 10, 9, 8),
    2: (12, 11, 10, 9),
    3: (13, 12, 11, 10),
    4: (13, 13, 12, 11),
}

# Section 2.5.6, the table for devices behind repeaters. It keeps to 400 ms of dwell time by itself.
_MAX_FRM_PAYLOADS_DOWN = {8: 53, 9: 129, 10: 222, 11: 222, 12: 222, 13: 222}
_MAX_FRM_PAYLOADS = {0: 11, 1: 53, 2: 125, 3: 222, 4: 222, **_MAX_FRM_PAYLOADS_DOWN}

# 26 dBm into an antenna of 2 dBi: 500 kHz wide, more would exceed the spectral density allowed.
_SUB_BANDS = (SubBand(902_000_000, 928_000_000, 1.0, 28.0),)

US915 = FixedPlan(
    name="US915",
    band_hz=range(902_000_000, 928_000_001),
    default_channels=narrow_channels(902_300_000, max_data_rate=3) + wide_channels(903_000_000, data_rate=4),
    extra_channels=(),
    downlink_channels_hz=downlink_channels_hz(923_300_000),
    max_channels=72,
    data_rates_up=_DATA_RATES_UP,
    data_rates_down=_DATA_RATES_DOWN,
    rx1_data_rates=_RX1_DATA_RATES,
    max_frm_payloads=_MAX_FRM_PAYLOADS,
    rx2_frequency_hz=923_300_000,
    rx2_data_rate=8,
    max_eirp_dbm=30.0,
    max_tx_power=14,
    adr_max_data_rate=3,
    sub_bands=_SUB_BANDS,
)
