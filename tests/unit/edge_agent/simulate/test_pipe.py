import statistics
from random import Random

import pytest

from edge_agent.simulate.pipe import COLD, DAY_S, HOT, WEEK_S, Pipe


def weeks(water, seed, count=2, step_s=900):
    pipe = Pipe(water, Random(seed), midnight_s=0.0)
    return [pipe.watch(at_s) for at_s in range(step_s, count * WEEK_S, step_s)]


@pytest.mark.parametrize("seed", range(5))
def test_a_hot_pipe_stays_between_55_and_65(seed):
    seen = weeks(HOT, seed)
    assert min(s.minimum for s in seen) >= 55
    assert max(s.maximum for s in seen) <= 65
    assert max(s.maximum for s in seen) - min(s.minimum for s in seen) > 3


@pytest.mark.parametrize("seed", range(5))
def test_a_cold_pipe_warms_up_while_the_water_stands(seed):
    seen = weeks(COLD, seed)
    assert 8 <= min(s.minimum for s in seen) < 13
    assert 19 < max(s.maximum for s in seen) <= 26
    at_night = [s.last for n, s in enumerate(seen) if (n * 900) % DAY_S < 4 * 3600]
    in_the_morning = [s.last for n, s in enumerate(seen) if 7 * 3600 < (n * 900) % DAY_S < 9 * 3600]
    assert statistics.mean(at_night) > statistics.mean(in_the_morning) + 1


@pytest.mark.parametrize("water", [HOT, COLD])
def test_one_flush_a_week(water):
    flushes = [flush for seen in weeks(water, 3, count=8) for flush in seen.flushes]
    assert len(flushes) == 8
    for flush in flushes:
        assert 180 <= flush.end_s - flush.start_s <= 360
        assert flush.extreme_celsius >= 64 if water.is_hot else flush.extreme_celsius <= 11


@pytest.mark.parametrize("step_s", [1, 60, 900, 7200])
def test_last_lies_between_the_extremes_and_intervals_adjoin(step_s):
    pipe = Pipe(HOT, Random(7), midnight_s=100.0)
    before = None
    for at_s in range(step_s, 400 * step_s, step_s):
        seen = pipe.watch(at_s)
        assert seen.minimum <= seen.last <= seen.maximum
        if before is not None:
            assert seen.minimum <= before <= seen.maximum
        before = seen.last
