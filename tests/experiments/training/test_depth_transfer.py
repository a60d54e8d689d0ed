"""`depth_transfer`: what its parametrisation keeps over depth, and planted best rates."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.experiments.training import depth_transfer
from depthbench.research.architectures import contract, walk
from depthbench.research.catalogues.optimizers import OPTIMIZERS, transformation
from depthbench.research.study.claims import judge
from depthbench.research.study.declaration import Measured, chosen_values, grid
from depthbench.research.study.errors import Refusal

STUDY = depth_transfer.STUDY
CLAIMS = {claim.key: claim for claim in STUDY.claims}
SHALLOW, DEEP, SEEDS = 4, 64, 8
EXAMPLES = jax.random.normal(jax.random.key(7), (64, 64))


@pytest.fixture(autouse=True)
def optax_as_it_is():
    """optax itself mixes dtypes, which a strict session refuses."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def net_of(network, branches, depth):
    """The net that the study trains at this depth."""
    cell = {"branches": branches, "optimizer": "sgd", "depth": depth}
    chosen = depth_transfer.settings(cell)
    return network(
        chosen["architecture"],
        "relu",
        width=chosen["width"],
        depth=depth,
        sigma_w=chosen["sigma_w2"] ** 0.5,
        outputs=10,
    )


def last_state(net, variables):
    """The state after the last layer [batch, units]."""
    *inner, _ = contract.links(net, variables)
    h = EXAMPLES
    for link in inner:
        h, _ = walk.scan(link, lambda h, layer: (layer(h), None), h)
    return h


def variance(network, branches, depth):
    """E z² of the last state, over examples, units and seeds."""
    net = net_of(network, branches, depth)
    draw = jax.vmap(lambda key: contract.init(key, net, EXAMPLES))
    drawn = draw(jax.random.split(jax.random.key(0), SEEDS))
    return float(jnp.mean(jax.vmap(lambda v: last_state(net, v))(drawn) ** 2))


def test_the_last_state_is_as_large_at_any_depth_where_branches_are_scaled(network):
    """E φ(z)² is half of E z², so a branch adds σ_w² α² / 2 of it: α² / 6."""
    first = 1 / 3  # that the stem makes of inputs of variance 1
    for branches, share in (("scaled", lambda L: 1 / L), ("unscaled", lambda L: 1)):
        for depth in (SHALLOW, DEEP):
            expected = first * (1 + share(depth) / 6) ** depth
            assert variance(network, branches, depth) == pytest.approx(
                expected, rel=0.25
            )


def moved(network, optimizer, branches, depth):
    """By how much a first step at a small rate moves the last state, as a share of it."""
    net = net_of(network, branches, depth)
    rule = OPTIMIZERS[optimizer]
    steps = transformation(rule, rule.hyper(), (False,))
    labels = np.arange(len(EXAMPLES)) % 10

    def loss(params):
        logits = contract.apply(net, contract.unite(params, rest), EXAMPLES)[0]
        picked = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)
        return -jnp.mean(picked)

    shares = []
    for seed in range(3):
        variables = contract.init(jax.random.key(seed), net, EXAMPLES)
        params, rest = contract.divide(variables)
        direction, _ = steps.update(jax.grad(loss)(params), steps.init(params), params)
        # The layers' share alone: stem and head are the same at any depth.
        still = jax.tree.map(jnp.zeros_like, direction)
        direction = type(direction)(still.stem, direction.stages, still.head)
        after = jax.tree.map(lambda p, d: p - 1e-4 * d, params, direction)
        states = [last_state(net, contract.unite(p, rest)) for p in (params, after)]
        shares.append(
            jnp.linalg.norm(states[1] - states[0]) / jnp.linalg.norm(states[0])
        )
    return float(np.mean(shares))


@pytest.mark.parametrize(
    ("optimizer", "branches", "low", "high"),
    [
        ("sgd", "scaled", 1 / 1.4, 1.4),
        ("adam_depth_mup", "scaled", 1 / 1.4, 1.4),
        # Without the rates' √depth a step moves the state by √(64 / 4) = 4 times.
        ("adam", "scaled", 2.8, 5.6),
        ("sgd", "unscaled", 16, math.inf),
        ("adam", "unscaled", 8, math.inf),
    ],
)
def test_a_step_moves_the_last_state_as_far_at_any_depth(
    network, optimizer, branches, low, high
):
    """Of the study's rules; and of those that they take the place of, further."""
    steps = [moved(network, optimizer, branches, depth) for depth in (SHALLOW, DEEP)]
    assert low < steps[1] / steps[0] < high


def test_each_kind_is_trained_by_its_rule():
    rules = {
        (optimizer, branches): depth_transfer.settings(
            {"optimizer": optimizer, "branches": branches}
        )["optimizer"]
        for optimizer in depth_transfer.RATES
        for branches in depth_transfer.KINDS
    }
    assert rules["adam", "scaled"] == "adam_depth_mup"
    assert {rules["sgd", b] for b in depth_transfer.KINDS} == {"sgd"}


def test_tied_layers_and_ends_keep_their_steps_in_depth_mup(network):
    net = net_of(network, "scaled", SHALLOW)
    ones = jax.tree.map(jnp.ones_like, contract.init(jax.random.key(0), net, EXAMPLES))
    params, _ = contract.divide(ones)
    rule = OPTIMIZERS["adam_depth_mup"]
    for tied, share in ((False, SHALLOW**-0.5), (True, 1.0)):
        steps = transformation(rule, rule.hyper(), (tied,))
        direction, _ = steps.update(params, steps.init(params), params)
        for part, expected in (
            (direction.stages, share),
            (direction.stem, 1),
            (direction.head, 1),
        ):
            for leaf in jax.tree.leaves(part):
                np.testing.assert_allclose(leaf, expected, rtol=2e-5)


