"""A cell run over a sequence, in the form that suits its device.

Both forms are a scan with a derivative that is written out, so that a kernel's gradient is
one product over all steps: a plain scan adds up one for each step, which takes longer than
all the rest. They differ in what costs most. On a CPU that is new memory: the input's part
is made step by step, and the cell's own part again on the way back. On an accelerator it
is the start of a kernel: what no step waits for is one product for all of them, and several
steps are one turn of the loop. docs/cost.md counts the kernels.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from depthbench.research.architectures import walk
from depthbench.research.architectures.contract import Tree
from depthbench.research.architectures.layers import product
from depthbench.research.architectures.recurrent.cells import Cell, Phi

Pair = tuple[jax.Array, jax.Array]  # kernel, bias


def over_time(
    cell: Cell,
    phi: Phi,
    recurrent: Pair,
    inputs: Pair,
    x: jax.Array,
    reverse: bool = False,
    start: Tree = None,
) -> jax.Array:
    """h [time, batch, width] of a cell whose product with h is one.

    recurrent: (kernel, bias) of products with the state. inputs: of those with
      x [time, batch, features]. reverse: from the last step to the first. start: the
      state before the first one; zeros unless given.
    """
    run = _by_step if form() == "step by step" else _in_blocks
    if start is None:
        start = cell.start(x.shape[1], recurrent[0].shape[0], x.dtype)
    return run(cell, phi, recurrent, inputs, start, x, reverse)


def form() -> str:
    """How a sequence is gone through here: "step by step" or "in blocks"."""
    return "step by step" if jax.default_backend() == "cpu" else "in blocks"


def _step(cell: Cell, phi: Phi, state: Tree, part: jax.Array, now: Any = 0.0) -> Tree:
    """The state after a step; part: the product with h, or its sum with `now`."""
    return cell.step(lambda h: part, state, now, phi)


def _push(
    cell: Cell, phi: Phi, state: Tree, operands, d_state: Tree, d_operands
) -> Tree:
    """The tangent of a step's state."""
    step = partial(_step, cell, phi)
    return jax.jvp(step, (state, *operands), (d_state, *d_operands))[1]


def _mapped(x: jax.Array, maps: Pair) -> jax.Array:
    kernel, bias = maps
    return product(x, kernel) + bias[None, None]


def _tangents(scan, cell: Cell, phi: Phi, kernel: jax.Array, points, d_start, along):
    """The tangents of h at all steps: a linear scan, which is what is transposed.

    points: the state before each step and the operands of it. along: the operands'
      tangents, but for the product's with d_h.
    """
    push = jax.checkpoint(partial(_push, cell, phi), prevent_cse=False)

    def body(d_state, steps):
        before, operands, (d_first, *rest) = steps
        d_first = d_first + cell.read(d_state) @ kernel
        d_state = _held(cell, push(before, operands, d_state, (d_first, *rest)))
        return d_state, cell.read(d_state)

    return scan(body, d_start, (*points, along))


def _held(cell: Cell, state: Tree) -> Tree:
    """The state, its memory as an array of its own.

    Within a block XLA would work c out again from the block's first, at every step.
    """
    if not cell.memory or form() == "step by step":
        return state
    h, c = state
    return h, jax.lax.optimization_barrier(c)


def _by_step(cell, phi, recurrent, inputs, start, x, reverse):
    def scan(body, start, steps):
        return jax.lax.scan(body, start, steps, reverse=reverse)[1]

    def advance(recurrent, inputs, state, x):
        """(the state after reading x [batch, features], the operands of its step)."""
        (kernel, bias), (into, shift) = recurrent, inputs
        part = cell.read(state) @ kernel + bias[None]
        operands = cell.joined(part, x @ into + shift[None])
        return _step(cell, phi, state, *operands), operands

    @jax.custom_jvp
    def run(recurrent, inputs, start, x):
        def body(state, x):
            state, _ = advance(recurrent, inputs, state, x)
            return state, cell.read(state)

        return scan(body, start, x)

    @run.defjvp
    def _(primals, tangents):
        recurrent, inputs, start, x = primals
        d_recurrent, d_inputs, d_start, d_x = tangents

        def body(state, x):
            after, operands = advance(recurrent, inputs, state, x)
            return after, (cell.read(after), state, operands)

        after, *points = scan(body, start, x)
        d_product = _mapped(cell.read(points[0]), d_recurrent)
        d_now = _mapped(x, d_inputs) + product(d_x, inputs[0])
        along = cell.joined(d_product, d_now)
        return after, _tangents(scan, cell, phi, recurrent[0], points, d_start, along)

    return run(recurrent, inputs, start, x)


def _in_blocks(cell, phi, recurrent, inputs, start, x, reverse):
    """States alone leave the loop: what a gradient needs of them is one product more."""
    unroll = walk.turn(len(x))

    def scan(body, start, steps):
        return jax.lax.scan(body, start, steps, reverse=reverse, unroll=unroll)[1]

    def states(recurrent, start, now):
        kernel, bias = recurrent

        def body(state, now):
            part = cell.read(state) @ kernel + bias[None]
            state = _held(cell, _step(cell, phi, state, *cell.joined(part, now)))
            return state, state

        return scan(body, start, now)

    @jax.custom_jvp
    def run(recurrent, start, now):
        return cell.read(states(recurrent, start, now))

    @run.defjvp
    def _(primals, tangents):
        recurrent, start, now = primals
        d_recurrent, d_start, d_now = tangents
        after = states(recurrent, start, now)
        before = jax.tree.map(partial(_shifted, reverse), start, after)
        h = cell.read(before)
        points = before, cell.joined(_mapped(h, recurrent), now)
        along = cell.joined(_mapped(h, d_recurrent), d_now)
        kernel = recurrent[0]
        d_h = _tangents(scan, cell, phi, kernel, points, d_start, along)
        return cell.read(after), d_h

    return run(recurrent, start, _mapped(x, inputs))


def _shifted(reverse: bool, start: jax.Array, after: jax.Array) -> jax.Array:
    """The states before each step [time, …], of those after it."""
    first = start[None]
    parts = (after[1:], first) if reverse else (first, after[:-1])
    return jnp.concatenate(parts)
