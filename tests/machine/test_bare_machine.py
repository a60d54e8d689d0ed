"""From the source tree with jax, flax, optax, orbax and matplotlib, and nothing else.

So it is on rented accelerators: what is missing is carried along, or said.
"""

import sys

import numpy as np
import pytest

from depthbench.research.catalogues import packages
from depthbench.research.cli import claims
from depthbench.research.cli.main import main
from depthbench.research.datasets import DATASETS
from depthbench.research.study.studies import studies
from tests.test_layering import IMPORTS, NAMES, PACKAGES

# scipy and jaxlib come with jax, rich with flax, Pillow with matplotlib, numpy with all.
THERE = {"jax", "flax", "optax", "orbax", "matplotlib", "numpy", "scipy", "rich"}
THERE |= {"msgspec", "PIL", "jaxlib"}
# What says in one line that it needs more: an import in a function, or by `lazy`.
SYSTEMS = (
    *("experiments.unsupervised.", "experiments.reuse.", "experiments.scrutiny."),
    *("experiments.training.", "experiments.vision.", "experiments.sequences."),
    *("experiments.generation.", "experiments.acting.", "research.learning."),
)
# Packages of the extra `systems`, which `packages.need` says are missing.
EXTRA = {*packages.EXTRAS["systems"], *packages.READ}
ALLOWED = {
    "research.datasets.mnist1d": {"mnist1d"},
    "research.datasets.tfds_examples": {"tensorflow_datasets"},
    "research.engine.trackers.tensorboard": {"tensorboardX", "torch"},
    "research.engine.engines.on_ray": {"ray"},  # once --on asks for it
    "research.engine.engines.on_slurm": {"submitit"},
    "research.report.frames": {"pandas"},
    "experiments.training.digits": {"sklearn"},
    "research.machine.threads": {"threadpoolctl"},  # scikit-learn's own
    "research.datasets.photographs": {"sklearn"},
    # Studies of systems stand beside scikit-learn's methods, when they run.
    **{name: {"sklearn"} for name in NAMES if name.startswith(SYSTEMS)},
}


@pytest.fixture
def bare(monkeypatch):
    """Imports fail of what such a machine lacks."""
    lacking = ("sklearn", "mnist1d", "tensorflow_datasets", "torch", "keras", "equinox")
    lacking += tuple(EXTRA)
    loaded = [name for name in sys.modules if name.partition(".")[0] in lacking]
    for name in (*lacking, *loaded):
        monkeypatch.setitem(sys.modules, name, None)


def test_files_import_what_is_there_or_say_what_is_missing():
    known = THERE | set(PACKAGES) | set(sys.stdlib_module_names)
    for file, modules in IMPORTS.items():
        if "peers" in file.split("."):  # each is a library's, asked for by name
            continue
        more = {module.partition(".")[0] for module in modules} - known
        assert more - EXTRA <= ALLOWED.get(file, set()), file
    assert set(ALLOWED) <= set(NAMES)


def test_the_digits_are_carried_along(bare):
    data = DATASETS["digits"].load()
    assert data.x.shape == (1797, 8, 8, 1)


@pytest.mark.exhaustive  # their fingerprint is tested everywhere
def test_the_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    pixels = pixels - pixels.mean(axis=0)
    pixels /= np.sqrt(np.mean(pixels**2, axis=1, keepdims=True))
    data = DATASETS["digits"].load()
    np.testing.assert_array_equal(data.x.reshape(-1, 64), pixels.astype(np.float32))
    np.testing.assert_array_equal(data.y, labels)


@pytest.mark.parametrize(
    "command, words",
    [
        ("run digits --size smoke", "pip install scikit-learn"),
        ("train --dataset mnist1d --steps 1", "pip install mnist1d"),
    ],
)
def test_what_is_missing_is_one_line(command, words, bare, tmp_path, capsys):
    assert main([*command.split(), "--out", str(tmp_path / "out")]) == 2
    stderr = capsys.readouterr().err
    assert words in stderr and stderr.count("\n") == 1


def test_claims_go_on_without_a_study_that_needs_more(bare, tmp_path, capsys):
    claims.run_study(studies()["digits"], "smoke", tmp_path / "digits")
    assert "digits skipped: this needs scikit-learn" in capsys.readouterr().err
