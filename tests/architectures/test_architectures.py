"""The contract of architectures: stem, stages as scans, head."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from depthbench.research.architectures.contract import (
    INPUTS,
    Architecture,
    Fed,
    Stage,
    apply,
    call,
    init,
    layer_at,
)
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.signal import jacobian, probes
from tests.conftest import dense_families

KEY = jax.random.key(0)
X = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
# A plain net and one with two maps a layer; the others are exhaustive.
every = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            n, marks=() if n in ("mlp", "highway_mlp") else pytest.mark.exhaustive
        )
        for n in dense_families()
    ],
)


def by_hand(net, variables, x, train=True):
    """Outputs and statistics by calling one module after the other."""
    h, _ = call(net.stem, variables.stem, x, train)
    statistics = []
    for stage, stacked in zip(net.stages, variables.stages, strict=True):
        for index in range(stage.depth):
            h, after = call(stage.layer, layer_at(stage, stacked, index), h, train)
            statistics.append(after)
    return call(net.head, variables.head, h, train)[0], statistics


def close(left, right, rtol=2e-5):
    """Equal but for the order of float32 sums, some tens of ulp after a few layers."""
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=2e-6), left, right
    )


# Each family once, with a normaliser twice; the other pairs are exhaustive.
SOME = ("mlp-batch", "highway_mlp-batch", "residual_mlp-none", "rezero_mlp-none")
SOME += ("residual_mlp_scaled-none",)
PAIRS = [
    pytest.param(
        *(name, normalizer),
        id=f"{name}-{normalizer}",
        marks=() if f"{name}-{normalizer}" in SOME else pytest.mark.exhaustive,
    )
    for name in dense_families()
    for normalizer in ("none", "batch")
]


@pytest.mark.parametrize(("name", "normalizer"), PAIRS)
def test_applying_is_composing_the_layers(name, normalizer, network, filled):
    net = network(name, "tanh", normalizer, depth=3)
    variables = filled(net, X)
    # Without statistics to keep, training is no different.
    for train in (True, False) if normalizer == "batch" else (True,):
        run = jax.jit(lambda v, x, t=train: apply(net, v, x, t))
        outputs, after = run(variables, X)
        expected, expected_statistics = jax.jit(
            lambda v, x, t=train: by_hand(net, v, x, t)
        )(variables, X)
        close(outputs, expected)
        stacked = jax.tree.map(lambda *a: jnp.stack(a), *expected_statistics)
        close(after.stages[0], stacked)


@every
def test_the_first_layers_of_a_deeper_net_are_the_shallower_net(name, network):
    shallow, deep = (init(KEY, network(name, depth=d), X) for d in (3, 5))
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(a, b[:3]),
        shallow.stages,
        deep.stages,
    )
    for a, b in ((shallow.stem, deep.stem), (shallow.head, deep.head)):
        jax.tree.map(np.testing.assert_array_equal, a, b)
    kernel, other = (
        next(a for a in jax.tree.leaves(v.stages) if a.ndim == 3)
        for v in (deep, init(jax.random.key(1), network(name, depth=5), X))
    )
    assert not np.array_equal(kernel[0], kernel[1])  # layers differ
    assert not np.array_equal(other, kernel)  # and so do keys


def squares(outputs):
    return jnp.mean(jnp.square(outputs - 0.5))


@every
def test_both_parametrisations_are_the_same_network(name, network):
    sigma = {"sigma_w": 1.7, "sigma_b": 0.4}

    def measured(ntk):
        net = network(name, **sigma, ntk=ntk)
        variables = init(KEY, net, X)
        run = jax.jit(
            lambda v: (
                apply(net, v, X)[0],
                probes.log_gradients(net, v, X, squares)[0],
            )
        )
        return run(variables), variables

    (outputs, gradients), variables = measured(ntk=True)
    (expected, expected_gradients), scaled = measured(ntk=False)
    close(outputs, expected)
    # Relative 2e-5 of a gradient is 1e-5 in its log10; the layers' sums add up.
    np.testing.assert_allclose(gradients, expected_gradients, atol=3e-5)
    # The parameters themselves are of unit size in one and scaled in the other.
    unit, other = (v.stem["params"]["Dense_0"] for v in (variables, scaled))
    np.testing.assert_allclose(1.7 * unit["kernel"], other["kernel"], rtol=1e-6)
    np.testing.assert_allclose(0.4 * unit["bias"], other["bias"], rtol=1e-6)


@every
def test_batch_statistics_are_updated_in_training_and_used_after(name, network, filled):
    depth, width = 5, 8
    net = network(name, "tanh", "batch", depth=depth, width=width)
    variables = filled(net, X)
    before = variables.stages[0]["statistics"]
    assert {a.shape for a in jax.tree.leaves(before)} == {(depth, 1, width)}
    train = jax.jit(lambda v, x: apply(net, v, x, True))
    later = jax.jit(lambda v, x: apply(net, v, x, False))
    _, after = train(variables, X)
    updated = after.stages[0]["statistics"]
    jax.tree.map(
        lambda a, b: np.testing.assert_equal(a.shape, b.shape), updated, before
    )
    # The first layer: 0.9 of the old and 0.1 of this batch's mean and variance.
    h, _ = call(net.stem, variables.stem, X)
    ((mean, variance),) = find(before, tuple)
    ((new_mean, new_variance),) = find(updated, tuple)
    close(new_mean[0, 0], 0.9 * mean[0, 0] + 0.1 * np.mean(h, 0))
    close(new_variance[0, 0], 0.9 * variance[0, 0] + 0.1 * np.var(h, 0))
    # Evaluation changes no statistics, uses them, and treats every example alone.
    outputs, unchanged = later(variables, X)
    jax.tree.map(
        np.testing.assert_array_equal, unchanged.stages[0]["statistics"], before
    )
    with_new = variables._replace(
        stages=({**variables.stages[0], "statistics": updated},)
    )
    assert not np.allclose(outputs, later(with_new, X)[0], atol=1e-4)
    others = np.concatenate([X[:1], 5 + 3 * X[1:]])
    close(later(variables, others)[0][0], outputs[0])
    assert not np.allclose(train(variables, others)[0][0], train(variables, X)[0][0])


def find(tree, kind):
    """The subtrees of a kind."""
    leaves = jax.tree.leaves(tree, is_leaf=lambda t: isinstance(t, kind))
    return [leaf for leaf in leaves if isinstance(leaf, kind)]


class Turn(nn.Module):
    """A layer with no activation, no statistics and a width of its own choice."""

    width: int | None = None

    @nn.compact
    def __call__(self, h, train=True):
        return jnp.sin(nn.Dense(self.width or h.shape[-1])(h))


class Affine(nn.Module):
    width: int

    @nn.compact
    def __call__(self, h, train=True):
        return nn.Dense(self.width)(h)


STAGED = Architecture(
    "staged",
    Affine(8),
    (Stage(Turn(), 3), Stage(Turn(5), 1), Stage(Turn(), 4, tied=True)),
    Affine(3),
)


def test_a_transition_and_a_tied_stage_are_stages():
    shapes = jax.eval_shape(lambda: init(KEY, STAGED, X))
    kernels = [s["params"]["Dense_0"]["kernel"].shape for s in shapes.stages]
    assert kernels == [(3, 8, 8), (1, 8, 5), (5, 5)]
    variables = init(KEY, STAGED, X)
    first, second = variables.stages[0]["params"]["Dense_0"]["kernel"][:2]
    assert not np.array_equal(first, second)
    outputs, _ = jax.jit(lambda v: apply(STAGED, v, X))(variables)
    assert outputs.shape == (4, 3)
    close(outputs, jax.jit(lambda v: by_hand(STAGED, v, X)[0])(variables))


def test_probes_go_through_transitions_and_tied_stages(filled):
    variables = filled(STAGED, X)
    signal = jax.jit(lambda v: probes.signal(STAGED, v, X, squares))(variables)
    assert signal.log10_gradient.shape == signal.log10_length.shape == (9,)
    assert signal.log10_parameter_gradient.shape == signal.saturated.shape == (8,)
    assert np.all(np.isnan(signal.saturated))  # these layers have no activation

    def last(v, h):  # the gradient at the transition's output, through the tied layers
        for _ in range(4):
            h, _ = call(STAGED.stages[2].layer, v.stages[2], h)
        return squares(call(STAGED.head, v.head, h)[0])

    h, _ = call(STAGED.stem, variables.stem, X)
    for index in range(3):
        h, _ = call(Turn(), layer_at(STAGED.stages[0], variables.stages[0], index), h)
    h, _ = call(Turn(5), layer_at(STAGED.stages[1], variables.stages[1], 0), h)
    assert h.shape == (4, 5)
    gradient = jax.jit(jax.grad(last, argnums=1))(variables, h)
    expected = np.log10(np.linalg.norm(gradient))
    np.testing.assert_allclose(signal.log10_gradient[4], expected, atol=1e-5)
    np.testing.assert_allclose(
        signal.log10_length[4], np.log10(np.mean(np.square(h))), atol=1e-5
    )


class Cell(nn.Module):
    @nn.compact
    def __call__(self, h, train=True, now=None):
        return jnp.tanh(nn.Dense(h.shape[-1])(h) + now)


class Reader(nn.Module):
    """A state of zeros, and a projection of each step's input."""

    @nn.compact
    def __call__(self, x, train=True):
        inputs = jnp.swapaxes(nn.Dense(5)(x), 0, 1)
        return Fed(jnp.zeros_like(inputs[0]), inputs)


