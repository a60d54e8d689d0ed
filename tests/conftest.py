"""A strict session: what jax would let pass in silence is an error here."""

import os
from pathlib import Path

# The tests compile much and compute little: LLVM's optimiser takes a third of their time.
# What the command line starts in `clean_environment` is compiled as users have it.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
)

import jax
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]

# Commands that the tests start find the packages in a checkout nothing is installed from.
paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
os.environ["PYTHONPATH"] = os.pathsep.join(paths)

# Broadcasting over a missing axis, or a float32 met by a float64, is a mistake until
# the code says otherwise. A second device shows what is placed on the first by luck.
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_num_cpu_devices", 2)


@pytest.fixture(scope="session")
def clean_environment():
    """Variables for a subprocess: those it needs to start, and no settings of ours."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    return {**environment, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout's folder."""
    return ROOT


# Another family but for one number, whose effect has a test of its own.
VARIANTS = ("mlp_mup", "highway_mlp_closed")


def dense_families() -> list[str]:
    """Architectures of one stage of equal dense layers, whose whole story is tested."""
    from research.architectures import ARCHITECTURES

    return [
        name
        for name, family in ARCHITECTURES.items()
        if family.takes == "vector" and family.repeats and name not in VARIANTS
    ]


@pytest.fixture(scope="session")
def network():
    """A builder of small networks, by the names of catalogue entries."""
    from research.architectures import ARCHITECTURES
    from research.architectures.contract import Settings, Weights
    from research.catalogues.activations import ACTIVATIONS
    from research.catalogues.initializers import DRAWS
    from research.catalogues.normalizers import NORMALIZERS

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
    from research.architectures.contract import init

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


def pytest_report_header() -> str:
    return f"jax {jax.__version__} on {jax.default_backend()}"
