"""Measures beside scikit-learn's, and in closed form; ties included."""

import itertools
import math

import numpy as np
import pytest
from sklearn import metrics as theirs

from depthbench.research.catalogues.catalogue import DataError, Mistake
from depthbench.research.learning import metrics

every = pytest.mark.parametrize("seed", range(20))


def scored(seed, count=60):
    """Scores of few values, so that many are equal, and which are of the one kind."""
    draw = np.random.RandomState(seed)
    kind = draw.random_sample(count) < 0.3
    kind[:2] = True, False
    return np.round(draw.standard_normal(count) + kind, seed % 3), kind


@every
def test_area_is_scikit_learns(seed):
    scores, positive = scored(seed)
    expected = theirs.roc_auc_score(positive, scores)
    assert metrics.area(scores, positive) == pytest.approx(expected, abs=1e-12)
    assert metrics.area(-scores, positive) == pytest.approx(1 - expected, abs=1e-12)


@every
def test_the_equal_error_is_where_the_roc_curve_meets_the_diagonal(seed):
    scores, same = scored(seed)
    false, true, _ = theirs.roc_curve(same, scores, drop_intermediate=False)
    fine = np.linspace(0, 1, 200001)
    missed = 1 - np.interp(fine, false, true)
    # On a vertical piece of the curve the interpolation has its upper end alone.
    found = metrics.equal_error_rate(scores, same)
    place = int(np.argmax(fine >= missed))
    assert found.rate == pytest.approx(fine[place], abs=2e-5)
    assert found.threshold in scores
    gaps = {
        level: abs(np.mean(scores[~same] >= level) - np.mean(scores[same] < level))
        for level in np.unique(scores)
    }
    assert gaps[found.threshold] == pytest.approx(min(gaps.values()))


@pytest.mark.parametrize(
    ("scores", "same", "rate"),
    [
        ([3, 2, 1, 0], [1, 1, 0, 0], 0.0),
        ([3, 2, 1, 0], [0, 0, 1, 1], 1.0),
        ([1, 1, 1, 1], [1, 0, 1, 0], 0.5),
        ([2, 1, 1, 0], [1, 1, 0, 0], 0.25),
        ([4, 3, 2, 1, 0, 5], [1, 1, 0, 1, 0, 0], 1 / 3),
    ],
)
def test_equal_errors_in_closed_form(scores, same, rate):
    found = metrics.equal_error_rate(scores, same)
    assert found.rate == pytest.approx(rate)
    assert metrics.equal_error_rate(np.multiply(scores, 8), same).rate == found.rate


def test_two_normal_distributions_have_the_equal_error_of_theory():
    draw = np.random.RandomState(0)
    same = np.arange(40000) % 2 == 0
    found = metrics.equal_error_rate(draw.standard_normal(40000) + 2 * same, same)
    assert found.rate == pytest.approx(0.5 * math.erfc(1 / math.sqrt(2)), abs=0.01)
    assert found.threshold == pytest.approx(1, abs=0.05)


@every
def test_calibration_error_is_the_sum_over_bins(seed):
    draw = np.random.RandomState(seed)
    given = draw.dirichlet([0.5] * 3, 50)
    if seed % 2:  # on the edges of bins, and ties between classes
        given = np.array([[0.5, 0.5, 0], [0.2, 0.2, 0.6], [0, 1, 0], [0.4, 0.4, 0.2]])
        given = given[draw.randint(4, size=50)]
    labels, bins = draw.randint(3, size=50), 1 + seed
    confidence, right = given.max(axis=1), given.argmax(axis=1) == labels
    expected = 0.0
    for m in range(1, bins + 1):
        inside = (confidence > (m - 1) / bins) & (confidence <= m / bins)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            expected += inside.mean() * gap
    found = metrics.calibration_error(given, labels, bins)
    assert found == pytest.approx(expected, abs=1e-9)


def test_calibration_errors_in_closed_form():
    sure = np.eye(4)
    assert metrics.calibration_error(sure, [0, 1, 2, 3]) == 0
    assert metrics.calibration_error(sure, [1, 2, 3, 0]) == 1
    uniform = np.full((4, 4), 0.25)
    assert metrics.calibration_error(uniform, [0, 1, 2, 3]) == pytest.approx(0)
    # In one bin what is too sure and what is not sure enough make up for each other.
    mixed, labels = [[0.75, 0.25], [0.75, 0.25], [1, 0], [1, 0]], [0, 0, 0, 1]
    assert metrics.calibration_error(mixed, labels, bins=1) == pytest.approx(0.125)
    assert metrics.calibration_error(mixed, labels, bins=10) == pytest.approx(0.375)


@pytest.mark.parametrize("peak", [1.0, 255.0])
def test_psnr_in_closed_form(peak):
    x = np.zeros((2, 3, 3))
    assert metrics.psnr(x, x + peak, peak) == pytest.approx(0)
    assert metrics.psnr(x, x + peak / 100, peak) == pytest.approx(40)
    assert metrics.psnr(x, x, peak) == math.inf
    draw = np.random.RandomState(0)
    x, y = (draw.randint(256, size=(8, 8)).astype(np.uint8) for _ in range(2))
    expected = 10 * math.log10(
        peak**2 / theirs.mean_squared_error(x.astype(float), y.astype(float))
    )
    assert metrics.psnr(x, y, peak) == pytest.approx(expected)  # bytes do not wrap


