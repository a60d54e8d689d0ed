"""Trained nets as values: what they are asked, how they go on, and which is the best."""

import dataclasses
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from depthbench.research.architectures import contract
from depthbench.research.architectures.dense import feedback
from depthbench.research.datasets import DataError
from depthbench.research.learning import feed, fits, held_out, sweeps
from depthbench.research.learning.fits import Net
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import Outcome
from depthbench.research.learning.supervised import Task
from tests.learning.resumption import assert_resumes

SMALL = Recipe(architecture="residual_mlp", depth=3, width=8, batch=16)
NET = Net(SMALL, Task((8, 8, 1), 10))
DECAYING = Net(dataclasses.replace(SMALL, schedule="cosine"), NET.task)
DATA = held_out.parts("digits").train.first(700).batch


@pytest.fixture(scope="module")
def trained():
    return fits.train(NET, DATA, steps=30, rates=(1e-3, 1e-2), seeds=2)


def test_runs_are_in_the_order_of_rates_and_seeds(trained):
    assert [(one.rate, one.seed) for one in trained] == [
        *((1e-3, 0), (1e-3, 1), (1e-2, 0), (1e-2, 1))
    ]
    assert all(one.log["loss"].shape == (30,) for one in trained)


def test_runs_side_by_side_are_what_they_are_alone(trained, monkeypatch):
    """As on an accelerator; also those that begin from trained nets."""
    starts, rates = trained[:2], (1e-3, 1e-2)
    alone = fits.train(NET, DATA, 5, rates, 2, starts=starts)
    monkeypatch.setattr(sweeps, "grouped", lambda runs, at_a_time: [list(runs)])
    for one, other in [
        *zip(trained, fits.train(NET, DATA, 30, rates, 2), strict=True),
        *zip(alone, fits.train(NET, DATA, 5, rates, 2, starts=starts), strict=True),
    ]:
        assert (one.rate, one.seed) == (other.rate, other.seed)
        # Products are taken in another order: float32, over 30 steps of Adam.
        np.testing.assert_allclose(one.log["loss"], other.log["loss"], atol=1e-3)


def test_outputs_are_the_nets_own_whatever_the_number_of_examples(trained):
    """700 examples are two parts of 512, of which the second is filled up."""
    fit, x = trained[0], DATA["inputs"]
    plain, _ = contract.apply(NET.parts.net, fit.variables, x, train=False)
    whole = fit.outputs(x)
    assert whole.shape == (700, 10)
    np.testing.assert_allclose(whole, plain, rtol=1e-5, atol=1e-6)  # parts of 512
    assert fit.outputs(x[:3]).shape == (3, 10)


def test_the_last_state_is_what_the_head_reads(trained):
    fit, x = trained[0], DATA["inputs"][:5]
    states = fit.states(x)
    assert [state.shape for state in states] == [(5, 8)] * 4
    outputs, _ = contract.call(
        NET.parts.net.head, fit.variables.head, states[-1], False
    )
    np.testing.assert_allclose(fit.outputs(x), outputs, rtol=1e-5, atol=1e-6)


def test_a_net_goes_on_from_a_trained_one(trained):
    """Without a step it is what it began with; and a rate of 0 changes nothing."""
    starts = trained[:2]
    (same, other) = fits.train(NET, DATA, 1, (0.0,), 2, starts=starts)
    for one, start in zip((same, other), starts, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one.variables, start.variables)
    with pytest.raises(DataError, match="1 starts for 2 runs"):
        runs = [sweeps.Run(seed, fits.numbers(NET, 0.0, 1)) for seed in range(2)]
        problem = sweeps.Problem(NET.system, feed.drawn(16), DATA, {}, {})
        sweeps.ended(problem, runs, 1, [starts[0].learner(runs[0].hyper)])


def test_a_fresh_net_is_the_one_that_training_begins_with():
    (begun,) = fits.train(NET, DATA, 1, (0.0,), (1,))
    fresh = fits.fresh(NET, seed=1)
    jax.tree.map(np.testing.assert_array_equal, begun.variables, fresh.variables)


def test_training_itself_decides_on_the_rate_and_the_grid_is_made_wider():
    tuned = fits.tuned(fits.by_rate(NET, DATA, 60, 2), (1e-4, 1e-3), "accuracy", most=4)
    assert tuned.setting > 1e-3 and len(tuned.tried) > 2
    assert len(tuned.runs) == 2 and {run.rate for run in tuned.runs} == {tuned.setting}
    best = max(tuned.tried, key=lambda rate: tuned.tried[rate].accuracy)
    assert tuned.setting == best


def test_what_is_held_out_decides_where_it_is_given():
    """At the second setting the training loss is least, at the third the held-out part."""
    accuracy = {1.0: 0.2, 2.0: 0.5, 3.0: 0.9, 4.0: 0.6}

    def train(settings):
        logs = [{"loss": np.full(30, abs(one - 2.0))} for one in settings]
        each = zip(settings, logs, strict=True)
        return [[SimpleNamespace(diverged=None, log=log, at=one)] for one, log in each]

    def held(runs):
        return Outcome(accuracy=accuracy[runs[0].at])

    by_loss = fits.tuned(train, (1.0, 2.0, 3.0, 4.0), most=4)
    tuned = fits.tuned(train, (1.0, 2.0, 3.0, 4.0), "accuracy", held, most=4)
    assert (by_loss.setting, tuned.setting) == (2.0, 3.0)
    assert not tuned.at_edge and not tuned.unfinished
    at_its_end = fits.tuned(train, (1.0, 2.0, 3.0), "accuracy", held, most=0)
    assert at_its_end.setting == 3.0 and at_its_end.at_edge


