"""`python -m benchmarks.max_trainable_depth …` runs the study."""

from depthbench.research.cli.main import script

script("max_trainable_depth")
