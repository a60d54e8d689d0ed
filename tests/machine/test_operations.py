"""Counted operations beside closed forms, and beside XLA's count where it can."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures.contract import apply, init
from depthbench.research.machine import operations


def counted(function, *args, once=False):
    return operations.count(jax.make_jaxpr(function)(*args).jaxpr, once)


def of_net(net, x, change=lambda f: f):
    """The operations of a net's outputs, or of what `change` makes of them."""
    x = jax.ShapeDtypeStruct(x, jnp.float32)
    variables = jax.eval_shape(lambda x: init(jax.random.key(0), net, x), x)
    return counted(change(lambda v, x: jnp.sum(apply(net, v, x)[0])), variables, x)


def test_a_dense_layer():
    x, w = jnp.ones((5, 7)), jnp.ones((7, 11))
    assert counted(jnp.matmul, x, w) == (2 * 5 * 7 * 11, 0)
    loss = lambda x, w: jnp.sum(jnp.tanh(x @ w))
    assert counted(loss, x, w) == (2 * 5 * 7 * 11, 2 * 5 * 11)
    assert counted(jax.grad(loss, (0, 1)), x, w).products == 3 * 2 * 5 * 7 * 11


# Along one side of 8 with a kernel of 3: all outputs see 3 but those at a padded end.
# With strides of 2 XLA pads at the end alone. A gradient multiplies the same pairs.
@pytest.mark.parametrize(
    ("padding", "stride", "pairs"),
    (("VALID", 1, 6 * 3), ("SAME", 1, 8 * 3 - 2), ("SAME", 2, 4 * 3 - 1)),
)
def test_a_convolution_meets_no_padding(padding, stride, pairs):
    x, w = jnp.ones((2, 8, 8, 6)), jnp.ones((3, 3, 3, 4))

    def loss(x, w):
        names = ("NHWC", "HWIO", "NHWC")
        return jnp.sum(
            jax.lax.conv_general_dilated(
                x,
                w,
                (stride, stride),
                padding,
                dimension_numbers=names,
                feature_group_count=2,
            )
        )

    once = 2 * 2 * 4 * 3 * pairs**2  # two groups of three channels
    assert counted(loss, x, w).products == once
    assert counted(jax.value_and_grad(loss, (0, 1)), x, w).products == 3 * once


def test_loops_branches_and_what_is_called():
    x, w = jnp.ones((4, 4)), jnp.ones((3, 4, 4))
    one = 2 * 4**3

    def scanned(x, w):
        return jax.lax.scan(lambda h, w: (jax.jit(jnp.matmul)(h, w), None), x, w)[0]

    assert counted(scanned, x, w).products == 3 * one
    assert counted(scanned, x, w, once=True).products == one
    assert operations.loops(jax.make_jaxpr(scanned)(x, w).jaxpr)
    again = jax.grad(lambda x, w: jnp.sum(jax.checkpoint(scanned)(x, w)))
    # The loss itself is not asked for, and is left out: once more, then for x alone.
    assert counted(again, x, w).products >= 2 * 3 * one

    def branched(x):
        sides = (lambda x: x @ x @ x, lambda x: x, lambda x: x @ x)
        return jax.lax.switch(1, sides, x)

    assert counted(branched, x).products == 2 * one
    endless = lambda x: jax.lax.while_loop(lambda x: x[0, 0] < 9, jnp.square, x)
    with pytest.raises(ValueError, match="how often"):
        counted(endless, x)


def test_an_lstm_and_alexnet(network):
    # Four gates of [input and state] → width, for each example and step, and the head.
    net = network("lstm", depth=7, width=8)
    assert of_net(net, (3, 7, 5)).products == 2 * 3 * (7 * 4 * 8 * (5 + 8) + 8 * 3)
    # Krizhevsky's net of two towers: 724 million multiplications, less those with zeros
    # around an image. A side of 27 meets a kernel of 5 in 5 × 27 − 6 places.
    net = network("alexnet", "relu", depth=8, width=96, outputs=1000)
    convolutions = (
        *((55 * 11, 3 * 96), (5 * 27 - 6, 48 * 256), (3 * 13 - 2, 256 * 384)),
        *((3 * 13 - 2, 192 * 384), (3 * 13 - 2, 192 * 256)),
    )
    dense = 9216 * 4096 + 4096 * 4096 + 4096 * 1000
    multiplied = dense + sum(side**2 * channels for side, channels in convolutions)
    assert of_net(net, (1, 227, 227, 3)).products == 2 * multiplied


@pytest.mark.parametrize(
    ("name", "normalizer", "depth", "x"),
    (
        ("mlp", "batch", 1, (16, 12)),
        ("resnet", "batch", 8, (2, 16, 16, 3)),
        ("transformer_pre_ln", "layer", 1, (2, 12, 16)),
    ),
)
def test_xla_agrees_where_nothing_loops(name, normalizer, depth, x, network):
    net = network(name, "relu", normalizer, depth=depth, width=16)
    x = jax.ShapeDtypeStruct(x, jnp.float32)
    variables = jax.eval_shape(lambda x: init(jax.random.key(0), net, x), x)
    loss = lambda v, x: jnp.sum(apply(net, v, x)[0] ** 2)
    traced = jax.jit(jax.value_and_grad(loss)).trace(variables, x)
    assert not operations.loops(traced.jaxpr.jaxpr)
    theirs = traced.lower().cost_analysis()
    theirs = theirs["flops"] + theirs["transcendentals"]
    # Products are equal; XLA writes some functions as several simpler operations.
    ours = operations.count(traced.jaxpr.jaxpr)
    assert ours.total == pytest.approx(theirs, rel=0.05)
    assert ours.products <= theirs


def test_what_is_kept_for_the_gradient():
    x, w = np.ones((5, 7), np.float32), np.ones((7, 11), np.float32)
    # Of a product its factors, which are given; of sin its cosine, of the output's size.
    assert operations.kept(jnp.matmul, x, w) == 0
    assert operations.kept(lambda x, w: jnp.sin(x @ w), x, w) == 4 * 5 * 11
    layers = np.ones((6, 7, 7), np.float32)

    def deep(x, layers):
        return jax.lax.scan(lambda h, w: (jnp.sin(h @ w), None), x, layers)[0]

    # Each layer's state and its cosine; the weights are given.
    assert operations.kept(deep, x, layers) == 2 * 6 * 4 * 5 * 7
