"""Where a run's units are measured: threads of this process, Ray, or SLURM.

An engine says where rows will be made, and gives back what units gave, in any order and
each at least once. The driver alone writes rows: by their cells' names, so that what comes
twice is one row.
"""
