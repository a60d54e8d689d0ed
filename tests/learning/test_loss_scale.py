"""Dynamic loss scaling: the same steps as jmp's, and none where a gradient overflows."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.catalogues.losses import LOSSES
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.catalogues.schedules import SCHEDULES
from depthbench.research.learning import checkpoints, feed, loop, loss_scale, supervised
from depthbench.research.learning import system as systems
from depthbench.research.learning.supervised import Components, Numbers, system_of

X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
DATA = {
    "inputs": jnp.asarray(X),
    "targets": jnp.asarray((X[:, 0] > 0).astype(np.int32)),
}
HYPER = jax.tree.map(
    jnp.float32, Numbers(supervised.UNIT, OPTIMIZERS["adam"].hyper(steps=100.0))
)


def test_a_scale_takes_the_steps_of_jmp():
    jmp = pytest.importorskip("jmp")
    random = np.random.default_rng(1)
    for first, odds in ((2.0**16, 0.2), (4.0, 0.9), (2.0**120, 0.02)):
        theirs = jmp.DynamicLossScale(jnp.float32(first), period=3)
        ours = jnp.float32(first), jnp.int32(0)
        for finite in random.random(40) > odds:
            with jax.numpy_dtype_promotion("standard"):
                theirs = theirs.adjust(jnp.array(finite))
            ours = loss_scale.adjusted(*ours, finite, period=3)
            if theirs.loss_scale < 2.0**126:  # theirs goes on to 2^127
                assert float(ours[0]) == float(theirs.loss_scale)
            assert int(ours[1]) == int(theirs.counter)


@pytest.fixture(scope="module")
def run(network, filled):
    """(the state after some steps, losses) of small parts, from one first state."""
    net = network("mlp", "tanh", depth=3, width=8)

    def made(scaled, dtype=jnp.float32, accumulate=1):
        chosen = LOSSES["classes"], OPTIMIZERS["adam"], SCHEDULES["constant"]
        return Components(
            net, *chosen, dtype=dtype, scaled=scaled, accumulate=accumulate
        )

    def begin(parts):
        variables = jax.tree.map(jnp.asarray, filled(net, X))
        learner = supervised.learner(parts, variables, HYPER.rule)
        return systems.start(learner, jax.random.key(0))

    def steps(state, parts, count):
        system, feeds = system_of(parts), feed.drawn(8)
        return jax.jit(loop.run, static_argnums=(0, 1, 6))(
            system, feeds, state, HYPER, DATA, np.int32(count), 12
        )

    return made, begin, steps


@pytest.mark.parametrize("accumulate", (1, 2))
def test_in_float32_a_scale_changes_nothing(run, accumulate):
    """A power of two rounds nothing, so that gradients and all that follows are the same:
    but for the last bit, as in one of two programs a product and a sum may be one step."""
    made, begin, steps = run
    plain, scaled = (made(s, accumulate=accumulate) for s in (False, True))
    (one, log), (other, same) = (steps(begin(p), p, 6) for p in (plain, scaled))
    assert float(other.tree.opt.scale) == loss_scale.FIRST
    assert int(other.tree.opt.steps) == 6
    trees = (one.tree.params, other.tree.params), (one.tree.opt, other.tree.opt.rule)
    for a, b in (*trees, (log, same)):
        equal = functools.partial(np.testing.assert_allclose, rtol=2e-6, atol=1e-9)
        jax.tree.map(equal, a, b)


def test_a_step_that_overflows_changes_the_scale_alone(run):
    made, begin, steps = run
    parts = made(True, jnp.float16)
    start = begin(parts)
    opt = start.tree.opt._replace(scale=jnp.float32(2.0**24), steps=jnp.int32(9))
    start = start._replace(tree=start.tree._replace(opt=opt))
    after, _ = steps(start, parts, 1)
    digest = checkpoints.digest
    assert digest(after.tree.params) == digest(start.tree.params)
    assert digest(after.tree.opt.rule) == digest(start.tree.opt.rule)
    assert (float(after.tree.opt.scale), int(after.tree.opt.steps)) == (2.0**23, 0)
    # It comes down to where float16 takes it, and the run goes on.
    later, log = steps(after, parts, 12)
    assert float(later.tree.opt.scale) < 2.0**23
    assert digest(later.tree.params) != digest(start.tree.params)
    assert np.all(np.isfinite(log["loss"]))


def test_a_scaled_run_is_resumed_bit_for_bit(run, tmp_path):
    made, begin, steps = run
    parts = made(True, jnp.float16)
    whole, _ = steps(begin(parts), parts, 8)
    half, _ = steps(begin(parts), parts, 3)
    with checkpoints.open(tmp_path / "run") as store:
        store.save(3, half, {})
        restored = store.restore(jax.eval_shape(lambda: begin(parts))).state
    ended, _ = steps(restored, parts, 5)
    assert checkpoints.digest(ended) == checkpoints.digest(whole)
