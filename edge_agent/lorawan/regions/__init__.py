"""The regions by name, as `[gateway] region` spells them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edge_agent.lorawan.region import Region
from edge_agent.lorawan.regions.eu868 import EU868

REGIONS: Mapping[str, Region] = MappingProxyType({region.name: region for region in (EU868,)})
