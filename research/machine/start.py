"""jax, begun: all that the environment can have against it is a line here, before there is
any work, and not a traceback or an abort in the midst of it."""

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from research.catalogues.catalogue import Mistake
from research.machine import host, limits, settings

# What is tried where XLA_FLAGS is set: C++ ends the process for a flag that it lacks.
TRIAL = "import jax; jax.block_until_ready(jax.jit(lambda x: x + 1)(1.0))"
SECONDS = 120  # that a trial may take
VALUES = "https://docs.jax.dev/en/latest/config_options.html"

_begun = False


def needs(*modules: str) -> None:
    """Raises ModuleNotFoundError for what a command will come to need and is not there."""
    for name in modules:
        try:
            there = importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:  # the package that it is a module of
            there = False
        if not there:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def imported() -> Any:
    """jax. Raises Mistake, naming what of the environment it cannot be imported with."""
    if "jax" not in sys.modules:
        limits.check_for_jax(host.cores())
        _try_flags()
    try:
        import jax
    except (ValueError, TypeError) as error:  # its settings are read from variables
        raise Mistake(_refused(error)) from None
    return jax


def begin() -> list[str]:
    """Begins jax's backend; a line, once, on what is not as the environment asks.

    Raises Mistake. Where a run has several processes, they have been joined before.
    """
    global _begun
    jax = imported()
    if _begun:
        return []
    try:
        jax.devices()
    except Exception as error:  # of many kinds: whatever a backend fails with
        raise Mistake(_refused(error)) from None
    _begun = True
    return [line for line in (_cache(jax.config.jax_compilation_cache_dir),) if line]


# Of a message that has the variable's value at most: what it is about.
SIGNS = (
    ("process_index", "JAX_NUM_CPU_DEVICES"),
    ("Unknown backend", "JAX_PLATFORM_NAME"),
    ("backend", "JAX_PLATFORMS"),
    ("", "JAX_PLATFORMS"),
)


def _refused(error: Exception) -> str:
    """The line on a setting that jax does not take."""
    message = next(iter(str(error).splitlines()), "")
    chosen = {n: v for n, v in sorted(os.environ.items()) if n.startswith("JAX_") and v}
    named = [n for n in chosen if re.search(rf"\b{n}\b", message, re.IGNORECASE)]
    if not named or "backend" in message:
        named = [name for sign, name in SIGNS if sign in message and name in chosen]
    # Of a number: "invalid literal for int() with base 10: 'x'".
    by_value = [name for name, value in chosen.items() if repr(value) in message]
    if isinstance(error, ValueError) and by_value:
        named = by_value
    if not named:
        return f"jax cannot begin here: {message or type(error).__name__}"
    return f"{named[0]}={chosen[named[0]]}: {_allowed(named[0], message)}"


def _allowed(name: str, message: str) -> str:
    if name in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME"):
        known = re.search(r"known backends: \[(.*?)\]", message)
        listing = known[1].replace("'", "") if known else "cpu, cuda, rocm, tpu"
        return f"no such device here (of {listing}); unset, it is what there is"
    if name == "JAX_NUM_CPU_DEVICES":
        return "must be a whole number of devices, from 1"
    if name.lower() in settings.PINNED:
        pinned = settings.PINNED[name.lower()]
        return f"jax does not take this value; unset it, rows are made with {pinned}"
    if "truth value" in message:
        return "must be 0 or 1"
    return f"jax does not take this value; unset it, or see {VALUES}"


def _try_flags() -> None:
    """Raises Mistake where jax ends a process for its flags: one is begun to see."""
    flags = os.environ.get("XLA_FLAGS", "").strip()
    if not flags:
        return
    others = {n: v for n, v in os.environ.items() if not n.startswith("JAX_")}
    try:
        done = subprocess.run(
            [sys.executable, "-c", TRIAL],
            env={**others, "JAX_PLATFORMS": "cpu"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return  # a slow machine, on which nothing was refused
    if done.returncode:
        shown = flags if len(flags) <= 80 else f"{flags[:80]}…"
        raise Mistake(
            f"XLA_FLAGS={shown}: {_why(done.stderr.decode(errors='replace'))}"
        )


def _why(stderr: str) -> str:
    """The sentence in which C++, or else Python, says what it does not take."""
    logged = re.search(r"^[EF]\d{4} .*?\] (.*)", stderr, re.MULTILINE)
    raised = re.findall(r"^[\w.]+: (.+)", stderr, re.MULTILINE)
    sentence = logged[1] if logged else (raised[-1] if raised else "")
    return f"jax does not begin with it: {sentence[:200].strip() or 'it ends unsaid'}"


def _cache(folder: str | None) -> str:
    """What keeps compiled programs from being kept; "" for nothing."""
    if not folder or "://" in folder:
        return ""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        # jax goes on without, and would say so of each program, with a path of its own.
        message = "Error (reading|writing) persistent compilation cache entry"
        warnings.filterwarnings("ignore", message=message)
        return (
            f"JAX_COMPILATION_CACHE_DIR={folder}: {error.strerror}; what is compiled is "
            "not kept there"
        )
