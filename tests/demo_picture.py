"""The demo's picture: temperatures of all tenants as their records hold them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt

CHANNELS = {0: ("pipe A", "tab:red"), 1: ("pipe B", "tab:blue"), 2: ("housing", "tab:gray")}
GROWTH_CELSIUS = (25, 50)  # the range in which legionella multiply (WHO, Legionella and the prevention, 2007)


def draw(readings: Mapping[str, Sequence[Mapping[str, Any]]], file: Path) -> Path:
    """A panel a tenant: the last temperature of each interval, a line a sensor and channel.

    An interval out of a sensor's memory has no last temperature: a bar from its minimum to its maximum.
    """
    figure, panels = plt.subplots(
        len(readings), 1, figsize=(10, 3.2 * len(readings)), sharex=True, squeeze=False
    )
    for panel, (tenant, entries) in zip(panels[:, 0], readings.items(), strict=True):
        series: dict[tuple[str, int], list[tuple[datetime, float]]] = defaultdict(list)
        for entry in entries:
            if entry["last"] is not None:
                moment = datetime.fromisoformat(entry["interval_end"])
                series[entry["dev_eui"], entry["channel"]].append((moment, float(entry["last"])))
        for (_, channel), points in sorted(series.items()):
            points.sort()
            _, colour = CHANNELS[channel]
            panel.plot(*zip(*points, strict=True), color=colour, linewidth=0.8, alpha=0.7)
        for entry in entries:
            if entry["last"] is None and entry["minimum"] is not None:
                moment = datetime.fromisoformat(entry["interval_end"])
                extremes = [float(entry["minimum"]), float(entry["maximum"])]
                panel.plot([moment, moment], extremes, color="black", marker="_", markersize=7, linewidth=2)
        panel.plot([], [], color="black", linewidth=2, label="out of the sensor's memory")
        for name, colour in CHANNELS.values():
            panel.plot([], [], color=colour, label=name)
        panel.axhspan(*GROWTH_CELSIUS, color="tab:orange", alpha=0.08, label="growth range")
        panel.set_title(f"{tenant}: {len(entries)} readings", loc="left", fontsize=10)
        panel.set_ylabel("°C")
        panel.grid(alpha=0.3)
    panels[0, 0].legend(loc="upper right", fontsize=8)
    panels[-1, 0].set_xlabel("end of interval, UTC")
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    plt.close(figure)
    return file
