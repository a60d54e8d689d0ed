"""Baselines: tuned by training alone, better than the trivial, and alike every time."""

import functools
import inspect
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from depthbench.research.catalogues.catalogue import DataError, UnknownName
from depthbench.research.datasets import DATASETS
from depthbench.research.learning import methods, selection, tuning
from depthbench.research.learning.baselines import BASELINES, Baseline, fit
from depthbench.research.learning.selection import Outcome
from depthbench.research.learning.splines import Spline
from depthbench.research.learning.tuning import Steps

CLASSES = [name for name, entry in BASELINES.items() if entry.task == "classes"]
NUMBERS = [name for name, entry in BASELINES.items() if entry.task == "numbers"]
# The least share right of the digits' test part, with some room.
RIGHT = {"majority": 0.05, "tree": 0.75, "naive_bayes": 0.8}
RIGHT |= {"svm": 0.98, "nearest": 0.97, "perceptron": 0.9}
# The most of the variance that is left, of a smooth function and noise.
LEFT = {"mean": 1.1, "least_squares": 0.5, "ridge": 0.5}


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch):
    monkeypatch.setattr(methods, "TREES", 25)


@functools.cache
def digits():
    train, test = DATASETS["digits"].split()
    return train.x, train.y, test.x, test.y


@functools.cache
def curve(count=150, seed=0):
    """x [examples, 1], and y [examples, 2] of it: smooth, with noise of 0.1."""
    draw = np.random.RandomState(seed)
    x = draw.uniform(-2, 2, (count, 1))
    y = np.hstack([2 * x + np.sin(3 * x), 100 - 50 * x**3 / 8 - 50 * x])
    return x, y + 0.1 * draw.standard_normal(y.shape) * [1, 30]


def blobs(count=60, classes=3, seed=0):
    """Points around so many centres, which overlap somewhat."""
    draw = np.random.RandomState(seed)
    y = np.arange(count) % classes
    return draw.standard_normal((count, 4)) + 1.5 * y[:, None], y


def steps(*values, **ends):
    return {"size": Steps(values, **ends)}


@pytest.mark.parametrize("name", CLASSES)
def test_each_classifier_reads_digits(name):
    x, y, x_test, y_test = digits()
    fitted = fit(name, x, y)
    labels = fitted.predict(x_test)
    assert labels.shape == y_test.shape and fitted.note == ""
    right = np.mean(labels == y_test)
    assert right > RIGHT.get(name, 0.93)
    scores = fitted.scores(x_test)
    assert scores.shape == (len(y_test), 10)
    if fitted.probabilities:
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    if name != "tree":  # which has many equal ones
        assert np.mean(fitted.classes[scores.argmax(axis=1)] == labels) > 0.98
    assert json.loads(json.dumps(fitted.setting)) == fitted.setting
    assert set(fitted.setting) >= set(BASELINES[name].grid)


@pytest.mark.parametrize("name", NUMBERS)
def test_each_regressor_follows_a_curve(name):
    x, y = curve()
    fitted = fit(name, x, y)
    assert fitted.scores(x) is None and not fitted.probabilities
    x_test, y_test = curve(seed=1)
    given = fitted.predict(x_test)
    assert given.shape == y_test.shape
    left = np.mean((given - y_test) ** 2, axis=0) / y_test.var(axis=0)
    assert np.all(left < LEFT.get(name, 0.05)), left
    alone = fit(name, x, y[:, 0])
    assert alone.predict(x_test).shape == (len(x_test),)
    if name in ("mean", "least_squares"):  # the others have one setting for both
        np.testing.assert_allclose(alone.predict(x_test), given[:, 0])


class Watched:
    """A method that remembers which examples it was given: their number is a feature."""

    def __init__(self, log, size):
        self.log, self.size = log, size

    def fit(self, x, y):
        self.log.append(("fit", self.size, set(x[:, 0]), x[:, 1:], y))
        return self

    def predict(self, x):
        self.log.append(("predict", self.size, set(x[:, 0])))
        return np.zeros(len(x), int)


