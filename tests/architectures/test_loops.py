"""Loops: the same draws, values and gradients, whichever way layers are gone through."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures import stacks
from depthbench.research.architectures.contract import (
    apply,
    divide,
    init,
    unite,
)
from depthbench.research.architectures.loops import (
    LOOPS,
    chosen,
    rematerialised,
    unrolled,
)
from depthbench.research.machine import operations

KEY = jax.random.key(0)
SEQUENCE = np.random.default_rng(0).standard_normal((3, 5, 4)).astype(np.float32)


# 7 layers are three segments of two and a rest, 9 are three of three. Batch norm has
# statistics that are handed on; an LSTM's steps share parameters and read inputs.
@pytest.mark.parametrize(
    ("name", "normalizer", "depth"), (("mlp", "batch", 7), ("lstm", "none", 9))
)
def test_what_is_kept_changes_no_value_statistic_or_gradient(
    name, normalizer, depth, network, filled
):
    net = network(name, "tanh", normalizer, depth=depth)
    less = rematerialised(net)
    assert [stage.segment for stage in less.stages] == [{7: 2, 9: 3}[depth]]
    variables = filled(net, SEQUENCE)
    params, statistics = divide(variables)

    def loss(params, net):
        key = jax.random.key(1)  # each layer's own is handed on in segments too
        outputs, after = apply(net, unite(params, statistics), SEQUENCE, True, key)
        return jnp.mean(outputs**2), (outputs, divide(after)[1])

    take = jax.jit(jax.value_and_grad(loss, has_aux=True), static_argnums=1)
    (_, plain), gradient = take(params, net)
    (_, again), other = take(params, less)
    # The same products in the same order; XLA fuses what is around them otherwise, which
    # moves float32 by some ulp, and a few layers multiply that.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, 2e-5, 1e-6), plain, again
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, 2e-4, 2e-6), gradient, other
    )


def test_memory_is_that_of_root_depth_layers(network):
    """XLA's plan of scratch memory: c + b √depth, where it is c + b depth without."""

    def scratch(depth: int, change) -> int:
        net = network("mlp", "tanh", depth=depth)
        x = jax.ShapeDtypeStruct((256, 4), jnp.float32)
        shapes = jax.eval_shape(lambda x: init(KEY, net, x), x)
        loss = lambda variables, x: jnp.mean(apply(change(net), variables, x)[0] ** 2)
        plan = jax.jit(jax.grad(loss)).lower(shapes, x).compile().memory_analysis()
        return plan.temp_size_in_bytes

    def growth(change) -> float:
        """How much more the step from 64 to 256 layers takes than that from 16 to 64."""
        shallow, middle, deep = (scratch(depth, change) for depth in (16, 64, 256))
        return (deep - middle) / (middle - shallow)

    # 4^exponent, and whatever the net's ends take is not in it. Buffers are rounded up
    # to 64 bytes, and weights (8 × 8) are 1/32 of a layer's states (256 × 8).
    assert growth(lambda net: net) == pytest.approx(4, rel=0.1)
    assert growth(rematerialised) == pytest.approx(2, rel=0.1)


def test_layers_apart_are_drawn_and_trained_as_in_the_stack(network, filled):
    """In a net of two stacks. Batch norm's statistics are handed on."""
    net = network("mlp", "tanh", "batch", depth=3)
    net = net._replace(stages=(net.stages[0], net.stages[0]._replace(depth=2)))
    apart = unrolled(net)
    assert [stage.depth for stage in apart.stages] == [1] * 5
    draw = jax.jit(lambda net: init(KEY, net, SEQUENCE), static_argnums=0)
    jax.tree.map(
        np.testing.assert_array_equal, draw(net), stacks.together(net, draw(apart))
    )

    def loss(variables, net):
        outputs, after = apply(net, variables, SEQUENCE)
        return jnp.mean(outputs**2), (outputs, divide(after)[1])

    variables_apart = filled(apart, SEQUENCE)
    take = jax.jit(jax.value_and_grad(loss, has_aux=True), static_argnums=1)
    (_, plain), gradient = take(stacks.together(net, variables_apart), net)
    (_, (outputs, after)), other = take(variables_apart, apart)
    # As above: what is fused otherwise is rounded otherwise.
    close = np.testing.assert_allclose
    jax.tree.map(
        lambda a, b: close(a, b, 2e-5, 1e-6),
        plain,
        (outputs, stacks.together(net, after)),
    )
    jax.tree.map(
        lambda a, b: close(a, b, 2e-4, 2e-6), gradient, stacks.together(net, other)
    )


