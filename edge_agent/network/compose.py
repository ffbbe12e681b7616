"""What goes into one downlink: acknowledgement, MAC answers, MAC requests, application payload. Pure.

Nothing is sent just because it could be: while the gateway transmits it hears nobody. What must go makes a
downlink; what may wait goes along where there is room.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.lorawan.fhdr import MAX_F_OPTS
from edge_agent.lorawan.mac_commands import build_mac_commands
from edge_agent.lorawan.region import Region
from edge_agent.network.activation import Activation
from edge_agent.network.answer import Window
from edge_agent.network.application_server import Application
from edge_agent.network.downlink import Content
from edge_agent.network.mac_exchange import Exchange
from edge_agent.network.mac_requests import requests
from edge_agent.network.mac_state import MacState
from edge_agent.network.moment import Moment
from edge_agent.network.outcome import Admitted
from edge_agent.network.policy import Policy
from edge_agent.network.rx_frame import RxFrame
from edge_agent.network.windows import answer_windows, room


@dataclass(frozen=True, slots=True)
class Composed:
    """A downlink that is worth sending. `mac` knows what it asks; `windows` are those in which it fits."""

    content: Content
    mac: MacState
    windows: tuple[Window, ...]


def compose(
    uplink: Admitted,
    activation: Activation,
    exchange: Exchange,
    application: Application | None,
    region: Region,
    policy: Policy,
    moment: Moment,
) -> Composed | None:
    """The downlink in answer to an uplink, None where there is nothing to say or no way to say it.

    An application payload that does not fit beside the answers waits for the next uplink.
    """
    mac, answers = exchange.mac, exchange.answers
    windows = answer_windows(uplink.frame, mac, region, policy)
    if not windows:
        return None
    most = max(room(window, region, mac) for window in windows)
    answered = len(build_mac_commands(answers))
    fits = application is not None and answered <= MAX_F_OPTS and answered + len(application.payload) <= most
    if application is not None and fits:
        left = min(MAX_F_OPTS, most - len(application.payload)) - answered
    else:
        left = max(most, 0) - answered
    mac, asked = requests(mac, region, policy, activation.adr, uplink, moment, max(left, 0))
    content = Content(
        commands=(*answers, *asked),
        f_port=application.f_port if application is not None and fits else None,
        payload=application.payload if application is not None and fits else b"",
        confirmed=application is not None and fits and application.confirmed,
        acknowledges=uplink.f_cnt if uplink.confirmed else None,
        f_pending=application is not None and (application.more or not fits),
        adr=policy.adr,
    )
    if not (content.commands or fits or uplink.confirmed or exchange.wants_downlink):
        return None
    size = len(build_mac_commands(content.commands)) + len(content.payload)
    fitting = tuple(window for window in windows if room(window, region, mac) >= size)
    return Composed(content, mac, fitting) if fitting else None


def acknowledge_again(
    frame: RxFrame, f_cnt: int, activation: Activation, region: Region, policy: Policy
) -> Composed | None:
    """An acknowledgement once more and nothing else, in answer to a repetition of the uplink `f_cnt`."""
    windows = answer_windows(frame, activation.mac, region, policy)
    return Composed(Content(acknowledges=f_cnt, adr=policy.adr), activation.mac, windows) if windows else None
