"""Supervised learning: steps, runs, ensembles, and what they do not depend on."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.catalogues.losses import LOSSES
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.catalogues.schedules import SCHEDULES
from depthbench.research.learning import examples, feed, loop, supervised, sweeps
from depthbench.research.learning import system as systems
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Components, Numbers, system_of
from depthbench.research.learning.system import ONGOING

X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(np.int32) + (X[:, 2] > 0).astype(np.int32)
DATA = {"inputs": jnp.asarray(X), "targets": jnp.asarray(Y)}
SGD = OPTIMIZERS["sgd"]


@pytest.fixture(scope="module")
def parts(network):
    """Small parts; what is given replaces what they have."""

    def build(optimizer="adam", schedule="constant", net=None, **more):
        net = net or network("mlp", "tanh", depth=3, width=8)
        chosen = OPTIMIZERS[optimizer], SCHEDULES[schedule]
        return Components(net, LOSSES["classes"], *chosen, **more)

    return build


def numbers(optimizer, **settings):
    rule = OPTIMIZERS[optimizer].hyper(steps=100.0, **settings)
    return jax.tree.map(jnp.float32, Numbers(supervised.UNIT, rule))


@pytest.fixture(scope="module")
def start(filled):
    """The first state of parts, their parameters drawn by NumPy."""

    def begin(parts, hyper, seed=0):
        variables = jax.tree.map(jnp.asarray, filled(parts.net, X, seed=seed))
        learner = supervised.learner(parts, variables, hyper.rule)
        return systems.start(learner, jax.random.key(seed))

    return begin


def run_of(parts, capacity=12, batch=8):
    system, feeds = system_of(parts), feed.drawn(batch)
    return lambda s, h, n: loop.run(system, feeds, s, h, DATA, n, capacity)


def runner(parts, capacity=12):
    return jax.jit(run_of(parts, capacity))


def plain(state):
    """The state's arrays, its key as numbers."""
    return jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))


def equal(one, other):
    return all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(plain(one), plain(other), strict=True)
    )


def test_a_step_of_sgd_is_gradient_descent(parts, start):
    work, hyper = parts("sgd"), numbers("sgd", learning_rate=0.3)
    state = start(work, hyper)

    def loss(params):
        each, _ = supervised.measures(work, params, state.tree.stats, DATA, True)
        return jnp.mean(each["loss"])

    def by_hand(params):
        gradient = jax.grad(loss)(params)
        return jax.tree.map(lambda p, g: p - 0.3 * g, params, gradient)

    system = system_of(work)
    after, means = jax.jit(lambda s: systems.step(system, s, hyper, DATA))(state)
    wanted = jax.jit(by_hand)(state.tree.params)
    for a, b in zip(*map(jax.tree.leaves, (after.tree.params, wanted)), strict=True):
        np.testing.assert_allclose(
            a, b, rtol=1e-5, atol=1e-7
        )  # float32, fused otherwise
    assert (int(after.step), int(after.diverged)) == (1, ONGOING)
    np.testing.assert_allclose(
        means["loss"], jax.jit(loss)(state.tree.params), rtol=1e-6
    )


@pytest.mark.parametrize("normalizer", ["none", "batch"])
def test_a_run_does_not_depend_on_how_it_is_cut_up(parts, start, network, normalizer):
    net = network("mlp", "tanh", normalizer, depth=3, width=8)
    work, hyper = parts("momentum", "cosine", net), numbers("momentum", warmup=3.0)
    run, state = runner(work), start(work, hyper)
    whole, log = run(state, hyper, 12)
    losses = []
    for count in (5, 1, 6):
        state, part = run(state, hyper, count)
        losses.append(part["loss"][:count])
        assert np.all(np.isnan(part["loss"][count:]))
    assert equal(whole, state)
    assert np.array_equal(np.concatenate(losses), log["loss"])
    assert int(state.step) == 12
    other, _ = run(start(work, hyper, seed=1), hyper, 12)
    assert not equal(other, state)


def stacked(*trees):
    return jax.tree.map(lambda *a: jnp.stack(a), *trees)


def test_a_member_of_an_ensemble_is_the_run_alone(parts, start):
    work = parts("adam")
    hypers = [numbers("adam", learning_rate=rate) for rate in (1e-3, 1e-2, 1e-1)]
    states = [start(work, h, seed) for seed, h in enumerate(hypers)]
    run = runner(work)
    together, log = run(stacked(*states), stacked(*hypers), 12)
    assert log["loss"].shape == (3, 12)
    for place, (state, hyper) in enumerate(zip(states, hypers, strict=True)):
        alone, log_alone = run(state, hyper, 12)
        # Sums in another order, and Adam divides by small roots: 1e-4 of a weight.
        for a, b in zip(plain(alone), plain(together), strict=True):
            np.testing.assert_allclose(a, b[place], rtol=1e-3, atol=2e-4)
        np.testing.assert_allclose(log_alone["loss"], log["loss"][place], rtol=1e-3)


