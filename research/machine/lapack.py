"""LAPACK as jax has it on a CPU: SciPy's, whose kernels are chosen when a process starts.

An orthogonal draw is a QR decomposition. OpenBLAS runs it by kernels written for the
processor it finds, or for that which OPENBLAS_CORETYPE names, and their bits differ,
whatever XLA has compiled.
"""

import ctypes
import functools
import importlib.util
import re
from pathlib import Path

FOLDERS = ("../scipy.libs", ".dylibs")  # of SciPy's wheels, below scipy/


@functools.cache
def named() -> str | None:
    """Its version and kernels, such as "OpenBLAS 0.3.30 Haswell"; None if not known."""
    spec = importlib.util.find_spec("scipy")
    if spec is None or spec.origin is None:
        return None
    scipy = Path(spec.origin).parent
    for path in (p for f in FOLDERS for p in (scipy / f).glob("*scipy_openblas*")):
        library = ctypes.CDLL(str(path.resolve()))  # jax has it loaded, or will
        version = re.match(
            r"OpenBLAS \S+", _text_of(library, "scipy_openblas_get_config")
        )
        kernels = _text_of(library, "scipy_openblas_get_corename")
        return f"{version[0]} {kernels}" if version and kernels else None
    return None


def _text_of(library: ctypes.CDLL, name: str) -> str:
    """What a function without arguments returns; "" where it is not there."""
    function = getattr(library, name, None)
    if function is None:
        return ""
    function.restype = ctypes.c_char_p
    return (function() or b"").decode(errors="replace")
