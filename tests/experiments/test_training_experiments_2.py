"""Experiments that set methods side by side: their verdicts, and mathematics of their own.

Training itself is tested elsewhere: here most studies get made-up outcomes of runs, so
that every plan, table, figure and claim is gone through without compiling anything.
"""

import math
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.training import (
    degradation,
    digits,
    highway,
    mup,
    pairs,
    relu_against_tanh,
    rezero,
)
from research.architectures.contract import apply, divide, init
from research.catalogues.catalogue import Mistake
from research.catalogues.optimizers import BASE_WIDTH, OPTIMIZERS, transformation
from research.datasets import DataError
from research.learning import supervised, sweeps, trainability
from research.report.rendering import as_markdown
from research.study import plan
from research.study.claims import Claim, judge
from research.study.declaration import chosen_values, grid

STUDIES = [
    module.STUDY for module in (degradation, highway, mup, relu_against_tanh, rezero)
]


def made_up(recipe, runs, steps, at_a_time=64):
    """Outcomes of runs whose loss falls at a rate of the recipe's own; some diverge."""
    outcomes = []
    for run in runs:
        own = zlib.crc32(repr((recipe, run.seed)).encode()) % 100 / 100
        rate = float(run.hyper.rule.learning_rate) * (1 + own)
        loss = math.log(10) * np.exp(-rate * np.arange(steps, dtype=np.float32))
        right = (1 - loss / math.log(10)).astype(np.float32)
        stops = run.hyper.rule.learning_rate > 0.2
        if stops:
            loss[5:], right[5:] = np.nan, np.nan
        end = {"loss": np.float32(np.nan if stops else loss[-1])}
        end["accuracy"] = np.float32(0.5 + own / 2)
        log = {"loss": loss, "accuracy": right}
        outcomes.append(sweeps.Trained(log, end, end, 4 if stops else None))
    return outcomes


def rows_of(study, monkeypatch, given=None):
    """(rows, profiles) of a study at its smoke size, from made-up outcomes."""
    monkeypatch.setattr(sweeps, "train", made_up)
    monkeypatch.setattr(sweeps, "problem", lambda recipe: recipe.program)
    rows, kept = [], {}
    cells = grid(study, chosen_values(study, "smoke", given or {}))
    cells, _ = study.fit(cells, set())
    for unit in plan.units(study, cells):
        for cell, measured in zip(unit.cells, plan.measure(unit, 2**32), strict=True):
            row = {**cell, "status": measured.status, "reason": measured.reason}
            row |= {
                name: None if isinstance(value, float) and math.isnan(value) else value
                for name, value in measured.values.items()
            }
            kept[str(cell)] = measured.profiles
            rows.append({**row, "id": str(cell)})
    return rows, lambda row: kept[row["id"]]


