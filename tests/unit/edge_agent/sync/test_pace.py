from __future__ import annotations

import pytest

from edge_agent.sync.pace import FIRST_BATCHES, BacklogPace


def test_the_agreed_rate_is_kept_over_time():
    pace = BacklogPace(rows_per_s=500, most_batches=16, now=0.0)
    now, rows = 0.0, 0
    while now < 100.0:
        now = max(now, pace.ready_at(now))
        pace.formed(1000, now)
        rows += 1000
    assert 500 * 100 <= rows <= 500 * 100 + 2 * 1000


def test_an_idle_hour_saves_up_no_more_than_a_second():
    pace = BacklogPace(rows_per_s=1000, most_batches=16, now=0.0)
    pace.formed(1000, 3600.0)
    pace.formed(1000, 3600.0)
    assert pace.ready_at(3600.0) == pytest.approx(3601.0)


def test_prompt_receipts_allow_one_more_and_late_ones_half():
    pace = BacklogPace(rows_per_s=1000, most_batches=16, now=0.0)
    assert pace.batches == FIRST_BATCHES
    for _ in range(100):
        pace.receipted(0.1)
    assert pace.batches == 16
    pace.receipted(2.0)  # neither prompt nor late
    assert pace.batches == 16
    pace.receipted(3.0)
    assert pace.batches == 8
    for _ in range(10):
        pace.receipted(60.0)
    assert pace.batches == 1
