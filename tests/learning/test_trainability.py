"""Trainability: what is read off runs, and tiny real studies."""

import math

import jax
import numpy as np
import pytest

from depthbench.benchmarks import fresh_gradients
from depthbench.benchmarks.fresh_gradients import Fresh
from depthbench.benchmarks.max_trainable_depth import step_cost
from depthbench.benchmarks.max_trainable_depth import study as max_trainable_depth
from depthbench.benchmarks.trainability import study as trainability
from depthbench.research.catalogues.losses import LOSSES, SHARES
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.learning import recipe, supervised, sweeps
from depthbench.research.learning import training as core
from depthbench.research.learning.curves import POINTS, smooth
from depthbench.research.learning.sweeps import Trained
from depthbench.research.report.rendering import as_markdown, text_of
from depthbench.research.signal import interval
from depthbench.research.signal.measured import Measured
from depthbench.research.study import dtypes, plan
from depthbench.research.study.claims import judge
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.errors import Refusal

HALF = {"dtype", *dtypes.COLUMNS}  # columns of rows in another dtype than float32


def test_an_interval_of_a_share_stays_between_0_and_1():
    rights = (1.0, 1.0, 0.96)
    row = core.result([trained(right) for right in rights], 0.9, SIZES).values
    mean, error = np.mean(rights), np.std(rights, ddof=1) / 3**0.5
    assert mean + interval.quantile(3) * error > 1  # what Student's would have said
    for part in SIZES:
        low, high = (row[f"{part}_accuracy_{end}"] for end in ("low", "high"))
        assert 0 < low < mean < high < 1
    # A loss is no share.
    row = core.result([trained(1, loss=loss) for loss in (1, 2, 3)], 0.9, SIZES).values
    ends = interval.student(2.0, 3**-0.5, 3)
    assert (row["test_loss_low"], row["test_loss_high"]) == pytest.approx(ends)
    # Seeds that agree are as many draws as they have examples.
    row = core.result([trained(1.0)] * 3, 0.9, SIZES).values
    for part, size in SIZES.items():
        assert row[f"{part}_accuracy_se"] == 0 and row[f"{part}_accuracy_high"] == 1
        assert 1 - row[f"{part}_accuracy_low"] == pytest.approx(
            interval.quantile(3) ** 2 / (3 * size), rel=0.02
        )


def test_measures_that_are_shares_are_known_as_such():
    """And no others: those that outputs far off drive beyond 1."""
    outputs = 100 * np.random.default_rng(0).standard_normal((64, 8, 10))
    labels = np.arange(64 * 8).reshape(64, 8) % 10
    for loss in LOSSES.values():
        targets = labels if loss.name in ("classes", "tokens") else outputs[::-1]
        batch = {"targets": targets, "inputs": outputs[::-1]}
        for name, measure in loss.measures.items():
            values = np.asarray(measure(outputs, batch))
            assert np.min(values) >= 0
            assert (np.max(values) <= 1) == (name in SHARES), (loss.name, name)


def test_steps_to_a_target_are_those_of_a_window():
    right = np.concatenate([np.zeros(30), np.ones(30)])
    # 18 of 20 steps are right for the first time after step 30 + 18.
    assert core.reach(right, 0.9) == 48
    assert core.reach(np.zeros(60), 0.9) is None
    assert core.reach(np.ones(5), 0.9) == 5  # shorter than the window: taken whole
    assert core.reach(np.array([1.0, np.nan, np.nan]), 0.9) is None


def test_the_middle_of_seeds_counts_those_that_never_got_there():
    assert core.middle([10, 30, 20]) == 20
    assert core.middle([10, None, 20]) == 20
    assert core.middle([10, None, None]) is None
    assert core.middle([None, 10]) is None


def test_smoothed_curves_keep_their_mean():
    curves = np.arange(2 * 1000, dtype=np.float32).reshape(2, 1000)
    smoothed = smooth(curves)
    assert smoothed.shape == (2, POINTS)
    # Sums of 1,000 numbers below 2,000 in float32: 1e-6 of them.
    np.testing.assert_allclose(smoothed.mean(axis=1), curves.mean(axis=1), rtol=1e-6)
    assert smooth(curves[:, :7]).shape == (2, 7)


SIZES = {"train": 1437, "test": 360}


def trained(right, diverged=None, loss=0.5):
    measures = {"loss": np.float32(loss), "accuracy": np.float32(right)}
    log = {name: np.full(40, value) for name, value in measures.items()}
    return Trained(log, measures, measures, diverged)


