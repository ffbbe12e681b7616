"""IN865-867 (RP002-1.0.4, section 2.12)."""

from __future__ import annotations

from edge_agent.lorawan.region import PlanChannel, Region, SubBand

# Section 2.12.3; there is no 6.
_DATA_RATES = {
    0: "SF12BW125",
    1: "SF11BW125",
    2: "SF10BW125",
    3: "SF9BW125",
    4: "SF8BW125",
    5: "SF7BW125",
    7: "50000",
}

# Section 2.12.7: data rate of RX1 by that of the uplink, for RX1DROffset 0…7.
_RX1_DATA_RATES = {
    0: (0, 0, 0, 0, 0, 0, 1, 2),
    1: (1, 0, 0, 0, 0, 0, 2, 3),
    2: (2, 1, 0, 0, 0, 0, 3, 4),
    3: (3, 2, 1, 0, 0, 0, 4, 5),
    4: (4, 3, 2, 1, 0, 0, 5, 5),
    5: (5, 4, 3, 2, 1, 0, 5, 7),
    7: (7, 5, 5, 4, 3, 2, 7, 7),
}

# Section 2.12.6, the table for devices behind repeaters.
_MAX_FRM_PAYLOADS = {0: 51, 1: 51, 2: 51, 3: 115, 4: 222, 5: 222, 7: 222}

_SUB_BANDS = (SubBand(865_000_000, 867_000_000, 1.0, 30.0),)

IN865 = Region(
    name="IN865",
    band_hz=range(865_000_000, 867_000_001),
    default_channels=(
        PlanChannel(865_062_500, 0, 5),
        PlanChannel(865_402_500, 0, 5),
        PlanChannel(865_985_000, 0, 5),
    ),
    extra_channels=(),  # no usage has settled
    max_channels=16,
    data_rates_up=_DATA_RATES,
    data_rates_down=_DATA_RATES,
    rx1_data_rates=_RX1_DATA_RATES,
    max_frm_payloads=_MAX_FRM_PAYLOADS,
    rx2_frequency_hz=866_550_000,
    rx2_data_rate=2,
    max_eirp_dbm=30.0,
    max_tx_power=10,
    adr_max_data_rate=5,
    sub_bands=_SUB_BANDS,
)
