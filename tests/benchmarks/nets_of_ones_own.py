"""Nets as a user may name them, some of them wrong; they know nothing of depthbench."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

WIDTH = 6


def chain(depth, key):
    """Layers of sigmoid, whose gradient vanishes."""
    weights = jax.random.normal(key, (depth, WIDTH, WIDTH)) / WIDTH**0.5

    def f(params, x):
        for weight in params:
            x = jax.nn.sigmoid(x @ weight)
        return x

    return f, list(weights)


def seeded(depth, seed):
    return chain(depth, jax.random.key(seed))


def fixed(depth):
    return chain(depth, jax.random.key(1))


class Linen(nn.Module):
    depth: int = 2

    @nn.compact
    def __call__(self, x):
        for number in range(self.depth):
            x = x + jnp.tanh(nn.Dense(WIDTH, name=f"layer_{number}")(x))
        return x


lone = Linen()


class Module(nnx.Module):
    """An NNX module, which draws its parameters when it is built."""

    def __init__(self, depth, *, rngs):
        layers = [nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(depth)]
        self.layers = nnx.List(layers)

    def __call__(self, x):
        for layer in self.layers:
            x = x + nnx.tanh(layer(x))
        return x


def language(depth, seed):
    first, *others = jax.random.split(jax.random.key(seed), depth + 1)

    def f(params, tokens):
        h = params[0][tokens]
        for weight in params[1:]:
            h = h + jnp.tanh(h @ weight)
        return h @ params[0].T

    table = jax.random.normal(first, (20, WIDTH))
    return f, [table, *(jax.random.normal(k, (WIDTH, WIDTH)) / 3 for k in others)]


def next_token(logits, tokens):
    picked = jax.nn.log_softmax(logits)[:, :-1]
    return -jnp.take_along_axis(picked, tokens[:, 1:, None], -1).mean()


def both(depth, key):
    """Two inputs of different shapes."""
    f, params = chain(depth, key)
    return lambda p, x: f(p, x[0] * x[1]), params


def undefined(depth, key):
    return lambda p, x: jnp.log(-jnp.abs(x @ p)) @ p, jnp.eye(WIDTH)


def unread(depth, key):
    """All states behind a weight of 0, as of a head that begins there."""
    f, params = chain(depth, key)
    return lambda p, x: f(p[0], x) @ p[1], (params, jnp.zeros((WIDTH, 2)))


def odd(depth):
    if depth % 2 == 0:
        raise ValueError("the depth must be odd\nand this is a second line")
    return Linen(depth)


def twice(depth, more):
    """Takes what it is not given."""


def leaving(depth):
    raise SystemExit("it leaves")


def complex_net(depth, key):
    return lambda p, x: (x * p).real, 1j * jnp.ones(WIDTH)


def per_example(outputs):
    return outputs.sum(axis=1)


def last_sum(outputs):
    return outputs[:, 0].sum()


def wrong_loss(outputs):
    return outputs @ jnp.ones(3)


number = 4


class Statistics(nn.Module):
    """Batch norm, whose statistics are no parameters."""

    @nn.compact
    def __call__(self, x, train):
        return nn.BatchNorm(use_running_average=not train)(nn.Dense(WIDTH)(x))


statistics = Statistics()


def deaf(depth, key):
    return lambda p, x: p * 2, jax.random.normal(key, (4, WIDTH))
