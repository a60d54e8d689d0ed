"""One line adds an entry to a catalogue: studies and the command line know it."""

import math
import os
import shutil
import subprocess
import sys

import pytest

ADDED = {
    "research/catalogues/activations.py": (
        '    "activation",\n    [\n',
        '        Activation("swish_beta", lambda x: x * jax.nn.sigmoid(1.7 * x), "a '
        'test of adding"),\n',
    ),
    "research/catalogues/initializers.py": (
        '    "initializer",\n    [\n',
        '        Initializer("halved", "uniform", fan_in(0.5), "a test of adding"),\n',
    ),
    "research/catalogues/normalizers.py": (
        '    "normalizer",\n    [\n',
        '        Normalizer("largest", lambda h: (jnp.zeros_like(h[..., :1]), '
        'jnp.max(h * h, -1, keepdims=True)), "a test of adding"),\n',
    ),
    "research/architectures/dense/__init__.py": (
        "FAMILIES = (\n",
        '    Family("half_mlp", "half:build", "a test of adding"),\n',
    ),
}


HALF = """
from research.architectures.dense import mlp


def build(settings):
    return mlp.build(settings)._replace(name="half_mlp")
"""


USE = """
import json
import jax
jax.config.update("jax_numpy_dtype_promotion", "strict")
from benchmarks.gradient_flow.study import AXES
from research.catalogues.activations import ACTIVATIONS
from research.signal import ensembles, measurement
from research.theory import mean_field
cell = dict(architecture="half_mlp", activation="swish_beta", initializer="halved",
            normalizer="largest", depth=3, width=8, batch=4, dataset="noise", seeds=2)
program = ensembles.Program("half_mlp", "largest", ("swish_beta",), 8, 3, 4, "noise")
(result,) = measurement.measure([cell], program, 2)
theory = mean_field.theory(ACTIVATIONS["swish_beta"], 1.5)
print(json.dumps(dict(
    axes={name: list(axis.choices) for name, axis in AXES.items() if axis.choices},
    swept=AXES["activation"].values,
    parsed=AXES["activation"].parse("--activation", "swish_beta"),
    status=result.status, slope=result.values["log10_slope"],
    sigma_w2=result.values["sigma_w2_used"], chi_1=theory.chi_1, phase=theory.phase)))
"""


@pytest.fixture(scope="module")
def enlarged(root, tmp_path_factory):
    """A copy of the source with one line added to each of four catalogues."""
    folder = tmp_path_factory.mktemp("enlarged")
    for package in ("research", "benchmarks", "experiments"):
        hidden = shutil.ignore_patterns("__pycache__", "results*", "runs")
        shutil.copytree(root / package, folder / package, ignore=hidden)
    for path, (after, line) in ADDED.items():
        text = (folder / path).read_text()
        assert text.count(after) == 1, f"{path} no longer begins its catalogue so"
        (folder / path).write_text(text.replace(after, after + line))
    (folder / "research/architectures/dense/half.py").write_text(HALF)
    return folder


def python(arguments, folder, environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={
            **environment,
            "PYTHONPATH": str(folder),
            "XLA_FLAGS": os.environ["XLA_FLAGS"],
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_an_entry_is_added_in_one_line(enlarged, clean_environment):
    import json

    done = python(["-c", USE], enlarged, clean_environment)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["axes"]["activation"][0] == "swish_beta"
    assert seen["axes"]["initializer"][0] == "halved"
    assert seen["axes"]["normalizer"][0] == "largest"
    assert seen["axes"]["architecture"][0] == "half_mlp"
    assert "swish_beta" in seen["swept"] and seen["parsed"] == ["swish_beta"]
    assert seen["status"] == "ok" and math.isfinite(seen["slope"])
    assert seen["sigma_w2"] == 0.5
    assert seen["chi_1"] > 0 and seen["phase"] in ("ordered", "critical", "chaotic")


def test_an_added_entry_is_offered_by_the_command_line(enlarged, clean_environment):
    command = "from research.cli.main import entry; entry()"
    mistyped = ["run", "gradient_flow", "--activation", "swish_bta"]
    done = python(["-c", command, *mistyped], enlarged, clean_environment)
    assert done.returncode == 2
    assert "did you mean swish_beta" in done.stderr and "Traceback" not in done.stderr
