"""Provenance: what a row has to say about where it was made. No host or user name."""

import functools
import hashlib
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def code(script: str) -> dict[str, str]:
    """SHA-256 (16 digits) of each source file that can change a row, by its path.

    script: the study's own file. What only shows rows (`research/study`) is left out.
    """
    research = ROOT / "research"
    files = [p for p in research.rglob("*.py") if research / "study" not in p.parents]
    return {
        path.relative_to(ROOT).as_posix(): _short(path.read_bytes())
        for path in sorted([*files, Path(script)])
    }


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@functools.cache
def commit() -> dict[str, str | None]:
    """The commit of the source tree, and a hash of what is not committed."""
    head = _git("rev-parse", "HEAD")
    changes = (_git("diff", "HEAD") or "") + (
        _git("ls-files", "--others", "--exclude-standard") or ""
    )
    return {
        "commit": head,
        "uncommitted": _short(changes.encode()) if changes.strip() else None,
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
