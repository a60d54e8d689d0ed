"""Where a command begins: signals are heard before anything else is imported."""

import sys
from typing import NoReturn

from depthbench.research.engine import signals
from depthbench.research.study.errors import mended_outside


def entry() -> NoReturn:
    """The command: its exit status is the process's."""
    try:
        listener = signals.listen()
        from depthbench.research.cli.main import main
    except (OSError, RuntimeError) as error:  # of too few files, or threads
        refusal = mended_outside(error)
        print(f"depthbench: {refusal}", file=sys.stderr)
        sys.exit(refusal.status)
    listener.ended = main()
    sys.exit(listener.ended)
