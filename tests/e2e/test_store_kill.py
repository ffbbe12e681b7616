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

from edge_agent.store.check import check
from edge_agent.store.reader import Reader
from tests.rig.store import KEY, Now, open_store, session

ROOT = Path(__file__).parents[2]

WRITER = """
import random, sys
from pathlib import Path
from tests.rig.store import Now, clock, open_store, uplink, START_MS
from edge_agent.store.errors import StoreFull
from edge_codecs.manifest import Lane

path, seed = Path(sys.argv[1]), int(sys.argv[2])
chance = random.Random(seed)
now = Now(1e9)
store = open_store(path, max_bytes=1_200_000, retention_days=0, now=now)
f_cnt = store.sessions()[0].f_cnt_up
f_cnt = 0 if f_cnt is None else f_cnt + 1
print("ready", flush=True)
while True:
    count = chance.choice((1, 1, 2, 10, 50))
    in_step = clock(f_cnt) if chance.random() < 0.9 else None
    try:
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
    match chance.randrange(8):
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
            print("stream", store.begin_stream().hex(), flush=True)
"""


class Told:
    """What the writer said: the highest counter kept, and the batch that was confirmed last in its stream."""

    def __init__(self) -> None:
        self.f_cnt = -1
        self.confirmed = (0, "")
        self.kept = 0

    def hear(self, line: str) -> None:
        words = line.split()
        if words[0] == "confirmed":
            self.confirmed = (int(words[1]), words[2])
        elif words[0] == "stream":
            self.confirmed = (0, "")
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
        deadline = time.monotonic() + chance.uniform(0.001, 0.15)
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


@pytest.mark.slow
@pytest.mark.campaign
def test_what_was_kept_survives_kill_9(tmp_path: Path) -> None:
    rounds = 1_000 if os.environ.get("CAMPAIGN") == "full" else 20
    path = tmp_path / "store.db"
    store = open_store(path, now=Now(1e9))
    store.add_device(session(0))
    store.close()
    chance = random.Random(20261124)
    told = Told()
    for number in range(rounds):
        run_and_kill(path, number, told, chance)
        report = check(path, KEY)
        assert report.sound, (number, report.findings)
        with Reader.open(path, KEY) as reader:
            (device,) = reader.devices()
            f_cnts = [row.f_cnt for row in reader.uplinks()]
        assert device.session.f_cnt_up is not None
        assert device.session.f_cnt_up >= told.f_cnt, f"round {number}: told {told.f_cnt}"
        assert len(f_cnts) == len(set(f_cnts))
        store = open_store(path, max_bytes=1_200_000, now=Now(1e9))
        batch, batch_hash = told.confirmed
        assert store.receipt(batch, bytes.fromhex(batch_hash), 1) == 0, "a receipt that was taken stays taken"
        pending = store.pending()
        assert pending.rows_unbatched <= store.status().rows
        told.f_cnt = store.sessions()[0].f_cnt_up or -1
        store.close()
    assert told.kept > 10 * rounds, "the rounds did see the writer at work"
