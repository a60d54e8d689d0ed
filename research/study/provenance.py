"""Provenance: what a row has to say about where it was made. No host or user name."""

import functools
import hashlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn")


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


def versions() -> dict[str, str | None]:
    """Python's and the libraries' versions; None for what is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def processor() -> str:
    """The model of the CPU, as the system names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cores() -> int:
    """The CPU cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def environment() -> dict[str, Any]:
    """What decides the bits of a row beside its settings; imports jax."""
    import jax

    device = jax.devices()[0]
    return {
        **versions(),
        "platform": device.platform,
        "device": device.device_kind,
        "devices": jax.device_count(),
        "driver": getattr(device.client, "platform_version", None),
        "processor": processor(),
        "cores": cores(),
        "xla_flags": os.environ.get("XLA_FLAGS"),
        "matmul_precision": "highest",
        "dtype": "float32",
    }


def available_memory() -> int:
    """Bytes that can be used now: of the accelerator, or else of the machine."""
    import jax

    statistics = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in statistics:
        return statistics["bytes_limit"] - statistics.get("bytes_in_use", 0)
    return machine_memory()


def machine_memory() -> int:
    """Bytes of main memory that are free for new work; asks no library."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
