"""Strategies: every Clip'R message, and uplinks of a few devices such as a batch holds."""

from __future__ import annotations

from hypothesis import strategies as st

from edge_codecs import clipr
from edge_codecs.clipr import (
    CentiCelsius,
    Configure,
    Event,
    EventKind,
    Extremes,
    History,
    HistoryInterval,
    Reboot,
    Report,
    RequestHistory,
    ResetCause,
    Status,
    Undecoded,
)
from edge_codecs.identifiers import DevEUI
from edge_codecs.reading import TimeQuality, Uplink

U8 = st.integers(0, 0xFF)
U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFF_FFFF)
INTERVAL = st.integers(1, 0xFFFF)
CENTI = st.integers(-4000, 12_500).map(CentiCelsius)


@st.composite
def extremes(draw: st.DrawFn, channel: int) -> Extremes:
    if draw(st.integers(0, 5)) == 0:
        return Extremes(channel, None, None, None)
    minimum, last, maximum = sorted(draw(st.tuples(CENTI, CENTI, CENTI)))
    return Extremes(channel, minimum, maximum, last)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    channels = sorted(draw(st.sets(st.integers(0, 2), min_size=1)))
    return Report(
        draw(U8),
        draw(U8),
        draw(INTERVAL),
        tuple(draw(extremes(channel)) for channel in channels),
        reserved=draw(st.booleans()),
    )


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(EventKind))
    head = (kind, draw(st.integers(0, 2)), draw(U16), draw(st.none() | CENTI))
    if kind is EventKind.FLUSH_END:
        return Event(*head, draw(U16), draw(st.none() | CENTI))
    return Event(*head)


def statuses() -> st.SearchStrategy[Status]:
    return st.builds(Status, st.sampled_from(ResetCause), U8, st.tuples(U8, U8, U8), U8, U32, U16, U16, U8)


def _step_leads(value: int | None, newer: int | None) -> bool:
    return (
        value is not None and newer is not None and (value - newer) % 10 == 0 and abs(value - newer) <= 1270
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    pair = st.none() | st.tuples(CENTI, CENTI)
    near = st.tuples(st.integers(-140, 140), st.integers(-140, 140))
    intervals: list[HistoryInterval] = []
    for _ in range(draw(st.integers(1, 40))):
        drawn = draw(pair)
        if intervals and intervals[-1].minimum is not None and draw(st.booleans()):
            steps = draw(near)
            drawn = (
                CentiCelsius(min(max(intervals[-1].minimum + 10 * steps[0], -4000), 12_500)),
                CentiCelsius(min(max((intervals[-1].maximum or 0) + 10 * steps[1], -4000), 12_500)),
            )
        low, high = (None, None) if drawn is None else sorted(drawn)
        newer = intervals[-1] if intervals else HistoryInterval(None, None)
        intervals.append(
            HistoryInterval(
                low,
                high,
                _step_leads(low, newer.minimum) and draw(st.booleans()),
                _step_leads(high, newer.maximum) and draw(st.booleans()),
            )
        )
    return History(draw(st.integers(0, 2)), draw(U32), draw(INTERVAL), tuple(intervals))


def messages() -> st.SearchStrategy[clipr.Message]:
    """Every message that the codec can read."""
    return st.one_of(reports(), events(), statuses(), histories())


def downlinks() -> st.SearchStrategy[clipr.Downlink]:
    limit = st.none() | CENTI
    return st.one_of(
        st.builds(Configure, U16, U16, limit, limit),
        st.builds(RequestHistory, st.integers(0, 2), U32, U32),
        st.just(Reboot()),
    )


def undecoded() -> st.SearchStrategy[Undecoded]:
    """Payloads that the Clip'R codec does not read."""
    return st.builds(Undecoded, st.integers(100, 255), st.binary(max_size=255))


@st.composite
def batches(draw: st.DrawFn, max_size: int = 7) -> list[Uplink]:
    """Uplinks of one to four devices, with ordinary and with extreme values."""
    eui = st.binary(min_size=8, max_size=8).map(DevEUI)
    clip_r = st.tuples(eui, U32, st.just("clipr"), st.just(1))
    foreign = st.tuples(eui, U32, st.sampled_from(["clipr", "other"]), st.integers(2, 1 << 20))
    devices = draw(st.lists(clip_r | clip_r | foreign, min_size=1, max_size=4, unique=True))
    rates = st.sampled_from(["SF7BW125", "SF12BW500", "50000", "SF7BW62", "M0CW137", "§"])
    snr = st.none() | st.integers(-32_767, 32_767).map(lambda tenths: tenths / 10)

    def uplink() -> Uplink:
        dev_eui, session, codec, version = draw(st.sampled_from(devices))
        message = draw(undecoded() if (codec, version) != ("clipr", 1) else messages() | undecoded())
        return Uplink(
            dev_eui,
            session,
            draw(U32),
            draw(st.integers(0, 1 << 47)),
            draw(st.sampled_from(TimeQuality)),
            draw(st.sampled_from([868_100_000, 867_100_000, 433_175_000]) | st.integers(0, 1 << 39)),
            draw(rates),
            draw(st.integers(-32_000, 32_000)),
            draw(snr),
            codec,
            version,
            message,
        )

    return [uplink() for _ in range(draw(st.integers(1, max_size)))]
