"""CartPole and Acrobot against gymnasium's, step by step; episodes; linear search."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.environments import ENVIRONMENTS, cartpole, linear_search, play

gymnasium = pytest.importorskip("gymnasium", reason="whose environments ours are")
PEERS = {"cartpole": "CartPole-v1", "acrobot": "Acrobot-v1"}
each = pytest.mark.parametrize("name", ENVIRONMENTS)


@each
def test_steps_are_gymnasiums(name):
    """From equal states, 2,000 steps in double precision, whatever the action.

    At every step ours begins where gymnasium's is: what is compared is one step, equal up
    to the order of sums in double precision.
    """
    environment, peer = ENVIRONMENTS[name], gymnasium.make(PEERS[name]).unwrapped
    random, ends = np.random.RandomState(0), 0
    with jax.enable_x64(True):
        step = jax.jit(environment.step)
        peer.reset(seed=0)
        for _ in range(2000):
            state = jnp.asarray(np.array(peer.state, np.float64))
            action = int(random.randint(environment.actions))
            seen, reward, ended, _, _ = peer.step(action)
            after, ours, over = step(state, action)
            np.testing.assert_allclose(after, peer.state, rtol=1e-9, atol=1e-9)
            assert (float(ours), bool(over)) == (reward, ended)
            # gymnasium gives observations in single precision.
            observed = environment.observe(after)
            np.testing.assert_allclose(observed, seen, rtol=1e-6, atol=1e-6)
            ends += ended
            if ended or random.rand() < 0.005:  # as far as it can go from the start
                peer.reset(seed=int(random.randint(1000)))
                if name == "acrobot":
                    peer.state = random.uniform(-3, 3, 4)
    assert ends > 5


@each
def test_bounds_and_lengths_are_gymnasiums(name):
    environment, spec = ENVIRONMENTS[name], gymnasium.spec(PEERS[name])
    assert environment.length == spec.max_episode_steps
    assert environment.solved == spec.reward_threshold
    peer = gymnasium.make(PEERS[name]).unwrapped
    assert peer.observation_space.shape == (environment.observed,)
    assert peer.action_space.n == environment.actions
    starts = jax.vmap(environment.begin)(jax.random.split(jax.random.key(0), 500))
    theirs = np.array([_started(peer, seed) for seed in range(500)])
    bound = np.abs(theirs).max()
    assert np.abs(starts).max() == pytest.approx(bound, rel=0.02)  # of 2,000 numbers


def _started(peer, seed):
    peer.reset(seed=seed)
    return np.asarray(peer.state)


def right(seen, key):
    return jnp.ones(len(seen), jnp.int32)


def test_episodes_end_where_the_rules_end_them():
    """A cart that is always pushed to the right loses its pole after 9 or 10 steps."""
    environment = ENVIRONMENTS["cartpole"]
    done = play.episodes(environment, right, jax.random.key(0), 50)
    assert set(np.asarray(done.taken)) <= {8, 9, 10, 11}
    np.testing.assert_array_equal(done.returns, done.taken)
    steps = int(done.taken[0])
    follow = jax.vmap(environment.step)(done.first[:steps], jnp.ones(steps, jnp.int32))
    np.testing.assert_allclose(follow[0][:-1], done.first[1:steps], atol=1e-6)
    np.testing.assert_array_equal(follow[2], np.arange(steps) == steps - 1)


def test_segments_go_on_where_the_last_one_stopped():
    """Two of 10 steps have the episodes of one of 20: each ended with all its rewards."""
    environment = ENVIRONMENTS["cartpole"]
    worlds = play.begun(environment, jax.random.key(0), 4)
    lengths, sums = [], jnp.zeros(4)
    for number in range(2):
        worlds, seen = play.segment(
            environment, right, worlds, jax.random.key(number), 10
        )
        for step in range(10):
            sums = sums + seen.rewards[step]
            over = np.asarray(seen.ended | seen.cut)[step]
            np.testing.assert_array_equal(seen.total[step][over], sums[over])
            lengths += list(np.asarray(sums)[over])
            sums = jnp.where(over, 0.0, sums)
    assert len(lengths) >= 4 and set(lengths) <= {8.0, 9.0, 10.0, 11.0}
    np.testing.assert_array_equal(worlds.total, sums)


def test_an_episode_is_cut_off_at_its_length():
    """And then it is not over by its own rules: what would have come still counts."""
    short = ENVIRONMENTS["cartpole"]._replace(name="short", length=5)
    worlds = play.begun(short, jax.random.key(0), 3)
    _, seen = play.segment(short, right, worlds, jax.random.key(1), 5)
    assert bool(seen.cut[4].all()) and not bool(seen.ended.any())
    np.testing.assert_array_equal(seen.total[4], 5.0)
    assert float(play.episodes(short, right, jax.random.key(0), 3).returns.max()) == 5.0


def test_a_known_linear_policy_balances_and_search_finds_one():
    """Pushing to where the pole falls balances it (angle and its speed, in equal parts);
    of 64 policies drawn one does as well."""
    environment = ENVIRONMENTS["cartpole"]
    known = np.zeros((4, 2), np.float32)
    known[2:, 1] = 1.0
    key = jax.random.key(1)
    assert linear_search.played(environment, known, key, 20).returns.mean() > 150
    weights, drawn = linear_search.best(environment, 0, 10**6, key, 20, 64)
    assert drawn == 64
    best = linear_search.played(environment, weights, key, 20).returns.mean()
    assert best > 150


def test_policies_are_drawn_for_as_many_steps_as_are_given():
    environment, key = ENVIRONMENTS["cartpole"], jax.random.key(1)
    counts = [
        linear_search.best(environment, 0, steps, key, 20, 64)[1]
        for steps in (1, 500, 1000, 10**6)
    ]
    assert counts[0] == 1 and counts == sorted(counts) and counts[1] < counts[2] < 64
    taken = linear_search._search(environment, 0, 64)[2]
    assert taken[: counts[1]].sum() <= 500 < taken[: counts[1] + 1].sum()


def test_cartpoles_edges_are_twelve_degrees():
    assert pytest.approx(np.radians(12)) == cartpole.TILTED
