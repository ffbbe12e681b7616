"""What a device and the network agree on in one session, beside the keys."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MacState:
    """Parameters in force at the device, and what the network has asked it and not been answered."""

    rx1_delay_s: int
    rx1_dr_offset: int
    rx2_data_rate: int
    rx2_frequency_hz: int
