"""`python -m benchmarks.training_speed …` runs the study."""

from depthbench.research.cli.main import script

script("training_speed")
