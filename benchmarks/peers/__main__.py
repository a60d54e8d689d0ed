"""`python -m benchmarks.peers …` runs the study."""

from depthbench.research.cli.main import script

script("peers")
