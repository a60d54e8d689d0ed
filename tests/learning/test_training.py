"""Training as a value: steps, runs, ensembles, and what they do not depend on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from research.learning.training import ONGOING, Batch, Job, State

from research.architectures.contract import divide
from research.catalogues.losses import TASKS
from research.catalogues.optimizers import OPTIMIZERS, transformation
from research.catalogues.schedules import SCHEDULES
from research.learning import training

X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(np.int32) + (X[:, 2] > 0).astype(np.int32)
DATA = Batch(jnp.asarray(X), jnp.asarray(Y))
SGD = OPTIMIZERS["sgd"]


@pytest.fixture(scope="module")
def job(network):
    """A small job; what is given replaces what it has."""

    def build(optimizer="adam", schedule="constant", net=None, **more):
        net = net or network("mlp", "tanh", depth=3, width=8)
        chosen = OPTIMIZERS[optimizer], SCHEDULES[schedule]
        return Job(net, TASKS["classes"], *chosen, **{"batch": 8, **more})

    return build


def numbers(optimizer, **given):
    hyper = OPTIMIZERS[optimizer].hyper(steps=100.0, **given)
    return jax.tree.map(jnp.float32, hyper)


@pytest.fixture(scope="module")
def start(filled):
    """The first state of a job, its parameters drawn by NumPy."""

    def begin(job, hyper, seed=0):
        params, stats = divide(jax.tree.map(jnp.asarray, filled(job.net, X, seed=seed)))
        rule = transformation(job.optimizer, hyper, training.tied(job.net))
        zero = jnp.int32(0)
        key = jax.random.key(seed)
        return State(zero, params, rule.init(params), stats, key, zero + ONGOING)

    return begin


def runner(job, capacity=12):
    return jax.jit(lambda s, h, n: training.run(job, s, h, DATA, n, capacity))


def plain(state):
    """The state's arrays, its key as numbers."""
    return jax.tree.leaves(state._replace(key=jax.random.key_data(state.key)))


def equal(one, other):
    return all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(plain(one), plain(other), strict=True)
    )


def test_a_step_of_sgd_is_gradient_descent(job, start):
    work, hyper = job("sgd"), numbers("sgd", learning_rate=0.3)
    state = start(work, hyper)

    def loss(params):
        each, _ = training.losses(work, params, state.stats, DATA, True)
        return jnp.mean(each.loss)

    def by_hand(params):
        gradient = jax.grad(loss)(params)
        return jax.tree.map(lambda p, g: p - 0.3 * g, params, gradient)

    after, means = jax.jit(lambda s: training.step(work, s, hyper, DATA))(state)
    wanted = jax.jit(by_hand)(state.params)
    for a, b in zip(*map(jax.tree.leaves, (after.params, wanted)), strict=True):
        np.testing.assert_allclose(
            a, b, rtol=1e-5, atol=1e-7
        )  # float32, fused otherwise
    assert (int(after.step), int(after.diverged)) == (1, ONGOING)
    np.testing.assert_allclose(means.loss, jax.jit(loss)(state.params), rtol=1e-6)


@pytest.mark.parametrize("normalizer", ["none", "batch"])
def test_a_run_does_not_depend_on_how_it_is_cut_up(job, start, network, normalizer):
    net = network("mlp", "tanh", normalizer, depth=3, width=8)
    work, hyper = job("momentum", "cosine", net), numbers("momentum", warmup=3.0)
    run, state = runner(work), start(work, hyper)
    whole, log = run(state, hyper, 12)
    losses = []
    for count in (5, 1, 6):
        state, part = run(state, hyper, count)
        losses.append(part.loss[:count])
        assert np.all(np.isnan(part.loss[count:]))
    assert equal(whole, state)
    assert np.array_equal(np.concatenate(losses), log.loss)
    assert int(state.step) == 12
    other, _ = run(start(work, hyper, seed=1), hyper, 12)
    assert not equal(other, state)


def stacked(*trees):
    return jax.tree.map(lambda *a: jnp.stack(a), *trees)


def test_a_member_of_an_ensemble_is_the_run_alone(job, start):
    work = job("adam")
    hypers = [numbers("adam", learning_rate=rate) for rate in (1e-3, 1e-2, 1e-1)]
    states = [start(work, h, seed) for seed, h in enumerate(hypers)]
    run = runner(work)
    together, log = run(stacked(*states), stacked(*hypers), 12)
    assert log.loss.shape == (3, 12)
    for place, (state, hyper) in enumerate(zip(states, hypers, strict=True)):
        alone, own = run(state, hyper, 12)
        # Sums in another order, and Adam divides by small roots: 1e-4 of a weight.
        for a, b in zip(plain(alone), plain(together), strict=True):
            np.testing.assert_allclose(a, b[place], rtol=1e-3, atol=2e-4)
        np.testing.assert_allclose(own.loss, log.loss[place], rtol=1e-3)


def test_one_that_diverges_stops_alone_and_says_when(job, start):
    work = job("sgd")
    good, bad = numbers("sgd", learning_rate=0.1), numbers("sgd", learning_rate=1e30)
    run = runner(work)
    alone, log = run(start(work, bad), bad, 12)
    at = int(alone.diverged)
    assert 1 <= at < 4  # a huge step, and what it makes of the next loss
    assert int(alone.step) == at + 1  # it went no further
    assert np.all(np.isnan(log.loss[at + 1 :]))
    states = stacked(start(work, good), start(work, bad), start(work, good, 1))
    together, log = run(states, stacked(good, bad, good), 12)
    assert together.diverged.tolist() == [ONGOING, at, ONGOING]
    calm = stacked(start(work, good), start(work, good, 2), start(work, good, 1))
    without, other = run(calm, stacked(good, good, good), 12)
    for place in (0, 2):
        assert np.array_equal(log.loss[place], other.loss[place])
        of = lambda state, p=place: jax.tree.map(lambda a: a[p], state)
        assert equal(of(together), of(without))