@pytest.mark.parametrize(("share", "unfinished"), [(1.0, False), (0.9, True)])
def test_what_all_runs_learned_is_finished_though_the_loss_still_falls(
    share, unfinished
):
    """Logs say nothing of how many were trained: what chose the setting does."""
    run = SimpleNamespace(diverged=None, log={"loss": np.linspace(2.0, 1.0, 300)})
    tuned = fits.tuned(
        *(lambda settings: [[run] for _ in settings], (1.0,), "trained"),
        *(lambda runs: Outcome(ended=1.0, trained=share),),
        most=0,
    )
    assert tuned.unfinished == unfinished


def test_half_the_steps_are_a_training_of_their_own_by_the_same_program():
    """A schedule that ends at 0 ends there, bit for bit as where no more are asked for."""
    (alone,) = fits.train(DECAYING, DATA, 20, (1e-2,), 1)
    (half,) = fits.halved(DECAYING, DATA, 40, 1e-2, 1)
    jax.tree.map(np.testing.assert_array_equal, half.variables, alone.variables)
    for name, values in alone.log.items():
        np.testing.assert_array_equal(half.log[name], values)
    assert len(half.log["loss"]) == 20


@pytest.mark.parametrize("steps, unfinished", [(30, True), (1400, False)])
def test_a_decaying_rate_does_not_hide_that_more_steps_would_help(steps, unfinished):
    """Judged by a part that is held out: the loss rests in the end, at 30 steps too."""
    some = {name: array[:100] for name, array in DATA.items()}
    train, part = fits.by_rate(DECAYING, some, steps, 2), tuple(some.values())
    tuned = fits.tuned(train, (1e-2,), "accuracy", fits.held(part), most=0)
    assert tuned.unfinished == unfinished
    assert not fits.falls(tuned.runs, "accuracy")


def test_of_players_without_a_common_loss_it_is_not_known_whether_they_still_learn():
    """Not that they do not: nothing that was logged says it."""
    log = {"generator loss": np.zeros(30), "discriminator loss": np.zeros(30)}
    run = SimpleNamespace(diverged=None, log=log)
    train = lambda settings: [[run] for _ in settings]
    held = lambda runs: Outcome(loss=1.0)
    assert fits.tuned(train, (1.0, 2.0), "loss", held, most=0).unfinished is None


def test_beforehand_is_the_gradient_by_automatic_differentiation():
    before = fits.beforehand(NET, DATA, seeds=1)
    fresh = fits.fresh(NET)
    x, y = (DATA[name][: feed.PROBED] for name in ("inputs", "targets"))

    def loss(variables):
        outputs, _ = contract.apply(NET.parts.net, variables, x)
        right = outputs[np.arange(len(y)), y]
        return jax.numpy.mean(jax.nn.logsumexp(outputs, axis=1) - right)

    gradient = jax.grad(loss)(fresh.variables)
    first = jax.tree.map(lambda a: a[0], gradient.stages[0])
    size = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(first)))
    assert before.first_gradient == pytest.approx(np.log10(size), abs=1e-5)
    # Three layers of 8, stem and head: two operations a weight forwards, four back.
    weights = 64 * 8 + 3 * 64 + 80
    assert before.step_mflop > 6 * 16 * (weights - 64 * 8) / 1e6
    assert before.step_mflop < 12 * 16 * weights / 1e6


def test_its_state_resumes(tmp_path):
    """And that of a net whose errors come back through fixed matrices, which stay."""
    plain = Recipe(depth=2, width=8, batch=16)
    net = Net(plain, Task((8, 8, 1), 10, change=feedback.of_mlp))
    hyper = fits.numbers(net, 1e-2, 4)
    assert_resumes(net.system, feed.drawn(16), DATA, hyper, tmp_path)


# ------------------------------------------------------------------- random feedback


def test_random_feedback_moves_the_last_layer_by_its_gradient_and_no_matrix_of_its_own():
    recipe = Recipe(depth=2, width=8, batch=16, initializer="glorot_normal")
    plain = Net(recipe, Task((8, 8, 1), 10))
    back = plain._replace(task=Task((8, 8, 1), 10, change=feedback.of_mlp))
    (start,) = fits.train(back, DATA, 1, (0.0,), 1)
    (end,) = fits.train(back, DATA, 20, (1e-2,), 1)
    for part in ("stages", "head"):
        before, after = (getattr(one.variables, part) for one in (start, end))
        before, after = (v[0] if part == "stages" else v for v in (before, after))
        jax.tree.map(
            np.testing.assert_array_equal,
            *(v[feedback.FEEDBACK] for v in (before, after)),
        )
    kernel = start.variables.head["params"]["Dense_0"]["kernel"]
    assert not np.allclose(kernel, start.variables.head[feedback.FEEDBACK]["kernel"])
    params, _ = contract.divide(start.variables)
    x = DATA["inputs"][:4]

    def outputs(net, stats):
        variables = contract.unite(params, stats)
        return lambda p: contract.apply(net, variables._replace(head=p), x)[0].sum()

    none = contract.divide(fits.fresh(plain).variables)[1]
    one = jax.grad(outputs(plain.parts.net, none))(params.head)
    stats = contract.divide(start.variables)[1]
    both = {**params.head, **stats.head}
    other = jax.grad(outputs(back.parts.net, stats))(both)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        one["params"],
        other["params"],
    )


def test_parts_first_asked_for_in_a_program_can_be_used_outside_of_it():
    """A scaled branch has an array in it, which must not be the program's own."""
    recipe = Recipe(architecture="residual_mlp_scaled", depth=2, width=4)
    net = Net(recipe, Task((3,), 2))

    @jax.jit
    def asked(x):
        return x * len(net.parts.net.stages)

    assert asked(np.float32(1)) == 1
    assert fits.fresh(net).outputs(np.ones((1, 3), np.float32)).shape == (1, 2)
