"""Every architecture keeps the contract, whatever it reads and however deep it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.contract import apply, init
from depthbench.research.architectures.family import fixed, multiples
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.signal import probes
from depthbench.research.study import families
from depthbench.research.study.errors import Refusal
from tests.autodiff import assert_log_gradients
from tests.conftest import dense_families

KEY = jax.random.key(0)
every = pytest.mark.parametrize(
    "family", ARCHITECTURES.values(), ids=list(ARCHITECTURES)
)


# The first of each file; the others differ from it in a cell, a norm or a placement.
FIRST = {f.builder.split(":")[0]: n for n, f in reversed([*ARCHITECTURES.items()])}
KINDS = [
    pytest.param(f, id=n, marks=() if n in FIRST.values() else pytest.mark.exhaustive)
    for n, f in ARCHITECTURES.items()
]
# One of each kind of state, stage and change of shape; the others differ in the layer.
# All others are run by `pytest -m exhaustive`.
PROBED = (*("transformer_decoder", "highway_cnn", "lenet5", "resnet", "lstm_chrono"),)
EXACT = [
    pytest.param(f, id=n, marks=() if n in PROBED else pytest.mark.exhaustive)
    for n, f in ARCHITECTURES.items()
    if n not in dense_families()  # with each normaliser: test_probes
]


def small(family, network, normalizer=None, **settings):
    """(a net of the family, examples that it can read)."""
    depth = 3 if family.depths.allows(3) else family.depths.examples[0]
    normalizer = normalizer or family.published_normalizer
    activation = family.activations[0] if family.activations else "tanh"
    width = 8 if family.width is None else max(8, family.width // 8)
    side = max(8, family.smallest)
    shape = {"vector": (6,), "image": (side, side, 2), "sequence": (5, 3)}[family.takes]
    x = np.random.default_rng(0).standard_normal((4, *shape)).astype(np.float32)
    settings = {"depth": depth, "width": width, **settings}
    return network(family.name, activation, normalizer, **settings), x


def loss(outputs):
    return jnp.mean(jnp.square(outputs - 0.5))


@pytest.mark.parametrize("family", KINDS)
def test_a_family_keeps_the_contract(family, network, filled):
    """Shapes and dtypes of nets and of profiles, and of a net in its other form."""
    net, x = small(family, network)
    assert net.name == family.name
    assert all(stage.depth >= 1 for stage in net.stages)
    with jax.enable_x64(True):
        wide = jax.ShapeDtypeStruct(x.shape, np.float64)
        shapes = jax.eval_shape(lambda x: init(KEY, net, x), wide)
        outputs = jax.eval_shape(lambda v, x: apply(net, v, x), shapes, wide)
        leaves = jax.tree.leaves((shapes, outputs))
        assert {leaf.dtype for leaf in leaves} == {np.dtype("float64")}
    pixels = x.shape[:3] if family.gives == "image" else x.shape[:1]
    assert outputs[0].shape == (*pixels, 3)
    variables = filled(net, x)
    signal = jax.eval_shape(lambda v: probes.signal(net, v, x, loss), variables)
    layers = sum(stage.depth for stage in net.stages)
    assert signal.log10_gradient.shape == signal.log10_length.shape == (layers + 1,)
    unit, _ = small(family, network, ntk=True, sigma_w=1.3, sigma_b=0.2)
    drawn = jax.eval_shape(lambda x: init(KEY, unit, x), x)
    assert jax.tree.structure(drawn) == jax.tree.structure(variables)


@pytest.mark.parametrize("family", EXACT)
def test_log_gradients_are_those_of_float64_autodiff(family, network, filled):
    depth = 2 if family.depths.allows(2) else family.depths.examples[0]
    more = {} if family.width is None else {"width": 4}
    if family.name == "resnet":
        depth = 14  # two equal blocks, and one that changes the shape
    if "recurrent" in family.builder:
        more["normalizer"] = "layer"  # which none of them has of its own
    net, x = small(family, network, depth=depth, **more)
    if "resnet" in family.name:  # heads read any number of channels
        net = net._replace(stages=net.stages[:2])
    # Kernels of 11 × 11 would saturate tanh, where float32 rounding decides which unit
    # is the largest of a pool.
    gain = 0.5 if family.takes == "image" else 1.0
    variables = filled(net, x, gain=0.1 if "alexnet" in family.name else gain)
    # A log10 is off by 0.43 of the relative error, some tens of float32's 1.2e-7; and
    # normalisers divide differences of a few numbers by their spread.
    assert_log_gradients(net, variables, x, loss, within=2e-5)


@every
def test_a_familys_examples_are_allowed(family):
    assert family.depths.examples
    assert all(family.depths.allows(depth) for depth in family.depths.examples)
    assert not family.depths.allows(0)
    assert set(family.activations) <= set(ACTIVATIONS)


def test_forms_of_depth():
    assert fixed(18, 34, 50).says == "18, 34 or 50"
    assert fixed(8).says == "8" and not fixed(8).allows(7)
    form = multiples(6, 2, (20, 56))
    assert form.says == "6n + 2" and form.allows(1202) and not form.allows(2)


def cells(**changed):
    cell = {
        "architecture": "mlp",
        "activation": "tanh",
        "normalizer": "none",
        "depth": 4,
        "dataset": "digits",
    }
    return {**cell, **changed}


def test_a_grid_leaves_out_what_cannot_be_built(monkeypatch):
    only = ARCHITECTURES["mlp"]._replace(
        name="odd", depths=multiples(6, 2, (8, 14, 80)), normalizers=("batch",)
    )
    monkeypatch.setattr(families, "ARCHITECTURES", {**ARCHITECTURES, "odd": only})
    grid = [
        cells(architecture=name, depth=depth, normalizer=normalizer)
        for name in ("mlp", "odd")
        for depth in (4, 16)
        for normalizer in ("none", "batch")
    ]
    buildable, lines = families.fit(grid, set())
    assert [c["depth"] for c in buildable if c["architecture"] == "odd"] == [8, 14]
    assert len([c for c in buildable if c["architecture"] == "mlp"]) == 4
    assert lines == ["skipped 2 of 4 cells: odd takes normalizer batch, not none"]
    with pytest.raises(Refusal, match=r"odd has depth 6n \+ 2, not 4; nearest: 8"):
        families.fit(grid, {"depth"})


def test_what_was_not_typed_follows_the_architecture():
    grid = [cells(architecture="resnet", depth=d, width=64) for d in (4, 64)]
    buildable, lines = families.fit(grid, set())
    assert {c["depth"] for c in buildable} == {8, 20, 56} and lines == []
    assert {(c["width"], c["normalizer"]) for c in buildable} == {(16, "batch")}
    typed = {"depth", "width", "normalizer"}
    buildable, _ = families.fit(
        [cells(architecture="resnet", depth=8, width=64)], typed
    )
    assert [(c["width"], c["normalizer"]) for c in buildable] == [(64, "none")]
    # No wider than the grid, which was chosen for the machine.
    buildable, _ = families.fit([cells(architecture="vgg", depth=16, width=32)], set())
    sizes = [(c["depth"], c["width"]) for c in buildable]
    assert sizes == [(11, 32), (13, 32), (16, 32)]


@pytest.mark.parametrize(
    ("name", "fed"),
    (("lenet5", "digits_32"), ("alexnet", "digits_64"), ("unet", "digits")),
)
def test_images_that_pooling_would_use_up_are_enlarged(name, fed):
    buildable, _ = families.fit([cells(architecture=name, width=8)], set())
    assert {c["dataset"] for c in buildable} == {fed}
    if fed != "digits":
        with pytest.raises(Refusal, match=r"sides of at least .*, not 8"):
            families.fit([cells(architecture=name, width=8)], {"dataset"})
