"""`python -m research.cli …` is `depthbench …`, where the script is not installed."""

from research.cli.main import entry

entry()
