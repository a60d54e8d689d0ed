"""`python -m benchmarks.convolution_forms …` runs the study."""

from depthbench.research.cli.main import script

script("convolution_forms")
