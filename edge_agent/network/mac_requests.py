"""What the network asks a device for: everything that is wanted and not in force.

A request goes along with a downlink, and a class A device answers in its next uplink. Without an answer it
is asked again, soon and then ever more rarely, but without an end: a session may last for years, and one bad
evening must not cost it ADR. No request is made that the device has refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edge_agent.lorawan.fhdr import MAX_F_OPTS
from edge_agent.lorawan.mac_command import KNOWN, MACCommand
from edge_agent.lorawan.mac_commands import (
    MAX_EIRP_DBM,
    DevStatusReq,
    DlChannelReq,
    DutyCycleReq,
    LinkADRReq,
    NewChannelReq,
    ResetInd,
    RXParamSetupReq,
    RXTimingSetupReq,
    TXParamSetupReq,
    parse_mac_commands,
)
from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.phypayload import DataFrame, parse
from edge_agent.lorawan.region import Region
from edge_agent.network.adr import AdrHistory, LinkSettings, link_adr
from edge_agent.network.mac_answers import KEEP, REQUEST_OF, STICKY, own_downlink_hz, wish_number
from edge_agent.network.mac_state import Asked, MacState, key_of, mask_of, wanted
from edge_agent.network.moment import Moment
from edge_agent.network.outcome import Admitted
from edge_agent.network.policy import Policy
from edge_agent.network.rx_frame import RxFrame

DISTANCES = (1, 16, 256)
"""Uplinks from a try to the next one; the last for all that follow, some days at usual intervals."""
FOR_AN_ANSWER = 2
"""Uplinks until another request of the same kind, so that their answers are not mixed up."""
NO_ROOM_DISTANCE = 4
"""Uplinks from one that found no room on air to the next try: what waits for an answer goes first."""

Commands = tuple[MACCommand, ...]

_STATUS_KEY = key_of((DevStatusReq(),))
_MS_PER_H = 3_600_000


def requests(
    mac: MacState,
    region: Region,
    policy: Policy,
    adr: AdrHistory | None,
    admitted: Admitted,
    moment: Moment,
    room: int,
) -> tuple[MacState, Commands]:
    """What to ask in answer to the uplink `admitted`, in `room` bytes; the rest waits for later uplinks.

    `mac` is as `mac_exchange.take` left it after the same uplink; it comes back with the requests under way.
    The device's answers must fit into the FOpts of its next uplink, too.
    """
    said = _said(admitted)
    if not policy.downlinks or ResetInd in said:
        return mac, ()  # a device that was reset hears the confirmation of it first
    # A sticky answer could not be told from the answer to another request of its kind.
    held = {REQUEST_OF[kind].cid for kind in said & STICKY}
    status_due = _status_due(mac, policy, moment)
    under_way = {one.key: one for one in mac.asked}
    if status_due:
        under_way.pop(_STATUS_KEY, None)
    commands: list[MACCommand] = []
    answers_room = MAX_F_OPTS
    for wish in _wishes(mac, region, policy, adr, admitted):
        key = key_of(wish)
        asked = _again(under_way.get(key), wish, admitted.f_cnt)
        if asked is None or key[0] in held or (key == _STATUS_KEY and not (status_due or key in under_way)):
            continue
        if key[0] == LinkADRReq.cid and any(isinstance(command, NewChannelReq) for command in commands):
            continue  # its mask could not name channels that may or may not be there
        size = sum(1 + command.length for command in wish)
        answer_size = sum(1 + KNOWN[Direction.UP, command.cid].length for command in wish)
        if size > room or answer_size > answers_room:
            continue
        room -= size
        answers_room -= answer_size
        commands += wish
        under_way[key] = asked
        if key == _STATUS_KEY and status_due:
            boot_ms = moment.monotonic_ns // 1_000_000
            mac = replace(mac, status_asked_boot_ms=boot_ms, status_asked_wall_ms=moment.wall_ms)
    if not commands:
        return mac, ()
    return replace(mac, asked=tuple(under_way.values())), tuple(commands)


def not_sent(mac: MacState, uplink: RxFrame) -> MacState:
    """The downlink in answer to `uplink` never went out: what it asked is asked again and does not count."""
    data = parse(uplink.phy_payload)
    assert isinstance(data, DataFrame), "only data uplinks are answered with requests"
    return replace(
        mac,
        asked=tuple(
            replace(one, tries=one.tries - 1, due=one.f_cnt + NO_ROOM_DISTANCE)
            if one.f_cnt & 0xFFFF == data.fhdr.f_cnt_16 and one.tries
            else one
            for one in mac.asked
        ),
    )


def _said(admitted: Admitted) -> set[type[MACCommand]]:
    raw = admitted.payload if admitted.f_port == 0 else admitted.f_opts
    return {type(command) for command in parse_mac_commands(Direction.UP, raw).commands}


def _again(before: Asked | None, wish: Commands, f_cnt: int) -> Asked | None:
    """The next try of a request, None while it has to wait.

    What differs from what was asked before is another request and has its own tries; not so LinkADRReq, whose
    content follows every change of the weather.
    """
    tries = 0
    if before is not None:
        is_same = before.commands == wish or isinstance(wish[0], LinkADRReq)
        if f_cnt < (before.due if is_same else min(before.due, before.f_cnt + FOR_AN_ANSWER)):
            return None
        if is_same:
            tries = before.tries
    return Asked(wish, tries + 1, f_cnt, f_cnt + DISTANCES[min(tries, len(DISTANCES) - 1)])


def _wishes(
    mac: MacState, region: Region, policy: Policy, adr: AdrHistory | None, admitted: Admitted
) -> Iterator[Commands]:
    """Every request that would be made if there were room and time, the most urgent first."""
    want = wanted(region, policy)
    yield from _receiving(mac, want)
    yield from _sending(mac, want, region)
    yield from _channels(mac, want, region)
    yield from _link_adr(mac, want, region, policy, adr, admitted)
    if policy.status_every_h:
        yield (DevStatusReq(),)


def _receiving(mac: MacState, want: MacState) -> Iterator[Commands]:
    """RXParamSetupReq without what was refused, RXTimingSetupReq."""
    names = ("rx1_dr_offset", "rx2_data_rate", "rx2_frequency_hz")
    now = [getattr(mac, name) for name in names]
    wish = [_unless_refused(mac, name, getattr(want, name), getattr(mac, name)) for name in names]
    if wish != now and not any(pair in mac.refused for pair in zip(names, wish, strict=True)):
        offset, data_rate, frequency_hz = wish
        yield (RXParamSetupReq(offset, data_rate, frequency_hz),)
    if mac.rx1_delay_s != want.rx1_delay_s:
        yield (RXTimingSetupReq(want.rx1_delay_s),)


def _sending(mac: MacState, want: MacState, region: Region) -> Iterator[Commands]:
    """TXParamSetupReq, DutyCycleReq."""
    if region.has_tx_param_setup:
        request = _tx_param_setup(want)
        if request != _tx_param_setup(mac):
            yield (request,)
    if mac.max_duty_cycle != want.max_duty_cycle:
        yield (DutyCycleReq(want.max_duty_cycle),)


def _tx_param_setup(mac: MacState) -> TXParamSetupReq:
    max_eirp = max(index for index, dbm in enumerate(MAX_EIRP_DBM) if dbm <= max(mac.max_eirp_dbm, 8))
    return TXParamSetupReq(mac.downlink_dwell_time, mac.uplink_dwell_time, max_eirp)


def _channels(mac: MacState, want: MacState, region: Region) -> Iterator[Commands]:
    """NewChannelReq for channels that are missing, different or too many, then DlChannelReq."""
    differ = mac.channels != want.channels  # mostly not, and then there is nothing to look for
    for index in sorted({channel.index for channel in (*mac.channels, *want.channels)}) if differ else ():
        channel = want.channel(index)
        if channel == mac.channel(index) or (channel is None and mac.enabled <= {index}):
            continue  # the last channel in use stays until there is another
        request = NewChannelReq(index, 0, 0, 0)
        if channel is not None:
            request = NewChannelReq(index, channel.uplink_hz, channel.max_data_rate, channel.min_data_rate)
        if ("new_channel", wish_number(request)) not in mac.refused:
            yield (request,)
    for index, _ in mac.downlinks_hz:
        own_hz = own_downlink_hz(mac, index, region)
        if own_hz is not None and mac.channel(index) == want.channel(index):
            dl_channel = DlChannelReq(index, own_hz)
            if ("dl_channel", wish_number(dl_channel)) not in mac.refused:
                yield (dl_channel,)


def _link_adr(
    mac: MacState,
    want: MacState,
    region: Region,
    policy: Policy,
    adr: AdrHistory | None,
    admitted: Admitted,
) -> Iterator[Commands]:
    """A LinkADRReq block for channels and, while the device's ADR bit is set, for what ADR would have."""
    there = {channel.index for channel in mac.channels} | set(range(len(region.default_channels)))
    enabled = want.enabled & there
    if _refuses_channels(mac, enabled):
        enabled = mac.enabled
    now = LinkSettings(mac.data_rate, mac.tx_power, mac.nb_trans)
    settings = None
    if adr is not None and policy.adr and admitted.adr:
        settings = link_adr(adr, mac, region, policy)
    settings = settings or now
    data_rate = _acceptable(mac, "data_rate", settings.data_rate, now.data_rate)
    tx_power = _acceptable(mac, "tx_power", settings.tx_power, now.tx_power)
    if data_rate is None or tx_power is None or _refuses_channels(mac, enabled):
        return
    changes = (
        enabled != mac.enabled
        or data_rate not in (now.data_rate, KEEP)
        or tx_power not in (now.tx_power, KEEP)
        or settings.nb_trans != now.nb_trans
    )
    if changes:
        yield tuple(
            LinkADRReq(data_rate, tx_power, ch_mask, ch_mask_cntl, settings.nb_trans)
            for ch_mask_cntl, ch_mask in region.link_adr_masks(enabled)
        )


