"""Optimizers and schedules: PyTorch's, closed forms, and every entry on one problem."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from depthbench.research.architectures import stacks
from depthbench.research.architectures.contract import Architecture, Stage, Variables
from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.catalogues.optimizers import (
    OPTIMIZERS,
    Hyper,
    of_factory,
    rate,
    transformation,
)
from depthbench.research.catalogues.schedules import SCHEDULES

RANDOM = np.random.default_rng(0)
SHAPES = {"kernel": (3, 6, 4), "bias": (3, 4)}  # a stage of three layers
every = pytest.mark.parametrize("name", list(OPTIMIZERS))


def tree(scale=1.0):
    """Variables of a stem, a stage of three layers, and a head."""

    def dense(*depth):
        draw = RANDOM.standard_normal
        kernel, bias = draw((*depth, 6, 4)) * scale, draw((*depth, 4)) * scale
        return {"params": {"kernel": jnp.float32(kernel), "bias": jnp.float32(bias)}}

    return Variables(dense(), (dense(3),), dense())


def stepped(name, params, gradients, hyper):
    """The parameters after a step on each gradient."""
    entry = OPTIMIZERS[name]
    rule = transformation(entry, hyper, (False,))
    state = rule.init(params)
    for gradient in gradients:
        direction, state = rule.update(gradient, state, params)
        params = jax.tree.map(
            lambda p, d: p - hyper.learning_rate * d, params, direction
        )
    return params


TORCH = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "rmsprop": ("RMSprop", {"alpha": 0.9, "eps": 1e-8}),
    "adagrad": ("Adagrad", {}),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
}


@pytest.mark.parametrize("name", TORCH)
def test_steps_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch")
    params, gradients = tree(), [tree() for _ in range(4)]
    hyper = OPTIMIZERS[name].hyper(learning_rate=0.05, weight_decay=0.01)
    ours = jax.jit(lambda p, g: stepped(name, p, g, hyper))(params, gradients)
    leaves = jax.tree.leaves(params)
    theirs = [torch.nn.Parameter(torch.tensor(np.asarray(a))) for a in leaves]
    kind, more = TORCH[name]
    rule = getattr(torch.optim, kind)(theirs, lr=0.05, weight_decay=0.01, **more)
    for gradient in gradients:
        for parameter, array in zip(theirs, jax.tree.leaves(gradient), strict=True):
            parameter.grad = torch.tensor(np.asarray(array))
        rule.step()
    for a, b in zip(jax.tree.leaves(ours), theirs, strict=True):
        # Float32 rounding of quotients of order 1.
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=2e-5, atol=2e-6)


@every
def test_every_optimizer_finds_a_minimum(name, traces):
    """And its numbers are traced: other rates need no other program."""
    goal = tree()

    def loss(params):
        apart = jax.tree.map(lambda p, g: jnp.sum(jnp.square(p - g)), params, goal)
        return sum(jax.tree.leaves(apart))

    @traces
    def descend(params, hyper):
        entry = OPTIMIZERS[name]
        rule = transformation(entry, hyper, (False,))

        def one(carry, _):
            params, state = carry
            direction, state = rule.update(jax.grad(loss)(params), state, params)
            down = jax.tree.map(
                lambda p, d: p - hyper.learning_rate * d, params, direction
            )
            return (down, state), loss(params)

        return jax.lax.scan(one, (params, rule.init(params)), None, 40)[1]

    begin = jax.tree.map(lambda a: a + 0.3, goal)
    for factor in (1.0, 0.5):
        hyper = OPTIMIZERS[name].hyper(
            # Muon's is that of its kernels, and the others' is a small part of it.
            learning_rate=factor * (0.3 if name in ("adagrad", "muon") else 0.02),
            weight_decay=0.0,
        )
        losses = descend(begin, jax.tree.map(jnp.float32, hyper))
        assert losses[-1] < 0.5 * losses[0]
    assert descend.count == 1


def test_lamb_is_scaled_layer_by_layer():
    """A layer's step does not change when another layer's weights do."""
    params, gradient = tree(), tree()
    hyper = OPTIMIZERS["lamb"].hyper(learning_rate=0.1)
    larger = jax.tree.map(lambda a: a.at[0].multiply(5.0), params.stages[0])
    moved = params._replace(stages=(larger,))
    step = jax.jit(lambda p: stepped("lamb", p, [gradient], hyper))
    a, b = step(params).stages[0], step(moved).stages[0]
    for name in SHAPES:
        kernel, other = a["params"][name], b["params"][name]
        np.testing.assert_allclose(kernel[1:], other[1:], rtol=1e-6)
        moved_by = kernel[0] - params.stages[0]["params"][name][0]
        moved_more = other[0] - larger["params"][name][0]
        np.testing.assert_allclose(5 * moved_by, moved_more, rtol=1e-4, atol=1e-5)


def test_muon_takes_orthogonal_steps_in_stages_alone():
    params, gradient = tree(), tree()
    hyper = OPTIMIZERS["muon"].hyper(learning_rate=1.0)
    after = jax.jit(lambda p: stepped("muon", p, [gradient], hyper))(params)
    step = jax.tree.map(lambda a, b: np.asarray(a - b), params, after)
    for layer in step.stages[0]["params"]["kernel"]:
        # Five steps of its iteration bring singular values to about 1, not exactly.
        values = np.linalg.svd(layer, compute_uv=False)
        assert np.all((values > 0.6) & (values < 1.3))
    # Adam's first step is the gradient's sign; its rate beside Muon's is 3e-4 / 0.02.
    biases = step.stages[0]["params"]["bias"]
    kernels = (part["params"]["kernel"] for part in (step.stem, step.head))
    for others in (biases, *kernels):
        np.testing.assert_allclose(np.abs(others), 0.015, rtol=1e-3)


def test_muon_sees_a_convolution_as_a_matrix():
    """Of each output's inputs at all places: two of its layers, one with shared kernels."""
    draw = RANDOM.standard_normal
    for tied, shape in ((False, (2, 3, 3, 4, 5)), (True, (3, 3, 4, 50))):
        stage = {"kernel": jnp.float32(draw(shape))}
        params = Variables({}, (stage,), {})
        entry = OPTIMIZERS["muon"]
        rule = transformation(entry, entry.hyper(), (tied,))
        step, _ = jax.jit(rule.update)(params, rule.init(params), params)
        whole = np.asarray(step.stages[0]["kernel"]).reshape(-1, 36, shape[-1])
        wider = max(1.0, shape[-1] / 36) ** 0.5
        values = np.linalg.svd(whole, compute_uv=False) / wider
        assert len(whole) == (1 if tied else 2)
        assert np.all((values > 0.6) & (values < 1.3))


