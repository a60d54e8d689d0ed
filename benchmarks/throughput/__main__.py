"""`python -m benchmarks.throughput …` runs the study."""

from research.cli.main import script

script("throughput")
