"""The receive windows that a device opens after an uplink (LoRaWAN 1.0.4, section 3.3; RP002-1.0.4).

Which parameters does the device use? RXParamSetupReq, RXTimingSetupReq, DlChannelReq and TXParamSetupReq
take effect when the device receives them, that is, before its next uplink. From then on it puts its answer
into every uplink until it hears a downlink (sticky answers), so each uplink proves which parameters its own
windows have: with the answer in it, the new ones; without, the old ones, because the request was not heard.
So the windows of an answer are those of the MacState after the uplink's commands were taken, and a request
that is only on its way changes nothing.

LoRaWAN 1.0.0 and 1.0.1 send the answer once. If that uplink is lost, the device listens at another time than
the network knows; it comes back by joining.
"""

from __future__ import annotations

from edge_agent.lorawan.mhdr import Direction
from edge_agent.lorawan.region import Region
from edge_agent.network.answer import Window
from edge_agent.network.mac_state import MacState, initial
from edge_agent.network.moment import Moment
from edge_agent.network.policy import Policy
from edge_agent.network.rx_frame import RxFrame

JOIN_ACCEPT_DELAY1_S = 5
RX2_AFTER_RX1_S = 1

HELD_BACK = "the frame was held back on its way: the device does not listen any more"


def answer_windows(frame: RxFrame, mac: MacState, region: Region, policy: Policy) -> tuple[Window, ...]:
    """RX1, then RX2 after a data uplink; `mac` as `mac_exchange.take` left it after this very uplink.

    A window is left out where nobody may send on its frequency, or where the region has no such data rate.
    """
    return _windows(frame, mac, mac.rx1_delay_s, region, policy)


def join_windows(frame: RxFrame, region: Region, policy: Policy) -> tuple[Window, ...]:
    """RX1 and RX2 after a join or rejoin request: 5 s and 6 s, all else as the region begins."""
    return _windows(frame, initial(region), JOIN_ACCEPT_DELAY1_S, region, policy)


def is_past(frame: RxFrame, windows: tuple[Window, ...], moment: Moment) -> bool:
    """Whether the device has stopped listening: the frame was held back on its way to us."""
    last_us = max((window.delay_us for window in windows), default=0)
    return moment.monotonic_ns > frame.monotonic_ns + 1000 * last_us


def room(window: Window, region: Region, mac: MacState) -> int:
    """Bytes that FOpts and FRMPayload may have together in a downlink of that window.

    This is the N of the Regional Parameters, which counts FRMPayload beside empty FOpts: the MACPayload of at
    most N + 8 bytes holds 7 of FHDR, FOpts, 1 of FPort and FRMPayload. MAC commands on FPort 0 are
    FRMPayload. FOpts never hold more than 15. 0 where nothing may be sent at that data rate.
    """
    data_rate = next(
        (index for index, text in region.data_rates_down.items() if text == window.data_rate), None
    )
    if data_rate is None:
        return 0
    return region.max_frm_payload(Direction.DOWN, data_rate, mac.downlink_dwell_time)


def _windows(
    frame: RxFrame, mac: MacState, rx1_delay_s: int, region: Region, policy: Policy
) -> tuple[Window, ...]:
    rx1 = None
    up_data_rate = region.data_rate_up(frame.data_rate)
    if up_data_rate is not None:
        offset = min(mac.rx1_dr_offset, region.max_rx1_dr_offset)  # it may be of another region
        data_rate = region.rx1_data_rate(up_data_rate, offset, mac.downlink_dwell_time)
        rx1 = _window(
            "RX1", rx1_delay_s, _rx1_frequency_hz(frame.frequency_hz, mac, region), data_rate, region, policy
        )
    rx2_delay_s = rx1_delay_s + RX2_AFTER_RX1_S
    rx2 = _window("RX2", rx2_delay_s, mac.rx2_frequency_hz, mac.rx2_data_rate, region, policy)
    return tuple(window for window in (rx1, rx2) if window is not None)


def channel_heard(uplink_hz: int, mac: MacState, region: Region) -> int | None:
    """Index of the channel that an uplink on this frequency used, None where the device has no such.

    Of several channels at one place an enabled one goes first.
    """
    found = list(region.channel_indices(uplink_hz))
    found += [channel.index for channel in mac.channels if channel.uplink_hz == uplink_hz]
    return min(found, key=lambda index: (index not in mac.enabled, index), default=None)


def _rx1_frequency_hz(uplink_hz: int, mac: MacState, region: Region) -> int:
    index = channel_heard(uplink_hz, mac, region)
    for changed, downlink_hz in mac.downlinks_hz:
        if changed == index:
            return downlink_hz
    return region.rx1_frequency_hz(uplink_hz)


def _window(
    name: str, delay_s: int, frequency_hz: int, data_rate: int, region: Region, policy: Policy
) -> Window | None:
    sub_band = region.sub_band(frequency_hz)
    text = region.data_rates_down.get(data_rate)
    if sub_band is None or text is None:
        return None
    eirp_dbm = sub_band.max_eirp_dbm
    if policy.max_eirp_dbm is not None:
        eirp_dbm = min(eirp_dbm, policy.max_eirp_dbm)
    return Window(name, delay_s * 1_000_000, frequency_hz, text, eirp_dbm)