def test_a_tied_stage_is_fed_an_input_a_step(filled):
    x = np.random.default_rng(3).standard_normal((4, 7, 2)).astype(np.float32)
    net = Architecture("fed", Reader(), (Stage(Cell(), 7, tied=True),), Affine(3))
    shapes = jax.eval_shape(lambda: init(KEY, net, x))
    variables = filled(net, x)
    jax.tree.map(
        lambda a, b: np.testing.assert_equal(a.shape, b.shape), shapes, variables
    )
    inputs = call(net.stem, variables.stem, x)[0].inputs

    def after(h, start=0):
        for step in range(start, 7):
            h, _ = call(Cell(), {**variables.stages[0], INPUTS: inputs[step]}, h)
        return call(net.head, variables.head, h)[0]

    h = jnp.zeros((4, 5))
    close(jax.jit(lambda v: apply(net, v, x)[0])(variables), jax.jit(after)(h))
    norms, _ = jax.jit(lambda v: probes.log_gradients(net, v, x, squares))(variables)
    for step in (0, 3):
        gradient = jax.jit(jax.grad(lambda h, step=step: squares(after(h, step))))(h)
        expected = np.log10(np.linalg.norm(gradient))
        np.testing.assert_allclose(norms[step], expected, atol=1e-5)
        for index in range(step, 3):
            h, _ = call(Cell(), {**variables.stages[0], INPUTS: inputs[index]}, h)
    spectrum = jax.jit(lambda v: jacobian.singular_values(net, v, x))(variables)
    last = jax.jit(jax.jacobian(lambda h: states(variables, inputs, h)))
    jacobians = last(jnp.zeros((4, 5)))
    for example in range(4):
        expected = np.linalg.svd(jacobians[example, :, example], compute_uv=False)
        np.testing.assert_allclose(
            10 ** spectrum.log10[example, :3], expected[:3], rtol=1e-4, atol=1e-8
        )


