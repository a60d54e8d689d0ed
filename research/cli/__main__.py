"""`depthbench …`, and `python -m research.cli …` where the script is not installed."""

import sys
from typing import NoReturn

from research.engine import signals
from research.study.errors import of_system


def entry() -> NoReturn:
    """The console script. It listens to signals before it imports anything else."""
    try:
        listener = signals.listen()
        from research.cli.main import main
    except (OSError, RuntimeError) as error:  # of too few files, or threads
        refusal = of_system(error)
        print(f"depthbench: {refusal}", file=sys.stderr)
        sys.exit(refusal.status)
    listener.ended = main()
    sys.exit(listener.ended)


if __name__ == "__main__":
    entry()
