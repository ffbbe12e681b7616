"""EU863-870 (RP002-1.0.4, section 2.4; ERC Recommendation 70-03, annex 1)."""

from __future__ import annotations

from edge_agent.lorawan.region import PlanChannel, Region, SubBand

# Section 2.4.3. 8…11 are LR-FHSS, which an SX1302 does not hear.
_DATA_RATES = {
    0: "SF12BW125",
    1: "SF11BW125",
    2: "SF10BW125",
    3: "SF9BW125",
    4: "SF8BW125",
    5: "SF7BW125",
    6: "SF7BW250",
    7: "50000",
    12: "SF6BW125",  # RP002-1.0.5
    13: "SF5BW125",
}

# Section 2.4.7: data rate of RX1 by that of the uplink, for RX1DROffset 0…5.
_RX1_DATA_RATES = {
    0: (0, 0, 0, 0, 0, 0),
    1: (1, 0, 0, 0, 0, 0),
    2: (2, 1, 0, 0, 0, 0),
    3: (3, 2, 1, 0, 0, 0),
    4: (4, 3, 2, 1, 0, 0),
    5: (5, 4, 3, 2, 1, 0),
    6: (6, 5, 4, 3, 2, 1),
    7: (7, 6, 5, 4, 3, 2),
    12: (12, 5, 4, 3, 2, 1),  # RP002-1.0.5
    13: (13, 12, 5, 4, 3, 2),
}

# Section 2.4.6, the table for devices behind repeaters.
_MAX_FRM_PAYLOADS = {0: 51, 1: 51, 2: 51, 3: 115, 4: 222, 5: 222, 6: 222, 7: 222, 12: 222, 13: 222}

# What lies between them is kept for alarms.
_SUB_BANDS = (
    SubBand(863_000_000, 865_000_000, 0.001, 16.0),
    SubBand(865_000_000, 868_000_000, 0.01, 16.0),
    SubBand(868_000_000, 868_600_000, 0.01, 16.0),
    SubBand(868_700_000, 869_200_000, 0.001, 16.0),
    SubBand(869_400_000, 869_650_000, 0.1, 29.0),
    SubBand(869_700_000, 870_000_000, 0.01, 16.0),
)

EU868 = Region(
    name="EU868",
    band_hz=range(863_000_000, 870_000_001),
    default_channels=(
        PlanChannel(868_100_000, 0, 5),
        PlanChannel(868_300_000, 0, 5),
        PlanChannel(868_500_000, 0, 5),
    ),
    extra_channels=(
        PlanChannel(867_100_000, 0, 5),
        PlanChannel(867_300_000, 0, 5),
        PlanChannel(867_500_000, 0, 5),
        PlanChannel(867_700_000, 0, 5),
        PlanChannel(867_900_000, 0, 5),
    ),
    max_channels=16,
    data_rates_up=_DATA_RATES,
    data_rates_down=_DATA_RATES,
    rx1_data_rates=_RX1_DATA_RATES,
    max_frm_payloads=_MAX_FRM_PAYLOADS,
    rx2_frequency_hz=869_525_000,
    rx2_data_rate=0,
    max_eirp_dbm=16.0,
    max_tx_power=7,
    adr_max_data_rate=5,
    sub_bands=_SUB_BANDS,
)
