"""Actor and critic: advantages by hand, gradients of the policy, resumed bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.environments import ENVIRONMENTS, play
from depthbench.research.environments.play import Experience
from depthbench.research.learning import actor_critic, feed, fits, players, sweeps
from depthbench.research.learning.actor_critic import Acting
from depthbench.research.learning.fits import Net
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from tests.learning import resumption

ENVIRONMENT = ENVIRONMENTS["cartpole"]
RECIPE = Recipe(depth=1, width=8)
ACTOR, CRITIC = Net(RECIPE, Task((4,), 2)), Net(RECIPE, Task((4,), 1, "numbers"))
ACTING = Acting(worlds=4, steps=6, entropy=0.0)
HYPER = {name: fits.numbers(ACTOR, 1e-2, 4) for name in ("actor", "critic")}


def system():
    return actor_critic.system(ENVIRONMENT, ACTOR, CRITIC, ACTING)


def test_advantages_are_sums_of_surprises():
    """Against the sum of (discount × spread)^k surprises, up to an episode's end."""
    random = np.random.RandomState(0)
    shape = (7, 3)
    ended, cut = np.zeros(shape, bool), np.zeros(shape, bool)
    ended[2, 0], cut[4, 1] = True, True
    rewards, values, following = (
        random.randn(*shape).astype(np.float32) for _ in range(3)
    )
    nothing = jnp.zeros(shape)
    seen = Experience(nothing, nothing, rewards, nothing, ended, cut, nothing)
    acting = Acting(discount=0.9, spread=0.8)
    found = actor_critic.advantages(acting, seen, values, following)
    for world in range(3):
        for first in range(7):
            total, factor = 0.0, 1.0
            for step in range(first, 7):
                here = step, world
                later = 0.0 if ended[here] else following[here]
                total += factor * (0.1 * rewards[here] + 0.9 * later - values[here])
                factor *= 0.9 * 0.8
                if ended[here] or cut[here]:
                    break
            # Equal up to the rounding of some ten float32 sums.
            assert found[first, world] == pytest.approx(total, abs=1e-5)


def test_the_policys_gradient_is_that_of_its_expected_reward():
    """A choice between two, of which one pays: the mean over draws of −∇ log π × reward is
    the gradient of −π(pays), to the error of 20,000 draws."""
    log_odds = jnp.array([0.3, -0.4])
    draws = jax.random.categorical(jax.random.key(0), log_odds, shape=(20_000,))
    batch = {
        "inputs": jnp.zeros((20_000, 1)),
        "actions": draws,
        "advantages": (draws == 1).astype(jnp.float32),
    }

    def loss(odds):
        nets = {"actor": lambda x: jnp.tile(odds, (len(x), 1))}
        return jnp.mean(actor_critic.actor_loss(0.0, nets, batch, None)["loss"])

    exact = jax.grad(lambda odds: -jax.nn.softmax(odds)[1])(log_odds)
    np.testing.assert_allclose(jax.grad(loss)(log_odds), exact, atol=0.01)


def test_a_fair_coin_has_the_most_entropy():
    batch = {
        "inputs": jnp.zeros((1, 1)),
        "actions": jnp.zeros(1, int),
        "advantages": jnp.zeros(1),
    }
    nets = {"actor": lambda x: jnp.zeros((1, 2))}
    found = actor_critic.actor_loss(0.5, nets, batch, None)
    assert float(found["entropy"][0]) == pytest.approx(np.log(2))
    assert float(found["loss"][0]) == pytest.approx(-0.5 * np.log(2))


def test_both_resume_in_the_midst_of_their_episodes(tmp_path):
    resumption.assert_resumes(system(), feed.nothing, (), HYPER, tmp_path)


def test_it_learns_to_balance():
    """From 20 steps, which random actions give, to more than 60 in 150 updates.

    What is learned differs by roundings: by how XLA compiled, it was 86, 122 and 132.
    """
    acting = Acting(worlds=16, steps=16)
    learned = actor_critic.system(ENVIRONMENT, ACTOR, CRITIC, acting)
    hyper = {name: fits.numbers(ACTOR, 1e-2, 150) for name in HYPER}
    problem = sweeps.Problem(learned, feed.nothing, (), {}, {})
    (end,) = sweeps.ended(problem, [sweeps.Run(0, hyper)], 150)
    actor = players.function(ACTOR, end.state.tree["nets"]["actor"])
    policy = actor_critic.greedy(actor)
    done = play.episodes(ENVIRONMENT, policy, jax.random.key(5), 20)
    assert float(jnp.mean(done.returns)) > 60
    assert np.nansum(end.log["ended"]) > 20


def test_the_gradients_of_both_are_probed():
    programs = sweeps.programs(system(), feed.nothing, 4)
    state = programs.init(*sweeps.arguments([sweeps.Run(0, HYPER)]))
    found = programs.profile(state, {})
    assert set(found) == {"actor", "critic"}
    assert all(np.isfinite(np.asarray(layers)).all() for _, layers in found.values())
