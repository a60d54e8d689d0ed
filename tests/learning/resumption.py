"""Whether a system's run goes on from the disk as if it had never stopped."""

import jax
import numpy as np

from depthbench.research.learning import checkpoints, sweeps
from depthbench.research.learning.sweeps import Run


def assert_resumes(system, feeds, data, hyper, folder, steps: int = 4) -> None:
    """Half of the steps, saved and restored, and the rest: bit for bit the whole run.

    hyper: of one run. data: what `feeds` makes batches from.
    """
    programs = sweeps.programs(system, feeds, steps)
    seeds, hyper = sweeps.arguments([Run(0, hyper)])
    half, count = np.int32(steps // 2), np.int32(steps)
    whole, _ = programs.advance(begun(programs, seeds, hyper), hyper, data, count)
    first, _ = programs.advance(begun(programs, seeds, hyper), hyper, data, half)
    with checkpoints.open(folder) as store:
        store.save(int(half), programs.closed(first), {})
        restored = store.restore(jax.eval_shape(lambda: programs.closed(first)))
    rest, _ = programs.advance(programs.opened(restored.state), hyper, data, half)
    fresh = jax.tree.leaves(programs.closed(begun(programs, seeds, hyper)))
    moved = False
    ends = (jax.tree.leaves(programs.closed(end)) for end in (whole, rest))
    for before, one, other in zip(fresh, *ends, strict=True):
        one, other, before = map(_numbers, (one, other, before))
        np.testing.assert_array_equal(one, other)
        moved |= not np.array_equal(one, before)
    assert moved, "no step was taken"


def begun(programs, seeds, hyper):
    return programs.opened(programs.init(seeds, hyper))


def _numbers(leaf):
    keys = jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if keys else leaf)
