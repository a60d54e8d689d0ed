"""Every architecture keeps the contract, whatever it reads and however deep it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import probes
from research.activations import ACTIVATIONS
from research.architectures import ARCHITECTURES
from research.architectures.contract import apply, init
from research.architectures.family import fixed, multiples
from research.study import families
from research.study.errors import Refusal

KEY = jax.random.key(0)
every = pytest.mark.parametrize(
    "family", ARCHITECTURES.values(), ids=list(ARCHITECTURES)
)


def small(family, network, **settings):
    """(a net of the family, examples that it can read)."""
    depth = 3 if family.depths.allows(3) else family.depths.examples[0]
    normalizer = family.normalizers[0] if family.normalizers else "none"
    activation = family.activations[0] if family.activations else "tanh"
    width = 8 if family.width is None else max(8, family.width // 8)
    side = max(8, family.smallest)
    shape = {"vector": (6,), "image": (side, side, 2), "sequence": (5, 3)}[family.takes]
    x = np.random.default_rng(0).standard_normal((4, *shape)).astype(np.float32)
    settings = {"depth": depth, "width": width, **settings}
    return network(family.name, activation, normalizer, **settings), x


@every
def test_a_family_keeps_the_contract(family, network, filled):
    """Shapes, dtypes, and profiles of the right length; their values have own tests."""
    net, x = small(family, network)
    assert net.name == family.name
    assert all(stage.depth >= 1 for stage in net.stages)
    with jax.enable_x64(True):
        wide = jax.ShapeDtypeStruct(x.shape, np.float64)
        shapes = jax.eval_shape(lambda x: init(KEY, net, x), wide)
        leaves = jax.tree.leaves((shapes, jax.eval_shape(apply_of(net), shapes, wide)))
        assert {leaf.dtype for leaf in leaves} == {np.dtype("float64")}
    variables = filled(net, x, gain=0.5)
    outputs, _ = jax.eval_shape(apply_of(net), variables, x)
    assert outputs.shape[0] == len(x)

    def loss(outputs):
        return jnp.mean(jnp.square(outputs - 0.5))

    probe = lambda v: probes.signal(net, v, x, loss)
    seen = jax.eval_shape(probe, variables)
    layers = sum(stage.depth for stage in net.stages)
    assert seen.log10_gradient.shape == seen.log10_length.shape == (layers + 1,)


def apply_of(net):
    return lambda variables, x: apply(net, variables, x)


@every
def test_a_family_scales_its_draws_in_both_forms(family, network):
    """A change of sigma_w changes what the layers are drawn with, or multiplied by."""
    made = {}
    for ntk in (True, False):
        net, x = small(family, network, ntk=ntk, sigma_w=1.3, sigma_b=0.2)
        made[ntk] = jax.eval_shape(lambda x, net=net: init(KEY, net, x), x)
    assert jax.tree.structure(made[True]) == jax.tree.structure(made[False])


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
    kept, said = families.fit(grid, set())
    assert [c["depth"] for c in kept if c["architecture"] == "odd"] == [8, 14]
    assert len([c for c in kept if c["architecture"] == "mlp"]) == 4
    assert said == ["left out 2 of 4 cells: odd takes normalizer batch, not none"]
    with pytest.raises(Refusal, match=r"odd has depth 6n \+ 2, not 4; nearest: 8"):
        families.fit(grid, {"depth"})


def test_what_was_not_typed_follows_the_architecture():
    grid = [cells(architecture="resnet", depth=d, width=64) for d in (4, 64)]
    kept, said = families.fit(grid, set())
    assert {c["depth"] for c in kept} == {8, 20, 56} and said == []
    assert {(c["width"], c["normalizer"]) for c in kept} == {(16, "batch")}
    asked = {"depth", "width", "normalizer"}
    kept, _ = families.fit([cells(architecture="resnet", depth=8, width=64)], asked)
    assert [(c["width"], c["normalizer"]) for c in kept] == [(64, "none")]
    # No wider than the grid, which was chosen for the machine.
    kept, _ = families.fit([cells(architecture="vgg", depth=16, width=32)], set())
    assert [(c["depth"], c["width"]) for c in kept] == [(11, 32), (13, 32), (16, 32)]


@pytest.mark.parametrize(
    ("name", "fed"),
    (("lenet5", "digits_32"), ("alexnet", "digits_64"), ("unet", "digits")),
)
def test_images_that_pooling_would_use_up_are_enlarged(name, fed):
    kept, _ = families.fit([cells(architecture=name, width=8)], set())
    assert {c["dataset"] for c in kept} == {fed}
    if fed != "digits":
        with pytest.raises(Refusal, match="a side, not 8"):
            families.fit([cells(architecture=name, width=8)], {"dataset"})
