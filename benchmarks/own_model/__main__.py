"""`python -m benchmarks.own_model …` runs the study."""

from depthbench.research.cli.main import script

script("own_model")
