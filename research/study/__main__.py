"""`python -m research.study …` is `depthbench …`, where the script is not installed."""

from research.study.command import entry

entry()
