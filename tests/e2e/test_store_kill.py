"""kill -9 of a real writer at random moments: what it said was kept is there, and everything adds up.

The short form runs 20 rounds on one store; CAMPAIGN=full runs 1,000.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_agent.network.device import Device
from edge_agent.store.check import check
from edge_agent.store.reader import Reader
from tests.rig.store import KEY, Now, f_cnts_up, open_store, registration, session

ROOT = Path(__file__).parents[2]

WRITER = """
import random, sys
from pathlib import Path
from tests.rig.store import Now, clock, dev_eui, f_cnts_up, joined, open_store, uplink, START_MS
from edge_agent.network.changes import CountersReserved, SessionTaken
from edge_agent.store.errors import StoreFull
from edge_codecs.manifest import Lane

path, seed = Path(sys.argv[1]), int(sys.argv[2])
chance = random.Random(seed)
now = Now(1e9)
store = open_store(path, max_bytes=1_200_000, retention_days=0, now=now)
f_cnt = f_cnts_up(store)[0]
f_cnt = 0 if f_cnt is None else f_cnt + 1
joins, session, sensor_f_cnt = 0, None, None
if (sensor := store.network_devices()[1]).session:
    session, sensor_f_cnt = sensor.session.session.number, sensor.session.session.f_cnt_up
joins = sensor.nonces.join_nonce

def network():
    # The sensor joins, uses its new session, or sends; each uplink reserves a block of downlink counters.
    global joins, session, sensor_f_cnt
    at_s = f_cnt
    if session is None or (joins == session and chance.random() < 0.2):
        store.keep([], None, [joined(1, joins + 1, dev_nonce=joins + 1)])
        joins += 1
        print("joined", joins, flush=True)
        session = session or 0
        return
    frames, changes, of, next_f_cnt = [], [], session, (sensor_f_cnt or 0) + 1
    if session:
        frames = [uplink(1, next_f_cnt, at_s=at_s, session=session)]
    if joins != session and chance.random() < 0.7:  # its last word in the old session, its first in the new
        changes, of, next_f_cnt = [SessionTaken(dev_eui(1), joins)], joins, 1
        frames.append(uplink(1, 1, at_s=at_s, session=joins))
    if not frames:
        return
    changes.append(CountersReserved(dev_eui(1), of, 32 * next_f_cnt, 0))
    store.keep(frames, clock(at_s), changes)
    session, sensor_f_cnt = of, next_f_cnt
    print("sent", session, sensor_f_cnt, flush=True)

print("ready", flush=True)
while True:
    count = chance.choice((1, 1, 2, 10, 50))
    in_step = clock(f_cnt) if chance.random() < 0.9 else None
    try:
        network()
        store.keep([uplink(0, f_cnt + n, at_s=f_cnt) for n in range(count)], in_step)
    except StoreFull:  # the cloud comes back, and takes all
        store.clock_in_step(clock(f_cnt))
        while store.form_batch(1000, 60_000, Lane.BACKLOG) or store.form_batch(1000, 60_000, Lane.LIVE):
            pass
        batch = store.unreceipted(limit=100_000)[-1]
        store.receipt(batch.number, batch.hash, 1)
        print("confirmed", batch.number, batch.hash.hex(), flush=True)
        continue
    f_cnt += count
    print(f_cnt - 1, flush=True)
    match chance.randrange(9):
        case 0 | 1 | 2:
            store.form_batch(chance.choice((1, 20, 100)), 10_000, chance.choice((Lane.LIVE, Lane.BACKLOG)))
        case 3:
            if waiting := store.unreceipted():
                batch = chance.choice(waiting)
                store.receipt(batch.number, batch.hash, 1)
                print("confirmed", batch.number, batch.hash.hex(), flush=True)
        case 4:
            store.prune(START_MS + 10**12)
        case 5:
            store.checkpoint()
        case 6:
            store.clock_in_step(clock(f_cnt))
        case 7 if chance.random() < 0.1:
            print("stream", store.begin_stream(only_one=True).hex(), flush=True)
        case 8:
            store.cover()
