"""Restricted Boltzmann machines beside brute force; layers that are put into nets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.learning import denoising, feed, fits, greedy, rbm
from depthbench.research.learning.rbm import ESTIMATORS, VISIBLE, Boltzmann
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from tests.learning.resumption import assert_resumes

BINARY, GAUSSIAN = VISIBLE["binary"], VISIBLE["gaussian"]
kinds = pytest.mark.parametrize("kind", VISIBLE.values(), ids=list(VISIBLE))


def machine(visible=4, hidden=3, size=1.0):
    draw = np.random.RandomState(0)
    shapes = ((visible, hidden), (visible,), (hidden,))
    return Boltzmann(*(jnp.asarray(size * draw.randn(*s), jnp.float32) for s in shapes))


def energy(one, v, h):
    """E(v, h) of binary units, as the paper writes it."""
    return -(v @ one.visible + h @ one.hidden + v @ one.kernel @ h)


def test_free_energy_is_the_sum_over_hidden_states():
    one = machine()
    every = rbm.hidden_states(4)
    brute = [
        -np.log(sum(np.exp(-energy(one, v, h)) for h in rbm.hidden_states(3)))
        for v in every
    ]
    found = rbm.free_energy(one, jnp.asarray(every), BINARY)
    np.testing.assert_allclose(found, brute, rtol=1e-5)  # float32


def test_probabilities_of_all_binary_states_sum_to_1():
    one = machine()
    every = jnp.asarray(rbm.hidden_states(4))
    total = jnp.sum(jnp.exp(rbm.log_likelihood(one, every, BINARY)))
    assert total == pytest.approx(1, rel=1e-5)


def test_the_density_of_a_gaussian_unit_integrates_to_1():
    one = machine(visible=1)
    grid = np.linspace(-15, 15, 20001, dtype=np.float32)[:, None]
    density = np.exp(rbm.log_likelihood(one, jnp.asarray(grid), GAUSSIAN))
    assert np.trapezoid(density, grid[:, 0]) == pytest.approx(1, rel=1e-4)


@kinds
def test_the_exact_gradient_is_that_of_the_likelihood(kind):
    one = machine()
    v = jnp.asarray(np.random.RandomState(1).randint(0, 2, (7, 4)), jnp.float32)
    loss = lambda one: -jnp.mean(rbm.log_likelihood(one, v, kind))
    found = rbm.difference(
        rbm.model_statistics(one, kind), rbm.statistics(one, v, kind)
    )
    for ours, theirs in zip(found, jax.grad(loss)(one), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@kinds
def test_more_sweeps_come_closer_to_the_models_own_statistics(kind):
    """Chains that begin far away: one sweep is far off, 50 are within sampling error."""
    one, count = machine(size=0.7), 20000
    exact = rbm.model_statistics(one, kind)
    apart = {}
    for sweeps in (1, 50):
        start = jnp.full((count, 4), 3.0)
        v = rbm.sampled(jax.random.key(0), one, start, kind, sweeps)
        made = rbm.statistics(one, v, kind)
        apart[sweeps] = float(jnp.max(jnp.abs(made.kernel - exact.kernel)))
    products = v[:, :, None] * one.up(v)[:, None]
    error = float(jnp.max(jnp.std(products, axis=0))) / count**0.5
    assert apart[50] < 5 * error and apart[1] > 10 * error, (apart, error)


def test_too_many_hidden_units_are_refused():
    with pytest.raises(DataError, match="17 hidden units have too many states"):
        rbm.log_partition(machine(hidden=17), BINARY)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_climbs_the_likelihood(name):
    """Of two patterns and their neighbours, by 300 steps; chance is 6 ln 2 nats."""
    draw = np.random.RandomState(2)
    x = np.where(draw.rand(64, 1) < 0.5, [[1, 1, 1, 0, 0, 0]], [[0, 0, 0, 1, 1, 1]])
    data = {"inputs": np.abs(x - (draw.rand(64, 6) < 0.05)).astype(np.float32)}
    system = rbm.system(6, 2, "binary", name, chains=16)
    problem = greedy.Problem(system, feed.drawn(16), data, {}, {})
    runs = [greedy.Run(0, greedy.hyper(0.05))]
    (ended,) = greedy.sweeps.ended(problem, runs, 300)
    x = jnp.asarray(data["inputs"])
    likelihood = rbm.log_likelihood(ended.state.tree.params, x, BINARY)
    assert jnp.mean(likelihood) > -6 * np.log(2) + 1.0


@pytest.mark.parametrize(
    "system",
    [rbm.system(6, 3, "binary", "pcd", chains=5), denoising.system(6, 3, "gaussian")],
    ids=["pcd", "denoising"],
)
def test_runs_are_resumed_bit_for_bit(system, tmp_path):
    data = {"inputs": np.random.RandomState(0).rand(20, 6).astype(np.float32)}
    assert_resumes(system, feed.drawn(8), data, greedy.hyper(0.1), tmp_path / "run")


def test_a_tied_autoencoder_costs_what_its_likelihood_says():
    """Cross-entropy and squared error, each written out."""
    one = machine()
    v = jnp.asarray(np.random.RandomState(3).rand(5, 4), jnp.float32)
    reached = one.up(v) @ one.kernel.T + one.visible[None]
    p = jax.nn.sigmoid(reached)
    entropy = -jnp.sum(v * jnp.log(p) + (1 - v) * jnp.log(1 - p), axis=1)
    np.testing.assert_allclose(denoising.errors(one, v, v, BINARY), entropy, rtol=1e-4)
    squares = jnp.sum((reached - v) ** 2, axis=1) / 2
    np.testing.assert_allclose(
        denoising.errors(one, v, v, GAUSSIAN), squares, rtol=1e-4
    )


@pytest.fixture(scope="module")
def stacked():
    """(a fresh sigmoid net of 3 hidden layers, machines of their shapes, inputs)."""
    net = fits.Net(
        Recipe(depth=2, width=3, activation="sigmoid", batch=4), Task((4,), 2)
    )
    machines = [machine(4, 3), machine(3, 3), machine(3, 3, size=2.0)]
    return fits.fresh(net), machines, np.random.RandomState(4).randn(5, 4).astype("f4")


def test_a_placed_stack_computes_what_its_machines_do(stacked):
    net, machines, x = stacked
    placed, h = greedy.placed(net, machines), x
    for state, one in zip(placed.states(x), machines, strict=True):
        h = greedy.hidden_of(one, h)
        np.testing.assert_allclose(1 / (1 + np.exp(-state)), h, rtol=1e-5)
    head = jax.tree.leaves(placed.variables.head)
    for ours, fresh in zip(head, jax.tree.leaves(net.variables.head), strict=True):
        np.testing.assert_array_equal(ours, fresh)


def test_the_way_back_is_by_the_transposes(stacked):
    """down(h) of each machine is what the next layer of the way back is given."""
    machines = stacked[1][:2]
    down = rbm.Boltzmann(*machines[1])
    _, _, up, last = greedy.unrolled(machines)
    h = jnp.ones((1, 3))
    np.testing.assert_allclose(h @ up.kernel + up.hidden[None], down.down(h), rtol=1e-6)
    assert last.kernel.shape == (3, 4)


def test_what_does_not_fit_is_no_layer(stacked):
    net, machines, _ = stacked
    with pytest.raises(ValueError, match="1 layers too few"):
        greedy.placed(net, [*machines, machine(3, 3)])
    with pytest.raises(ValueError, match="and what it is to be"):
        greedy.placed(net, [machine(3, 3), *machines[1:]])
