"""What this network wants of its devices; the operator's settings, as values."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.lorawan.netid import NetID

EXPERIMENTAL = NetID(bytes(3))
"""NetID 000000: for private and experimental networks (Backend Interfaces, section 13)."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How the network behaves. None means: as the region has it.

    `downlinks` off: the gateway only listens, because another network server answers. `max_duty_cycle` is
    DutyCycleReq's exponent, 0 no limit. `history`: ask sensors for intervals that are missing.
    `channel_block` is the one block of eight channels that the gateway hears in a fixed plan, 0: all.
    """

    net_id: NetID = EXPERIMENTAL
    downlinks: bool = True
    rx1_delay_s: int = 5  # 1…15
    rx1_dr_offset: int = 0
    rx2_data_rate: int | None = None
    rx2_frequency_hz: int | None = None
    adr: bool = True
    adr_margin_db: float = 10.0
    adr_max_data_rate: int | None = None
    channel_block: int = 0
    max_duty_cycle: int = 0
    status_every_h: int = 24  # 0: never ask
    history: bool = True
    max_eirp_dbm: float | None = None  # of the gateway
