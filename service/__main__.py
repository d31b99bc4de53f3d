"""Entry point: ``immich-facesets`` and ``python -m service``."""

import sys

from immich_facesets.runtime.shutdown import run_reported
from service.cli.app import run


def main() -> None:
    """
    Run the command line.

    Exit codes: 0 done, 1 bug, 2 remote outage, 3 a user must change something.
    """
    sys.exit(run_reported(lambda: run(sys.argv[1:])))


if __name__ == "__main__":
    main()
