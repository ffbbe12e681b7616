"""One rxpk object: a received frame as the packet forwarder describes it (GWMP protocol text 1.6, section 4).

Forwarders differ in age and care, so metadata is taken kindly: what is absent or absurd among counter,
signal values and antennas becomes "not given". Without payload, frequency or data rate there is no frame.
"""

from __future__ import annotations

import binascii
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.network.rx_frame import Crc

MAX_PHY_PAYLOAD = 255  # bytes: the length field of the LoRa modem has 8 bits
RSSI_NOT_GIVEN = 0  # dBm; no antenna hears that

_URL_SAFE = str.maketrans("-_", "+/")
_LORA = re.compile(r"SF(?:[5-9]|1[0-2])BW(?:125|250|500|203|406|812|1625)")


class Flaw(enum.Enum):
    """Why an rxpk is no frame."""

    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    DATA = "data"
    FREQUENCY = "frequency"
    DATA_RATE = "data_rate"


@dataclass(frozen=True, slots=True)
class RxPk:
    """One rxpk, its values checked."""

    phy_payload: bytes
    crc: Crc
    frequency_hz: int
    data_rate: str  # "SF7BW125", or bit/s of FSK such as "50000"
    rssi_dbm: int  # of the channel; 0: not given
    snr_db: float | None  # None: FSK, or not given
    counter_us: int | None  # 32 bits, end of reception
    gps_epoch_ms: int | None  # tmms: milliseconds since 6 January 1980, leap seconds not taken out
    time: str | None  # ISO 8601; whose clock it comes from is not said
    coding_rate: str | None
    channel: int | None
    rf_chain: int | None
    antenna: int | None  # the one that heard best, where there are several
    raw: str  # as it came


def parse_rxpk(rxpk: object, raw: str) -> RxPk | Flaw:
    """Check one decoded rxpk object; `raw` is its text. Never raises."""
    if not isinstance(rxpk, dict):
        return Flaw.NOT_AN_OBJECT
    get = rxpk.get
    phy_payload = _payload(get("data"))
    if phy_payload is None:
        return Flaw.DATA
    frequency_mhz = _number(get("freq"), 100, 3000)
    if frequency_mhz is None:
        return Flaw.FREQUENCY
    data_rate = _data_rate(get("datr"))
    if data_rate is None:
        return Flaw.DATA_RATE
    rssi_dbm = _number(get("rssi"), -250, 100)
    if rssi_dbm is None:
        rssi_dbm = _number(get("rssis"), -250, 100)
    snr_db = _number(get("lsnr"), -100, 100)
    channel = _small(get("chan"))
    antenna = _small(get("ant"))
    signals = get("rsig")
    if signals:
        best = _best_antenna(signals)
        if best is not None:
            antenna = _small(best.get("ant"))
            channel = _small(best.get("chan")) if "chan" in best else channel
            snr_db = _number(best.get("lsnr"), -100, 100)
            heard_dbm = _antenna_rssi(best)
            rssi_dbm = rssi_dbm if heard_dbm is None else heard_dbm
    time = get("time")
    coding_rate = get("codr")
    return RxPk(
        phy_payload,
        _crc(get("stat", 1)),
        round(frequency_mhz * 1_000_000),
        data_rate,
        RSSI_NOT_GIVEN if rssi_dbm is None else round(rssi_dbm),
        snr_db if snr_db is None or data_rate[0] == "S" else None,
        _counter(get("tmst")),
        _gps_epoch_ms(get("tmms")),
        time if type(time) is str else None,
        coding_rate if type(coding_rate) is str else None,
        channel,
        _small(get("rfch")),
        antenna,
        raw,
    )


def _payload(text: object) -> bytes | None:
    """Base64, standard or URL-safe alphabet, with padding or without."""
    if type(text) is not str:
        return None
    text = text.rstrip("=")
    if "-" in text or "_" in text:
        text = text.translate(_URL_SAFE)
    try:
        payload = binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:  # binascii.Error, and characters beyond ASCII
        return None
    return payload if len(payload) <= MAX_PHY_PAYLOAD else None


def _data_rate(datr: object) -> str | None:
    if type(datr) is str and _LORA.fullmatch(datr):
        return datr
    if type(datr) is str and datr.isdecimal() and datr.isascii() and len(datr) <= 7:
        datr = int(datr)
    if type(datr) is int and 0 < datr <= 1_000_000:
        return str(datr)
    return None


def _crc(stat: object) -> Crc:
    """1 right, -1 wrong, all else as if there were none; who says nothing passes right ones only."""
    if stat == 1:
        return Crc.OK
    return Crc.BAD if stat == -1 else Crc.NONE


def _counter(tmst: object) -> int | None:
    if type(tmst) is int and 0 <= tmst < 1 << 63:
        return tmst & 0xFFFF_FFFF
    return None


def _gps_epoch_ms(tmms: object) -> int | None:
    if type(tmms) is int and 0 <= tmms < 1 << 43:
        return tmms
    return None


def _small(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 256 else None


def _number(value: object, lowest: float, highest: float) -> float | None:
    """A number within limits; NaN and the infinities are outside of any."""
    if (type(value) is float or type(value) is int) and lowest <= value <= highest:
        return value
    return None


def _best_antenna(signals: object) -> Mapping[str, object] | None:
    """The element of `rsig` with the best signal-to-noise ratio; by strength where none gives one."""
    if not isinstance(signals, list):
        return None
    heard = [signal for signal in signals if isinstance(signal, dict)]
    return max(heard, key=_quality, default=None)


def _quality(signal: Mapping[str, object]) -> tuple[float, float]:
    snr_db = _number(signal.get("lsnr"), -100, 100)
    rssi_dbm = _antenna_rssi(signal)
    return (-1000 if snr_db is None else snr_db, -1000 if rssi_dbm is None else rssi_dbm)


def _antenna_rssi(signal: Mapping[str, object]) -> float | None:
    rssi_dbm = _number(signal.get("rssic"), -250, 100)
    return _number(signal.get("rssis"), -250, 100) if rssi_dbm is None else rssi_dbm
