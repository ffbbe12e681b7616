"""Which uplink is taken, whose it is and what it says; and why one is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.netid import NetID
from edge_agent.lorawan.session import Session
from edge_agent.network.reason import Reason
from edge_agent.network.rx_frame import RxFrame
from edge_codecs.clipr import Message
from edge_codecs.identifiers import DevEUI


@dataclass(frozen=True, slots=True)
class Admitted:
    """An authentic uplink with a counter that was never seen.

    `f_cnt` is the full 32-bit counter, `session` the session's number. `f_opts` and `payload` are in clear.
    `f_port` is None where the frame has no payload. `message` is what the payload says; None where it holds MAC
    commands only (no FPort, or FPort 0), so that there is no row to keep, though the counter moves.
    `flaw` is UNKNOWN_F_PORT or DECODE_ERROR where `message` is Undecoded.
    """

    dev_eui: DevEUI
    session: int
    f_cnt: int
    confirmed: bool
    adr: bool
    f_opts: bytes
    f_port: int | None
    payload: bytes
    message: Message | None
    flaw: Reason | None
    frame: RxFrame
    codec: str
    codec_version: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A frame that is not taken. `dev_eui` is given only where it is one of our devices.

    `f_cnt` is the 32-bit counter where a MIC proves it, else the 16 bits on air; None where there is none.
    `detail` adds what a person wants to know beside `reason.sentence`.
    """

    reason: Reason
    frame: RxFrame
    dev_addr: DevAddr | None = None
    dev_eui: DevEUI | None = None
    f_cnt: int | None = None
    detail: str = ""


class Activations:
    """All sessions, by DevAddr, with their keys at work."""

    def add(self, session: Session) -> None:
        """Know a session; replaces the device's former one. Raises ValueError for a codec that does not exist."""
        raise NotImplementedError

    def remove(self, dev_eui: DevEUI) -> None:
        """Forget the device's session and its keys; nothing happens where there is none."""
        raise NotImplementedError

    def sessions(self) -> list[Session]:
        """The sessions as they stand, each with its highest counter."""
        raise NotImplementedError

    def advance(self, admitted: Admitted) -> None:
        """Move the device's counter to an admitted uplink, so that no frame up to it is taken again."""
        raise NotImplementedError


def admit(frame: RxFrame, activations: Activations, net_ids: Sequence[NetID] = ()) -> Admitted | Rejected:
    """Decide about one frame; changes nothing.

    `net_ids` are the networks whose devices may be ours: with any given, an unknown DevAddr outside their blocks is
    FOREIGN_NET_ID, without one all are UNKNOWN_DEV_ADDR.
    """
    raise NotImplementedError
