"""`python -m benchmarks.gradient_flow …` runs the study."""

from depthbench.research.cli.main import script

script("gradient_flow")
