"""What is known of a device before it joins over the air (LoRaWAN 1.0.4, section 6.1; 1.1, section 6.1)."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.version import LoRaWANVersion
from edge_codecs.identifiers import DevEUI, JoinEUI

REGION_REVISION = "RP002-1.0.4"
REGION_REVISIONS = (
    *("TS001-1.0", "TS001-1.0.1", "RP001-1.0.2", "RP001-1.0.2-B", "RP001-1.0.3-A", "RP001-1.1-A"),
    *("RP001-1.1-B", "RP002-1.0.0", "RP002-1.0.1", "RP002-1.0.2", "RP002-1.0.3", "RP002-1.0.4"),
)
"""The editions of the Regional Parameters; before 1.0.2 they were a chapter of TS001."""

_NO_MASK_VERSIONS = (LoRaWANVersion.V1_0_0, LoRaWANVersion.V1_0_1, LoRaWANVersion.V1_0_2)
_NO_MASK_REVISIONS = ("TS001-1.0", "TS001-1.0.1", "RP001-1.0.2", "RP001-1.0.2-B")


@dataclass(frozen=True, slots=True)
class Registration:
    """A device that is activated over the air (OTAA).

    `nwk_key` is None under 1.0.x, where `app_key` is the only root key. `region_revision` is the edition of
    the Regional Parameters that the device was built to.
    """

    dev_eui: DevEUI
    join_eui: JoinEUI
    version: LoRaWANVersion
    app_key: AES128Key
    nwk_key: AES128Key | None = None
    region_revision: str = REGION_REVISION
    codec: str = "clipr"
    codec_version: int = 1

    def __post_init__(self) -> None:
        if (self.nwk_key is None) == (self.version is LoRaWANVersion.V1_1):
            raise ValueError("a device has an NwkKey if, and only if, it follows LoRaWAN 1.1")

    @property
    def knows_channel_masks(self) -> bool:
        """Whether it reads a CFList of channel masks; before RP001 1.0.3 devices of fixed plans ignore it."""
        return self.version not in _NO_MASK_VERSIONS and self.region_revision not in _NO_MASK_REVISIONS

    @property
    def join_key(self) -> AES128Key:
        """What join requests are signed with: AppKey under 1.0.x, NwkKey under 1.1."""
        return self.app_key if self.nwk_key is None else self.nwk_key
