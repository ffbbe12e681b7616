"""KR920-923 (RP002-1.0.4, section 2.11). The packet forwarder listens before it talks, if told so."""

from __future__ import annotations

from edge_agent.lorawan.region import PlanChannel, Region, SubBand

# Section 2.11.3.
_DATA_RATES = {
    0: "SF12BW125",
    1: "SF11BW125",
    2: "SF10BW125",
    3: "SF9BW125",
    4: "SF8BW125",
    5: "SF7BW125",
}

# Section 2.11.7: data rate of RX1 by that of the uplink, for RX1DROffset 0…5.
_RX1_DATA_RATES = {
    0: (0, 0, 0, 0, 0, 0),
    1: (1, 0, 0, 0, 0, 0),
    2: (2, 1, 0, 0, 0, 0),
    3: (3, 2, 1, 0, 0, 0),
    4: (4, 3, 2, 1, 0, 0),
    5: (5, 4, 3, 2, 1, 0),
}

# Section 2.11.6, the table for devices behind repeaters.
_MAX_FRM_PAYLOADS = {0: 51, 1: 51, 2: 51, 3: 115, 4: 222, 5: 222}

# Section 2.11.2: what gateways may radiate; devices 14 dBm, 10 dBm below 922 MHz.
_SUB_BANDS = (SubBand(920_800_000, 923_400_000, 1.0, 23.0),)

KR920 = Region(
    name="KR920",
    band_hz=range(920_800_000, 923_400_001),
    default_channels=(
        PlanChannel(922_100_000, 0, 5),
        PlanChannel(922_300_000, 0, 5),
        PlanChannel(922_500_000, 0, 5),
    ),
    extra_channels=(
        PlanChannel(922_700_000, 0, 5),
        PlanChannel(922_900_000, 0, 5),
        PlanChannel(923_100_000, 0, 5),
        PlanChannel(923_300_000, 0, 5),
    ),
    max_channels=16,
    data_rates_up=_DATA_RATES,
    data_rates_down=_DATA_RATES,
    rx1_data_rates=_RX1_DATA_RATES,
    max_frm_payloads=_MAX_FRM_PAYLOADS,
    rx2_frequency_hz=921_900_000,
    rx2_data_rate=0,
    max_eirp_dbm=14.0,
    max_tx_power=7,
    adr_max_data_rate=5,
    sub_bands=_SUB_BANDS,
)
