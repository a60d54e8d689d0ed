"""`python -m depthbench …` is `depthbench …`, and as safe from the current folder."""

import os
import sys

# `python -m` looks for all modules in the current folder first, where a user's own
# numpy.py may be.
ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
if not sys.flags.safe_path and os.path.realpath(sys.path[0] or "/") != ROOT:
    del sys.path[0]

from depthbench.command import entry  # noqa: E402

entry()
