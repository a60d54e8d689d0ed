"""A strict session: what jax would let pass in silence is an error here."""

import contextlib
import ctypes
import fcntl
import gc
import importlib.metadata
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

# The tests compile much and compute little: LLVM's optimiser takes a third of their time,
# and what writes fused kernels half of the rest, where it can still be turned off.
# What the command line starts in `clean_environment` is compiled alike.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    + " --xla_cpu_use_fusion_emitters=false"
    * importlib.metadata.version("jaxlib").startswith("0.10."),
)

# A program that was compiled once is not compiled again: not by another worker, nor by a
# command that a test starts, nor by the next session. jax names entries by the program,
# jaxlib's version, XLA's flags and the processor's instructions; and, if XLA's own caches
# for GPUs were on, by the folder.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR",
    str(Path(__file__).resolve().parents[1] / ".cache" / "xla"),
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
os.environ.setdefault("JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES", "none")

# pytest-xdist's, which would break the lines of tables.
os.environ.pop("COLUMNS", None)

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from tests import slow

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "xla"
LINUX = sys.platform == "linux"
CACHE_DAYS = 30  # after which an entry is made anew: most are of code that is gone

# Commands that the tests start find the packages in a checkout nothing is installed from.
paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
os.environ["PYTHONPATH"] = os.pathsep.join(paths)

# Broadcasting over a missing axis, or a float32 met by a float64, is a mistake until
# the code says otherwise. A second device shows what is placed on the first by luck.
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_num_cpu_devices", 2)


# A session that a script begins in the background ignores Ctrl-C, and so would commands
# that tests start, as they should.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def clean_environment():
    """Variables for a subprocess: those it needs to start, and no settings of ours but
    how programs are compiled, and where they are kept."""
    names = (
        *("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH"),
        "XLA_FLAGS",
        "JAX_COMPILATION_CACHE_DIR",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES",
        "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES",
    )
    environment = {name: os.environ[name] for name in names if name in os.environ}
    return {**environment, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session", autouse=True)
def reports_need_no_jax():
    """Whatever report a test has written, jax is out of its reach."""
    from depthbench.research.report import study_report, training_report
    from tests.without_jax import without_jax

    with pytest.MonkeyPatch.context() as patch:
        for report in (study_report, training_report):
            for name in ("write", "present"):
                patch.setattr(report, name, without_jax()(getattr(report, name)))
        yield


@pytest.hookimpl(tryfirst=True)  # before those are left out that have the mark
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests that take long: tests/slow.py."""
    long = slow.names()
    for item in items:
        if item.nodeid.partition("[")[0] in long:
            item.add_marker(pytest.mark.slow)


# Python's collector looks at all objects there are, and a worker has many that stay: jax's
# modules and the tests themselves. Tracing makes millions: looked at after each 700, as is
# usual, they took a twelfth of the time of tests of nets.
def pytest_collection_finish():
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


KEPT = 3 * 2**30  # bytes of a worker, from which on it forgets its programs


@pytest.fixture(scope="module", autouse=True)
def memory_stays_bounded():
    """A worker that ran a file of tests does not keep programs of all the others too."""
    yield
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if LINUX else 0
    if pages * os.sysconf("SC_PAGE_SIZE") > KEPT:
        jax.clear_caches()
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").malloc_trim(0)


@pytest.fixture
def compiled_anew():
    """Every program is compiled, whether or not it was before: its time is looked at."""
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """A maker of folders that all workers share: `once(name, make)` calls `make(folder)`
    in the worker that asks first. Who writes in one copies it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def folder(name: str, make: Callable[[Path], None]) -> Path:
        path, marker = shared / f"once-{name}", shared / f"once-{name}.made"
        with (shared / f"once-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not marker.exists():
                shutil.rmtree(path, ignore_errors=True)  # of a worker that failed
                make(path)
                marker.touch()
        return path

    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout's folder."""
    return ROOT


# Another family but for one number, whose effect has a test of its own.
VARIANTS = ("mlp_mup", "highway_mlp_closed")


def dense_families() -> list[str]:
    """Architectures of one stage of equal dense layers, whose whole story is tested."""
    from depthbench.research.architectures import ARCHITECTURES

    return [
        name
        for name, family in ARCHITECTURES.items()
        if family.takes == "vector" and family.repeats and name not in VARIANTS
    ]


@pytest.fixture(scope="session")
def network():
    """A builder of small networks, by the names of catalogue entries."""
    from depthbench.research.architectures import ARCHITECTURES
    from depthbench.research.architectures.contract import Settings, Weights
    from depthbench.research.catalogues.activations import ACTIVATIONS
    from depthbench.research.catalogues.initializers import DRAWS
    from depthbench.research.catalogues.normalizers import NORMALIZERS

    def build(
        architecture="mlp",
        activation="tanh",
        normalizer="none",
        *,
        draw="normal",
        sigma_w=1.0,
        sigma_b=0.0,
        width=8,
        depth=5,
        active_depth=None,
        outputs=3,
        ntk=False,
    ):
        phi = ACTIVATIONS[activation].phi
        gains = (sigma_w, sigma_b)
        settings = Settings(
            width=width,
            depth=depth,
            activation=phi,
            weights=Weights(DRAWS[draw], lambda fan_in, fan_out: gains, ntk),
            normalizer=NORMALIZERS[normalizer],
            outputs=outputs,
            active_depth=depth if active_depth is None else active_depth,
        )
        return ARCHITECTURES[architecture].build(settings)

    return build


@pytest.fixture(scope="session")
def filled():
    """A maker of variables that are no initialiser's: nothing in them is 0 or 1.

    So gates are open and biases count; and numpy draws them, as compiling jax's
    samplers takes longer than most tests.
    """
    from depthbench.research.architectures.contract import init

    def fill(net, x, gain=1.0, seed=0):
        random = np.random.default_rng(seed)

        def value(path, leaf):
            name = jax.tree_util.keystr(path[-1:])
            draw = random.standard_normal(leaf.shape)
            if "kernel" in name:
                draw *= gain * leaf.shape[-2] ** -0.5
            elif "scale" in name:
                draw = 1 + 0.3 * draw
            elif "statistics" in jax.tree_util.keystr(path):
                draw = 0.5 + draw**2  # variances among them
            else:
                draw *= 0.3
            return np.asarray(draw, leaf.dtype)

        shapes = jax.eval_shape(lambda key: init(key, net, x), jax.random.key(0))
        return jax.tree_util.tree_map_with_path(value, shapes)

    return fill


@pytest.fixture
def traces():
    """A decorator that jits, and counts how often the function was traced."""

    def counted(function):
        def noting(*arguments):
            run.count += 1
            return function(*arguments)

        def run(*arguments):
            return compiled(*arguments)

        compiled, run.count = jax.jit(noting), 0
        return run

    return counted


def pytest_configure(config: pytest.Config) -> None:
    """Removes old compiled programs, in the process that starts the workers."""
    if hasattr(config, "workerinput"):
        return
    for entry in CACHE.glob("*-cache"):
        with contextlib.suppress(FileNotFoundError):  # another session removed it
            if time.time() - entry.stat().st_mtime > CACHE_DAYS * 86400:
                entry.unlink()


def pytest_report_header() -> str:
    return f"jax {jax.__version__} on {jax.default_backend()}"
