"""A batch in parts, one after the other: what is that of the whole batch, and what not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.catalogues.losses import LOSSES
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.catalogues.schedules import SCHEDULES
from depthbench.research.learning import descent, supervised
from depthbench.research.learning.recipe import FIELDS
from depthbench.research.learning.supervised import Components

DRAW = np.random.default_rng(0).standard_normal
X = DRAW((24, 6)).astype(np.float32)
DATA = {
    "inputs": jnp.asarray(X),
    "targets": jnp.asarray((X[:, 0] > 0).astype(np.int32)),
}
KEY = jax.random.key(0)


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_each_part_has_a_key_of_its_own(parts):
    """And all of them come from the step's: what is random differs from part to part."""

    def objective(params, drawn, batch, key):
        count, draws = drawn
        draws = draws.at[count].set(jax.random.uniform(key))
        loss = batch["inputs"][:, 0] * params + jax.random.uniform(key)
        return {"loss": loss}, (count + 1, draws)

    def draws(key):
        empty = (jnp.int32(0), jnp.zeros(parts))
        of = descent.gradients(objective, jnp.float32(1.0), empty, DATA, key, parts)
        return of[1][1][1]

    one, again, other = (draws(key) for key in (KEY, KEY, jax.random.key(1)))
    assert len(set(one.tolist())) == parts
    assert np.array_equal(one, again)
    assert not set(one.tolist()) & set(other.tolist())


def test_equal_parts_of_a_batch_are_augmented_apart(parts_of):
    """A batch of one example again and again: noise is all that its parts differ in."""
    noisy = lambda key, x: x + jax.random.normal(key, x.shape, x.dtype)
    same = jax.tree.map(lambda a: jnp.repeat(a[:1], 8, axis=0), DATA)
    work = parts_of("none", accumulate=8, augment=noisy)
    learner = learner_of(work)
    _, (means, _) = supervised.gradients(work, *learner[::2], same, KEY)
    losses = [
        supervised.measures(
            *(work, learner.params, learner.stats, jax.tree.map(lambda a: a[:1], same)),
            *(True, jax.random.fold_in(KEY, number)),
        )[0]["loss"][0]
        for number in range(8)
    ]
    assert len(set(map(float, losses))) == 8
    # A mean of eight in another order.
    np.testing.assert_allclose(means["loss"], np.mean(losses), rtol=1e-6)


@pytest.fixture(scope="module")
def parts_of(network):
    def build(normalizer, **more):
        net = network("mlp", "tanh", normalizer, depth=3, width=8, outputs=2)
        chosen = LOSSES["classes"], OPTIMIZERS["sgd"], SCHEDULES["constant"]
        return Components(net, *chosen, **more)

    return build


def learner_of(parts):
    return jax.jit(
        lambda key: supervised.fresh(key, parts, OPTIMIZERS["sgd"].hyper(), X)
    )(KEY)


def leaves(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def gradient(parts, learner, batch):
    """(the gradient as one vector, the statistics after it)."""
    params, _, stats = learner
    of = jax.jit(lambda b: supervised.gradients(parts, params, stats, b, KEY))
    slope, (_, after) = of(batch)
    return leaves(slope), after


@pytest.mark.parametrize("name", NORMALIZERS)
def test_parts_are_the_whole_batch_but_for_statistics_over_it(name, parts_of):
    """As the help of --accumulate and docs/training.md say."""
    whole, cut = parts_of(name), parts_of(name, accumulate=4)
    learner = learner_of(whole)
    wanted, _ = gradient(whole, learner, DATA)
    got, after = gradient(cut, learner, DATA)
    size = np.linalg.norm(wanted)
    if not NORMALIZERS[name].running:
        # Sums of 24 examples in another order.
        assert np.linalg.norm(got - wanted) < 1e-5 * size
        return
    assert np.linalg.norm(got - wanted) > 0.05 * size
    # It is the mean of what each part gives as a batch of its own, one after the other.
    each = []
    for number in range(4):
        part = jax.tree.map(lambda a, n=number: a[6 * n : 6 * n + 6], DATA)
        slope, stats = gradient(whole, learner, part)
        each.append(slope)
        learner = learner._replace(stats=stats)
    assert np.linalg.norm(np.mean(each, axis=0) - got) < 1e-5 * size
    np.testing.assert_allclose(leaves(learner.stats), leaves(after), rtol=1e-5)


def test_the_help_names_the_normalisers_that_differ():
    running = [name for name, one in NORMALIZERS.items() if one.running]
    words = FIELDS["accumulate"].axis.help
    assert running == ["batch"] and "batch norm" in words and "each part" in words
