"""`python -m research.cli …` is `depthbench …`, where the script is not installed."""

import os
import sys

# `python -m` looks for all modules in the current folder first, where a user's own
# `experiments`, `benchmarks` or numpy.py may be.
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
if not sys.flags.safe_path and os.path.realpath(sys.path[0] or "/") != ROOT:
    del sys.path[0]

from research.cli.entry import entry  # noqa: E402

entry()