@pytest.mark.parametrize(("count", "folds"), [(60, 5), (1200, 3), (4000, 1)])
def test_a_setting_is_chosen_by_what_is_trained_on_alone(count, folds):
    """There is no way for other data to come in; and no fold judges what it learned."""
    assert list(inspect.signature(fit).parameters) == ["baseline", "x", "y", "seed"]
    log = []
    spy = Baseline(
        "spy",
        "classes",
        lambda seed, spread, size: Watched(log, size),
        steps(1.0, 2.0),
        "",
    )
    x, y = np.arange(count, dtype=float)[:, None], np.arange(count) % 2
    fit(spy, x, y)
    *tried, last = log
    every = set(range(count))
    assert last[0] == "fit" and last[2] == every and len(tried) == 2 * 2 * folds
    for size in (1.0, 2.0):
        mine = [entry for entry in tried if entry[1] == size]
        judged = [entry[2] for entry in mine[1::2]]
        for learn, judge in zip(mine[::2], judged, strict=True):
            assert learn[2] | judge == every and not learn[2] & judge
            shares = np.bincount(learn[4]) / len(learn[4])
            np.testing.assert_allclose(shares, 0.5, atol=0.02)  # stratified
        assert sum(map(len, judged)) == (count if folds > 1 else count // 5)


@pytest.mark.parametrize("how", ["each", "alike"])
def test_inputs_are_scaled_by_what_is_learned_from(how):
    seen = []

    class Method(Watched):
        def fit(self, x, y):
            seen.append(x)
            return self

    make = lambda seed, spread, size: Method([], size)
    entry = Baseline("spy", "classes", make, steps(1.0, 2.0), "", (how,))
    x, y = blobs()
    fit(entry, x * [1, 10, 100, 0] + 7, y)
    for inner in seen:
        np.testing.assert_allclose(inner.mean(axis=0), 0, atol=1e-9)
        if how == "each":
            np.testing.assert_allclose(inner.std(axis=0), [1, 1, 1, 0], atol=1e-9)
        else:
            np.testing.assert_allclose(np.mean(inner.var(axis=0)), 1)


def test_pixels_keep_their_differences_where_that_is_better():
    x, y, *_ = digits()
    assert fit("nearest", x[:400], y[:400]).setting["scaling"] == "alike"
    # What tells the classes apart is small beside the noise: no feature may be left so.
    draw = np.random.RandomState(0)
    labels = np.arange(200) % 2
    small = 1e-3 * (labels + 0.1 * draw.standard_normal(200))
    uneven = np.stack([small, draw.standard_normal(200)], axis=1)
    assert fit("nearest", uneven, labels).setting["scaling"] == "each"


@pytest.mark.parametrize("name", ["svm", "kernel_ridge", "ridge", "lda", "spline"])
def test_units_do_not_matter(name):
    numbers = name in NUMBERS
    x, y = curve(60) if numbers else blobs(60)
    units = 1e-14
    one, other = fit(name, x, y), fit(name, x * units, y * 1000 if numbers else y)
    assert one.setting == other.setting
    given = other.predict(x * units)
    np.testing.assert_allclose(
        given / (1000 if numbers else 1), one.predict(x), rtol=1e-4
    )


def peak(at):
    return lambda setting: Outcome(loss=1 + abs(math.log10(setting["size"] / at)))


@pytest.mark.parametrize(
    ("at", "best", "edge"),
    [(1.0, 1.0, False), (1e3, 1e3, False), (1e-3, 1e-3, False), (1e9, 1e5, True)],
)
def test_a_grid_is_made_wider_as_far_as_the_rule_says(at, best, edge):
    assert tuning.tuned(steps(0.1, 1.0, 10.0), peak(at), "loss") == (
        {"size": best},
        edge,
    )
    assert selection.MOST == 4


def test_a_grid_of_two_numbers_is_made_wider_in_each():
    grid = {"C": Steps((1.0, 10.0)), "gamma": Steps((0.1, 1.0))}

    def outcome(setting):
        far = abs(math.log10(setting["C"]) - 3) + abs(math.log10(setting["gamma"]) + 3)
        return Outcome(loss=1 + far)

    assert tuning.tuned(grid, outcome, "loss") == ({"C": 1000.0, "gamma": 1e-3}, False)


def test_an_end_beyond_which_there_is_nothing_is_no_edge():
    assert tuning.tuned(steps(1, 3, least=1, whole=True), peak(0.01), "loss") == (
        {"size": 1},
        False,
    )
    setting, edge = tuning.tuned(steps(1, 3, 9, most=50, whole=True), peak(1e6), "loss")
    assert setting == {"size": 27} and isinstance(setting["size"], int) and not edge
    few = tuning.within(Steps((1, 3, 9, 27), counts=True), 12)
    assert (few.values, few.most) == ((1, 3, 9), 12)


def test_where_nothing_changes_towards_the_edge_it_stays():
    same = lambda setting: Outcome(accuracy=0.5)
    assert tuning.tuned(steps(1.0, 10.0), same, "accuracy") == ({"size": 1.0}, False)


def test_the_widened_grid_reaches_a_fit():
    """Noise-free numbers want no penalty at all."""
    x = np.linspace(-1, 1, 40)[:, None]
    fitted = fit("ridge", x, 3 * x[:, 0])
    assert fitted.at_edge and fitted.setting["penalty"] == pytest.approx(1e-7)


@pytest.mark.parametrize("name", [*CLASSES, *NUMBERS])
def test_the_same_seed_gives_the_same(name):
    if name in CLASSES:
        x, y = blobs(90)
    else:
        x, y = curve(60)
    one, other = (fit(name, x, y, seed=3) for _ in range(2))
    assert one.setting == other.setting and one.at_edge == other.at_edge
    np.testing.assert_array_equal(one.predict(x), other.predict(x))


def test_labels_are_given_back_as_they_came():
    x, y = blobs(60, 2)
    names = np.array(["no", "yes"])[y]
    fitted = fit("svm", x.reshape(60, 2, 2), names)
    assert fitted.predict(x.reshape(60, 2, 2)).dtype == names.dtype
    scores = fitted.scores(x.reshape(60, 2, 2))
    assert scores.shape == (60, 2) and list(fitted.classes) == ["no", "yes"]
    np.testing.assert_array_equal(
        fitted.predict(x.reshape(60, 2, 2)), fitted.classes[scores.argmax(axis=1)]
    )


def test_too_few_examples_of_a_class_are_said():
    x, y = blobs(30)
    fewer = fit("nearest", x, np.where(np.arange(30) < 2, 7, y))
    assert fewer.note == "" and fewer.setting["neighbours"] in (1, 3, 9)
    alone = fit("nearest", x, np.where(np.arange(30) < 1, 7, y))
    assert alone.note == "not tuned, the grid's middle: a class has one example"
    assert alone.setting == {"neighbours": 9, "scaling": "each"}
    assert fit("majority", x, np.where(np.arange(30) < 1, 7, y)).note == ""
    one = fit("ridge", [[1.0]], [5.0])
    assert "there is one example" in one.note
    np.testing.assert_allclose(one.predict([[3.0]]), [5.0])


def test_what_a_method_warns_of_is_noted():
    def stopping(seed, spread):
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=1)

    x, y = blobs()
    fitted = fit(Baseline("hasty", "classes", stopping, {}, ""), x, y)
    assert fitted.note == "the solver stopped before it converged"


