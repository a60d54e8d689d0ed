"""`python -m benchmarks.convolution_forms …` runs the study."""

from research.cli.main import script

script("convolution_forms")
