"""`python -m benchmarks.trainability …` runs the study."""

from research.cli.main import script

script("trainability")
