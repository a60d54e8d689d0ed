"""`depthbench …`, and `python -m research.cli …` where the script is not installed."""

import sys
from typing import NoReturn

from research.engine import signals


def entry() -> NoReturn:
    """The console script. It listens to signals before it imports anything else."""
    listener = signals.listen()
    from research.cli.main import main

    listener.ended = main()
    sys.exit(listener.ended)


if __name__ == "__main__":
    entry()
