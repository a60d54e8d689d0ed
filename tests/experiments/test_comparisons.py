"""Rows beside each other, as the claims of these studies take them."""

import numpy as np
import pytest

from depthbench.experiments import comparisons
from depthbench.experiments.training import pairs


def row(start, depth, score, error):
    return {
        "status": "ok", "start": start, "depth": depth, "seeds": 3,
        "score": score, "score_se": error,
    }  # fmt: skip


ROWS = [row("rbm", 1, 0.9, 0.03), row("glorot", 1, 0.8, 0.04), row("rbm", 8, 0.7, 0.1)]


def test_a_pair_is_of_equal_depth_and_its_errors_add_up():
    compared = comparisons.against({"start": "rbm"}, {"start": "glorot"}, ("depth",))
    (pair,) = compared(ROWS)
    assert (pair["start"], pair["depth"]) == ("rbm", 1)
    assert pairs.gap(pair)[:5] == (
        *(pytest.approx(0.1), pytest.approx(0.05), 3, "mean", 0.0),
    )


def test_of_errors_less_is_better():
    assert comparisons.apart(*ROWS[:2], higher=False)["gap"] == pytest.approx(-0.1)


def test_a_row_without_a_number_or_an_error_decides_nothing():
    lost = {**ROWS[1], "score": None, "score_se": None}
    apart = comparisons.apart(ROWS[0], lost)
    assert (apart["gap"], apart["gap_se"]) == (None, None)
    one = {**ROWS[1], "score_se": None}
    assert comparisons.apart(ROWS[0], one)["gap_se"] is None


def test_seeds_are_paired_where_rows_say_what_each_gave():
    """Both differ by what their seeds share: no error is left."""
    one, other = (
        {
            **row("rbm", 1, m, 0.1),
            "score_by_seed": comparisons.by_seed([m - 0.1, m + 0.1]),
        }
        for m in (0.8, 0.7)
    )
    apart = comparisons.apart(one, other)
    assert (apart["gap"], apart["gap_se"]) == (pytest.approx(0.1), 0.0)
    turned = comparisons.apart(one, other, higher=False)
    assert turned["gap"] == pytest.approx(-0.1)
    fewer = {**other, "score_by_seed": "0.6"}
    assert comparisons.apart(one, fewer)["gap_se"] == pytest.approx(0.1 * 2**0.5)
    assert comparisons.by_seed([0.5, float("nan")]) is None


def judged(score, strong=0.7, examples=400, **more):
    """A row of a share of test examples, with the error that they make of its gap."""
    error = comparisons.of_examples(score, strong, examples)
    shown = {"score": score, "strong": strong, "gap_test_se": error, "tested": examples}
    return {**ROWS[0], **shown, **more}


def test_what_test_examples_may_do_is_in_a_gap_of_scores():
    """Seeds that all agree do not decide what another draw of the test set would turn."""
    one, other = judged(0.9, start="rbm"), judged(0.8, start="glorot")
    expected = comparisons.of_examples(0.9, 0.8, 400)
    assert comparisons.apart(one, other)["gap_test_se"] == pytest.approx(expected)
    compared = comparisons.against({"start": "rbm"}, {"start": "glorot"}, ("depth",))
    (pair,) = compared([one, other])
    assert pairs.gap(pair).fixed == pytest.approx(expected)
    perfect = comparisons.apart(judged(1.0, 1.0), judged(1.0, 1.0))["gap_test_se"]
    assert perfect == pytest.approx(2**0.5 / 401, rel=0.01)  # all of 400 is not certain
    older = {**other, "gap_test_se": None}
    assert comparisons.apart(one, older)["gap_test_se"] is None


def test_of_other_columns_it_is_what_rows_say():
    """A share of the same examples, a column with an error of its own, or nothing."""
    one, other = (
        judged(0.9, attacked=0.5, loss=1.0),
        judged(0.8, attacked=0.6, loss=2.0),
    )
    apart = comparisons.apart(one, other, "attacked", share=True)
    expected = comparisons.of_examples(0.5, 0.6, 400)
    assert apart["gap_test_se"] == pytest.approx(expected)
    assert comparisons.apart(one, other, "loss")["gap_test_se"] is None
    lost = [{**row, "loss_test_se": e} for row, e in ((one, 0.3), (other, 0.4))]
    assert comparisons.apart(*lost, "loss")["gap_test_se"] == pytest.approx(0.5)


