"""Players: steps are gradients of their losses, in turn or together; runs resume bit for
bit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.learning import feed, fits, players, sweeps
from depthbench.research.learning.fits import Net
from depthbench.research.learning.players import Player
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from depthbench.research.learning.sweeps import Run
from tests.learning import resumption

RECIPE = Recipe(depth=2, width=8, batch=8, optimizer="sgd", initializer="glorot_normal")
MAKER, JUDGE = Net(RECIPE, Task((3,), 2)), Net(RECIPE, Task((2,), 1))


def judge_loss(nets, batch, key):
    real, made = (
        nets["judge"](batch["inputs"]),
        nets["judge"](nets["maker"](noise(batch))),
    )
    loss = jax.nn.softplus(-real[:, 0]) + jax.nn.softplus(made[:, 0])
    return {"loss": loss, "real": real[:, 0]}


def maker_loss(nets, batch, key):
    return {"loss": jax.nn.softplus(-nets["judge"](nets["maker"](noise(batch)))[:, 0])}


def noise(batch):
    return jnp.tile(batch["inputs"], (1, 2))[:, :3]


def judge_probed(nets, batch):
    return batch["inputs"], lambda scores: jnp.mean(jax.nn.softplus(-scores))


def maker_probed(nets, batch):
    return noise(batch), lambda made: jnp.mean(jax.nn.softplus(-nets["judge"](made)))


def pair(every=1):
    return (
        ("judge", Player(JUDGE, judge_loss, judge_probed)),
        ("maker", Player(MAKER, maker_loss, maker_probed, every)),
    )


DATA = {"inputs": np.random.RandomState(0).randn(64, 2).astype(np.float32)}
HYPER = {name: fits.numbers(MAKER, 0.1, 4) for name in ("judge", "maker")}


def begun(system):
    programs = sweeps.programs(system, feed.drawn(8), 4)
    return programs, programs.init(*sweeps.arguments([Run(0, HYPER)]))


def test_each_player_descends_its_own_loss_after_those_before_it():
    """By plain gradient descent, equal to jax.grad but for the order of float32 sums."""
    programs, state = begun(players.system(pair()))
    before = jax.device_get(state.tree)
    batch = feed.drawn(8)(DATA, 0)(
        jax.random.split(jax.random.fold_in(state.key, 0))[0], 0
    )
    state, log = programs.advance(state, HYPER, DATA, np.int32(1))

    def loss(params, name, tree, of):
        tree = {**tree, name: tree[name]._replace(params=params)}
        return jnp.mean(of(players.functions(pair(), tree), batch, None)["loss"])

    after = before
    for name, of in (("judge", judge_loss), ("maker", maker_loss)):
        gradient = jax.grad(loss)(after[name].params, name, after, of)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, after[name].params, gradient)
        after = {**after, name: after[name]._replace(params=params)}
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
            state.tree[name].params,
            params,
        )
    assert set(log) == {"judge loss", "judge real", "maker loss"}


def test_players_of_one_loss_descend_it_by_one_gradient():
    """Both from where both were before, equal to jax.grad of all parameters at once but
    for the order of float32 sums; a step of one after the other differs by 1e-3."""
    both = tuple(
        (name, Player(net, judge_loss, probed))
        for name, net, probed in (
            ("judge", JUDGE, judge_probed),
            ("maker", MAKER, maker_probed),
        )
    )
    programs, state = begun(players.system(both))
    before = jax.device_get(state.tree)
    batch = feed.drawn(8)(DATA, 0)(
        jax.random.split(jax.random.fold_in(state.key, 0))[0], 0
    )
    state, _ = programs.advance(state, HYPER, DATA, np.int32(1))

    def loss(params):
        tree = {n: one._replace(params=params[n]) for n, one in before.items()}
        functions = players.functions(both, tree)
        return jnp.mean(judge_loss(functions, batch, None)["loss"])

    params = {name: one.params for name, one in before.items()}
    wanted = jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(loss)(params))
    found = {name: one.params for name, one in state.tree.items()}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        found,
        wanted,
    )


def test_a_player_waits_for_its_turn():
    programs, state = begun(players.system(pair(every=2)))
    fresh = jax.device_get(state.tree["maker"])
    state, _ = programs.advance(state, HYPER, DATA, np.int32(1))
    jax.tree.map(np.testing.assert_array_equal, state.tree["maker"], fresh)
    state, _ = programs.advance(state, HYPER, DATA, np.int32(1))
    same = jax.tree.map(np.array_equal, state.tree["maker"].params, fresh.params)
    assert not all(jax.tree.leaves(same))


def test_players_resume_bit_for_bit(tmp_path):
    system = players.system(pair(every=2))
    resumption.assert_resumes(system, feed.drawn(8), DATA, HYPER, tmp_path)


def test_gradients_of_both_are_probed():
    programs, state = begun(players.system(pair()))
    found = programs.profile(state, DATA)
    assert set(found) == {"judge", "maker"}
    assert all(np.isfinite(np.asarray(layers)).all() for _, layers in found.values())


def test_nets_with_statistics_are_refused():
    net = MAKER._replace(recipe=dataclasses.replace(RECIPE, normalizer="batch"))
    with pytest.raises(DataError, match="no statistics"):
        begun(players.system((("maker", Player(net, maker_loss, maker_probed)),)))
