"""The regions by name, as `[gateway] region` spells them (RP002-1.0.4, section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edge_agent.lorawan.region import Region
from edge_agent.lorawan.regions.as923 import AS923
from edge_agent.lorawan.regions.au915 import AU915
from edge_agent.lorawan.regions.eu868 import EU868
from edge_agent.lorawan.regions.in865 import IN865
from edge_agent.lorawan.regions.kr920 import KR920
from edge_agent.lorawan.regions.us915 import US915

REGIONS: Mapping[str, Region] = MappingProxyType(
    {region.name: region for region in (EU868, US915, AU915, *AS923, IN865, KR920)}
)
