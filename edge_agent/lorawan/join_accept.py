"""Join accept, and its encryption (LoRaWAN 1.0.4, section 6.2.6; LoRaWAN 1.1, section 6.2.3)."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.cflist import LENGTH as CFLIST_LENGTH
from edge_agent.lorawan.cflist import CFList, parse_cflist
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.malformed import Fault, MalformedFrame
from edge_agent.lorawan.mhdr import MType, mhdr
from edge_agent.lorawan.netid import NetID

BODY_LENGTH = 12  # bytes, without CFList
LENGTHS = (1 + BODY_LENGTH + 4, 1 + BODY_LENGTH + CFLIST_LENGTH + 4)  # bytes of the PHYPayload


@dataclass(frozen=True, slots=True)
class EncryptedJoinAccept:
    """A join accept as it goes over the air: nothing is readable without the key.

    `ciphertext` is what follows MHDR: 16 or 32 bytes, with the MIC inside.
    """

    ciphertext: bytes

    @property
    def mtype(self) -> MType:
        """Always JOIN_ACCEPT."""
        return MType.JOIN_ACCEPT

    def to_bytes(self) -> bytes:
        """The PHYPayload."""
        return mhdr(MType.JOIN_ACCEPT) + self.ciphertext

    def decrypt(self, key: AES128) -> JoinAccept:
        """Take it apart as a device does. Whether `key` was right, only the MIC tells.

        `key` is AppKey under 1.0.x, NwkKey under 1.1, JSEncKey in answer to a rejoin request.
        """
        # The network "decrypts" so that a device needs the cipher's encrypting half only.
        return parse_join_accept(mhdr(MType.JOIN_ACCEPT) + key.encrypt(self.ciphertext))


@dataclass(frozen=True, slots=True)
class JoinAccept:
    """A join accept in clear.

    `join_nonce` is 24 bits (AppNonce before 1.0.4). `rx_delay_s` is RxDelay as sent, 0…15; 0 means 1 s, too.
    `opt_neg` is set by a 1.1 network for a 1.1 device.
    """

    join_nonce: int
    net_id: NetID
    dev_addr: DevAddr
    rx1_dr_offset: int
    rx2_data_rate: int
    opt_neg: bool
    rx_delay_s: int
    cf_list: CFList | None = None
    mic: bytes = bytes(4)

    @property
    def mtype(self) -> MType:
        """Always JOIN_ACCEPT."""
        return MType.JOIN_ACCEPT

    @property
    def body(self) -> bytes:
        """Everything between MHDR and MIC, in clear."""
        dl_settings = self.opt_neg << 7 | self.rx1_dr_offset << 4 | self.rx2_data_rate
        return (
            self.join_nonce.to_bytes(3, "little")
            + self.net_id.to_air()
            + self.dev_addr.to_air()
            + bytes((dl_settings, self.rx_delay_s))
            + (b"" if self.cf_list is None else self.cf_list.to_bytes())
        )

    @property
    def message(self) -> bytes:
        """The PHYPayload in clear without its MIC: what the MIC is over."""
        return mhdr(MType.JOIN_ACCEPT) + self.body

    def encrypt(self, key: AES128) -> EncryptedJoinAccept:
        """Make it what goes over the air; `key` as in `EncryptedJoinAccept.decrypt`. `mic` must be right."""
        return EncryptedJoinAccept(key.decrypt(self.body + self.mic))


def parse_encrypted_join_accept(phy_payload: bytes) -> EncryptedJoinAccept:
    """Read a PHYPayload whose MType is join accept. Raises MalformedFrame."""
    _check_length(phy_payload)
    return EncryptedJoinAccept(phy_payload[1:])


def parse_join_accept(clear: bytes) -> JoinAccept:
    """Read a decrypted PHYPayload. Raises MalformedFrame."""
    _check_length(clear)
    return parse_join_accept_body(clear[1:-4], clear[-4:])


def parse_join_accept_body(body: bytes, mic: bytes = bytes(4)) -> JoinAccept:
    """Read what stands between MHDR and MIC, in clear. Raises MalformedFrame."""
    if len(body) not in (BODY_LENGTH, BODY_LENGTH + CFLIST_LENGTH):
        fault = Fault.TOO_SHORT if len(body) < BODY_LENGTH else Fault.MALFORMED
        raise MalformedFrame(fault, f"a join accept has 12 or 28 bytes between MHDR and MIC, not {len(body)}")
    dl_settings = body[10]
    return JoinAccept(
        join_nonce=int.from_bytes(body[:3], "little"),
        net_id=NetID.from_air(body[3:6]),
        dev_addr=DevAddr.from_air(body[6:10]),
        rx1_dr_offset=dl_settings >> 4 & 7,
        rx2_data_rate=dl_settings & 15,
        opt_neg=bool(dl_settings & 0x80),
        rx_delay_s=body[11] & 15,
        cf_list=parse_cflist(body[BODY_LENGTH:]) if len(body) > BODY_LENGTH else None,
        mic=mic,
    )


def _check_length(phy_payload: bytes) -> None:
    if len(phy_payload) not in LENGTHS:
        fault = Fault.TOO_SHORT if len(phy_payload) < LENGTHS[0] else Fault.MALFORMED
        raise MalformedFrame(fault, f"a join accept is 17 or 33 bytes, not {len(phy_payload)}")
