"""Why a frame is not taken: a closed list. Each reason stands in docs/frames.md with what to do."""

from __future__ import annotations

import enum


class Reason(enum.Enum):
    """Exactly one for each frame that is not taken; the value is its name in counters, JSON and the manual.

    UNKNOWN_F_PORT and DECODE_ERROR are flaws of frames that *are* taken: authentic, kept as they came, and
    counted.
    """

    BAD_CRC = "bad_crc"
    NO_CRC = "no_crc"
    TOO_SHORT = "too_short"
    NOT_LORAWAN_R1 = "not_lorawan_r1"
    MALFORMED = "malformed"
    PROPRIETARY = "proprietary"
    DOWNLINK_HEARD = "downlink_heard"
    JOIN_NOT_SERVED = "join_not_served"
    JOIN_UNKNOWN_DEVICE = "join_unknown_device"
    JOIN_EUI_DIFFERS = "join_eui_differs"
    JOIN_MIC_FAILED = "join_mic_failed"
    NONCE_USED = "nonce_used"
    JOIN_NONCES_EXHAUSTED = "join_nonces_exhausted"
    FOREIGN_NET_ID = "foreign_net_id"
    UNKNOWN_DEV_ADDR = "unknown_dev_addr"
    MIC_FAILED = "mic_failed"
    MIC_FITS_OTHER_UPPER_COUNTER = "mic_fits_other_upper_counter"
    REPLAY = "replay"
    DUPLICATE = "duplicate"
    UNKNOWN_F_PORT = "unknown_f_port"
    DECODE_ERROR = "decode_error"

    @property
    def sentence(self) -> str:
        """What it means, and what to do."""
        return _SENTENCES[self]


_SENTENCES = {
    Reason.BAD_CRC: (
        "The radio heard it damaged. Some are normal; many mean a weak signal or a disturber: "
        "move the sensor or the antenna."
    ),
    Reason.NO_CRC: (
        "It carries no checksum, so it is no uplink: usually another gateway's downlink. Nothing to do."
    ),
    Reason.TOO_SHORT: (
        "Fewer bytes than a frame of its type has. Noise or another radio system; nothing to do."
    ),
    Reason.NOT_LORAWAN_R1: (
        "It names a LoRaWAN version that does not exist. Noise or another radio system; nothing to do."
    ),
    Reason.MALFORMED: (
        "Lengths or types inside contradict each other. Noise, or a device with faulty firmware: "
        "look at it with `edge-agent frame`."
    ),
    Reason.PROPRIETARY: "A frame in a format of somebody's own. Not ours; nothing to do.",
    Reason.DOWNLINK_HEARD: "Another gateway's transmission to a device. Nothing to do.",
    Reason.JOIN_NOT_SERVED: (
        "A device asks to join in a way that is not answered here: downlinks are off in the configuration, "
        "the request came too late to be answered, or it does not go with the device's LoRaWAN version or "
        "network. The detail says which."
    ),
    Reason.JOIN_UNKNOWN_DEVICE: (
        "A device that is not registered here asks to join. If it is ours, add it: `edge-agent device add`; "
        "otherwise it is a neighbour's."
    ),
    Reason.JOIN_EUI_DIFFERS: (
        "Our device asks to join under another JoinEUI than it was added with. "
        "Remove it and add it again with the one on its label."
    ),
    Reason.JOIN_MIC_FAILED: (
        "A join request in the name of our device, signed with another key: a wrong AppKey (or NwkKey, for "
        "LoRaWAN 1.1). Remove the device and add it again with the right key."
    ),
    Reason.NONCE_USED: (
        "Our device asks to join with a number that it used before: a recording, or its memory was erased "
        "(new firmware, factory reset). If you know that it was, say so: `edge-agent device reset`."
    ),
    Reason.JOIN_NONCES_EXHAUSTED: (
        "Our device has joined 16 million times, and the numbers are used up. Give it another key: remove it "
        "and add it again. Find out why it joins so often."
    ),
    Reason.FOREIGN_NET_ID: "A device of another network in earshot. Nothing to do.",
    Reason.UNKNOWN_DEV_ADDR: (
        "No device here has this address. If it should be ours, add it with `edge-agent device add`; "
        "otherwise it is a neighbour's."
    ),
    Reason.MIC_FAILED: (
        "The address is ours, the signature is not: a wrong key, or a neighbour's device with the same "
        "address. If the sensor is never taken, enter its keys again."
    ),
    Reason.MIC_FITS_OTHER_UPPER_COUNTER: (
        "Signed by our device, but its frame counter is 65536 or more ahead of what was expected: it was out "
        "of reach for long or used elsewhere. Check it; if all is well, remove it and add it again with its "
        "present counter (`edge-agent device add --f-cnt`)."
    ),
    Reason.REPLAY: (
        "Signed by our device, but with a counter that was used before: the device was reset, or somebody "
        "plays a recording. If you know that it was reset, say so: `edge-agent device reset`."
    ),
    Reason.DUPLICATE: (
        "The same frame once more, by another antenna or repeated by the device. Nothing to do."
    ),
    Reason.UNKNOWN_F_PORT: (
        "Authentic, but its port is none of the device's payload format. Kept as it came. "
        "Check which codec the device was added with."
    ),
    Reason.DECODE_ERROR: (
        "Authentic, but its payload is not what the device's format allows. Kept as it came, to be decoded "
        "again when the codec is mended. Check firmware and codec."
    ),
}