@every
def test_clusters_beside_labels(seed):
    draw = np.random.RandomState(seed)
    clusters, labels = draw.randint(seed % 4 + 1, size=30), draw.randint(3, size=30)
    table = theirs.cluster.contingency_matrix(clusters, labels)
    assert metrics.purity(clusters, labels) == table.max(axis=1).sum() / 30
    # The best of all ways to give clusters labels, none twice, or none at all.
    wide = np.hstack([table, np.zeros((len(table), len(table)), int)])
    ways = itertools.permutations(range(wide.shape[1]), len(wide))
    best = max(sum(wide[n, place] for n, place in enumerate(way)) for way in ways)
    assert metrics.agreement(clusters, labels) == best / 30
    assert metrics.agreement(labels, clusters) == best / 30


def test_clusters_in_closed_form():
    labels = np.repeat([0, 1, 2], 5)
    assert metrics.purity(labels + 7, labels) == metrics.agreement(-labels, labels) == 1
    assert metrics.purity(np.arange(15), labels) == 1
    assert metrics.agreement(np.arange(15), labels) == 3 / 15
    assert metrics.purity(labels * 0, labels) == 1 / 3


BAD = {
    "a score is nan; must be finite": lambda: metrics.area([1, np.nan], [0, 1]),
    "2 of 2 examples are true": lambda: metrics.equal_error_rate([1, 2], [1, 1]),
    "must both be of one length": lambda: metrics.area([1, 2], [0, 1, 1]),
    "of kind 2; must be true or false": lambda: metrics.area([1, 2], [0, 2]),
    "must be [examples, classes]": lambda: metrics.calibration_error([0.5], [0]),
    "a row is [0.5, 0.6]": lambda: metrics.calibration_error([[0.5, 0.6]], [0]),
    "a row is [nan, 1.0]": lambda: metrics.calibration_error([[np.nan, 1]], [0]),
    "a label is 2; must be 0 to 1": lambda: metrics.calibration_error([[0, 1]], [2]),
    "bins is 0": lambda: metrics.calibration_error([[0, 1]], [1], 0),
    "peak is 0": lambda: metrics.psnr([1], [1], 0),
    "must be of one shape": lambda: metrics.psnr([1], [1, 2], 1),
    "x, y must be finite": lambda: metrics.psnr([math.nan], [1], 1),
    "must both be [examples]": lambda: metrics.purity([1], [1, 2]),
    "labels are float64; must be integers": lambda: metrics.agreement([1], [0.5]),
}


@pytest.mark.parametrize("said", BAD)
def test_bad_input_is_one_line(said):
    with pytest.raises((DataError, Mistake)) as caught:
        BAD[said]()
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_cka_is_the_alignment_of_centred_kernels():
    """As Kornblith et al. 2019, equations 3 and 4, have it: by kernels of all examples."""
    random = np.random.RandomState(0)
    x, y = random.normal(size=(20, 5)), random.normal(size=(20, 3))
    y[:, 0] += x[:, 0]
    centre = np.eye(20) - 1 / 20
    kernels = [centre @ one @ one.T @ centre for one in (x, y)]
    hsic = [[np.trace(k @ l) for l in kernels] for k in kernels]  # noqa: E741
    wanted = hsic[0][1] / np.sqrt(hsic[0][0] * hsic[1][1])
    assert metrics.cka(x, y) == pytest.approx(wanted, rel=1e-12)
    assert 0.05 < wanted < 0.95


def test_cka_is_the_same_by_kernels_where_there_are_fewer_examples_than_numbers():
    random = np.random.RandomState(0)
    x, y = random.normal(size=(20, 5)), random.normal(size=(20, 3))
    wide = random.normal(size=(5, 40))
    wide, _ = np.linalg.qr(wide.T)  # [40, 5]: the same kernel, of more numbers
    assert metrics.cka(x @ wide.T, y) == pytest.approx(metrics.cka(x, y), rel=1e-12)


@pytest.mark.parametrize("widest", (7, 60))
def test_all_pairs_have_the_alignment_of_each(widest):
    """By kernels where one of them has more numbers than there are examples."""
    random = np.random.RandomState(2)
    xs = [random.normal(size=(20, n)) for n in (3, widest)]
    ys = [random.normal(size=(20, n)) for n in (5, 2, 4)] + [xs[1][:, :2]]
    alone = [[metrics.cka(x, y) for y in ys] for x in xs]
    # Sums of the same products in another order.
    np.testing.assert_allclose(metrics.ckas(xs, ys), alone, rtol=1e-12)


def test_cka_knows_rotations_and_no_other_linear_maps():
    random = np.random.RandomState(1)
    x = random.normal(size=(30, 4))
    turn, _ = np.linalg.qr(random.normal(size=(4, 4)))
    assert metrics.cka(x, 7 * x @ turn + 3) == pytest.approx(1, rel=1e-12)
    assert metrics.cka(x, x @ np.diag([100.0, 1, 1, 1])) < 0.9


@pytest.mark.parametrize(
    "pair", [([[1.0], [1.0]], [[1.0], [2.0]]), ([[1.0]], [[1.0], [2.0]])]
)
def test_cka_refuses_what_has_no_alignment(pair):
    with pytest.raises(DataError, match="cka: "):
        metrics.cka(*pair)
