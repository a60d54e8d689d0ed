"""`python -m benchmarks.throughput …` runs the study."""

from depthbench.research.cli.main import script

script("throughput")
