"""First layers that are copied, and left as they are."""

import jax
import numpy as np
import pytest

from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.learning import feed, first_layers, fits
from depthbench.research.learning import system as systems
from depthbench.research.learning.fits import Net
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from tests.learning.resumption import assert_resumes

X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
DATA = {"inputs": X, "targets": np.arange(40, dtype=np.int32) % 3}
DEPTH = 3


def net_of(**more):
    recipe = Recipe(**{"depth": DEPTH, "width": 8, "batch": 8, **more})
    return Net(recipe, Task((6,), 3))


NET = net_of()


def pieces(variables):
    """The arrays of each layer from the input, and of the head last."""
    (stage,) = variables.stages
    layers = [jax.tree.map(lambda a, n=n: a[n], stage) for n in range(DEPTH)]
    leaves = jax.tree.leaves
    return [leaves(part) for part in (variables.stem, *layers, variables.head)]


def moved(one, other):
    """Of each layer, and the head, whether any of its arrays has changed."""
    pairs = zip(pieces(one), pieces(other), strict=True)
    # A bias that begins at 0 may stay there: of a layer that is dead, say.
    return [
        any(not np.array_equal(a, b) for a, b in zip(*p, strict=True)) for p in pairs
    ]


@pytest.mark.parametrize("layers", [0, 1, 2, DEPTH + 1])
def test_copied_layers_are_the_sources_and_others_are_not(layers):
    source, fresh = fits.fresh(NET, 1), fits.fresh(NET, 2)
    made = first_layers.copied(source, fresh, layers)
    rest = DEPTH + 1 - layers
    assert moved(made.variables, source.variables) == [False] * layers + [True] * (
        rest + 1
    )
    assert moved(made.variables, fresh.variables) == [True] * layers + [False] * (
        rest + 1
    )


@pytest.mark.parametrize(
    ("layers", "optimizer"), [(1, "adam"), (3, "adamw"), (DEPTH + 1, "adam")]
)
def test_frozen_layers_keep_every_bit_and_others_move(layers, optimizer):
    """AdamW has a decay of weights, which no gradient stops."""
    net = net_of(
        optimizer=optimizer, weight_decay=0.1 if optimizer == "adamw" else None
    )
    system = first_layers.frozen(net, layers)
    start = fits.fresh(net, 3)
    (fit,) = fits.train(net, DATA, 5, (1e-2,), 1, starts=[start], system=system)
    rest = DEPTH + 2 - layers
    assert moved(fit.variables, start.variables) == [False] * layers + [True] * rest


def test_with_nothing_frozen_it_is_the_nets_own_training():
    system = first_layers.frozen(NET, 0)
    (one,) = fits.train(NET, DATA, 5, (1e-2,), 1, system=system)
    (other,) = fits.train(NET, DATA, 5, (1e-2,), 1)
    for a, b in zip(
        *(jax.tree.leaves(fit.variables) for fit in (one, other)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)  # fused otherwise


def test_what_is_not_frozen_moves_as_it_would_in_the_whole():
    """One step's gradient of the upper layers does not know of what is frozen."""
    start = [fits.fresh(NET, 4)]
    system = first_layers.frozen(NET, 2)
    (held,) = fits.train(NET, DATA, 1, (1e-2,), 1, starts=start, system=system)
    (free,) = fits.train(NET, DATA, 1, (1e-2,), 1, starts=start)
    both = zip(pieces(held.variables)[2:], pieces(free.variables)[2:], strict=True)
    for one, other in both:
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)  # fused otherwise


def test_a_step_costs_less_the_more_is_frozen():
    hyper = fits.numbers(NET, 1e-2, 1)
    state = systems.start(fits.fresh(NET).learner(hyper), jax.random.key(0))
    costs = [
        fits.step_mflop(first_layers.frozen(NET, layers), 8, state, hyper, DATA)
        for layers in (0, 1, 2, DEPTH + 1)
    ]
    assert costs == sorted(costs, reverse=True)
    # Of forward, gradient of weights and gradient of states, the last two go: 2 of 3.
    assert costs[-1] < 0.6 * costs[0]


def test_training_with_frozen_layers_is_resumed_bit_for_bit(tmp_path):
    system = first_layers.frozen(NET, 2)
    hyper = fits.numbers(NET, 1e-2, 4)
    assert_resumes(system, feed.drawn(8), DATA, hyper, tmp_path)


def test_layers_that_are_not_there_are_refused():
    with pytest.raises(Mistake, match="5 first layers of a net of 4"):
        first_layers.frozen(NET, 5)
    with pytest.raises(Mistake, match="one shape"):
        first_layers.copied(fits.fresh(net_of(width=4)), fits.fresh(NET), 1)
    recurrent = Net(Recipe(architecture="rnn", depth=3, width=8), Task((3, 2), 3))
    with pytest.raises(Mistake, match="not one stack"):
        first_layers.count(recurrent)