def test_one_program_serves_every_rate_and_length(job, start, traces):
    work = job("adam", "step")
    run = traces(lambda s, h, n: training.run(work, s, h, DATA, n, 12))
    for rate in (1e-4, 1e-2):
        hyper = numbers("adam", learning_rate=rate, clip=1.0)
        for count in (1, 7):
            run(start(work, hyper), hyper, jnp.int32(count))
    assert run.count == 1


def test_parts_of_a_batch_give_its_gradient(job, start):
    whole, parts = job(batch=40), job(batch=40, accumulate=5)
    state = start(whole, numbers("adam"))

    def gradient(work):
        key = jax.random.key(0)
        of = training.gradients
        return jax.jit(lambda s: of(work, s.params, s.stats, DATA, key)[0])(state)

    for a, b in zip(
        *map(jax.tree.leaves, (gradient(whole), gradient(parts))), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)  # sums in another order


def test_bfloat16_computes_but_does_not_keep(job, start, network):
    net = network("mlp", "tanh", "batch", depth=3, width=8)
    exact, coarse = job(net=net), job(net=net, dtype=jnp.bfloat16)
    hyper = numbers("adam")
    state = start(exact, hyper)
    for leaf in jax.tree.leaves(start(coarse, hyper).params):
        assert leaf.dtype == jnp.float32
    step = lambda work: jax.jit(lambda s: training.step(work, s, hyper, DATA))(state)
    (after, coarse_loss), (_, exact_loss) = step(coarse), step(exact)
    for before, leaf in zip(
        *map(jax.tree.leaves, (state._replace(key=0), after._replace(key=0))),
        strict=True,
    ):
        assert jnp.asarray(leaf).dtype == jnp.asarray(before).dtype
    # bfloat16 keeps 8 bits: products of three layers are off by about 1 %.
    np.testing.assert_allclose(coarse_loss.loss, exact_loss.loss, rtol=0.05)
    assert float(coarse_loss.loss) != float(exact_loss.loss)


def test_evaluation_counts_every_example_once(job, start):
    work = job()
    state = start(work, numbers("adam"))
    each, _ = jax.jit(lambda s: training.losses(work, s.params, s.stats, DATA, False))(
        state
    )
    for size in (7, 40, 64):
        found = jax.jit(lambda s, n=size: training.evaluate(work, s, DATA, n))(state)
        np.testing.assert_allclose(found.loss, np.mean(each.loss), rtol=1e-5)
        np.testing.assert_allclose(found.right, np.mean(each.right), rtol=1e-6)


def test_batches_are_drawn_from_all_and_from_the_step(job, start):
    work = job(batch=8)
    state = start(work, numbers("adam"))
    drawn = jax.jit(lambda s: training.drawn(work, s, 0, DATA))
    seen = set()
    for step in range(60):
        batch = drawn(state._replace(step=jnp.int32(step)))
        for row, label in zip(np.asarray(batch.x), np.asarray(batch.y), strict=True):
            place = int(np.flatnonzero((row == X).all(axis=1))[0])
            assert Y[place] == label
            seen.add(place)
    assert len(seen) == 40  # 480 draws miss one of 40 with probability 2e-4
    again = drawn(state._replace(step=jnp.int32(3)))
    assert np.array_equal(again.x, drawn(state._replace(step=jnp.int32(3))).x)


def test_token_losses_are_of_the_steps_that_are_asked():
    outputs = jnp.asarray(
        np.random.default_rng(1).standard_normal((2, 3, 4)), jnp.float32
    )
    labels = jnp.asarray([[1, -1, 3], [-1, -1, -1]])
    told = TASKS["tokens"].losses(outputs, labels)
    log = np.asarray(jax.nn.log_softmax(outputs))
    np.testing.assert_allclose(told[0], -(log[0, 0, 1] + log[0, 2, 3]) / 2, rtol=1e-6)
    assert told[1] == 0
    right = TASKS["tokens"].right(outputs, jnp.argmax(outputs, -1))
    assert right.tolist() == [1.0, 1.0]


def test_nets_that_give_the_input_are_asked_for_it(network, start):
    net = network("autoencoder", "tanh", depth=2, width=8, outputs=6)
    chosen = TASKS["reconstruction"], OPTIMIZERS["adam"], SCHEDULES["constant"]
    work = Job(net, *chosen, batch=8)
    hyper = numbers("adam", learning_rate=1e-2)
    _, log = runner(work, 60)(start(work, hyper), hyper, 60)
    assert log.loss[-5:].mean() < 0.7 * log.loss[:5].mean()
    assert np.all(log.right == 0)


@pytest.mark.parametrize("name", ["transformer_decoder", "stacked_lstm"])
def test_every_step_of_a_sequence_can_be_asked(network, name):
    """And none of them sees what comes after it."""
    from research.architectures import ARCHITECTURES
    from research.architectures.contract import Settings, Weights, apply, init
    from research.catalogues.activations import ACTIVATIONS
    from research.catalogues.initializers import DRAWS
    from research.catalogues.normalizers import NORMALIZERS

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