def test_one_that_diverges_stops_alone_and_says_when(parts, start):
    work = parts("sgd")
    good, bad = numbers("sgd", learning_rate=0.1), numbers("sgd", learning_rate=1e38)
    run = runner(work)
    alone, log = run(start(work, bad), bad, 12)
    at = int(alone.diverged)
    assert 1 <= at < 4  # a huge step, and what it makes of the next loss
    last = int(alone.step)
    assert at < last < 6  # no further than there are numbers
    assert np.all(np.isnan(log["loss"][last:]))
    assert not np.isfinite(log["loss"][last - 1])
    states = stacked(start(work, good), start(work, bad), start(work, good, 1))
    together, log = run(states, stacked(good, bad, good), 12)
    assert together.diverged.tolist() == [ONGOING, at, ONGOING]
    calm = stacked(start(work, good), start(work, good, 2), start(work, good, 1))
    without, other = run(calm, stacked(good, good, good), 12)
    for place in (0, 2):
        assert np.array_equal(log["loss"][place], other["loss"][place])
        of = lambda state, p=place: jax.tree.map(lambda a: a[p], state)
        assert equal(of(together), of(without))


def test_one_program_serves_every_rate_and_length(parts, start, traces):
    work = parts("adam", "step")
    run = traces(run_of(work))
    for rate in (1e-4, 1e-2):
        hyper = numbers("adam", learning_rate=rate, clip=1.0)
        for count in (1, 7):
            run(start(work, hyper), hyper, jnp.int32(count))
    assert run.count == 1


def test_parts_of_a_batch_give_its_gradient(parts, start):
    whole, cut = parts(), parts(accumulate=5)
    learner = start(whole, numbers("adam")).tree

    def gradient(work):
        key = jax.random.key(0)
        of = supervised.gradients
        return jax.jit(lambda s: of(work, s.params, s.stats, DATA, key)[0])(learner)

    for a, b in zip(
        *map(jax.tree.leaves, (gradient(whole), gradient(cut))), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)  # sums in another order


def test_bfloat16_computes_but_does_not_keep(parts, start, network):
    net = network("mlp", "tanh", "batch", depth=3, width=8)
    exact, coarse = parts(net=net), parts(net=net, dtype=jnp.bfloat16)
    hyper = numbers("adam")
    state = start(exact, hyper)
    for leaf in jax.tree.leaves(start(coarse, hyper).tree.params):
        assert leaf.dtype == jnp.float32

    def step(work):
        system = system_of(work)
        return jax.jit(lambda s: systems.step(system, s, hyper, DATA))(state)

    (after, coarse_loss), (_, exact_loss) = step(coarse), step(exact)
    for before, leaf in zip(
        *map(jax.tree.leaves, (state._replace(key=0), after._replace(key=0))),
        strict=True,
    ):
        assert jnp.asarray(leaf).dtype == jnp.asarray(before).dtype
    # bfloat16 keeps 8 bits: products of three layers are off by about 1 %.
    coarse_loss, exact_loss = coarse_loss["loss"], exact_loss["loss"]
    np.testing.assert_allclose(coarse_loss, exact_loss, rtol=0.05)
    assert float(coarse_loss) != float(exact_loss)


def test_evaluation_counts_every_example_once(parts, start):
    work = parts()
    system, state = system_of(work), start(work, numbers("adam"))
    each = jax.jit(system.measure)(state.tree, DATA)
    assert set(each) == {"loss", "accuracy"}
    for size in (7, 40, 64):
        means = jax.jit(lambda s, n=size: loop.evaluate(system, s, DATA, n))(state)
        for name in each:
            np.testing.assert_allclose(means[name], np.mean(each[name]), rtol=1e-5)


def test_batches_are_drawn_from_all_and_from_the_step(parts, start):
    state = start(parts(), numbers("adam"))

    @jax.jit
    def drawn(state):
        key, _ = systems.keys(state)
        return feed.drawn(8)(DATA, 0)(key, state.step)

    batches = [drawn(state._replace(step=jnp.int32(step))) for step in range(60)]
    places = set()
    for step in range(60):
        batch = batches[step]
        for row, label in zip(*map(np.asarray, batch.values()), strict=True):
            place = int(np.flatnonzero((row == X).all(axis=1))[0])
            assert Y[place] == label
            places.add(place)
    assert len(places) == 40  # 480 draws miss one of 40 with probability 2e-4
    again = drawn(state._replace(step=jnp.int32(3)))
    assert np.array_equal(again["inputs"], batches[3]["inputs"])