def states(variables, inputs, h):
    """The last state of the fed net."""
    for now in inputs:
        h, _ = call(Cell(), {**variables.stages[0], INPUTS: now}, h)
    return h


def test_calls_share_one_compilation(network, filled, traces):
    net = network("residual_mlp", "relu", "layer")
    run = traces(lambda v, x: apply(net, v, x)[0])
    for seed in range(3):
        run(filled(net, X, seed=seed), X + seed)
    assert run.count == 1


def test_highway_gates_start_closed(network):
    net = network("highway_mlp", sigma_w=0.0, depth=1)
    h = jnp.asarray(np.random.default_rng(1).standard_normal((4, 8)), jnp.float32)
    layer = net.stages[0].layer
    # No weights, so φ(0) = 0 and the gates are sigmoid(-2), as the paper's bias says.
    out = layer.apply(layer.init(KEY, h), h)
    np.testing.assert_allclose(out, (1 - 1 / (1 + np.exp(2.0))) * h, rtol=1e-6)
    # An open gate lets the new state through and a closed one the old.
    params = jax.tree.map(jnp.zeros_like, layer.init(KEY, h))["params"]
    params["Dense_0"]["bias"] += 0.5
    for bias, expected in ((50.0, jnp.full_like(h, np.tanh(0.5))), (-50.0, h)):
        params["gate"]["bias"] = jnp.full(8, bias)
        np.testing.assert_allclose(
            layer.apply({"params": params}, h), expected, rtol=1e-6
        )


