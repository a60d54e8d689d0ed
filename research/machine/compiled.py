"""Compiled programs, kept on disk from one command to the next.

jax names an entry by the program, jaxlib's version, XLA's flags and options. What else
decides the machine code names the folder: the processor, or the accelerator's kind and
driver. A program that is read is the one that was written, so that bits are equal.
"""

import contextlib
import hashlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from depthbench.research.machine import host, settings

BOUND = 2**30  # bytes of all programs; beyond them those go that were used longest ago
VARIABLE = "JAX_COMPILATION_CACHE_DIR"
DAMAGED = "Error (reading|writing) persistent compilation cache entry"

_wanted: bool | None = None  # by the command that runs; None outside of one
_before: dict[str, Any] = {}  # settings of jax that the command has changed


class Size(NamedTuple):
    """How much is kept: programs, and their bytes."""

    programs: int
    bytes: int


@contextlib.contextmanager
def kept(wanted: bool | None) -> Iterator[None]:
    """In the block, `begin` has jax keep what it compiles, or compile everything."""
    global _wanted
    _wanted = wanted
    try:
        yield
    finally:
        _wanted = None
        if _before:
            _configure(**_before)
            _before.clear()


def wanted() -> bool | None:
    """What the command that runs has asked of `kept`; None outside of one."""
    return _wanted


@contextlib.contextmanager
def anew() -> Iterator[None]:
    """In the block, everything is compiled, as where the time of it is measured."""
    before = _configure(jax_enable_compilation_cache=False)
    try:
        yield
    finally:
        _configure(**before)


@contextlib.contextmanager
def kept_in(folder: Path | str) -> Iterator[None]:
    """In the block, all that is compiled is kept in a folder, or read from it."""
    before = _configure(
        jax_enable_compilation_cache=True,
        jax_compilation_cache_dir=str(folder),
        jax_persistent_cache_min_compile_time_secs=0.0,
        jax_persistent_cache_min_entry_size_bytes=-1,
    )
    try:
        yield
    finally:
        _configure(**before)


LEVEL = "xla_backend_optimization_level"


def lightly(level: int = 1) -> dict[str, Any] | None:
    """`compiler_options` of a program that runs a few times, and takes longer to compile.

    level: LLVM's, in place of its third. At 1 draws of many nets' weights are compiled in
    half the time, and their bits are the same, as of all that is done element by element;
    of sums the last need not be. At 0 a fresh U-Net's gradients take 0.6 of the time, and
    run in twice as long. None on other devices than a CPU, and where XLA_FLAGS names a
    level.
    """
    import jax

    named = LEVEL in os.environ.get("XLA_FLAGS", "")
    return None if named or jax.default_backend() != "cpu" else {LEVEL: level}


def begin(jax: Any) -> list[str]:
    """Has jax keep what it compiles, if the command does; lines on why it cannot.

    A folder that the user has named is taken as it is. Processes that run together
    would have to find the same programs, or wait for each other: they keep none.
    """
    if _wanted is False:
        _change(jax_enable_compilation_cache=False)
        return []
    named = jax.config.jax_compilation_cache_dir
    if named:
        return _lines(Path(named), foreign=True) if "://" not in named else []
    if not _wanted or not jax.config.jax_enable_compilation_cache:
        return []
    if jax.process_count() > 1:
        return []
    try:
        folder = place(jax.devices()[0])
    except RuntimeError as error:
        return [f"no folder for compiled programs: {error}; none are kept"]
    lines = _lines(folder, foreign=False)
    if not lines:
        trim(folder.parent)
        _change(jax_compilation_cache_dir=str(folder), **_small(jax.default_backend()))
    return lines


