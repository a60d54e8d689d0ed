"""The console script, `depthbench`."""
