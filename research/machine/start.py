"""jax, begun: what the environment has against it is a line here, before there is work.

Elsewhere it would be a traceback, or an abort, in the midst of it.
"""

import importlib.util
import os
import re
import signal
import sys
import warnings
from typing import Any, NoReturn

from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.machine import compiled, host, limits, settings

SECONDS = 120  # that a trial of XLA_FLAGS may take
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
    fresh = "jax" not in sys.modules
    if fresh:
        limits.check_for_jax(host.cores())
    try:
        import jax
    except (ValueError, TypeError) as error:  # its settings are read from variables
        raise Mistake(_refused(error)) from None
    flags = os.environ.get("XLA_FLAGS", "").strip()
    if flags and fresh:  # where another one has imported jax, it may run by now
        _try_flags(jax, flags)
    return jax


def begin() -> list[str]:
    """Begins jax's backend; a line, once, on what is not as the environment asks.

    Raises Mistake. Where a run has several processes, they have been joined before.
    """
    global _begun
    jax = imported()
    if _begun:
        compiled.begin(jax)  # another command may keep programs, or none
        return []
    try:
        jax.devices()
    except Exception as error:  # of many kinds: whatever a backend fails with
        raise Mistake(_refused(error)) from None
    _begun = True
    return compiled.begin(jax)


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


def _try_flags(jax: Any, flags: str) -> None:
    """Raises Mistake where XLA ends a process for its flags: a child is begun to see."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # threads of ours are no trouble to the child
        child = os.fork()
    if not child:
        _end_after_trial(jax, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as stderr:
        text = stderr.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    slow = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
    if status and not slow:
        shown = flags if len(flags) <= 80 else f"{flags[:80]}…"
        raise Mistake(f"XLA_FLAGS={shown}: {_why(text)}")


def _end_after_trial(jax: Any, stderr: int) -> NoReturn:
    status = 1
    try:
        signal.set_wakeup_fd(-1)  # the parent's
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(SECONDS)
        os.dup2(stderr, 2)
        jax.config.update("jax_platforms", "cpu")  # takes no accelerator
        jax.config.update("jax_num_cpu_devices", -1)
        jax.devices()
        status = 0
    except BaseException as error:
        os.write(stderr, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(status)


def _why(stderr: str) -> str:
    """The sentence in which C++, or else Python, says what it does not take."""
    logged = re.search(r"^[EF]\d{4} .*?\] (.*)", stderr, re.MULTILINE)
    raised = re.findall(r"^[\w.]+: (.+)", stderr, re.MULTILINE)
    sentence = logged[1] if logged else (raised[-1] if raised else "")
    return f"jax does not begin with it: {sentence[:200].strip() or 'it ends unsaid'}"