"""


class Told:
    """What the writer said: the highest counter kept, and the batch that was confirmed last in its stream.

    Of the sensor that joins: the last JoinNonce, which is its DevNonce, too; its session and counter.
    """

    def __init__(self) -> None:
        self.f_cnt = -1
        self.joined = 0
        self.sent = (0, 0)
        self.confirmed = (0, "")
        self.kept = 0

    def hear(self, line: str) -> None:
        words = line.split()
        if words[0] == "confirmed":
            self.confirmed = (int(words[1]), words[2])
        elif words[0] == "stream":
            self.confirmed = (0, "")
        elif words[0] == "joined":
            self.joined = int(words[1])
        elif words[0] == "sent":
            self.sent = (int(words[1]), int(words[2]))
        elif words[0] != "ready":
            self.f_cnt = int(words[0])
            self.kept += 1


def run_and_kill(path: Path, seed: int, told: Told, chance: random.Random) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'codecs'}"},
    )
    assert writer.stdout is not None
    try:
        assert writer.stdout.readline() == "ready\n"
        deadline = time.monotonic() + chance.uniform(0.001, 0.3)
        while time.monotonic() < deadline:
            line = writer.stdout.readline()
            assert line, "the writer ended by itself"
            told.hear(line)
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout:
            if line.endswith("\n"):
                told.hear(line)
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()


def expect_whole(sensor: Device, told: Told) -> None:
    """All of a step is there or nothing of it, and nothing that was told is missing."""
    nonces = sensor.nonces
    assert nonces.dev_nonce == (nonces.join_nonce or None), "both nonces of a join, or none"
    assert told.joined <= nonces.join_nonce <= told.joined + 1
    number = sensor.session.session.number if sensor.session else 0
    given = [one.session for one in sensor.pending]
    assert max([number, *(session.number for session in given)]) == nonces.join_nonce
    assert all(session.number > number and session.f_cnt_up is None for session in given)
    if sensor.session is not None:
        f_cnt_up = sensor.session.session.f_cnt_up
        assert f_cnt_up is not None, "a session begins with its first uplink"
        assert told.sent <= (number, f_cnt_up)
        assert sensor.session.n_f_cnt_down == 32 * f_cnt_up
    told.joined, told.sent = nonces.join_nonce, (number, f_cnt_up if sensor.session else 0)


@pytest.mark.slow
@pytest.mark.campaign
def test_what_was_kept_survives_kill_9(tmp_path: Path) -> None:
    rounds = 1_000 if os.environ.get("CAMPAIGN") == "full" else 20
    path = tmp_path / "store.db"
    store = open_store(path, now=Now(1e9))
    store.add_devices([session(0), registration(1)])
    store.close()
    chance = random.Random(20261124)
    told = Told()
    for number in range(rounds):
        run_and_kill(path, number, told, chance)
        report = check(path, KEY)
        assert report.sound, (number, report.findings)
        with Reader.open(path, KEY) as reader:
            keys = [(row.dev_eui, row.session, row.f_cnt) for row in reader.uplinks()]
        assert len(keys) == len(set(keys))
        store = open_store(path, max_bytes=1_200_000, now=Now(1e9))
        batch, batch_hash = told.confirmed
        assert store.receipt(batch, bytes.fromhex(batch_hash), 1) == 0, "a receipt that was taken stays taken"
        pending = store.pending()
        assert pending.rows_unbatched <= store.status().rows
        f_cnt_up = f_cnts_up(store)[0]
        assert f_cnt_up is not None
        assert f_cnt_up >= told.f_cnt, f"round {number}: told {told.f_cnt}"
        told.f_cnt = f_cnt_up
        expect_whole(store.network_devices()[1], told)
        store.close()
    assert told.kept > 5 * rounds, "the rounds did see the writer at work"
    assert told.sent[0] > rounds, "and the sensor join"