@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_rezero_starts_as_the_identity(normalizer, network):
    net = network("rezero_mlp", "relu", normalizer, sigma_w=3.0, sigma_b=1.0)
    h = jnp.asarray(np.random.default_rng(1).standard_normal((4, 8)), jnp.float32)
    layer = net.stages[0].layer
    variables = layer.init(KEY, h)
    np.testing.assert_array_equal(call(layer, variables, h)[0], h)
    # But alpha learns: it has a gradient, and what it opens is the branch.
    params = {**variables["params"], "alpha": jnp.full((1, 1), 0.5)}
    opened, _ = call(layer, {**variables, "params": params}, h)
    assert not np.allclose(opened, h, atol=0.1)


def test_branches_of_the_scaled_net_are_divided_by_root_depth(network, filled):
    nets = [
        network("residual_mlp_scaled", depth=16),
        network("residual_mlp_scaled", depth=5, active_depth=16),
        network("residual_mlp", depth=5),
    ]
    h = np.random.default_rng(1).standard_normal((4, 8)).astype(np.float32)
    variables = layer_at(nets[2].stages[0], filled(nets[2], X).stages[0], 0)
    steps = [call(net.stages[0].layer, variables, h)[0] - h for net in nets]
    np.testing.assert_array_equal(steps[0], steps[1])
    # A difference from h ≈ 1 keeps an absolute error of ε.
    np.testing.assert_allclose(4 * steps[0], steps[2], atol=2e-6)


def test_the_mlp_is_pytorchs(network, filled):
    torch = pytest.importorskip("torch", reason="torch is not installed (extra: peers)")
    net = network("mlp", "tanh", depth=5)
    variables = filled(net, X)

    def loss(v, x):
        return squares(apply(net, v, x)[0])

    outputs = jax.jit(lambda v, x: apply(net, v, x)[0])(variables, X)
    gradient = jax.jit(jax.grad(loss))(variables, X)

    def dense(params, index=None):
        params = params["params"]["Dense_0"]
        kernel, bias = (
            params[n] if index is None else params[n][index] for n in ("kernel", "bias")
        )
        layer = torch.nn.Linear(*kernel.shape)
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(np.array(kernel.T)))
            layer.bias.copy_(torch.tensor(np.array(bias)))
        return layer

    hidden = [dense(variables.stages[0], index) for index in range(5)]
    layers = [dense(variables.stem), *hidden, dense(variables.head)]
    h = layers[0](torch.tensor(X))
    for layer in layers[1:]:
        h = layer(torch.tanh(h))
    ((h - 0.5) ** 2).mean().backward()
    np.testing.assert_allclose(outputs, h.detach().numpy(), rtol=1e-4, atol=1e-6)
    ours = [gradient.stem["params"]["Dense_0"]]
    stacked = gradient.stages[0]["params"]["Dense_0"]
    ours += [jax.tree.map(lambda a, i=i: a[i], stacked) for i in range(5)]
    ours += [gradient.head["params"]["Dense_0"]]
    for mine, theirs in zip(ours, layers, strict=True):
        # Two libraries' float32 sums and tanh, seven layers deep.
        for value, other in (
            (mine["kernel"].T, theirs.weight.grad),
            (mine["bias"], theirs.bias.grad),
        ):
            size = float(np.max(np.abs(value)))
            np.testing.assert_allclose(
                value, other.numpy(), rtol=1e-4, atol=1e-5 * size
            )
