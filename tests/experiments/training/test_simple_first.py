"""Small tables: their parts, their score, and what the study sets beside each other."""

import numpy as np
import pytest
import sklearn.metrics as metrics

from depthbench.experiments.training import nets, simple_first, small_tables
from depthbench.experiments.training.simple_first import STUDY
from depthbench.experiments.training.small_tables import TABLES
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.errors import Refusal


@pytest.mark.parametrize("name", TABLES)
def test_parts_are_apart_and_the_test_part_is_always_the_same(name):
    table = TABLES[name]
    one, other = (small_tables.parts(name, table.most, seed) for seed in (0, 1))
    assert sum(len(part.y) for part in one[:3]) == table.rows
    # Scaled by other rows, the test part's columns differ by a line.
    for column in range(one.test.x.shape[1]):
        if one.test.x[:, column].std() > 0:
            both = np.corrcoef(one.test.x[:, column], other.test.x[:, column])
            assert both[0, 1] == pytest.approx(1, abs=1e-5)
    assert not np.array_equal(one.train.y, other.train.y)
    # Float32 columns of some hundred rows.
    np.testing.assert_allclose(one.train.x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(one.train.x.std(axis=0), 1, atol=1e-5)
    if table.classes:
        assert set(one.train.y) == set(range(table.classes))


def test_scores_are_scikit_learns():
    random = np.random.default_rng(0)
    y, given = random.standard_normal((2, 30)).astype(np.float32)
    # It sums in another order, of float32 numbers.
    assert small_tables.score(given, y) == pytest.approx(
        metrics.r2_score(y, given), 1e-5
    )
    labels, said = random.integers(0, 3, (2, 30)).astype(np.int32)
    wanted = metrics.accuracy_score(labels, said)
    assert small_tables.score(said, labels) == pytest.approx(wanted)


def test_rows_that_are_not_there_are_one_line():
    chosen = chosen_values(STUDY, "standard", {"table": ("wine",), "examples": (320,)})
    with pytest.raises(Refusal, match="examples 320: there are at most 134"):
        STUDY.fit(grid(STUDY, chosen), {"examples"})


def test_the_best_simple_method_is_chosen_without_the_test_part():
    alike = {name: [0.5, 0.9] for name in simple_first.METHODS}
    known = [alike | {"tree": [0.7, 0.1]}, alike | {"kernel": [0.6, 0.9]}]
    assert simple_first.best_of(known) == "tree"  # 0.6 to 0.55, over both draws


def row(examples, depth, score, gap):
    return {
        **{"table": "wine", "examples": examples, "depth": depth, "score": score},
        **{"architecture": "mlp", "activation": "relu", "gap": gap, "seeds": 3},
        **{"score_se": 0.03, "gap_se": 0.04, "status": "ok"},
    }


def test_changes_are_of_one_table_and_have_both_errors():
    rows = [row(30, 1, 0.8, -0.1), row(30, 4, 0.7, -0.2), row(120, 1, 0.9, -0.05)]
    (deep,) = simple_first.deeper(rows)
    assert deep["change"] == pytest.approx(-0.1)
    assert deep["change_se"] == pytest.approx(0.03 * 2**0.5)
    (few,) = simple_first.fewest(rows)
    assert few["change"] == pytest.approx(-0.05) and few["examples"] == 120
    assert len(simple_first.once(rows)) == 2


def test_a_net_has_the_weight_decay_that_what_is_held_out_chose():
    """Simple methods have penalties, which are tuned: so has what they are beside."""
    rates = {"lowest_rate": 1e-2, "highest_rate": 1e-2, "rates": 1, "further_rates": 0}
    net = {"architecture": "mlp", "activation": "relu", "depth": 1, "width": 4}
    draws = [small_tables.parts("wine", 30, seed) for seed in range(2)]
    tuned, decay = simple_first.trained({**net, **rates, "steps": 20}, draws)
    assert len(tuned.runs) == 2 and decay in (0.001, 0.01, *nets.DECAYS, 10.0, 100.0)
    # A single rate is at its grid's edge, whatever the decay.
    assert tuned.at_edge


def test_a_headline_counts_cases_and_not_tables():
    more = {"valid": 0.9, "condition": 5.0, "excess": 0.1, "descent_steps": 10}
    rows = [
        {**row(examples, 1, 0.8, -0.3), **more, "strong": 0.9} for examples in (30, 120)
    ]
    answer, _ = simple_first.STUDY.headline(rows)
    assert "surely ahead of the best net in 2 of 2 cases" in answer
    assert ", wine with 30 rows and wine with 120 rows; surely behind in 0" in answer