BAD = {
    "as many": ("nearest", [[1.0], [2.0]], [0, 1, 1]),
    "x has nan in example 1; must be finite": ("nearest", [[1.0], [np.nan]], [0, 1]),
    "y has inf in example 0; must be finite": ("ridge", [[1.0], [2.0]], [np.inf, 1]),
    "every label is 4; must be of two classes": ("svm", [[1.0], [2.0]], [4, 4]),
    "must be integer labels": ("svm", [[1.0], [2.0]], [0.5, 1.0]),
    "must be [examples, …]": ("svm", [1.0, 2.0], [0, 1]),
    "must be numbers": ("svm", [["a"], ["b"]], [0, 1]),
    "must be any number of examples of 1": ("spline", [[1.0, 2.0]] * 6, [0.0] * 6),
    "must be [examples, outputs]": ("mean", [[1.0]], [[[1.0]]]),
}


@pytest.mark.parametrize("said", BAD)
def test_bad_input_is_one_line(said):
    with pytest.raises(DataError) as caught:
        fit(*BAD[said])
    text = str(caught.value)
    assert said in text and "\n" not in text and text.startswith(BAD[said][0])


def test_bad_input_to_predict_is_one_line():
    x, y = blobs()
    fitted = fit("lda", x, y)
    with pytest.raises(DataError, match=r"x is \[2, 3\]; must be \[examples, 4\]"):
        fitted.predict(np.zeros((2, 3)))
    with pytest.raises(DataError, match="not empty"):
        fitted.predict(np.zeros((0, 4)))
    with pytest.raises(DataError, match="must be finite"):
        fitted.scores(np.full((1, 4), np.nan))
    with pytest.raises(UnknownName, match=r"unknown baseline 'swm'.*svm"):
        fit("swm", x, y)
    crowd = BASELINES["kernel_ridge"]._replace(most=20)
    with pytest.raises(DataError, match="at most 20 examples"):
        fit(crowd, x, y.astype(float))


def test_a_spline_is_a_line_beyond_its_points_and_of_few_of_them():
    x = np.linspace(0, 1, 30)[:, None]
    spline = Spline(1e-9).fit(x, np.sin(6 * x[:, 0]))
    np.testing.assert_allclose(spline.predict(x)[:, 0], np.sin(6 * x[:, 0]), atol=0.02)
    far = spline.predict([[2.0], [3.0], [4.0]])[:, 0]
    np.testing.assert_allclose(far[2] - far[1], far[1] - far[0])
    # A large penalty gives the least-squares line, as few points do.
    line = Spline(1e4).fit(x, x[:, 0] ** 2).predict([[0.0], [1.0]])[:, 0]
    slope, low = np.polyfit(x[:, 0], x[:, 0] ** 2, 1)
    np.testing.assert_allclose(line, [low, low + slope], atol=1e-4)
    twice = Spline(1.0).fit([[0.0], [0.0], [1.0]], [1.0, 3.0, 5.0])
    np.testing.assert_allclose(twice.predict([[0.0], [2.0]])[:, 0], [2.0, 8.0])
    point = Spline(1.0).fit([[1.0], [1.0]], [1.0, 3.0])
    np.testing.assert_allclose(point.predict([[9.0]])[:, 0], [2.0])


def test_every_task_has_its_trivial_baseline_first():
    assert (CLASSES[0], NUMBERS[0]) == ("majority", "mean")
    assert all(entry.source for entry in BASELINES.values())
    x, y = blobs(59, 2)
    assert set(fit("majority", x, y).predict(x)) == {0}


def test_declaring_the_catalogue_imports_nothing_large(clean_environment, root):
    program = (
        "import sys\n"
        "from depthbench.research.learning.baselines import BASELINES\n"
        "import depthbench.research.learning.metrics\n"
        "assert 'svm' in BASELINES\n"
        "print(*(m for m in ('numpy', 'scipy', 'sklearn', 'jax') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [], "")
