"""`python -m benchmarks.trainability …` runs the study."""

from depthbench.research.cli.main import script

script("trainability")
