import pytest

from edge_agent.clock import ClockReading
from edge_agent.radio.gps_time import GpsTime, utc_of_text
from edge_codecs.reading import TimeQuality

UTC_MS = 1_795_512_833_000
NS = 1_000_000_000
IN_STEP = ClockReading("boot", 1000 * NS, UTC_MS, TimeQuality.SYNCHRONISED)


def test_gps_that_agrees_with_the_clock_is_believed_at_once():
    assert GpsTime().judge(UTC_MS + 5000, 1005 * NS, IN_STEP) == UTC_MS + 5000


@pytest.mark.parametrize("off_ms", [-60_000, -1000, 1000, 600_000])
def test_gps_that_contradicts_the_clock_is_not(off_ms):
    gps = GpsTime()
    assert gps.judge(UTC_MS + 5000 + off_ms, 1005 * NS, IN_STEP) is None
    assert gps.refused == 1


def test_without_a_clock_three_frames_must_agree():
    gps = GpsTime()
    times = [gps.judge(UTC_MS + s * 1000, (1000 + s) * NS, None) for s in (0, 60, 120, 180)]
    assert times == [None, None, UTC_MS + 120_000, UTC_MS + 180_000]


def test_a_step_between_frames_is_not_believed():
    gps = GpsTime()
    for s in (0, 60, 120):
        gps.judge(UTC_MS + s * 1000, (1000 + s) * NS, None)
    assert gps.judge(UTC_MS + 181_000, 1180 * NS, None) is None  # off by one second
    assert gps.judge(UTC_MS + 240_000, 1240 * NS, None) == UTC_MS + 240_000


@pytest.mark.parametrize("utc_ms", [0, 315_964_800_000, 1 << 43])
def test_absurd_dates_are_never_believed(utc_ms):
    gps = GpsTime()
    assert [gps.judge(utc_ms, n * NS, None) for n in range(4)] == [None] * 4


@pytest.mark.parametrize(
    ("text", "utc_ms"),
    [
        ("2026-11-24T09:33:53.000000Z", UTC_MS),
        ("2026-11-24T09:33:53.0009Z", UTC_MS + 1),
        ("2026-11-24T10:33:53+01:00", UTC_MS),
        ("2026-11-24T09:33:53", UTC_MS),
        ("2026-11-24T09:33:53.123456789Z", UTC_MS + 123),
        ("yesterday", None),
        ("", None),
        ("2026-13-24T09:33:53", None),
    ],
)
def test_iso_8601(text, utc_ms):
    assert utc_of_text(text) == utc_ms
