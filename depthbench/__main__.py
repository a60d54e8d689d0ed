"""`python -m depthbench …` is `depthbench …`, and as safe from the current folder."""

import os
import sys

# `python -m` looks for all modules in the current folder first, where a user's own
# `research`, `experiments` or numpy.py may be.
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if not sys.flags.safe_path and not os.path.samefile(sys.path[0], ROOT):
    del sys.path[0]

from depthbench.command import entry  # noqa: E402

entry()
