"""Several tasks by one net with shared first layers."""

import jax
import numpy as np
import pytest

from depthbench.research.catalogues.catalogue import DataError, Mistake
from depthbench.research.learning import branches, feed, first_layers, fits, supervised
from depthbench.research.learning import system as systems
from depthbench.research.learning.branches import Branched
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from tests.learning.resumption import assert_resumes

X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
FIRST, SECOND = (np.arange(40, dtype=np.int32) % n for n in (3, 2))
DATA = branches.batch_of(X, [FIRST, SECOND])
DEPTH = 3


def of(shared, outputs=(3, 2), **more):
    recipe = Recipe(depth=DEPTH, width=8, batch=8, **more)
    return Branched(recipe, tuple(Task((6,), count) for count in outputs), shared)


@pytest.mark.parametrize(("shared", "pieces"), [(0, 0), (1, 1), (2, 2), (DEPTH + 1, 2)])
def test_a_net_is_as_large_as_its_trunk_and_its_branches(shared, pieces):
    params = branches.fresh(of(shared))
    assert len(params.trunk) == pieces
    stem, layer, heads = 6 * 8 + 8, 8 * 8 + 8, (8 + 1) * (3 + 2)
    once = min(shared, 1) * stem + max(shared - 1, 0) * layer
    twice = 2 * (stem + DEPTH * layer - once)
    sizes = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert sizes == once + twice + heads


def test_with_nothing_shared_the_tasks_are_trained_apart():
    """The first task's net is moved by the first task's labels alone."""
    other = branches.batch_of(X, [FIRST, 1 - SECOND])
    (one,), (another,) = (
        branches.train(of(0), d, 5, (1e-2,), 1) for d in (DATA, other)
    )
    assert same(one.params.branches[0], another.params.branches[0])
    assert not same(one.params.branches[1], another.params.branches[1])
    assert branches.cosine(of(0), one.params, DATA) is None


def test_what_is_shared_is_moved_by_both():
    other = branches.batch_of(X, [FIRST, 1 - SECOND])
    (one,), (another,) = (
        branches.train(of(2), d, 5, (1e-2,), 1) for d in (DATA, other)
    )
    assert not same(one.params.trunk, another.params.trunk)


def same(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("shared", [1, DEPTH + 1])
def test_equal_tasks_have_equal_gradients_where_their_branches_are(shared):
    several = of(shared, (3, 3))
    params = branches.fresh(several)
    alike = params._replace(branches=(params.branches[0],) * 2)
    same_data = branches.batch_of(X, [FIRST, FIRST])
    # Sums in double precision of float32 gradients: 1 to their last bits.
    assert branches.cosine(several, alike, same_data) == pytest.approx(1, abs=1e-6)
    different = branches.cosine(several, params, DATA | {"targets1": (FIRST + 1) % 3})
    assert -1 <= different < 0.99


def test_gradients_conflict_where_one_task_is_the_other_backwards():
    """Two classes, the same head, opposite labels, and outputs that begin at 0."""
    several = of(DEPTH + 1, (2, 2))
    params = branches.fresh(several)
    head = params.branches[0]
    bias = jax.tree.map(lambda a: 0 * a if a.ndim == 1 else 1e-4 * a, head)
    alike = params._replace(branches=(bias, bias))
    opposed = branches.batch_of(X, [SECOND, 1 - SECOND])
    # Softmax of nearly 0 is 1/2: the gradients are opposite to 1e-4.
    assert branches.cosine(several, alike, opposed) == pytest.approx(-1, abs=1e-3)


def test_a_step_costs_less_the_more_is_shared():
    costs = []
    for shared in (0, 1, 2, DEPTH + 1):
        several = of(shared)
        hyper = fits.numbers(several.nets[0], 1e-2, 1)
        system = branches.system(several)
        state = systems.init(jax.random.key(0), system, hyper)
        costs.append(fits.step_mflop(system, 8, state, hyper, DATA))
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < 0.7 * costs[0]  # one trunk and two heads, of two nets


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("more", [{"schedule": "cosine"}, {"warmup": 3}])
def test_a_single_branch_is_trained_as_the_net_alone(optimizer, more):
    """By the rate of each step, whatever it is."""
    branched = of(2, (3,), optimizer=optimizer, **more)
    net, steps = branched.nets[0], 6
    hyper, batch = fits.numbers(net, 1e-2, steps), branches.batch_of(X, [FIRST])
    state = systems.init(jax.random.key(0), branches.system(branched), hyper)
    parts = net.parts._replace(net=first_layers.cut(net, 2))
    fresh = branches.variables(state.tree.params, 0)
    alone = systems.start(supervised.learner(parts, fresh, hyper.rule), state.key)
    for _ in range(steps):
        state, _ = systems.step(branches.system(branched), state, hyper, batch)
        alone, _ = systems.step(
            supervised.system_of(parts), alone, hyper, {"inputs": X, "targets": FIRST}
        )
    after = branches.variables(state.tree.params, 0), alone.tree.params
    for one, other in zip(*map(jax.tree.leaves, after), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_nets_with_statistics_are_refused():
    with pytest.raises(DataError, match="branches can have no statistics"):
        branches.fresh(of(2, normalizer="batch"))


def test_training_is_resumed_bit_for_bit(tmp_path):
    several = of(2)
    hyper = fits.numbers(several.nets[0], 1e-2, 4)
    assert_resumes(branches.system(several), feed.drawn(8), DATA, hyper, tmp_path)


def test_both_tasks_are_learned():
    (fit,) = branches.train(of(2), DATA, 300, (1e-2,), 1)
    assert min(fit.accuracy(X, [FIRST, SECOND])) > 0.9
    with pytest.raises(Mistake, match="6 first layers of a net of 4"):
        branches.system(of(6))
