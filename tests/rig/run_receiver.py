"""The receiver as a program of its own: python -m tests.rig.run_receiver CONFIGURATION."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from cloud_sync.errors import CloudError
from cloud_sync.receiver import run
from cloud_sync.settings import load


def main() -> int:
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s")
    try:
        run(load(Path(sys.argv[1])))
    except CloudError as error:
        logging.getLogger("cloud_sync").error("%s → %s", error, error.hint)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
