"""What was sent, held against what the records hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Balance:
    """Uplinks sent and found. All four zero beside `sent` and `stored` is what everybody wants."""

    sent: int
    stored: int
    lost: int
    duplicated: int
    altered: int
    unexpected: int

    @property
    def right(self) -> bool:
        """Whether every uplink sent is there exactly once, unaltered, and nothing else is."""
        return self.sent > 0 and not (self.lost or self.duplicated or self.altered or self.unexpected)


Key = tuple[str, int]  # DevEUI, 32-bit frame counter


def sent(ledgers: Iterable[Path]) -> dict[Key, str]:
    """Payload (hex) of each uplink that simulators say they sent and that an agent must keep."""
    uplinks: dict[Key, str] = {}
    for ledger in ledgers:
        for line in ledger.read_text().splitlines():
            entry = json.loads(line)
            uplinks[entry["dev_eui"], entry["f_cnt"]] = entry["payload"]
    return uplinks


def balance(expected: dict[Key, str], found: Iterable[tuple[str, int, str]]) -> Balance:
    """Compare with (DevEUI, frame counter, payload hex) of each uplink in the records."""
    rows = list(found)
    times = Counter((dev_eui, f_cnt) for dev_eui, f_cnt, _ in rows)
    return Balance(
        sent=len(expected),
        stored=len(times.keys() & expected.keys()),
        lost=len(expected.keys() - times.keys()),
        duplicated=sum(count - 1 for count in times.values()),
        altered=sum((e, f) in expected and expected[e, f] != payload for e, f, payload in rows),
        unexpected=len(times.keys() - expected.keys()),
    )
