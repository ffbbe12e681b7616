"""What is missing between intervals that are there: in whichever order they come, and after any crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_agent.network.changes import HistoryAsked
from edge_agent.network.gap import MAX_ASKED, Gap
from edge_agent.network.outcome import Admitted
from edge_agent.store import coverage
from edge_agent.store.check import check
from edge_agent.store.coverage import MOST_GAPS
from edge_agent.store.reader import Reader
from edge_agent.store.store import Store
from edge_codecs.clipr import CentiCelsius, Extremes, History, HistoryInterval, Message, Report, encode
from edge_codecs.manifest import Lane
from tests.rig.store import KEY, START_MS, Now, clock, dev_eui, open_store, session, uplink

INTERVAL_S = 900
DAY_MS = 86_400_000
A = dev_eui(0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = open_store(path, now=Now(1e9))
    store.add_devices([session(0), session(1)])
    yield store
    store.close()
    assert check(path, KEY).findings == ()


class Sensor:
    """Device 0: what it sends, with rising counters."""

    def __init__(self, device: int = 0) -> None:
        self.device = device
        self.f_cnt = 0

    def says(self, message: Message, at_s: float) -> Admitted:
        f_port, payload = encode(message)
        self.f_cnt += 1
        like = uplink(self.device, self.f_cnt, at_s=at_s)
        return replace(like, message=message, f_port=f_port, payload=payload)

    def report(
        self, at_s: float, *, channels: tuple[int, ...] = (0,), interval_s: int = INTERVAL_S
    ) -> Admitted:
        warm = tuple(Extremes(one, *map(CentiCelsius, (5000, 5100, 5050))) for one in channels)
        return self.says(Report(0, 100, interval_s, warm), at_s)

    def history(self, newest_s: float, count: int, *, channel: int = 0, at_s: float) -> Admitted:
        """Intervals of which the newest ends `newest_s` seconds after the boot."""
        warm = HistoryInterval(CentiCelsius(5000), CentiCelsius(5100))
        newest_end_s = START_MS // 1000 + round(newest_s)
        return self.says(History(channel, newest_end_s, INTERVAL_S, (warm,) * count), at_s)


def keep(store: Store, *uplinks: Admitted) -> None:
    store.keep(uplinks, clock(max(one.frame.monotonic_ns for one in uplinks) / 1e9))


def seconds(gaps: list[Gap]) -> list[tuple[int, float, float]]:
    """(channel, from, to), in seconds after the boot."""
    return [(gap.channel, (gap.from_ms - START_MS) / 1000, (gap.to_ms - START_MS) / 1000) for gap in gaps]


def after_a_power_cut(store: Store, path: Path) -> Store:
    """The store as the next boot finds it: its log is left behind."""
    log, main = path.with_name("store.db-wal").read_bytes(), path.read_bytes()
    store.close()
    path.write_bytes(main)
    path.with_name("store.db-wal").write_bytes(log)
    return open_store(path, now=Now(1e9))


def covered(store: Store) -> list[tuple[int, float, float]]:
    store.cover()
    return seconds(store.gaps(A))


def test_reports_that_follow_each_other_leave_no_gap(store: Store) -> None:
    sensor = Sensor()
    keep(store, *(sensor.report(n * INTERVAL_S + n % 7 * 40) for n in range(1, 50)))
    assert covered(store) == []


def test_a_missed_report_is_a_gap_of_exactly_its_interval(store: Store, path: Path) -> None:
    sensor = Sensor()
    keep(store, sensor.report(1000), sensor.report(2800))
    gap = Gap(A, 0, START_MS + 1_000_000, START_MS + 1_900_000, INTERVAL_S)
    assert store.cover() == {A: (gap,)}
    assert store.cover() == {}, "told once"
    assert store.gaps() == [gap]
    assert gap.intervals == 1
    with Reader.open(path, KEY) as reader:
        assert reader.gaps() == reader.gaps(A) == [gap]
        assert reader.gaps(dev_eui(1)) == []


@pytest.mark.parametrize(("late_s", "is_gap"), [(0, False), (449, False), (450, True), (451, True)])
def test_from_half_an_interval_on_it_is_a_gap(store: Store, late_s: int, *, is_gap: bool) -> None:
    sensor = Sensor()
    keep(store, sensor.report(1000), sensor.report(1900 + late_s))
    assert bool(covered(store)) is is_gap


def test_channels_and_devices_are_told_apart(store: Store) -> None:
    sensor, other = Sensor(), Sensor(1)
    keep(store, sensor.report(1000, channels=(0, 2)), other.report(1500), sensor.report(1900, channels=(2,)))
    keep(store, sensor.report(2800, channels=(0, 2)), other.report(3300, channels=(1,)))
    assert covered(store) == [(0, 1000, 1900)]
    assert len(store.gaps()) == 1


def test_history_closes_a_gap_from_either_end_and_in_the_middle(store: Store) -> None:
    sensor = Sensor()
    keep(store, sensor.report(1000), sensor.report(1000 + 11 * 900))
    assert covered(store) == [(0, 1000, 10000)]
    keep(store, sensor.history(10000, 2, at_s=11000))
    assert covered(store) == [(0, 1000, 8200)]
    keep(store, sensor.history(2800, 2, at_s=11000))
    assert covered(store) == [(0, 2800, 8200)]
    keep(store, sensor.history(5500, 1, at_s=11000))
    assert covered(store) == [(0, 2800, 4600), (0, 5500, 8200)]
    keep(store, sensor.history(8201, 6, at_s=11000), sensor.report(11800))
    assert covered(store) == []


def test_an_interval_without_a_valid_sample_is_there(store: Store) -> None:
    sensor = Sensor()
    broken = Report(0, 100, INTERVAL_S, (Extremes(0, None, None, None),))
    keep(store, sensor.report(1000), sensor.says(broken, 1900), sensor.report(2800))
    assert covered(store) == []


def test_rows_wait_for_their_date_and_count_then(store: Store) -> None:
    sensor = Sensor()
    store.keep([sensor.report(1000), sensor.report(2800)], None)
    assert covered(store) == []
    store.clock_in_step(clock(3000))
    assert covered(store) == [(0, 1000, 1900)]


def test_rows_whose_date_nobody_knows_never_count(store: Store, path: Path) -> None:
    sensor = Sensor()
    store.keep([sensor.report(1000), sensor.report(2800)], None)
    store.close()
    later = open_store(path, boot="boot-2", now=Now(1e9))
    later.clock_in_step(clock(5000, boot="boot-2"))
    later.keep([sensor.report(6000)], clock(6000, boot="boot-2"))
    later.cover()
    assert later.gaps() == []
    later.close()


def test_devices_that_are_not_here_are_passed_over_and_removed_ones_forgotten(store: Store) -> None:
    sensor, stranger = Sensor(), Sensor(7)
    keep(store, stranger.report(1000), stranger.report(9000), sensor.report(1000), sensor.report(2800))
    assert covered(store) == [(0, 1000, 1900)]
    store.remove_device(A)
    assert store.cover() == {A: ()}
    assert store.gaps() == []
    store.add_device(session(0))
    keep(store, replace(sensor.report(9000), session=1))
    assert covered(store) == [], "its life begins anew"


# Asked


def asked(store: Store) -> list[int]:
    return [gap.asked for gap in store.gaps(A)]


def test_requests_are_counted_until_the_gap_becomes_smaller(store: Store, path: Path) -> None:
    sensor = Sensor()
    keep(store, sensor.report(1000), sensor.report(6400), sensor.report(8200))
    assert covered(store) == [(0, 1000, 5500), (0, 6400, 7300)]
    older = HistoryAsked(A, 0, START_MS + 5_500_000)
    store.apply([older])
    store.keep([], None, [older])
    assert asked(store) == [2, 0]
    assert [gap.asked for gap in store.cover()[A]] == [0, 2]
    keep(store, sensor.history(1900, 1, at_s=9000))
    store.cover()
    assert asked(store) == [0, 0], "it is smaller, though it ends where it ended"
    store.apply([older, HistoryAsked(A, 0, 17), HistoryAsked(A, 1, START_MS + 5_500_000)])
    store.close()
    with Reader.open(path, KEY) as reader:
        assert [gap.asked for gap in reader.gaps()] == [1, 0]
    reopened = open_store(path)
    assert asked(reopened) == [1, 0]
    reopened.close()


def test_a_gap_that_is_given_up_is_told_to_people_only(store: Store) -> None:
    sensor = Sensor()
    keep(store, sensor.report(1000), sensor.report(2800))
    store.cover()
    for _ in range(MAX_ASKED):
        store.apply([HistoryAsked(A, 0, START_MS + 1_900_000)])
    assert store.cover() == {A: ()}
    assert [gap.given_up for gap in store.gaps()] == [True]


def test_only_the_newest_gaps_are_told_at_once(store: Store) -> None:
    sensor = Sensor()
    keep(store, *(sensor.report(1000 + 1800 * n) for n in range(MOST_GAPS + 10)))
    told = store.cover()[A]
    everything = store.gaps(A)
    assert len(everything) == MOST_GAPS + 9
    assert list(told) == everything[: -MOST_GAPS - 1 : -1]


# What happens to the store


def test_the_first_call_tells_all_devices(store: Store, path: Path) -> None:
    sensor = Sensor()
    keep(store, sensor.report(1000), sensor.report(2800))
    told = store.cover()
    store.close()
    reopened = open_store(path)
    assert reopened.cover() == told
    reopened.close()


def test_it_is_known_when_the_rows_are_gone(path: Path) -> None:
    store = open_store(path, now=Now(1e9), retention_days=1)
    store.add_devices([session(0)])
    sensor = Sensor()
    keep(store, *(sensor.report(900 * n) for n in range(1, 400) if n not in (10, 350)))
    while (batch := store.form_batch(100, 64_000, Lane.BACKLOG)) is not None:
        store.receipt(batch.number, batch.hash, 1)
    assert covered(store) == [(0, 8100, 9000), (0, 314100, 315000)]
    rows = store.status().rows
    assert store.prune(START_MS + 399 * 900_000) > 200
    assert store.status().rows < rows
    assert seconds(store.gaps()) == [(0, 314100, 315000)], "the older one went with its time"
    store = after_a_power_cut(store, path)
    keep(store, sensor.report(900 * 400))
    assert covered(store) == [(0, 314100, 315000)]
    store.close()


def test_where_a_range_ends_is_on_disk_before_its_rows_go(path: Path) -> None:
    store = open_store(path, now=Now(1e9), retention_days=1)
    store.add_devices([session(0)])
    sensor = Sensor()
    keep(store, *(sensor.report(900 * n) for n in range(1, 400)))
    while (batch := store.form_batch(100, 64_000, Lane.BACKLOG)) is not None:
        store.receipt(batch.number, batch.hash, 1)
    assert covered(store) == []
    assert store.prune(START_MS + 399 * 900_000) > 200
    store = after_a_power_cut(store, path)
    assert covered(store) == []
    store.close()


def test_rows_are_covered_before_they_go(path: Path) -> None:
    store = open_store(path, now=Now(1e9), retention_days=1)
    store.add_devices([session(0)])
    sensor = Sensor()
    keep(store, *(sensor.report(900 * n) for n in range(1, 100)))
    while (batch := store.form_batch(50, 64_000, Lane.BACKLOG)) is not None:
        store.receipt(batch.number, batch.hash, 1)
    assert store.prune(START_MS + 5 * DAY_MS) == 50
    keep(store, sensor.report(900 * 101))
    assert covered(store) == [(0, 99 * 900, 100 * 900)]
    store.close()


@pytest.mark.parametrize("only_one", [False, True])
def test_a_new_stream_changes_no_gap(store: Store, *, only_one: bool) -> None:
    sensor = Sensor()
    keep(store, sensor.report(1000), sensor.report(2800))
    before = covered(store)
    keep(store, sensor.report(4600))
    first = store.form_batch(1, 10_000, Lane.BACKLOG)
    assert first is not None
    store.form_batch(1, 10_000, Lane.BACKLOG)
    store.receipt(1, first.hash, 1)
    store.begin_stream(only_one=only_one)
    assert covered(store) == [*before, (0, 2800, 3700)]
    keep(store, sensor.report(5500))
    assert covered(store) == [*before, (0, 2800, 3700)]


def test_after_damage_it_is_worked_out_again_from_the_rows(store: Store, path: Path) -> None:
    sensor = Sensor()
    keep(store, sensor.report(1000), sensor.report(2800), sensor.report(3700), sensor.report(8200))
    before = covered(store)
    store.apply([HistoryAsked(A, 0, START_MS + 1_900_000)])
    store.close()
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    salvaged = open_store(path, now=Now(1e9))
    assert salvaged.gaps() == []
    assert covered(salvaged) == before
    assert asked(salvaged) == [0, 0], "asking again does no harm"
    salvaged.close()


ENDS = st.integers(2, 400).map(lambda tenth: tenth * 100)


def reference(intervals: list[tuple[float, float]]) -> list[tuple[int, float, float]]:
    """Gaps between intervals that are all equally long."""
    found, end = [], None
    for begin, stop in sorted(intervals):
        if end is not None and begin - end >= INTERVAL_S / 2:
            found.append((0, end, begin))
        end = stop if end is None else max(end, stop)
    return found


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("report"), ENDS, st.just(1)),
        st.tuples(st.just("history"), ENDS, st.integers(1, 12)),
        st.tuples(st.sampled_from(["cover", "cut", "restart", "save", "stream"]), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
@example(
    steps=[
        *[("report", 7900, 1), ("history", 6500, 4), ("cover", 0, 0), ("report", 2600, 1)],
        *[("report", 7700, 1), ("save", 0, 0), ("cut", 0, 0)],
    ]
)
def test_any_order_and_any_crash_come_to_the_same(
    steps: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("coverage") / "store.db"
    store = open_store(path, now=Now(1e9))
    store.add_devices([session(0)])
    sensor = Sensor()
    intervals: list[tuple[float, float]] = []
    for step, end_s, count in steps:
        match step:
            case "report":
                keep(store, sensor.report(end_s))
                intervals.append((end_s - INTERVAL_S, end_s))
            case "history":
                keep(store, sensor.history(end_s, count, at_s=50_000))
                intervals += [(end_s - INTERVAL_S * (n + 1), end_s - INTERVAL_S * n) for n in range(count)]
            case "cover":
                store.cover()
            case "save":
                store._save()
            case "stream":
                store.begin_stream()
            case "cut":
                store = after_a_power_cut(store, path)
            case _:
                store.close()
                store = open_store(path, now=Now(1e9))
    assert covered(store) == reference(intervals)
    store.close()
    assert check(path, KEY).findings == ()


def test_a_failed_commit_leaves_what_the_disk_knows(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sensor = Sensor()
    keep(store, sensor.report(1000), sensor.report(2800))
    monkeypatch.setattr(coverage, "MOST_ROWS", 3)
    failing = store._database
    real: Callable[..., int] = failing.execute
    keep(store, sensor.report(6400))

    def execute(sql: str, values: tuple[object, ...] = ()) -> int:
        if sql == "COMMIT":
            raise OSError("the power goes")
        return real(sql, values)

    failing.execute = execute  # type: ignore[method-assign,assignment]
    with pytest.raises(OSError, match="power"):
        store.cover()
    failing.execute = real  # type: ignore[method-assign]
    assert covered(store) == [(0, 1000, 1900), (0, 2800, 5500)]