@pytest.fixture
def optax_as_it_is():
    """optax itself mixes dtypes, which a strict session refuses."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def made_up_sizes(monkeypatch):
    """Sizes that grow as width to the power 0, 1, … at state 0, 1, …"""

    def sizes(cell):
        powers = np.arange(cell["depth"] + 2)
        return np.broadcast_to(
            float(cell["width"]) ** powers, (2, cell["seeds"], len(powers))
        )

    monkeypatch.setattr(mup, "early_sizes", sizes)


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_rows_tables_verdicts_and_figures(study, monkeypatch, made_up_sizes):
    given = {"learning_rate": (0.01, 0.05, 0.3)}  # at the last one all runs diverge
    rows, profiles = rows_of(study, monkeypatch, given)
    assert {row["status"] for row in rows} == {"ok", "diverged"}
    for row in rows:
        assert row["learning_rate"] < 0.2 or row["diverged_at"] == 4
        assert set(study.columns) <= set(row) | {"hidden_size", "output_size"} | {
            "hidden_size_se",
            "output_size_se",
        }
    for claim in study.claims:
        assert judge(claim, rows).points > 0, claim.says
    for table in study.tables(rows):
        text = as_markdown(table)
        assert all(len(line) <= 110 for line in text.splitlines())
    for figure in study.figures(rows, profiles):
        assert any(axes.lines for axes in figure.draw().axes)


@pytest.mark.parametrize("study", [*STUDIES, digits.STUDY], ids=lambda s: s.name)
def test_every_value_can_be_typed(study):
    for name, axis in study.axes.items():
        typed = ",".join(str(value) for value in axis.values)
        assert axis.parse(f"--{name}", typed) == axis.values


def row(kind, rate, loss, diverged=0.0, seeds=3, se=0.1, steps=100):
    return {
        "net": kind,
        "learning_rate": rate,
        "train_loss": loss,
        "train_loss_se": se,
        "first_loss": 2.3,
        "diverged": diverged,
        "seeds": seeds,
        "steps": steps,
        "status": "ok",
    }


def test_the_best_rate_is_one_at_which_no_run_diverges():
    rows = [row("a", 0.1, 1.0), row("a", 0.2, 0.5, 0.3), row("b", 0.1, None, 1.0)]
    chosen = pairs.best(rows, ("net",), "loss")
    assert [r["learning_rate"] for r in chosen] == [0.1, 0.1]
    # What never trained is no better than it began.
    assert [pairs.loss(r) for r in chosen] == [1.0, 2.3]


def test_a_gap_counts_from_two_standard_errors():
    both = [row("a", 0.1, 1.0), row("b", 0.1, 1.2)]
    (made,) = pairs.versus(
        both, "net", ("a", "b"), (), pairs.loss, pairs.deviation("train_loss"), "loss"
    )
    # Each error is 0.1, so that of the difference √2 / 10; sums of floats round.
    assert made["gap"] == pytest.approx(0.2, rel=1e-12)
    assert made["gap_se"] == pytest.approx(0.1 * 2**0.5, rel=1e-12)
    assert pairs.missing(made) == pytest.approx(0.2 - 0.2 * 2**0.5, rel=1e-12)
    assert pairs.missing({"gap": 0.3, "gap_se": 0.1}) == 0.0
    assert pairs.missing({"gap": 0.0, "gap_se": 0.0}) < 0.0


def test_claims_are_judged_on_the_rows_they_are_made_of():
    claim = Claim(
        "X",
        "the sum is small",
        "none",
        gap=lambda r: r["sum"],
        error=pairs.exact,
        within=3.0,
        scope=lambda r: True,
        label=("name",),
        of=lambda rows: [
            {
                "name": "both",
                "status": "ok",
                "seeds": 3,
                "sum": sum(r["x"] for r in rows),
            }
        ],
    )
    assert judge(claim, [{"x": 1.0}, {"x": 2.0}]).word == "holds"
    assert judge(claim, [{"x": 1.0}, {"x": 2.5}]).misses == (("both", 3.5),)


def test_runs_that_do_not_arrive_count_as_late_as_they_ran():
    result = trainability.result(
        made_up(None, [_run(0.001), _run(0.05)], 40), target=0.75
    )
    at = result.profiles["steps_to_target"]
    assert math.isinf(at[0]) and at[1] < 40
    cell = {"steps": 40}
    values = relu_against_tanh.finish(cell, result).values
    expected = (math.log(40) + math.log(at[1])) / 2
    assert values["log_steps"] == pytest.approx(expected, rel=1e-12)


def _run(rate):
    hyper = OPTIMIZERS["sgd"].hyper(learning_rate=rate)
    return sweeps.Run(0, supervised.Numbers(supervised.UNIT, hyper))


def test_data_sets_that_studies_take():
    axis = pairs.dataset()
    assert axis.parse("--dataset", "fashion_mnist") == ("fashion_mnist",)
    for name, why in (("adding", "asks for numbers"), ("digit", "did you mean digits")):
        with pytest.raises(Mistake, match=why):
            axis.parse("--dataset", name)
    with pytest.raises(DataError, match="not prepared"):
        axis.parse("--dataset", "tfds:no_such_set")


def test_folds_hold_every_digit_out_once():
    found = digits.folds(23, seed=1)
    assert sorted(np.concatenate([test for _, test in found])) == list(range(23))
    for train, test in found:
        assert sorted([*train, *test]) == list(range(23))


def test_digits_beat_the_largest_class(optax_as_it_is):
    cell = {"depth": 1, "width": 16, "learning_rate": 0.01, "steps": 60, "seeds": 1}
    rows = []
    for name in ("largest class", "nearest neighbours", "multilayer perceptron"):
        own = {**cell, "method": name}
        measured = digits.accuracies(own)
        rows.append({**own, "status": "ok", **measured.values, "id": name})
        kept = measured.profiles
    trivial, near, net = (row["accuracy"] for row in rows)
    # The commonest digit is 10.2 % of them; on a test fold it is a little rarer.
    assert trivial < 0.11 < net and near > 0.9
    assert kept["confusion"].sum() == 1797
    assert judge(digits.STUDY.claims[0], [{**row, "seeds": 3} for row in rows]).points
    (table,) = digits.STUDY.tables(rows)
    assert [line[0] for line in table.rows][-1] == "largest class"
    (figure,) = digits.STUDY.figures(rows, lambda row: kept)
    assert figure.draw().axes[0].lines


def test_mup_is_the_standard_parametrisation_at_its_base_width(network):
    x = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
    one, other = (
        init(jax.random.key(1), network(name, width=BASE_WIDTH, depth=1), x)
        for name in ("mlp", "mlp_mup")
    )
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_steps_of_mup_are_shorter_by_width(network, optax_as_it_is):
    """Adam's first step is the gradient's sign, but for ε and float32's 1 − β₂."""
    net = network("mlp_mup", width=4 * BASE_WIDTH, depth=2)
    x = np.zeros((1, 6), np.float32)
    shapes = jax.eval_shape(lambda key: init(key, net, x), jax.random.key(0))
    params, _ = divide(jax.tree.map(lambda s: np.ones(s.shape, s.dtype), shapes))
    hyper = OPTIMIZERS["adam_mup"].hyper()
    rule = transformation(OPTIMIZERS["adam_mup"], hyper, (False,))
    step, _ = rule.update(params, rule.init(params), params)
    for tree, kernel in ((step.stem, 1), (step.stages[0], 1 / 4), (step.head, 1 / 4)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            expected = kernel if "kernel" in path[-1].key else 1
            np.testing.assert_allclose(leaf, expected, rtol=2e-5)


def test_outputs_of_mup_start_smaller_by_width(network):
    """√width smaller than in the standard parametrisation, of the same draws."""
    x = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
    nets = [network(name, width=4 * BASE_WIDTH, depth=1) for name in ("mlp", "mlp_mup")]
    plain, smaller = (apply(n, init(jax.random.key(1), n, x), x)[0] for n in nets)
    # The head's bias is 0 at the start; what is left is float32's rounding of sums.
    np.testing.assert_allclose(plain / 2, smaller, rtol=1e-4, atol=1e-6)


def test_the_closed_gates_carry_more(network):
    """With weights of 0 a layer is h' = (1 − T) h, with T the sigmoid of the bias."""
    h = jnp.ones((1, 8))
    for name, bias in (("highway_mlp", -2.0), ("highway_mlp_closed", -4.0)):
        net = network(name, sigma_w=0.0, depth=1)
        layer = net.stages[0].layer
        kept = layer.apply(layer.init(jax.random.key(0), h), h)
        carried = 1 / (1 + math.exp(bias))
        np.testing.assert_allclose(kept, carried * h, rtol=1e-6)


def test_the_slope_of_a_power_and_its_error():
    found, error = mup.slope([5, 6, 7], [1.0, 3.0, 5.0], [0.1, 0.1, 0.1])
    # Σ(x − x̄)² = 2; each of the two ends has weight ½.
    assert found == pytest.approx(2.0, rel=1e-12)
    assert error == pytest.approx(0.1 * 0.5**0.5, rel=1e-12)
    assert mup.slope([5, 6, 7], [4.0, 4.0, 4.0], [0, 0, 0])[0] == pytest.approx(0)
