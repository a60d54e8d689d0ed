"""Recurrent cells as pure steps, and what they are drawn from.

A cell's product with the input is handed in as `now`; that with the state is made by
`times`. Columns of kernels are blocks of `width`, a gate each.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from depthbench.research.architectures.contract import Tree, Weights
from depthbench.research.architectures.layers import Affine, drawn, exact, sized
from depthbench.research.catalogues.initializers import Draw, Sample

Phi = Callable[[jax.Array], jax.Array]
INPUT_GATE = 0
FORGET_BIAS = 1.0  # Gers et al. 2000; Jozefowicz et al. 2015


class Cell(NamedTuple):
    """One kind of step in time.

    gates: how many blocks of `width` columns its kernels have.
    step: (times, state, now, φ) -> state, with times(h) = h W [batch, gates × width] and
      now [batch, gates × width] the input's part, its bias included.
    memory: the state is (h, c); otherwise it is h.
    forget: the block of the forget gate, which is opened by FORGET_BIAS; or None.
    biased: the last block's product has a bias of its own.
    summed: nothing but the sum of product and input is read.
    """

    gates: int
    step: Callable[[Any, Tree, jax.Array, Phi], Tree]
    memory: bool = False
    forget: int | None = None
    biased: bool = False
    summed: bool = False

    def read(self, state: Tree) -> jax.Array:
        """h [batch, width], what the cell shows of its state."""
        return state[0] if self.memory else state

    def joined(self, product: jax.Array, now: jax.Array) -> tuple[jax.Array, ...]:
        """What a step is given beside the state: both parts, or their sum."""
        return (product + now,) if self.summed else (product, now)

    def start(self, batch: int, width: int, dtype: Any) -> Tree:
        """The state before the first step: zeros."""
        h = jnp.zeros((batch, width), dtype)
        return (h, h) if self.memory else h


def _rnn(times, h, now, phi):
    return phi(times(h) + now)


def _lstm(times, state, now, phi):
    h, c = state
    i, f, g, o = jnp.split(times(h) + now, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * phi(g)
    return jax.nn.sigmoid(o) * phi(c), c


def _gru(times, h, now, phi):
    """The reset gate comes after the product, as in cuDNN and PyTorch.

    Cho et al. 2014 have it before: φ(W x + U (r h)).
    """
    old_r, old_z, old_n = jnp.split(times(h), 3, axis=-1)
    new_r, new_z, new_n = jnp.split(now, 3, axis=-1)
    r, z = jax.nn.sigmoid(old_r + new_r), jax.nn.sigmoid(old_z + new_z)
    n = phi(new_n + r * old_n)
    return n + z * (h - n)


def _mgu(times, h, now, phi):
    width = h.shape[-1]
    new_f, new_n = jnp.split(now, 2, axis=-1)
    f = jax.nn.sigmoid(times(h, slice(None, width)) + new_f)
    n = phi(times(f * h, slice(width, None)) + new_n)
    return h + f * (n - h)


RNN = Cell(1, _rnn, summed=True)
LSTM = Cell(4, _lstm, memory=True, forget=1, summed=True)  # blocks i, f, g, o
GRU = Cell(3, _gru, biased=True)  # blocks r, z, n
MGU = Cell(2, _mgu)  # blocks f, n


def by_gate(weights: Weights, gates: int) -> Weights:
    """Weights of kernels [in, gates × width] whose blocks are drawn one by one.

    So an orthogonal kernel has orthogonal gates, and fans are those of one gate.
    """

    def fans(gains):
        return lambda fan_in, fan_out: gains(fan_in, fan_out // gates)

    draw = weights.draw
    first = draw.first and _blocks(draw.first, gates)
    return weights._replace(
        draw=Draw(_blocks(draw.kernel, gates), draw.bias, first),
        gains=fans(weights.gains),
        first=weights.first and fans(weights.first),
    )


@functools.cache
def _blocks(sample: Sample, gates: int) -> Sample:
    def draw(key, shape, dtype):
        block = (*shape[:-1], shape[-1] // gates)
        # Side by side: each draw that is written out takes XLA half a second.
        draws = jax.vmap(lambda key: sample(key, block, dtype))
        made = draws(jax.random.split(key, gates))
        return jnp.moveaxis(made, 0, -2).reshape(shape)

    return draw


def identity_kernel(weights: Weights) -> Weights:
    """The same, with the identity for a kernel (Le, Jaitly & Hinton 2015)."""

    def eye(key, shape, dtype):
        return jnp.eye(*shape, dtype=dtype)

    def gains(fan_in, fan_out):
        return 1.0, weights.gains(fan_in, fan_out)[1]

    return weights._replace(draw=Draw(eye, weights.draw.bias), gains=gains)


class Recurrent(nn.Module):
    """(kernel, bias, σ_w) of a cell's product with its state, see `drawn`.

    kernel: [width, gates × width]; bias: [1, gates × width], zero but in the last block
    of a cell that has one. weights: drawn `by_gate`.
    """

    cell: Cell
    width: int
    weights: Weights
    first: bool = False

    @nn.compact
    def __call__(self, dtype: Any):
        columns = self.cell.gates * self.width
        kernel, _, sigma_w = drawn(self, (self.width, columns), dtype, with_bias=False)
        bias = jnp.zeros((1, columns), dtype)
        if self.cell.biased:
            _, sigma_b = self.weights.gains(self.width, columns)
            inner, outer = (1.0, sigma_b) if self.weights.ntk else (sigma_b, 1.0)
            last = self.param(
                "bias",
                lambda *a: sized(inner, self.weights.draw.bias, *a),
                (1, self.width),
                dtype,
            )
            bias = jnp.concatenate([bias[:, self.width :], outer * last], axis=1)
        return kernel, bias, sigma_w


class Projection(nn.Module):
    """(kernel [features, gates × width], bias) of the input's part of every step.

    longest: T of Tallec & Ollivier 2018: forget biases log u and input biases −log u,
      u uniform in [1, T − 1]; None for FORGET_BIAS.
    """

    cell: Cell
    width: int
    weights: Weights
    first: bool = False
    longest: Any = None

    @nn.compact
    def __call__(self, features: int, dtype: Any) -> tuple[jax.Array, jax.Array]:
        weights = by_gate(self.weights, self.cell.gates)
        columns = self.cell.gates * self.width
        affine = Affine(columns, weights, self.first, name="Dense_0")
        kernel, bias = affine(features, dtype)
        if self.cell.forget is None:
            return kernel, bias
        if self.longest is None:
            opened = jnp.full((self.width,), FORGET_BIAS, dtype)
            shifts = {self.cell.forget: opened}
        else:
            opened = self._chrono(dtype)
            shifts = {self.cell.forget: opened, INPUT_GATE: -opened}
        none = jnp.zeros((self.width,), dtype)
        shift = [shifts.get(gate, none) for gate in range(self.cell.gates)]
        return kernel, bias + jnp.concatenate(shift)

    def _chrono(self, dtype: Any) -> jax.Array:
        """log u [width]; in the NTK form the parameter is the draw in [0, 1]."""

        def opened(draw):
            span = jnp.maximum(jnp.asarray(self.longest, exact(dtype)) - 2, 0)
            return jnp.log1p(span * draw.astype(span.dtype)).astype(dtype)

        ntk = self.weights.ntk
        parameter = opened if not ntk else lambda draw: draw
        chrono = self.param(
            "chrono", lambda *a: parameter(jax.random.uniform(*a)), (self.width,), dtype
        )
        return opened(chrono) if ntk else chrono
