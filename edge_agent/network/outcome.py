"""What becomes of a frame: taken or not, as values."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.join_request import JoinRequest
from edge_agent.lorawan.rejoin_request import RejoinRequest
from edge_agent.network.reason import Reason
from edge_agent.network.rx_frame import RxFrame
from edge_codecs.clipr import Message
from edge_codecs.identifiers import DevEUI


@dataclass(frozen=True, slots=True)
class Admitted:
    """An authentic uplink with a counter that was never seen.

    `f_cnt` is the full 32-bit counter, `session` the session's number. `f_opts` and `payload` are in clear.
    `f_port` is None where the frame has no payload. `message` is what the payload says; None where it holds
    MAC commands only (no FPort, or FPort 0), so that there is no row to keep, though the counter moves.
    `flaw` is UNKNOWN_F_PORT or DECODE_ERROR where `message` is Undecoded. `ack` and `adr_ack_req` are bits of
    FCtrl.
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
    ack: bool = False
    adr_ack_req: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """A frame that is not taken.

    `dev_eui` is given only where it is one of our devices: what a stranger claims never becomes a key to
    count by. `f_cnt` is the 32-bit counter where a MIC proves it, else the 16 bits on air; None where there
    is none. `detail` adds what a person wants to know beside `reason.sentence`. `waits_for_ack`: it repeats
    the last uplink taken, which was a confirmed one: its sender has not heard the acknowledgement.
    """

    reason: Reason
    frame: RxFrame
    dev_addr: DevAddr | None = None
    dev_eui: DevEUI | None = None
    f_cnt: int | None = None
    detail: str = ""
    waits_for_ack: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """A join or rejoin request that is answered.

    `rejoin_type` is None for a join request, else 0, 1 or 2. The session is the device's with its first valid
    uplink.
    """

    dev_eui: DevEUI
    dev_addr: DevAddr
    join_nonce: int
    rejoin_type: int | None
    frame: RxFrame


@dataclass(frozen=True, slots=True)
class JoinAsked:
    """A join or rejoin request in the name of `dev_eui`; not judged yet."""

    dev_eui: DevEUI
    request: JoinRequest | RejoinRequest
    frame: RxFrame