def test_token_losses_are_of_the_steps_that_are_asked():
    outputs = jnp.asarray(
        np.random.default_rng(1).standard_normal((2, 3, 4)), jnp.float32
    )
    labels = jnp.asarray([[1, -1, 3], [-1, -1, -1]])
    measures = LOSSES["tokens"].measures
    losses = measures["loss"](outputs, {"targets": labels})
    log = np.asarray(jax.nn.log_softmax(outputs))
    np.testing.assert_allclose(losses[0], -(log[0, 0, 1] + log[0, 2, 3]) / 2, rtol=1e-6)
    assert losses[1] == 0
    best = {"targets": jnp.argmax(outputs, -1)}
    right = measures["accuracy"](outputs, best)
    assert right.tolist() == [1.0, 1.0]


def test_nets_that_give_the_input_are_asked_for_it(network, start):
    net = network("autoencoder", "tanh", depth=2, width=8, outputs=6)
    chosen = LOSSES["reconstruction"], OPTIMIZERS["adam"], SCHEDULES["constant"]
    work = Components(net, *chosen)
    hyper = numbers("adam", learning_rate=1e-2)
    _, log = runner(work, 60)(start(work, hyper), hyper, 60)
    assert log["loss"][-5:].mean() < 0.7 * log["loss"][:5].mean()
    assert list(log) == ["loss"]  # no answer is right or wrong


@pytest.mark.parametrize("name", ["transformer_decoder", "stacked_lstm"])
def test_every_step_of_a_sequence_can_be_asked(network, name):
    """And none of them sees what comes after it."""
    from depthbench.research.architectures import ARCHITECTURES
    from depthbench.research.architectures.contract import (
        Settings,
        Weights,
        apply,
        init,
    )
    from depthbench.research.catalogues.activations import ACTIVATIONS
    from depthbench.research.catalogues.initializers import DRAWS
    from depthbench.research.catalogues.normalizers import NORMALIZERS

    family = ARCHITECTURES[name]
    weights = Weights(DRAWS["normal"], lambda fan_in, fan_out: (1.0, 0.0))
    parts = ACTIVATIONS["tanh"].phi, weights
    norm = NORMALIZERS[family.published_normalizer]
    net = family.build(Settings(4, 1, *parts, norm, 5, 1, every_step=True))
    x = np.random.default_rng(2).standard_normal((2, 6, 3)).astype(np.float32)
    later = np.array(x)
    later[:, 4:] += 1.0

    def both(key):
        variables = init(key, net, x)
        return apply(net, variables, x)[0], apply(net, variables, later)[0]

    outputs, moved = jax.jit(both)(jax.random.key(0))
    assert outputs.shape == (2, 6, 5)
    np.testing.assert_allclose(outputs[:, :4], moved[:, :4], atol=1e-6)
    assert np.all(np.abs(outputs[:, 4:] - moved[:, 4:]).max(axis=2) > 1e-3)


def test_a_run_is_the_same_whatever_the_loop_of_its_steps():
    """Its states are drawn and kept alike, to the bit; steps are equal to rounding."""
    recipe = Recipe(depth=2, width=4, batch=8, normalizer="batch", optimizer="momentum")
    hyper = numbers("momentum", learning_rate=0.1)
    ends = {}
    for loop_name in ("scan", "unrolled", "remat"):
        one = dataclasses.replace(recipe, loop=loop_name)
        programs = sweeps.of_recipe(one, 3)
        assert supervised.system(one).form.name == loop_name
        data, _ = examples.batches(one)
        state = programs.init(np.uint32(0), hyper)
        fresh = jax.device_get(plain(state))
        state = programs.opened(state)
        layers = len(state.tree.params.stages)
        assert layers == (2 if loop_name == "unrolled" else 1)
        state, _ = programs.advance(state, hyper, data, np.int32(3))
        some = examples.first(examples.splits(one).test, 20)
        loss = programs.evaluate(state, some)["loss"]
        profile = programs.profile(state, some)["net"]
        ends[loop_name] = fresh, plain(programs.closed(state)), loss, profile
    for fresh, *others in ends.values():
        jax.tree.map(np.testing.assert_array_equal, fresh, ends["scan"][0])
        for one, other in zip(others, ends["scan"][1:], strict=True):
            # Three steps of the same sums, fused otherwise.
            close = lambda a, b: np.testing.assert_allclose(a, b, 2e-4, 2e-5)
            jax.tree.map(close, one, other)
