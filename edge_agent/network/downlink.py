"""A data frame down to a device: put together, encrypted, signed (LoRaWAN 1.0.4, section 4; 1.1, section 4).

Pure: the counter comes as an argument; whoever gives it sees to it that it is never given twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.lorawan.fhdr import FHDR, MAX_F_OPTS, FCtrl
from edge_agent.lorawan.mac_command import MACCommand
from edge_agent.lorawan.mac_commands import build_mac_commands
from edge_agent.lorawan.mhdr import MType
from edge_agent.lorawan.phypayload import DataFrame
from edge_agent.network.activation import Activation
from edge_codecs.clipr.downlink import NAMES


@dataclass(frozen=True, slots=True)
class Content:
    """What a downlink says.

    `commands` go into FOpts, or alone onto FPort 0 where they are more than 15 bytes. `f_port` and `payload`
    are the application's, None and b"" without. `acknowledges` is the 32-bit counter of the confirmed uplink
    that it acknowledges. `f_pending`: more waits for the device.
    """

    commands: tuple[MACCommand, ...] = ()
    f_port: int | None = None
    payload: bytes = b""
    confirmed: bool = False
    acknowledges: int | None = None
    f_pending: bool = False
    adr: bool = True

    @property
    def is_application(self) -> bool:
        """Whether it carries an application payload: then AFCntDown counts it under 1.1, else NFCntDown."""
        return self.f_port is not None

    @property
    def what(self) -> str:
        """In words, for people."""
        parts = ["acknowledgement"] if self.acknowledges is not None else []
        parts += [command.name for command in self.commands]
        if self.f_port is not None:
            name = NAMES.get(self.f_port)
            parts.append(f"FPort {self.f_port}" + (f" ({name})" if name else ""))
        return ", ".join(parts) or "nothing but a sign of life"


def build_downlink(activation: Activation, content: Content, f_cnt: int) -> bytes:
    """The PHYPayload. Raises ValueError where commands and payload do not go together or do not fit."""
    f_opts = build_mac_commands(content.commands)
    f_port, frm_payload = content.f_port, content.payload
    if len(f_opts) > MAX_F_OPTS:
        if content.is_application:
            raise ValueError(f"{len(f_opts)} bytes of MAC commands leave no room for a payload")
        f_port, frm_payload, f_opts = 0, f_opts, b""
    if f_port is not None:
        frm_payload = activation.downlink_frm_payload(f_cnt, f_port, frm_payload)
    f_opts = activation.downlink_f_opts(f_cnt, f_port, f_opts)
    f_ctrl = FCtrl.build(
        adr=content.adr,
        ack=content.acknowledges is not None,
        class_b_or_f_pending=content.f_pending,
        f_opts_len=len(f_opts),
    )
    fhdr = FHDR(activation.session.dev_addr, f_ctrl, f_cnt & 0xFFFF, f_opts)
    mtype = MType.CONFIRMED_DATA_DOWN if content.confirmed else MType.UNCONFIRMED_DATA_DOWN
    message = DataFrame(mtype, fhdr, f_port, frm_payload, b"").message
    return message + activation.downlink_mic(f_cnt, message, content.acknowledges)
