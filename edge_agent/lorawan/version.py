"""The versions of the LoRaWAN link layer (TS001) that a device may follow."""

from __future__ import annotations

import enum
from typing import Self


class LoRaWANVersion(enum.Enum):
    """What a device was built to; the value is its spelling."""

    V1_0_0 = "1.0.0"
    V1_0_1 = "1.0.1"
    V1_0_2 = "1.0.2"
    V1_0_3 = "1.0.3"
    V1_0_4 = "1.0.4"
    V1_1 = "1.1"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "1.0.3"; "1.1.0" and "1.1.1" mean "1.1". Raises ValueError."""
        spelling = text.strip().removeprefix("LoRaWAN").strip()
        try:
            return cls("1.1" if spelling in ("1.1.0", "1.1.1") else spelling)
        except ValueError:
            known = ", ".join(version.value for version in cls)
            raise ValueError(f"a LoRaWAN version is one of {known}, not {text!r}") from None

    @property
    def minor(self) -> str:
        """What sessions and keys go by: "1.0" or "1.1"."""
        return "1.1" if self is LoRaWANVersion.V1_1 else "1.0"

    @property
    def dev_nonce_rises(self) -> bool:
        """Whether DevNonce counts up (1.0.4, section 6.2.5; 1.1, section 6.2.2); else it is random."""
        return self in (LoRaWANVersion.V1_0_4, LoRaWANVersion.V1_1)

    def __str__(self) -> str:
        return self.value
