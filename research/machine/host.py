"""The environment on which the bits of a row depend: versions, device, memory."""

import importlib.metadata
import os
import platform
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from depthbench.research.machine import lapack, limits, settings

LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn")
# What some rows come from: recorded of those that import it. By the module's name.
FURTHER = {
    "scipy": "scipy",
    "skimage": "scikit-image",
    "mctx": "mctx",
    "num2words": "num2words",
    "sacrebleu": "sacrebleu",
}


def versions() -> dict[str, str | None]:
    """Python's and the libraries' versions; None for what is not installed, of FURTHER
    nothing."""
    installed: dict[str, str | None] = {"python": platform.python_version()}
    for name in (*LIBRARIES, *FURTHER.values()):
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if name in LIBRARIES:
                installed[name] = None
    return installed


def of_imports(
    environment: Mapping[str, Any], modules: Collection[str]
) -> dict[str, Any]:
    """An environment without those of FURTHER that none of the modules is of.

    >>> of_imports({"jax": "0.10", "scipy": "1.17", "mctx": "0.0.6"}, {"scipy", "os"})
    {'jax': '0.10', 'scipy': '1.17'}
    """
    other = {name for module, name in FURTHER.items() if module not in modules}
    return {name: value for name, value in environment.items() if name not in other}


def processor() -> str:
    """The model of the CPU, as the system names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


# Lines of /proc/cpuinfo that say which instructions there are, and which are preferred.
MODEL = ("vendor_id", "cpu family", "model", "stepping", "flags")
ARM = ("Features", "CPU implementer", "CPU architecture", "CPU variant", "CPU part")


def instructions() -> str:
    """What decides the machine code for the CPU: its model, and all that it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    wanted = {line for line in lines if line.partition("\t")[0].strip() in MODEL + ARM}
    return "\n".join([platform.machine(), platform.processor(), *sorted(wanted)])


def cores() -> int:
    """The CPU cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def accelerator() -> bool:
    """Whether jax would run on an NVIDIA GPU or a TPU, as far as it shows without jax."""
    wanted = os.environ.get("JAX_PLATFORMS", "").partition(",")[0]
    if wanted:
        return wanted != "cpu"
    return any(map(os.path.exists, ("/dev/nvidiactl", "/dev/accel0", "/dev/vfio/0")))


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
        "settings": settings.recorded(),
        "lapack": lapack.named() if device.platform == "cpu" else None,
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
    """Bytes of main memory for new work: free, and not beyond the shell's limit."""
    left = limits.space_left(cores())
    return _free_memory() if left is None else min(left, _free_memory())


def _free_memory() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
