"""FHDR: DevAddr, FCtrl, FCnt, FOpts (LoRaWAN 1.0.4, section 4.3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from edge_agent.lorawan.identifiers import DevAddr

MAX_F_OPTS = 15  # bytes


class FCtrl(int):
    """The frame control byte. Two bits mean something else up than down (section 4.3.1.1, .3 and .4)."""

    __slots__ = ()

    @classmethod
    def build(
        cls,
        *,
        adr: bool = False,
        adr_ack_req: bool = False,
        ack: bool = False,
        class_b_or_f_pending: bool = False,
        f_opts_len: int = 0,
    ) -> Self:
        """Put the byte together. `adr_ack_req` is reserved on a downlink. Raises ValueError."""
        if not 0 <= f_opts_len <= MAX_F_OPTS:
            raise ValueError(f"FOpts is at most {MAX_F_OPTS} bytes, not {f_opts_len}")
        return cls(adr << 7 | adr_ack_req << 6 | ack << 5 | class_b_or_f_pending << 4 | f_opts_len)

    @property
    def adr(self) -> bool:
        """Adaptive data rate is on."""
        return bool(self & 0x80)

    @property
    def adr_ack_req(self) -> bool:
        """The device asks whether it is still heard (uplink only)."""
        return bool(self & 0x40)

    @property
    def ack(self) -> bool:
        """Acknowledges the last confirmed frame of the other side."""
        return bool(self & 0x20)

    @property
    def class_b(self) -> bool:
        """The device has class B on (uplink only)."""
        return bool(self & 0x10)

    @property
    def f_pending(self) -> bool:
        """More waits for the device (downlink only)."""
        return bool(self & 0x10)

    @property
    def f_opts_len(self) -> int:
        """How many bytes of FOpts follow FCnt, 0…15."""
        return self & 0x0F


@dataclass(frozen=True, slots=True)
class FHDR:
    """The frame header of a data frame.

    `f_cnt_16` is what goes over the air: the low 16 bits of the 32-bit frame counter.
    `f_opts` is as on air: in clear under LoRaWAN 1.0.x, encrypted under 1.1.
    """

    dev_addr: DevAddr
    f_ctrl: FCtrl
    f_cnt_16: int
    f_opts: bytes = b""

    def to_bytes(self) -> bytes:
        """As on air. Raises ValueError where FOptsLen and FOpts differ or the counter has over 16 bits."""
        if len(self.f_opts) != self.f_ctrl.f_opts_len:
            raise ValueError(
                f"FCtrl says {self.f_ctrl.f_opts_len} bytes of FOpts, there are {len(self.f_opts)}"
            )
        if not 0 <= self.f_cnt_16 <= 0xFFFF:
            raise ValueError(f"FCnt on air is 16 bits, not {self.f_cnt_16}")
        return (
            self.dev_addr.to_air() + bytes((self.f_ctrl,)) + self.f_cnt_16.to_bytes(2, "little") + self.f_opts
        )