def _small(platform: str) -> dict[str, Any]:
    """Settings by which small programs are kept too, where the user has set none.

    XLA's own caches are of an accelerator's timings of kernels, and named by the folder.
    """
    standard = {
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    if platform == "cpu":
        standard["jax_persistent_cache_enable_xla_caches"] = "none"
    return {n: v for n, v in standard.items() if n.upper() not in os.environ}


def home() -> Path:
    """The user's folder of caches. Raises RuntimeError where there is no home."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):
        return Path(given)
    if sys.platform == "darwin":
        return _user() / "Library" / "Caches"
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"])
    return _user() / ".cache"


def _user() -> Path:
    folder = Path.home()
    if not folder.is_absolute():  # each folder that a command is run in would have one
        raise RuntimeError(f"HOME={folder} is not an absolute path")
    return folder


def place(device: Any) -> Path:
    """The folder for programs of this device, processor and jaxlib."""
    return home() / "depthbench" / "compiled" / name(device)


def name(device: Any) -> str:
    """The folder's name: another one where machine code may be another."""
    import jaxlib.version

    version = jaxlib.version.__version__
    on = device.client.platform_version, device.device_kind
    decides = [version, device.platform, *on, host.instructions()]
    decides += [f"{n}={os.environ.get(n, '')}" for n in settings.BELOW]
    digest = hashlib.sha256("\n".join(decides).encode()).hexdigest()
    return f"jaxlib-{version}-{device.platform}-{digest[:12]}"


def where() -> Path | None:
    """The folder that programs are kept in, or would be; None where they are not."""
    import jax

    if not jax.config.jax_enable_compilation_cache:
        return None
    named = jax.config.jax_compilation_cache_dir
    return Path(named) if named else place(jax.devices()[0])


def size(folder: Path) -> Size:
    """How much a folder has, and those in it."""
    files = _files(folder)
    programs = sum(path.endswith("-cache") for _, _, path in files)
    return Size(programs, sum(size for _, size, _ in files))


def trim(folder: Path, bound: int = BOUND) -> None:
    """Removes files until the rest is within the bound, those used longest ago first.

    And empty ones, as a full disk leaves them: jax writes no entry that is there.
    """
    files = sorted(_files(folder))
    left = sum(size for _, size, _ in files)
    for _, size, path in files:
        if size and left <= bound:
            continue
        with contextlib.suppress(OSError):  # another process has removed it
            os.unlink(path)
        left -= size


def _files(folder: Path | str) -> list[tuple[float, int, str]]:
    """When it was used last, bytes and path of each file, at any depth."""
    found: list[tuple[float, int, str]] = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found += _files(entry.path)
                continue
            with contextlib.suppress(OSError):
                about = entry.stat(follow_symlinks=False)
                used = max(about.st_atime, about.st_mtime)
                found.append((used, about.st_size, entry.path))
    return found


def _lines(folder: Path, foreign: bool) -> list[str]:
    """A line on why nothing is kept in a folder, which is made where it is not there.

    foreign: it is named by the user.
    """
    # jax goes on without an entry, and would say so of each, with a path of its own.
    warnings.filterwarnings("ignore", message=DAMAGED)
    why = unusable(folder, foreign)
    where = f"{VARIABLE}={folder}" if foreign else folder
    return [f"{where}: {why}; what is compiled is not kept there"] if why else []


def unusable(folder: Path, foreign: bool) -> str:
    """Why nothing can be kept in a folder, which is made where it is not; or "".

    foreign: it is named by the user, who may share it with others.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        # Who can write there can have this process run code: jax says to trust nobody.
        if (
            not foreign
            and hasattr(os, "getuid")
            and folder.stat().st_uid != os.getuid()
        ):
            return "belongs to another user"
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _change(**values: Any) -> None:
    """Until the command ends."""
    for setting, value in _configure(**values).items():
        _before.setdefault(setting, value)


def _configure(**values: Any) -> dict[str, Any]:
    """Gives jax's settings these values; those of before."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    before = {setting: jax.config.values[setting] for setting in values}
    for setting, value in values.items():
        jax.config.update(setting, value)
    compilation_cache.reset_cache()  # what was read of the settings before
    return before
