"""Plain functions of a user's as entries: what they are is looked at, and held to it."""

import jax
import numpy as np
import pytest

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.catalogue import UnknownName
from depthbench.research.catalogues.initializers import DRAWS, INITIALIZERS, Rule
from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.catalogues.schedules import SCHEDULES
from depthbench.research.datasets import DATASETS
from depthbench.research.theory import mean_field
from depthbench.research.theory.kinks import kinks
from tests.plugged import ACTS, restored, written

KEY = jax.random.key(1)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    with restored():
        monkeypatch.chdir(tmp_path)
        yield written(tmp_path, acts=ACTS)


SOME = ("relu", "relu6", "selu", "hard_swish", "tanh")


@pytest.mark.parametrize(
    "names",
    [SOME, pytest.param(tuple(ACTIVATIONS), marks=pytest.mark.exhaustive)],
    ids=["some", "all"],
)
def test_kinks_are_found_where_they_are(names):
    for name in names:
        assert kinks(ACTIVATIONS[name].phi) == ACTIVATIONS[name].kinks, name


def test_a_function_is_an_activation_with_theory():
    own = ACTIVATIONS["acts:bent"]
    assert own.name == "acts:bent" and own.source == "acts"
    assert own.kinks == (0.0, 1.5)
    assert ACTIVATIONS["acts:bent"] is own and "acts:bent" not in ACTIVATIONS
    theory = mean_field.theory(own, 1.5, 0.1)
    entry = mean_field.theory(ACTIVATIONS["acts:BENT"], 1.5, 0.1)
    assert theory.converged and theory.chi_1 == entry.chi_1


@pytest.mark.parametrize(
    ("catalogue", "name", "line"),
    [
        (ACTIVATIONS, "acts:shared", "acts:shared: is not elementwise"),
        (ACTIVATIONS, "acts:halved", r"acts:halved: gives float32 \[2, 16\] of"),
        (ACTIVATIONS, "acts:rooted", "acts:rooted: is nan at -"),
        (ACTIVATIONS, "acts:broken", r"thing \(/.*acts.py, line \d+\)$"),
        (ACTIVATIONS, "acts:jnp", "activation acts:jnp: is a module; must be Activ"),
        (ACTIVATIONS, "acts:bend", "acts:bend: acts has no bend: did you mean bent"),
        (INITIALIZERS, "acts:bent", "acts:bent: TypeError"),
        (INITIALIZERS, "jax.nn.initializers:ones", "ones: its weights' variance is 1"),
        (OPTIMIZERS, "acts:bent", "acts:bent: has no parameter learning_rate"),
        (ARCHITECTURES, "acts:bent", "acts:bent: TypeError"),
        (ARCHITECTURES, "builtins:id", "makes int of Settings, and no Architecture"),
        (NORMALIZERS, "acts.py:bent", "acts.py: .* the file acts.py is module acts"),
        (NORMALIZERS, "acts:bent", "normalizer acts:bent: is a function; must be Norm"),
        (SCHEDULES, "acts:bent", "schedule acts:bent: is a function; must be Schedule"),
        (DATASETS, "acts:BENT", "dataset acts:BENT: is a Activation; must be Dataset"),
    ],
)
def test_what_is_none_is_one_line(catalogue, name, line):
    with pytest.raises(Mistake, match=line) as refused:
        catalogue[name]
    assert "\n" not in str(refused.value)


def test_a_mistyped_name_is_as_before():
    with pytest.raises(UnknownName, match="did you mean relu"):
        ACTIVATIONS["rleu"]


def test_a_part_of_a_catalogue_takes_them_too():
    smooth = ACTIVATIONS.only(lambda one: not one.kinks, lambda one: "has kinks")
    assert smooth["jax.nn:gelu"].name == "jax.nn:gelu"
    with pytest.raises(UnknownName, match="'acts:bent' has kinks"):
        smooth["acts:bent"]


# One of each form: what draws, and what makes such; by fan-in, and by both.
SIZES = {"he_normal": ("fan_in", 2.0), "glorot_uniform": ("average", 1.0)}


@pytest.mark.parametrize("name", SIZES)
def test_an_initializer_draws_what_it_drew(name):
    form, size = SIZES[name]
    own = INITIALIZERS[f"jax.nn.initializers:{name}"]
    assert isinstance(own.rule, Rule) and not own.independent
    measured = own.rule.sigma_w2 if form == "fan_in" else own.rule.average_w2
    assert measured == pytest.approx(size, rel=0.01)
    original = getattr(jax.nn.initializers, name)()
    for shape in ((8, 24), (3, 3, 4, 6)):
        area = int(np.prod(shape[:-2]))
        sigma_w, sigma_b = own.rule.gains(area * shape[-2], area * shape[-1])
        drawn = sigma_w * DRAWS[own.draw].kernel(KEY, shape, np.float32)
        np.testing.assert_allclose(drawn, original(KEY, shape, np.float32), rtol=1e-5)
        assert sigma_b == 0


def test_an_own_draw_is_brought_to_unit_size(folder):
    draw = "import jax\ndef draw(key, shape, dtype):\n"
    draw += "    return 0.7 * jax.random.normal(key, shape, dtype) / shape[-2] ** 0.5\n"
    draw += "def steady(key, shape, dtype):\n    return draw(key, (4, 4), dtype)\n"
    draw += "def fixed(key, shape, dtype):\n"
    draw += "    return 0.02 * jax.random.normal(key, shape, dtype)\n"
    written(folder, own_draws=draw)
    unit = DRAWS["own_draws:draw"].kernel(KEY, (600, 300), np.float32)
    assert float(np.mean(np.square(unit))) * 600 == pytest.approx(1, rel=0.02)
    with pytest.raises(Mistake, match="asked for a kernel of float32"):
        INITIALIZERS["own_draws:steady"]
    with pytest.raises(Mistake, match="neither"):
        INITIALIZERS["own_draws:fixed"]
