"""Write `store_schema_NNNN.db` with today's schema: once for each released schema, then never again.

The key is the tests' own, so that the content is no secret.

    python -m tests.data.write_store
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from edge_agent.store.connection import connect
from edge_agent.store.migrations import released
from edge_codecs.manifest import Lane
from tests.rig.store import KEY, Now, clock, open_store, session, uplink


def main() -> None:
    """Forty rows of two devices: confirmed, batched, and in no batch."""
    target = Path(__file__).with_name(f"store_schema_{released()[-1].number:04}.db")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        now = Now(1e6)
        store = open_store(path, now=now)
        store.add_devices([session(0), session(1)])
        for f_cnt in range(20):
            store.keep([uplink(device, f_cnt, at_s=f_cnt) for device in (0, 1)], clock(f_cnt))
        for _ in range(3):
            batch = store.form_batch(10, 10_000, Lane.BACKLOG)
            assert batch is not None
        first = store.unreceipted()[0]
        store.receipt(1, first.hash, 1)
        store.close()
        database = connect(path, KEY, write=True)
        database.execute("UPDATE life SET machine = x''")
        database.execute("VACUUM")  # no trace of it in slack space
        database.close()
        shutil.copyfile(path, target)
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