def test_of_scores_that_are_no_shares_the_two_gaps_errors_add_up():
    """As of nats a token: rows do not say of how many examples."""
    one, other = (judged(0.5, gap_test_se=error) for error in (0.03, 0.04))
    one, other = (
        {**row, "score": row["score"] + 2, "tested": None} for row in (one, other)
    )
    assert comparisons.apart(one, other)["gap_test_se"] == pytest.approx(0.05)
    # Errors of a bootstrap are of no whole number of examples, though below 1 like shares.
    one, other = (judged(0.5, gap_test_se=error, tested=None) for error in (0.03, 0.04))
    assert comparisons.apart(one, other)["gap_test_se"] == pytest.approx(0.05)


def test_two_that_answer_alike_differ_by_no_example():
    random = np.random.default_rng(0)
    right = random.random((3, 400)) < 0.9
    other = right.copy()
    other[:, :8] = ~other[:, :8]
    alike = comparisons.of_answers(right, other)
    # That they differ in none of these is no more than that they do in some two.
    assert comparisons.of_answers(right, right) == pytest.approx(2**0.5 / 402)
    # Of 400 differences 8 are 1 or −1: their deviation over √400.
    assert alike == pytest.approx((8 / 400) ** 0.5 / 400**0.5, rel=0.3)
    alone = comparisons.of_examples(right.mean(), other.mean(), 400)
    assert alike < 0.5 * alone


def test_a_bar_on_a_share_counts_its_test_examples():
    """400 of them: the binomial error of .9 is .015, whatever the seeds agree in."""
    row = {"score": 0.9, "score_se": 0.0, "seeds": 3, "strong": 0.8}
    known = comparisons.score({**row, "tested": 400})
    assert known.spread == pytest.approx(0.015, rel=0.02)
    older = {
        **row,
        "gap_test_se": ((0.09 + 0.16) / 400) ** 0.5,
    }  # binomial, to the letter
    assert comparisons.score(older).fixed == known.fixed
    assert comparisons.score({**row, "gap_test_se": None}).fixed == 0
    loss = {**row, "score": 1.9, "strong": 2.1, "gap_test_se": 0.02}
    assert comparisons.score(loss).fixed == 0  # no share: rows do not say it


def test_deeper_is_the_deepest_less_the_shallowest_of_each_kind():
    def row(kind, depth, score):
        ended = {"status": "ok", "reason": "", "seeds": 3, "unfinished": False}
        own = {"kind": kind, "depth": depth, "score": score, "score_se": 0.3}
        return {**ended, **own, "rate_at_edge": depth == 4}

    rows = [row("a", 4, 0.2), row("a", 1, 0.5), row("a", 2, 0.9), row("b", 1, 0.1)]
    (pair,) = comparisons.deeper(("kind",))(rows)
    assert (pair["kind"], pair["depth"], pair["gap"]) == ("a", 4, pytest.approx(-0.3))
    assert pair["gap_se"] == pytest.approx(0.3 * 2**0.5)
    assert pair["rate_at_edge"] and (pair["may_rise"], pair["may_fall"]) == (
        True,
        False,
    )
    (pair,) = comparisons.deeper(("kind",), higher=False)(rows)
    assert pair["gap"] == pytest.approx(0.3)
    assert comparisons.deeper(("kind",))(rows[3:]) == []


def test_examples_of_one_group_count_once():
    """30 voices heard in 10 noises each: what differs is of voices, and 300 clips are no
    more than 30 of them."""
    random = np.random.default_rng(0)
    voices = np.repeat(np.arange(30), 10)
    apart = np.tile(random.normal(size=30)[voices], (3, 1))
    alone = comparisons.of_means(apart, np.zeros(300))
    grouped = comparisons.of_means(apart, np.zeros(300), voices)
    assert grouped == pytest.approx(apart[0, ::10].std(ddof=1) / 30**0.5)
    assert grouped > 3 * alone
    of_one = comparisons.of_means(apart, np.zeros(300), np.zeros(300))
    assert np.isnan(of_one)  # of one voice nothing is known of others