def test_a_diverging_cell_is_a_row():
    result = core.result([trained(0.1, 3, np.nan), trained(0.1, 5, np.nan)], 0.9, SIZES)
    assert result.status == "diverged" and "step 3" in result.reason
    assert result.values["diverged"] == 1.0
    assert result.values["train_accuracy"] == pytest.approx(0.1)
    assert result.values["steps_to_target"] is None


def test_the_best_rate_is_the_most_accurate_and_then_the_soonest():
    slow = core.result([trained(0.95)] * 2, 0.99, SIZES)
    soon = core.result([trained(0.95)] * 2, 0.9, SIZES)
    broken = core.result([trained(0.99, 3, np.nan)] * 2, 0.9, SIZES)
    best = core.best((0.1, 1.0, 10.0), [slow, soon, broken])
    assert best.values["best_rate"] == 1.0
    assert best.values["rates_diverged"] == pytest.approx(1 / 3)
    assert list(best.profiles["rate"]) == [0.1, 1.0, 10.0]
    assert np.isnan(best.profiles["rate_steps_to_target"][0])
    assert core.best((1.0, 2.0), [broken, broken]).values["best_rate"] is None
    none = Measured("no_fixed_point", "why", {}, {})
    assert core.best((1.0, 2.0), [none, none]) == none


def test_rates_are_half_decades_around_the_published_one():
    rates = OPTIMIZERS["adam"].rates(5)
    np.testing.assert_allclose(np.log10(rates), [-4, -3.5, -3, -2.5, -2], rtol=1e-12)
    assert OPTIMIZERS["adam"].rates(1) == (1e-3,)


@pytest.mark.parametrize(
    "decades, depth",
    [([0.0, -1, -2, -3, -4, -9], 3), ([0.0, -3], 1), ([0.0, np.nan, 0.0], 0)],
)
def test_where_a_gradient_stops_surviving(decades, depth):
    fresh = Fresh({}, np.array(decades))
    assert fresh_gradients.survives_to("mlp", fresh, len(decades) - 1, 3.0) == depth


def test_where_layers_differ_decades_grow_with_the_depth():
    for ratio, depth in [(-6.0, 28), (2.0, 56), (None, 0)]:
        fresh = Fresh({"log10_ratio": ratio}, np.zeros(57))
        assert fresh_gradients.survives_to("resnet", fresh, 56, 3.0) == depth


def test_theory_of_batch_norm_is_sixteen_over_the_log_of_its_rate():
    cell = {"normalizer": "batch", "activation": "relu"}
    # Yang et al. 2019: π / (π − 1) for ReLU; the quadrature is good to 1e-9.
    depth = fresh_gradients.theory_depth(cell, {"log10_slope_theory": 0.08})
    assert depth == pytest.approx(16 / math.log(math.pi / (math.pi - 1)), rel=1e-9)
    assert fresh_gradients.theory_depth(cell, {"log10_slope_theory": None}) is None
    plain = {"normalizer": "none", "activation": "tanh"}
    assert fresh_gradients.theory_depth(plain, {"trainable_depth": math.nan}) is None


TINY = {
    "architecture": ("mlp",),
    "activation": ("tanh",),
    "optimizer": ("momentum",),
    "width": (8,),
    "batch": (16,),
    "steps": (20,),
}


def measured(study, **settings):
    """The cells of a tiny grid with what they gave, as rows."""
    chosen = chosen_values(study, "smoke", {**TINY, **settings})
    cells, _ = study.fit(grid(study, chosen), set(chosen))
    rows = []
    for unit in plan.units(study, cells):
        for cell, got in zip(unit.cells, plan.measure(unit, 2**30), strict=True):
            rows.append(
                {**cell, "status": got.status, "reason": got.reason, **got.values}
            )
    return rows


@pytest.fixture(scope="module")
def searched():
    study = max_trainable_depth.STUDY
    return measured(
        study,
        cap=(2,),
        target=(0.0,),
        activation=("tanh", "relu_squared"),
        initializer=("critical",),
    )


def test_a_search_is_a_row_with_gradient_theory_and_cost(searched):
    row = next(row for row in searched if row["activation"] == "tanh")
    # Any accuracy is enough here: so the deepest that is tried is found.
    assert (row["status"], row["max_depth"], row["capped"]) == ("ok", 2, True)
    assert row["probed"] == "2+" and row["runs"] == 2  # of 3 seeds two decide
    assert row["gradient"] == "survives" and row["gradient_depth"] == 2
    assert row["theory_depth"] == math.inf
    assert row["step_mflop"] > 0 and row["peak_mib"] > 0
    assert set(max_trainable_depth.STUDY.columns) - HALF <= set(row)


def test_a_search_without_a_critical_point_says_so(searched):
    row = next(row for row in searched if row["activation"] == "relu_squared")
    assert row["status"] == "no_fixed_point" and row["reason"]


