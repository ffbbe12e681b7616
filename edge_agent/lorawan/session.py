"""What is known of a device after activation (LoRaWAN 1.0.4 section 6.1.2, 1.1 section 6.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.keys import AES128Key
from edge_codecs.identifiers import DevEUI


@dataclass(frozen=True, slots=True)
class Session:
    """One activation of a device.

    Under LoRaWAN 1.0.x the three network session keys are one and the same NwkSKey.
    `number` tells two lives of the frame counter apart (see `edge_codecs.reading.Uplink.session`).
    `f_cnt_up` is the highest 32-bit counter accepted so far, None before the first frame.
    """

    dev_eui: DevEUI
    dev_addr: DevAddr
    lorawan: str  # "1.0" or "1.1"
    f_nwk_s_int_key: AES128Key
    s_nwk_s_int_key: AES128Key
    nwk_s_enc_key: AES128Key
    app_s_key: AES128Key
    number: int = 0
    f_cnt_up: int | None = None
    codec: str = "clipr"
    codec_version: int = 1