def test_clipping_bounds_the_whole_gradient():
    params, gradient = tree(), tree(scale=100.0)
    hyper = OPTIMIZERS["sgd"].hyper(learning_rate=1.0, clip=2.0)
    after = jax.jit(lambda p: stepped("sgd", p, [gradient], hyper))(params)
    moved = jax.tree.map(lambda a, b: jnp.sum(jnp.square(a - b)), params, after)
    assert float(sum(jax.tree.leaves(moved))) ** 0.5 == pytest.approx(2.0, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "factors"),
    [
        ("constant", [1, 1, 1, 1, 1]),
        ("cosine", [1, 0.853553, 0.5, 0.146447, 0]),
        ("linear", [1, 0.75, 0.5, 0.25, 0]),
        ("step", [1, 1, 0.1, 0.01, 0.01]),
    ],
)
def test_schedules_are_their_closed_forms(name, factors):
    hyper = Hyper(2.0, steps=80.0)
    rates = [float(rate(SCHEDULES[name], hyper, s)) for s in (0, 20, 40, 60, 80)]
    np.testing.assert_allclose(rates, 2 * np.array(factors), atol=1e-6)


@pytest.mark.parametrize("name", list(SCHEDULES))
def test_a_schedule_is_a_factor_that_can_be_mapped_over(name):
    """Of a share of training that is traced: 1 at first, and never more or less than 0."""
    done = jnp.linspace(0.0, 1.0, 9)
    factors = jax.jit(jax.vmap(SCHEDULES[name].factor))(done)
    assert factors.shape == (9,) and factors.dtype == done.dtype
    assert factors[0] == 1 and jnp.all((factors >= 0) & (factors <= 1))