def test_each_optimizer_has_its_grid_and_typed_rates_are_for_both():
    cells = grid(STUDY, chosen_values(STUDY, "standard", {}))
    fitted, lines = STUDY.fit(cells, set())
    for name, rates in depth_transfer.RATES.items():
        of = {cell["learning_rate"] for cell in fitted if cell["optimizer"] == name}
        assert of == set(rates)
    assert not lines and STUDY.fit(cells, {"learning_rate"})[0] == cells
    deep = [{**cell, "depth": 256} for cell in cells]
    fitted, lines = STUDY.fit(deep, {"learning_rate"})
    assert {cell["branches"] for cell in fitted} == {"scaled"} and "64" in lines[0]
    with pytest.raises(Refusal, match="to 64 layers"):
        STUDY.fit([cell for cell in deep if cell["branches"] == "unscaled"], set())


def test_the_loss_at_half_of_the_steps_is_the_mean_of_the_tenth_before():
    curves = np.arange(60, dtype=np.float64) + np.array([[0.0], [2.0]])
    values = {"first_loss": 2.3, "falling": False, "train_loss": 1.0, "diverged": 0.0}
    row = depth_transfer.finish(None, Measured("ok", "", values, {"loss": curves}))
    # Steps 24 to 29 of 60: 26.5, and 28.5 of the other seed.
    assert row.values["half_loss"] == 27.5 and row.values["half_loss_se"] == 1.0


def planted(best, half=None, unfinished=False, error=0.02):
    """Rows whose ln loss is a parabola in log2 of the rate, least at best[kind, depth].

    half: the same after half of the steps.
    """

    def loss(rate, at):
        return 0.1 * math.exp(0.3 * (math.log2(rate) - at) ** 2)

    return [
        {
            **{"optimizer": optimizer, "branches": branches, "depth": depth},
            **{"learning_rate": rate, "seeds": 5, "status": "ok", "reason": ""},
            **{"first_loss": 2.3, "diverged": 0.0, "unfinished": unfinished},
            "train_loss": loss(rate, at),
            "train_loss_se": error * loss(rate, at),
            "half_loss": 2 * loss(rate, (half or best)[optimizer, branches, depth]),
            "half_loss_se": error,
        }
        for (optimizer, branches, depth), at in best.items()
        for rate in depth_transfer.RATES[optimizer]
    ]


def moving(*places, kind=("sgd", "scaled")):
    """Best rates at 4, 16, … layers, in log2."""
    return {(*kind, 4 ** (n + 1)): place for n, place in enumerate(places)}


def word(key, rows):
    return judge(CLAIMS[key], rows).word


def test_a_best_rate_that_stays_transfers():
    for kind, key in (
        (("sgd", "scaled"), "bordelon2023.scaled-rate-transfers"),
        (("adam", "scaled"), "yang2023.depth-mup-rate-transfers"),
    ):
        middle = -5.0 if kind[0] == "sgd" else -10.0
        for moves, verdict in (
            ((0, 0, 0), "holds"),
            ((0, 0.3, -0.4), "holds"),
            ((0, 0, -2), "fails"),
            ((0, 0, 2), "fails"),
            ((0, 0, -0.98), "undecided"),
        ):
            places = [middle + move for move in moves]
            assert word(key, planted(moving(*places, kind=kind))) == verdict, moves


def test_a_best_rate_falls_by_more_than_a_step_of_the_grid():
    for kind, key in (
        (("sgd", "unscaled"), "bordelon2023.unscaled-rate-falls"),
        (("adam", "unscaled"), "yang2023.unscaled-rate-falls"),
    ):
        middle = -4.0 if kind[0] == "sgd" else -9.0
        # The deepest net alone is judged.
        for moves, verdict in (
            ((0, 0, -2), "holds"),
            ((0, -2, -0.5), "fails"),
            ((0, 0, -1.02), "undecided"),
        ):
            places = [middle + move for move in moves]
            assert word(key, planted(moving(*places, kind=kind))) == verdict, moves


def test_a_best_rate_at_the_edge_decides_nothing():
    rows = planted(moving(-3.0, -3.0, -12.0, kind=("sgd", "unscaled")))
    assert word("bordelon2023.unscaled-rate-falls", rows) == "undecided"
    rows = planted(moving(-1.0, -1.0, -1.0))
    assert word("bordelon2023.scaled-rate-transfers", rows) == "undecided"


def test_a_net_that_still_learns_counts_where_half_of_the_steps_say_the_same():
    key = "bordelon2023.scaled-rate-transfers"
    same, other, edge = moving(-4.2, -4.1), moving(-4.0, -6.5), moving(-4.0, -12.0)
    assert word(key, planted(same, half=same, unfinished=True)) == "holds"
    assert word(key, planted(same, half=other, unfinished=True)) == "undecided"
    assert word(key, planted(same, half=edge, unfinished=True)) == "undecided"
    assert word(key, planted(same, half=other, unfinished=False)) == "holds"
    # More steps might bring it back.
    assert word(key, planted(other, half=same, unfinished=True)) == "undecided"
    assert word(key, planted(other, half=other, unfinished=True)) == "fails"


def test_the_headline_speaks_of_depths_that_all_kinds_have():
    best = {
        **moving(-4.0, -4.0, -4.0, -4.0),
        **moving(-4.0, -5.0, -7.0, kind=("sgd", "unscaled")),
    }
    answer, worst = depth_transfer.headline(planted(best))
    assert "From 4 to 64 layers" in answer and "× 1 with scaled" in answer
    assert "unscaled branches and SGD" in worst and "0.125" in worst
    assert "One depth" in depth_transfer.headline(planted(moving(-4.0))).answer
