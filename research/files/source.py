"""Where depthbench's own files are, and whether that is a checkout."""

from pathlib import Path

# The checkout's folder; of an installed wheel the package's, which has the same folders.
ROOT = Path(__file__).resolve().parents[2]


def is_checkout() -> bool:
    """Whether this runs from the source tree, and not from what a wheel installed."""
    return (ROOT / "pyproject.toml").is_file()
