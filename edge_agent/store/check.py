"""Is the store what was written? With the agent running or not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_agent.store.key_provider import StoreKey


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `store check` found. `findings` is empty for a sound store."""

    rows: int
    batches: int
    findings: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Nothing was found."""
        return not self.findings

    def as_dict(self) -> dict[str, object]:
        """JSON-able."""
        return {
            "sound": self.sound,
            "rows": self.rows,
            "batches": self.batches,
            "findings": list(self.findings),
        }


def check(path: Path, key: StoreKey) -> CheckReport:
    """Authenticate every page, check structure, row numbers and the chain of batches.

    Raises ConfigurationError where there is no store, or the key is another's.
    """
    raise NotImplementedError