def test_warm_up_comes_before_the_schedule():
    hyper = Hyper(1.0, warmup=10.0, steps=110.0)
    at = lambda step: float(rate(SCHEDULES["linear"], hyper, step))
    np.testing.assert_allclose([at(0), at(4), at(9)], [0.1, 0.5, 1.0], rtol=1e-6)
    np.testing.assert_allclose([at(10), at(60), at(110)], [1, 0.5, 0], atol=1e-6)


def test_published_numbers_are_replaced_by_those_given():
    adam = OPTIMIZERS["adam"]
    assert adam.hyper() == Hyper(1e-3, 0.9, 0.999, 1e-8)
    assert adam.hyper(learning_rate=0.5, decay=None, clip=1.0).decay == 0.999
    assert adam.hyper(learning_rate=0.5, clip=1.0).clip == 1.0


@every
def test_a_number_that_a_rule_does_not_use_is_refused(name):
    """And one that it uses changes its steps."""
    entry, params, gradients = OPTIMIZERS[name], tree(), [tree() for _ in range(3)]
    plain = jax.tree.leaves(stepped(name, params, gradients, entry.hyper()))
    for number, other in (
        ("momentum", 0.5),
        ("decay", 0.6),
        ("epsilon", 0.3),
        ("weight_decay", 0.3),
        ("clip", 0.5),
    ):
        if not entry.uses(number):
            with pytest.raises(Mistake, match=f"^{number}: optimizer {name} does not"):
                entry.hyper(**{number: other})
            continue
        hyper = entry.hyper(**{number: other})
        moved = jax.tree.leaves(stepped(name, params, gradients, hyper))
        changed = any(jnp.any(a != b) for a, b in zip(plain, moved, strict=True))
        # A rule may be of the gradient's sign; the formulas know of which it is not.
        assert changed or number == "clip"


def test_every_state_comes_apart_with_the_layers_and_goes_on_alike():
    """So training has one state, however its steps go through the layers. In one program,
    with a rule of optax that is given layer by layer."""
    stage = Stage(nn.Dense(4), 3)
    net = Architecture("", nn.Dense(4), (stage,), nn.Dense(4))
    layerwise = of_factory("optax:lars", optax.lars)
    rules = {**OPTIMIZERS, "optax:lars": layerwise}
    params, gradients = tree(), [tree(), tree(0.1)]

    @jax.jit
    def both(params, gradients):
        results = {}
        for name, entry in rules.items():
            hyper = jax.tree.map(jnp.float32, entry.hyper())
            ends = []
            for cut in (lambda tree: tree, lambda tree: stacks.apart(net, tree)):
                begun = cut(params)
                count = len(begun.stages)
                rule = transformation(entry, hyper, (False,) * count, (3,) * count)
                state = rule.init(begun)
                for gradient in gradients:
                    direction, state = rule.update(cut(gradient), state, begun)
                ends.append((direction, state))
            whole, parts = ends
            assert jax.tree.structure(parts) == jax.tree.structure(
                stacks.apart(net, whole)
            ), name
            results[name] = whole, stacks.together(net, parts)
        return results

    for name, (whole, parts) in both(params, gradients).items():
        # The same formulas of the same numbers; what is fused otherwise moves some ulp.
        close = lambda a, b, name=name: np.testing.assert_allclose(
            a, b, rtol=1e-5, atol=1e-6, err_msg=name
        )
        jax.tree.map(close, whole, parts)
