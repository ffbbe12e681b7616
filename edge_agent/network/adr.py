"""Adaptive data rate: the settings that suit how a device is heard (LoRaWAN 1.0.4, section 4.3.1.1).

The rule is the one that the field knows, after Semtech's recommendation. The best SNR of the last frames,
less what the data rate needs, less a margin for bad days, is what there is to give away. Every 3 dB of it
are a step: a faster data rate first, then 2 dB less power. Where it is negative, power comes back. The data
rate never goes down from here: a device that is not heard does that by itself, and knows sooner.

So that settings do not flap: only frames under the present settings count; a step costs less than the 3 dB
that earned it, and coming back takes 3 dB below the margin and a full history; repetitions follow the loss
over a full history.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from edge_agent.lorawan.region import Region
from edge_agent.network.mac_state import MacState
from edge_agent.network.policy import Policy

FRAMES = 20
"""Uplinks that the history holds."""

ENOUGH_FRAMES = 5
"""Uplinks under the present settings before a faster data rate or less power is thought of."""

STEP_DB = 3.0
MAX_NB_TRANS = 3

_REQUIRED_SNR_DB = {12: -20.0, 11: -17.5, 10: -15.0, 9: -12.5, 8: -10.0, 7: -7.5, 6: -5.0, 5: -2.5}


def required_snr_db(data_rate: str) -> float | None:
    """What "SF9BW125" needs to be demodulated, by spreading factor; None for FSK, which has no SNR."""
    spreading_factor, separator, _ = data_rate.removeprefix("SF").partition("BW")
    return _REQUIRED_SNR_DB.get(int(spreading_factor)) if separator else None


class AdrHistory:
    """The last uplinks of one session as heard here; in memory only, a restart begins anew."""

    __slots__ = ("_heard",)

    def __init__(self) -> None:
        self._heard: deque[tuple[int, float, int]] = deque(maxlen=FRAMES)

    def add(self, f_cnt: int, snr_db: float, data_rate: int) -> None:
        """Note an uplink. `f_cnt` is its 32-bit counter, `data_rate` the index.

        A gap as long as the whole history is an outage of this gateway, not loss on the way: what was before
        says nothing. So does a counter that went back.
        """
        if self._heard and not 0 < f_cnt - self._heard[-1][0] <= FRAMES:
            self._heard.clear()
        self._heard.append((f_cnt, snr_db, data_rate))

    def under(self, mac: MacState) -> list[tuple[int, float]]:
        """Counter and SNR of the newest uplinks that were sent with the settings of `mac`."""
        found: list[tuple[int, float]] = []
        for f_cnt, snr_db, data_rate in reversed(self._heard):
            if f_cnt < mac.settled_f_cnt or data_rate != mac.data_rate:
                break
            found.append((f_cnt, snr_db))
        return found[::-1]


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """What a device sends with: index of the data rate, index of the power, transmissions of each frame."""

    data_rate: int
    tx_power: int
    nb_trans: int


def link_adr(history: AdrHistory, mac: MacState, region: Region, policy: Policy) -> LinkSettings | None:
    """The settings that ADR would have; None while too little is known, the present ones where they suit."""
    heard = history.under(mac)
    required_db = required_snr_db(region.data_rates_up.get(mac.data_rate, ""))
    if len(heard) < ENOUGH_FRAMES or required_db is None:
        return None
    is_full = len(heard) == FRAMES
    margin_db = max(snr_db for _, snr_db in heard) - required_db - policy.adr_margin_db
    data_rate, tx_power = mac.data_rate, mac.tx_power
    steps = int(margin_db / STEP_DB)  # towards 0
    if steps > 0:
        faster = max(min(steps, fastest(region, policy) - data_rate), 0)
        data_rate += faster
        tx_power = min(tx_power + steps - faster, region.max_tx_power)
    elif is_full:
        tx_power = max(tx_power + steps, 0)
    nb_trans = next_nb_trans(mac.nb_trans, loss(heard)) if is_full else mac.nb_trans
    return LinkSettings(data_rate, max(tx_power, 0), nb_trans)


def fastest(region: Region, policy: Policy) -> int:
    """The highest data rate that ADR gives: the region's, or a lower one of the operator's."""
    if policy.adr_max_data_rate is None:
        return region.adr_max_data_rate
    return min(policy.adr_max_data_rate, region.adr_max_data_rate)


def loss(heard: list[tuple[int, float]]) -> float:
    """The share of uplinks that were not heard between the first and the last of these; 0…1."""
    sent = heard[-1][0] - heard[0][0] + 1
    return 1 - len(heard) / sent


def next_nb_trans(nb_trans: int, lost: float) -> int:
    """One transmission less below 5 % loss, one more from 10 % on, three from 30 % on."""
    if lost < 0.05:
        return max(nb_trans - 1, 1)
    if lost < 0.10:
        return nb_trans
    return MAX_NB_TRANS if lost >= 0.30 else min(nb_trans + 1, MAX_NB_TRANS)
