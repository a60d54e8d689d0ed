"""`python -m benchmarks.peers …` runs the study."""

from research.cli.main import script

script("peers")
