"""What the frame inspector is asked: a frame, keys, and what else its MIC depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.keys import AES128Key
from edge_codecs.identifiers import JoinEUI

KEY_NAMES = (
    "NwkSKey",
    "AppSKey",
    "FNwkSIntKey",
    "SNwkSIntKey",
    "NwkSEncKey",
    "AppKey",
    "NwkKey",
    "JSIntKey",
    "JSEncKey",
)
JOIN_REQUEST_TYPE = 0xFF  # JoinReqType of an ordinary join (LoRaWAN 1.1, section 6.2.3)


@dataclass(frozen=True, slots=True)
class Question:
    """A request, read. Keys by their LoRaWAN names; what was not given is None."""

    phy_payload: bytes
    lorawan: str  # "1.0" or "1.1"
    keys: Mapping[str, AES128]
    f_cnt_msb: int
    conf_f_cnt: int
    tx_dr: int | None
    tx_ch: int | None
    join_req_type: int
    join_eui: JoinEUI | None
    dev_nonce: int | None

    def key(self, *names: str) -> AES128 | None:
        """The first of these keys that was given."""
        return next((self.keys[name] for name in names if name in self.keys), None)

    @property
    def root_key(self) -> AES128 | None:
        """What signs joins: NwkKey under 1.1, AppKey under 1.0.x; the other where only that is given."""
        names = ("NwkKey", "AppKey") if self.lorawan == "1.1" else ("AppKey", "NwkKey")
        return self.key(*names)


def read_question(request: Mapping[str, Any]) -> Question:
    """Read a request. Raises ValueError, whose text never repeats a key."""
    text = request.get("hex")
    if not isinstance(text, str):
        raise ValueError("hex: the PHYPayload as hex digits")
    lorawan = request.get("lorawan", "1.0")
    if lorawan not in ("1.0", "1.1"):
        raise ValueError('lorawan: "1.0" or "1.1"')
    context = _object("context", request.get("context"))
    join_eui = context.get("join_eui")
    return Question(
        phy_payload=bytes.fromhex(text),
        lorawan=lorawan,
        keys=_keys(_object("keys", request.get("keys"))),
        f_cnt_msb=_number("f_cnt_msb", request.get("f_cnt_msb", 0), 0xFFFF) or 0,
        conf_f_cnt=(_number("conf_f_cnt", context.get("conf_f_cnt", 0), 0xFFFF_FFFF) or 0) & 0xFFFF,
        tx_dr=_number("tx_dr", context.get("tx_dr"), 0xFF),
        tx_ch=_number("tx_ch", context.get("tx_ch"), 0xFF),
        join_req_type=_number("join_req_type", context.get("join_req_type", JOIN_REQUEST_TYPE), 0xFF) or 0,
        join_eui=None if join_eui is None else JoinEUI.parse(str(join_eui)),
        dev_nonce=_number("dev_nonce", context.get("dev_nonce"), 0xFFFF),
    )


def _object(name: str, value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{name}: an object")
    return value


def _keys(given: Mapping[str, Any]) -> dict[str, AES128]:
    if not set(given) <= set(KEY_NAMES):
        raise ValueError(f"keys: only {', '.join(KEY_NAMES)}")
    keys = {}
    for name, text in given.items():
        try:
            keys[name] = AES128(AES128Key.parse(str(text)))
        except ValueError as error:
            raise ValueError(f"keys: {name}: {error}") from None
    return keys


def _number(name: str, value: object, highest: int) -> int | None:
    """A number, or its hex digits as text, most significant first."""
    if value is None:
        return None
    number = value
    if isinstance(value, str):
        try:
            number = int(value, 16)
        except ValueError:
            number = None
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= highest:
        raise ValueError(f"{name}: a number, 0…{highest}, or its hex digits as text")
    return number