def test_searches_are_tables_figures_and_verdicts(searched):
    study = max_trainable_depth.STUDY
    _, joined, _ = study.tables(searched)
    text = as_markdown(joined)
    assert "≥ 2" in text and "∞" in text and "no fixed point" in text
    assert {judge(claim, searched).word for claim in study.claims} == {"untested"}
    (figure,) = study.figures(searched, lambda row: {})
    assert figure.draw().axes


@pytest.mark.parametrize(
    "study, axis, message",
    [
        (trainability.STUDY, {"architecture": ("autoencoder",)}, "reconstruction"),
        (
            max_trainable_depth.STUDY,
            {"architecture": ("autoencoder",)},
            "reconstruction",
        ),
        (
            max_trainable_depth.STUDY,
            {"architecture": ("resnet",), "cap": (5,)},
            "--cap 5: resnet has no depth below 8",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(study, axis, message):
    cells = grid(study, chosen_values(study, "smoke", axis))
    with pytest.raises(Refusal, match=message):
        study.fit(cells, set(axis))


def test_operations_grow_by_the_same_for_each_layer():
    settings = {**max_trainable_depth.trials.DEFAULTS, "steps": 20}
    settings |= {"width": 8, "batch": 16, "optimizer": "momentum"}
    rule = OPTIMIZERS["momentum"].hyper(steps=20)
    hyper = supervised.Numbers(supervised.UNIT, rule)
    one, two, three = (
        step_cost.operations(recipe.of({**settings, "depth": depth}), hyper)
        for depth in (2, 3, 4)
    )
    assert three - two == two - one >= 3 * 2 * 16 * 8 * 8  # three products a layer


@pytest.fixture(scope="module")
def learned():
    # Steps as long as the large ones square to more than float32 holds.
    rates = {"he_normal": (0.1, 1e30), "glorot_normal": (1e30, 1e31)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            trainability,
            "settings",
            lambda cell: {"learning_rate": rates[cell["initializer"]]},
        )
        return measured(
            trainability.STUDY,
            activation=("relu",),
            initializer=tuple(rates),
            depth=(1,),
        )


def test_training_is_a_row_with_the_fresh_gradient(learned):
    row = next(row for row in learned if row["initializer"] == "he_normal")
    assert row["status"] == "ok" and row["gradient"] == "survives"
    assert (row["best_rate"], row["rates_diverged"]) == (0.1, 0.5)
    low, high = row["train_accuracy_low"], row["train_accuracy_high"]
    assert low <= row["train_accuracy"] <= high
    assert set(trainability.STUDY.columns) - HALF <= set(row)


def test_a_net_that_diverges_at_all_rates_is_a_row(learned):
    row = next(row for row in learned if row["initializer"] == "glorot_normal")
    assert (row["status"], row["rates_diverged"]) == ("diverged", 1.0)
    assert row["best_rate"] is None and row["diverged_at"] is not None


def test_rates_are_those_of_the_optimizer():
    cell = {"optimizer": "adam", "rates": 3}
    assert trainability.settings(cell)["learning_rate"] == OPTIMIZERS["adam"].rates(3)


def test_training_is_tables_figures_and_verdicts(learned):
    study = trainability.STUDY
    shown = [text_of(e) for t in study.tables(learned) for row in t.rows for e in row]
    assert "diverged" in shown and "75%" in shown  # of all runs
    (figure,) = study.figures(learned, lambda row: {})
    assert figure.draw().axes
    normed = [{**row, "normalizer": "batch"} for row in learned]
    deeper = [{**row, "depth": 2, "status": "ok"} for row in normed]
    words = [judge(claim, [*normed, *deeper]).word for claim in study.claims]
    # As accurate as each other, but a rate at the edge; and without a residual net, or a
    # depth that theory ends.
    assert words == ["untested", "undecided", "untested"]


def test_shallow_states_are_the_first_layers_of_deep_ones():
    # The settings of the tiny studies above, whose programs are compiled by now.
    settings = {**max_trainable_depth.trials.DEFAULTS, "steps": 20, "width": 8}
    settings["optimizer"] = "momentum"
    trainer = max_trainable_depth.Trainer(settings, 2, 1, {}, {})
    (run,) = runs = trainer.runs(0.1, 1)
    cut = trainer.state(1, runs)
    programs = sweeps.of_recipe(trainer.recipe(1), 20)
    shallow = programs.init(*sweeps.arguments([run]))
    for name in ("params", "opt"):
        both = (_leaves(getattr(cut.tree, name)), _leaves(getattr(shallow.tree, name)))
        for a, b in zip(*both, strict=True):
            np.testing.assert_array_equal(a, b)


def _leaves(tree):
    return list(map(np.asarray, jax.tree.leaves(tree)))
