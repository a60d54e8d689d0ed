"""`python -m benchmarks.gradient_flow …` runs the study."""

from research.cli.main import script

script("gradient_flow")