@pytest.mark.parametrize("name", ("transformer_pre_ln", "transformer_decoder"))
def test_layers_apart_make_nothing_again(name, network):
    """XLA would find that it was made before, and lose what products end with."""
    net = network(name, "relu", "layer", depth=3, width=8)

    def products(net):
        x = jax.ShapeDtypeStruct((2, 16, 4), jnp.float32)
        shapes = jax.eval_shape(lambda x: init(KEY, net, x), x)
        loss = lambda variables, x: jnp.mean(apply(net, variables, x)[0] ** 2)
        counts = (
            operations.count(jax.make_jaxpr(f)(shapes, x).jaxpr).products
            for f in (loss, jax.grad(loss))
        )
        forward, both = counts
        return both / forward

    # All products but the first layer's, which reads no state, have two factors'
    # gradients: at most three times those of the way there. In a loop scores are made
    # again.
    assert 2.9 < products(unrolled(net)) < 3 < products(net)


def test_time_steps_share_their_parameters_in_any_loop(network):
    net = network("lstm", "tanh")
    assert unrolled(net) == net
    loops = [chosen(name, net, SEQUENCE) for name in LOOPS]
    assert [loop.name for loop in loops] == ["scan", "scan", "remat", "unrolled"]
    assert [loop.change(net).name for loop in loops] == ["lstm"] * 4


@pytest.mark.parametrize(
    ("width", "depth", "batch", "taken"),
    (
        (512, 2, 4, "unrolled"),
        (512, 64, 4, "unrolled"),
        (512, 65, 4, "scan"),  # each would be compiled by itself
        (511, 2, 4, "scan"),  # a layer's 511 × 511 weights and biases are below 1 MiB
        (512, 2, 513, "unrolled"),  # its biases are a row
        (512, 2, 514, "scan"),  # states are more than variables
    ),
)
def test_auto_writes_few_large_layers_out(
    width, depth, batch, taken, network, monkeypatch
):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    net = network("mlp", "tanh", width=width, depth=depth)
    x = jax.ShapeDtypeStruct((batch, 5), jnp.float32)
    assert chosen("auto", net, x).name == taken
    with pytest.raises(ValueError, match="depends on the batch"):
        LOOPS["auto"].change(net)


@pytest.mark.parametrize(
    ("width", "depth", "batch", "taken"),
    (
        (128, 32, 64, "scan"),  # whose kernels take as long to start as its copies do
        (512, 32, 4, "scan"),
        (2048, 32, 2047, "unrolled"),  # half of 32 MiB are weights, half are states
        (2048, 32, 2046, "scan"),
        (2048, 33, 2047, "scan"),
        (64, 2, 2**17, "unrolled"),  # states alone, as in a net of images
    ),
)
def test_auto_on_an_accelerator(width, depth, batch, taken, network, monkeypatch):
    """Large weights or large states: both are copied, which is what a step is bound by."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    net = network("mlp", "tanh", width=width, depth=depth)
    x = jax.ShapeDtypeStruct((batch, 5), jnp.float32)
    assert chosen("auto", net, x).name == taken


def test_auto_of_stages_that_differ_in_what_they_are_fed_alone(network):
    """Which is arrays, that are not compared with ==."""
    net = network("resnet_stochastic", "relu", "none", width=4, depth=20)
    stage = next(stage for stage in net.stages if stage.fed is not None)
    stage = stage._replace(depth=2, fed=stage.fed[:2])
    net = net._replace(stages=(stage, stage._replace(fed=1 - stage.fed)))
    x = jax.ShapeDtypeStruct((2, 8, 8, 1), jnp.float32)
    assert chosen("auto", net, x).name == "scan"


def test_layers_apart_drop_what_the_stack_drops(network, filled):
    """Each layer has its own key, which is that of its place in the whole."""
    net = network("resnet_stochastic", "relu", "none", width=4, depth=20)
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 1)).astype(np.float32)
    variables = filled(net, x)

    @jax.jit
    def outputs(key):
        cut = stacks.apart(net, variables)
        one = apply(net, variables, x, True, key)[0]
        return one, apply(unrolled(net), cut, x, True, key)[0]

    each = [np.asarray(outputs(jax.random.key(number))) for number in range(4)]
    assert not np.allclose(each[0][0], each[1][0], rtol=1e-2)
    for one, other in each:
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)  # as above