def _acceptable(mac: MacState, name: str, wish: int, now: int) -> int | None:
    """What of a wish was not refused: the next value on the way back to the present one, at last `KEEP`."""
    step = -1 if wish > now else 1
    candidates = (*range(wish, now + step, step), KEEP)
    return next((value for value in candidates if (name, value) not in mac.refused), None)


def _refuses_channels(mac: MacState, enabled: frozenset[int]) -> bool:
    return bool(mac.refused) and ("channels", mask_of(enabled)) in mac.refused


def _unless_refused(mac: MacState, name: str, wish: int, now: int) -> int:
    return now if (name, wish) in mac.refused else wish


def _status_due(mac: MacState, policy: Policy, moment: Moment) -> bool:
    """Whether it is time for a DevStatusReq.

    CLOCK_BOOTTIME tells, and the host's UTC, in case the host was started anew in between. A clock that went
    back tells nothing; where both did, it is time.
    """
    boot_ms, wall_ms = mac.status_asked_boot_ms, mac.status_asked_wall_ms
    if not policy.status_every_h:
        return False
    if boot_ms is None or wall_ms is None:
        return True
    passed_ms = max(moment.monotonic_ns // 1_000_000 - boot_ms, moment.wall_ms - wall_ms)
    return passed_ms < 0 or passed_ms >= policy.status_every_h * _MS_PER_H