def test_a_bootstrap_draws_groups():
    random = np.random.default_rng(0)
    photographs = np.repeat(np.arange(20), 15)
    of_photograph = random.normal(size=20)[photographs]
    mean = lambda times: float(times @ of_photograph / times.sum())
    grouped = comparisons.gap_error([mean], lambda times: 0.0, 300, photographs)
    alone = comparisons.gap_error([mean], lambda times: 0.0, 300)
    expected = comparisons.of_means(of_photograph, np.zeros(300), photographs)
    assert grouped == pytest.approx(expected, rel=0.15) and grouped > 2.5 * alone


def of_photographs(scores, strong=0.0):
    """A row of nets [seeds, photographs] whose score is the mean over photographs."""
    nets = [lambda times, own=own: float(times @ own / times.sum()) for own in scores]
    columns = comparisons.of_groups("score", nets, lambda t: strong, np.arange(5))
    return {**row("rbm", 1, float(np.mean(scores)), 0.01), **columns}


def test_of_few_groups_two_nets_are_judged_by_the_same():
    """Photographs differ by 3, nets on each by 0.1: of the nets' gap only that is known."""
    photographs = np.array([0.0, 3.0, 6.0, 9.0, 12.0])
    more = np.array([0.1, 0.2, 0.1, 0.3, 0.3])
    one, other = (of_photographs([photographs + a]) for a in (more, 0.0 * more))
    assert other["gap_test_se"] == pytest.approx(photographs.std(ddof=1) / 5**0.5)
    gap = comparisons.apart(one, other)
    assert gap["gap_test_se"] == pytest.approx(more.std(ddof=1) / 5**0.5)
    assert gap["gap_test_groups"] == 5 and pairs.gap({**gap, "seeds": 3}).groups == 5
    alone = comparisons.score(one)
    assert alone.fixed == pytest.approx((photographs + more).std(ddof=1) / 5**0.5)
    assert alone.groups == 5


def test_of_one_photograph_no_error_is_known():
    nets = [lambda times: float(times.sum())]
    columns = comparisons.of_groups("unseen", nets, lambda times: 0.0, np.zeros(3))
    assert columns["unseen_test_se"] is None and columns["unseen_test_groups"] == 1


def test_what_says_that_it_is_no_share_is_none():
    """Nats between 0 and 1, and an error that would be that of 30 million examples."""
    nats = {"score": 0.5669, "strong": 0.5649, "gap_test_se": 0.000128}
    assert comparisons.examples_of({**nats, "tested": None}) is None
    assert comparisons.examples_of(nats) is None


def test_a_mean_in_groups_has_the_error_of_its_examples():
    random = np.random.RandomState(0)
    hard = random.standard_normal(2000)  # what nets and baseline find hard alike
    each = hard + 0.3 * random.standard_normal((3, 2000))
    strong = hard + 0.3 * random.standard_normal(2000) + 1.0
    found = comparisons.of_averages(each, strong)
    assert found["gap_test_groups"] == comparisons.GROUPS
    # Of a variance from 20 groups the error is √(2/19) of it, and of its root a sixth.
    known = comparisons.of_means(each, strong)
    assert found["gap_test_se"] == pytest.approx(known, rel=0.5)
    # Another net, of the same examples: less is better.
    other = comparisons.of_averages(each + 0.1, strong)
    rows = [
        {"score": np.mean(own), "score_se": 0.01, "seeds": 3, **columns}
        for own, columns in ((each, found), (each + 0.1, other))
    ]
    pair = comparisons.apart(*rows, higher=False)
    assert pair["gap"] == pytest.approx(0.1)
    assert pair["gap_test_se"] == pytest.approx(0.0, abs=1e-7)  # nine digits are kept
