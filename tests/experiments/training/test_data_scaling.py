"""What examples a seed has, and what is said of exponents."""

import numpy as np
import pytest

from depthbench.experiments.training import data_scaling
from depthbench.research.cli.main import main
from depthbench.research.learning import held_out


def test_sizes_are_at_equal_ratios_with_both_ends():
    at = data_scaling.sizes({"least": 90, "most": 1440, "sizes": 5})
    assert at == (90, 180, 360, 720, 1440)


def test_a_seed_has_examples_of_its_own_and_none_of_the_test():
    train, valid = data_scaling.drawn("digits", None, 1437, 90, 0)
    assert (len(train.y), len(valid.y)) == (72, 18)
    each = [data_scaling.drawn("digits", None, 1437, 90, seed)[0].x for seed in (0, 1)]
    assert np.any(each[0] != each[1])
    test = held_out.parts("digits").test.x.reshape(360, -1)
    both = np.concatenate([train.x, valid.x]).reshape(90, -1)
    known = {row.tobytes() for row in test}
    assert not any(row.tobytes() in known for row in both)
    more = data_scaling.drawn("digits", None, 1437, 1437, 0)
    assert len(more[0].y) + len(more[1].y) == 1437


def test_nats_are_those_of_a_softmax():
    outputs = np.array([[0.0, np.log(3.0)], [1000.0, 0.0]])
    # −log 1/4, and −log of a probability that is 1 in float64
    given = data_scaling.nats(outputs, np.array([0, 0]))
    assert given == pytest.approx(np.log(4) / 2)


def test_a_bend_is_the_larger_sizes_exponent_less_the_smaller_ones():
    at = np.array([1.0, 10.0, 100.0, 1000.0, 10000.0])
    error = np.array([1.0, 0.1, 0.01, 0.01, 0.01])[:, None]
    np.testing.assert_allclose(data_scaling.bends(at, error), [1.0])


def test_a_deeper_nets_exponent_is_set_beside_the_shallowest_of_its_kind():
    same = dict(architecture="mlp", activation="relu", seeds=4, status="ok", reason="")
    rows = [
        {**same, "depth": depth, "score": score, "score_se": 0.03}
        for depth, score in ((16, -0.5), (1, -0.8), (4, -0.7))
    ]
    gaps = [(row["depth"], round(row["gap"], 9)) for row in data_scaling.deeper(rows)]
    assert gaps == [(4, 0.1), (16, 0.3)]
    assert data_scaling.deeper(rows)[0]["gap_se"] == pytest.approx(0.03 * 2**0.5)


@pytest.mark.parametrize(
    "typed, why",
    [
        (["--least", "500", "--most", "800"], "four times"),
        (["--most", "1438"], "digits has 1437 examples to train on"),
    ],
)
def test_sizes_that_cannot_be_are_one_line(typed, why, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["run", "data_scaling", *typed, "--out", str(out)]) == 2
    assert why in capsys.readouterr().err and not out.exists()


def test_a_headline_says_whose_error_falls_faster_and_how_it_is_read():
    row = {
        **dict(architecture="mlp", activation="relu", depth=1, status="ok", seeds=8),
        **dict(score=-0.66, strong=-0.84, gap=-0.18, gap_se=0.02, valid=0.03),
        **dict(most=1437, error_most=0.0204, svm_most=0.009, nearest_most=0.012),
        **dict(straight_from=90),
    }
    answer, worst = data_scaling.headline([row])
    assert answer.startswith("The strong baseline is ahead: of m examples")
    assert "falls as m^-0.66, that of an RBF SVM as m^-0.84" in answer
    assert "2.0% of the net's answers" in answer and "m^-0.66" in worst
    assert data_scaling.headline([{**row, "gap_se": 0.2}]).answer.startswith(
        "The net is no better than the strong baseline"
    )


def test_claims_name_the_seeds_that_are_run():
    (seeds,) = data_scaling.STUDY.axes["seeds"].values
    assert f" {seeds} seeds " in data_scaling.PROTOCOL


def test_the_worst_is_the_net_that_errs_most_with_most_examples():
    same = dict(
        architecture="mlp", activation="relu", most=1437, status="ok", reason=""
    )
    same |= dict(strong=-0.9, gap=-0.1, gap_se=0.01, seeds=8, nearest_most=0.013)
    same |= dict(svm_most=0.01, straight_from=None)
    rows = [
        {**same, "depth": depth, "score": score, "valid": error, "error_most": error}
        for depth, score, error in ((1, -0.78, 0.015), (16, -0.82, 0.034))
    ]
    said = data_scaling.STUDY.headline(rows)
    assert "(plain ReLU net of 1 layer)" in said.answer
    assert said.worst.startswith("Worst: 3.4% of answers with 1437 examples")
    assert "16 layers" in said.worst
