"""What a device's QR code says (LoRa Alliance TR005, and its drafts, which older labels carry).

It identifies the device; root keys never stand in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge_codecs.identifiers import DevEUI, JoinEUI

_NEXT_STEP = "Scan the label again, or type the DevEUI and the JoinEUI that are printed on it."


@dataclass(frozen=True, slots=True)
class DeviceLabel:
    """The contents of a label; None where it does not say, as a bare DevEUI does not.

    `vendor_id` and `vendor_profile_id` are 4 hex digits each, in lower case. The owner token lets its bearer
    claim the device, so repr() leaves it out.
    """

    dev_eui: DevEUI
    join_eui: JoinEUI | None = None
    vendor_id: str | None = None
    vendor_profile_id: str | None = None
    owner_token: str | None = field(default=None, repr=False)
    serial_number: str | None = None
    proprietary: str | None = None


def parse_tr005(text: str) -> DeviceLabel:
    """Read the text of a QR code: TR005, a draft of it, a DevEUI, or DevEUI:JoinEUI.

    Raises ValueError for anything else and for a wrong checksum. Its message says what to do and does not
    repeat the text: an owner token may stand there.
    """
    text = text.strip()
    match [part.upper() for part in text.split(":")]:
        case ["LW", "D0", *_]:
            return _final(text)
        case ["URN", "LW", "DP", *_]:
            return _draft_2(text)
        case ["URN", "DEV", "LW", *_]:
            return _draft_3(text)
        case [dev_eui, join_eui]:
            return DeviceLabel(DevEUI(_digits("DevEUI", dev_eui)), JoinEUI(_digits("JoinEUI", join_eui)))
        case [*pairs] if len(pairs) in (1, 8):
            return DeviceLabel(DevEUI(_digits("DevEUI", "".join(pairs).replace("-", ""))))
        case _:
            raise ValueError(f"This is neither a LoRaWAN QR code (LW:D0:…) nor a DevEUI. {_NEXT_STEP}")


def _final(text: str) -> DeviceLabel:
    """LW:D0:JoinEUI:DevEUI:ProfileID, then extensions in any order, each after a colon."""
    parts = text.split(":")
    extensions = parts[5:]
    checksum = _extension(extensions, "C")
    if checksum is not None:
        covered = ":".join([*parts[:5], *(part for part in extensions if part[:1].upper() != "C")])
        _check(checksum, covered)
    return _label(parts[2:5], extensions, owner="O")


def _draft_2(text: str) -> DeviceLabel:
    """URN:LW:DP:JoinEUI:DevEUI:ProfileID, then one colon and extensions, each after a percent sign."""
    parts = text.split(":", 6)
    extensions = "".join(parts[6:]).replace("%25", "%").split("%")
    return _label(parts[3:6], extensions, owner="V")


def _draft_3(text: str) -> DeviceLabel:
    """URN:DEV:LW:JoinEUI_DevEUI_ProfileID, then extensions, each after an underscore."""
    parts = text.split(":", 3)[3:]
    fields = "".join(parts).split("_")
    return _label(fields[:3], fields[3:], owner="V")


def _label(fields: Sequence[str], extensions: Sequence[str], *, owner: str) -> DeviceLabel:
    """The label out of its three fields and its extensions; those of unknown letters are left out."""
    if len(fields) < 3:
        raise ValueError(f"The QR code ends before the ProfileID. {_NEXT_STEP}")
    join_eui, dev_eui, profile_id = fields
    profile = _digits("ProfileID", profile_id, length=4).hex()
    return DeviceLabel(
        dev_eui=DevEUI(_digits("DevEUI", dev_eui)),
        join_eui=JoinEUI(_digits("JoinEUI", join_eui)),
        vendor_id=profile[:4],
        vendor_profile_id=profile[4:],
        owner_token=_extension(extensions, owner),
        serial_number=_extension(extensions, "S"),
        proprietary=_extension(extensions, "P"),
    )


def _extension(extensions: Sequence[str], letter: str) -> str | None:
    """What stands behind the letter, None where nothing does."""
    found = [part[1:] for part in extensions if part[:1].upper() == letter and part[1:]]
    if len(found) > 1:
        raise ValueError(f"The QR code says {letter} twice. {_NEXT_STEP}")
    return found[0] if found else None


def _digits(name: str, text: str, length: int = 8) -> bytes:
    """The bytes of a field in hex."""
    if not re.fullmatch(f"[0-9A-Fa-f]{{{2 * length}}}", text):
        raise ValueError(f"The {name} there is not {2 * length} hex digits. {_NEXT_STEP}")
    return bytes.fromhex(text)


def _check(checksum: str, covered: str) -> None:
    """Raise ValueError unless the checksum fits: CRC-16 of all else (TR005, section 4.2.5.1).

    A label holds capital letters only, so lower case is the doing of who typed it.
    """
    if not re.fullmatch("[0-9A-Fa-f]{1,4}", checksum):
        raise ValueError(f"The checksum of the QR code is not 4 hex digits. {_NEXT_STEP}")
    if int(checksum, 16) not in (_crc16(covered), _crc16(covered.upper())):
        raise ValueError(f"The checksum of the QR code does not fit: something was misread. {_NEXT_STEP}")


def _crc16(text: str) -> int:
    """CRC-16/MODBUS: polynomial 0x8005 and all bytes reflected, from 0xFFFF."""
    crc = 0xFFFF
    for byte in text.encode(errors="replace"):
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
