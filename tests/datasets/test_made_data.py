"""Data sets that are made have the properties they are made for."""

import math
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from depthbench.research.datasets import DATASETS, DataError, corpus, sequences
from tests.datasets.test_datasets import read

# What the sequences ask


def test_adding_asks_for_the_sum_of_one_number_in_each_half():
    train = read("adding").train
    numbers, marks = train.x[..., 0], train.x[..., 1]
    assert numbers.min() >= 0 and numbers.max() <= 1
    for half in (marks[:, :25], marks[:, 25:]):
        assert np.all(np.sort(half)[:, -2:] == [0, 1])
    summed = np.sum(numbers * marks, axis=1, keepdims=True)
    np.testing.assert_allclose(train.y, summed, rtol=3e-7)  # one rounding of float32


@pytest.mark.parametrize("name", ["adding", "adding_200", "adding_750"])
def test_always_answering_1_loses_a_sixth_in_adding(name):
    train = read(name).train
    loss = np.mean((train.y - 1.0) ** 2)
    # (u + v − 1)⁴ has mean 1/15, so the square's variance is 1/15 − 1/36; 4 errors.
    error = ((1 / 15 - 1 / 36) / len(train.y)) ** 0.5
    assert abs(loss - sequences.ADDING_BASELINE) < 4 * error


@pytest.mark.parametrize(
    ("name", "gap"), [("copy_memory", 100), ("copy_memory_20", 20)]
)
def test_copying_has_the_papers_layout(name, gap):
    for part in read(name):
        symbols, blanks = part.x[:, :10], part.x[:, 10 : gap + 9]
        assert symbols.min() == 0 and symbols.max() == 7
        assert blanks.shape[1] == gap - 1 and np.all(blanks == 8)
        assert np.all(part.x[:, gap + 9] == 9)
        assert np.all(part.x[:, gap + 10 :] == 8) and part.x.shape[1] == gap + 20
        assert np.all(part.y[:, : gap + 10] == 8)
        np.testing.assert_array_equal(part.y[:, gap + 10 :], symbols)


@pytest.mark.parametrize("gap", [20, 100])
def test_copying_without_memory_loses_the_papers_baseline(gap):
    y = sequences.copy_memory(gap).test.y
    nats = np.where(
        y == 8, 0.0, math.log(8)
    )  # sure of blanks, a guess of eight symbols
    assert np.mean(nats) == pytest.approx(sequences.copy_baseline(gap), rel=1e-12)


def test_parity_is_the_product_of_the_signs():
    train = read("parity").train
    np.testing.assert_array_equal(1 - 2 * train.y, np.prod(train.x[:, :, 0], axis=1))


def test_sorting_asks_for_the_symbols_in_order():
    train = read("sorting").train
    assert np.all(train.x[:, 10:] == 16) and np.all(train.y[:, :10] == -1)
    np.testing.assert_array_equal(np.sort(train.x[:, :10]), train.y[:, 10:])


def entropy(rows: np.ndarray) -> float:
    """Of the rows' distribution, in nats, by counting."""
    _, counts = np.unique(rows, axis=0, return_counts=True)
    share = counts / counts.sum()
    return -float(np.sum(share * np.log(share)))


def test_the_grammars_entropy_is_that_of_counting():
    walks = np.concatenate([part.x for part in read("grammar")])
    counted = (entropy(walks[:, :9]) - entropy(walks[:, :1])) / 8
    # 512 walks are possible: counting 22,000 finds 512 / 2 / 22,000 / 8 = 0.0015 too
    # little. Four standard errors of a mean of 8 × 22,000 nats of deviation 0.48 are
    # 0.0046.
    assert abs(counted - sequences.GRAMMAR_ENTROPY) < 0.0015 + 0.0046


def test_the_grammar_cannot_be_known_from_the_last_token():
    walks = np.concatenate([part.x for part in read("grammar")])
    late = walks[:, 32:34]  # the first state is forgotten by then
    forgetful = entropy(late) - entropy(late[:, :1])
    assert forgetful > sequences.GRAMMAR_ENTROPY + 0.1  # nats; some memory is needed


@pytest.mark.parametrize("name", ["grammar", "stdlib"])
def test_asked_for_is_the_next_token(name):
    for part in read(name):
        np.testing.assert_array_equal(part.x[:, 1:], part.y[:, :-1])


def test_the_corpus_is_the_modules_characters():
    library = Path(sysconfig.get_path("stdlib"))
    decode = np.array([*corpus.CHARACTERS, "?"])
    for part, first in zip(read("stdlib"), ("abc", corpus.MODULES[4]), strict=True):
        text = (library / f"{first}.py").read_text(encoding="utf-8")
        windows = len(text) // 128 - 1
        read_back = "".join(decode[part.x[:windows].ravel()])
        assert read_back == text[: windows * 128]
    odd = corpus.encoded("é\t~\n ")
    assert list(odd) == [corpus.OTHER, corpus.OTHER, corpus.OTHER - 1, 0, 1]


def test_a_python_without_its_source_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(DataError, match=r"abc\.py cannot be read; use a Python"):
        DATASETS["stdlib"].split()


# Points


def test_the_spirals_mirror_each_other_and_wind_three_times():
    train, test = read("two_spirals")
    for part in (train, test):
        one, other = np.split(part.x, 2)
        np.testing.assert_array_equal(one, -other)
    angles = np.unwrap(np.arctan2(*train.x[:97].T))
    assert angles[-1] - angles[0] == pytest.approx(6 * np.pi, rel=1e-6)
    radii = np.hypot(*train.x[:97].T)
    np.testing.assert_allclose(radii / radii[0], (104 - np.arange(97)) / 104, rtol=1e-6)
    between = np.hypot(*test.x[:96].T)
    np.testing.assert_allclose(between, (radii[:-1] + radii[1:]) / 2, rtol=1e-6)


def test_of_a_ring_the_nearest_of_eight_centres_is_always_right():
    for part in read("ring"):
        angle = np.arange(8) * np.pi / 4
        centres = 2**0.5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        apart = np.linalg.norm(part.x[:, None] - centres, axis=-1)
        np.testing.assert_array_equal(apart.argmin(axis=1), part.y)
        # Of 1,000 points or more a deviation is known to 3 %.
        own = part.x - centres[part.y]
        assert own.std() == pytest.approx(0.05, rel=0.06)
        assert apart.min(axis=1).max() < 0.25


def test_points_between_have_their_neighbours_label():
    train, test = read("two_spirals")
    squares = np.sum((test.x[:, None] - train.x[None]) ** 2, axis=-1)
    np.testing.assert_array_equal(train.y[np.argmin(squares, axis=1)], test.y)


def test_a_constant_loses_1_against_the_teacher():
    y = np.concatenate([part.y for part in read("teacher_student")]).astype(np.float64)
    # 10,240 answers of about Gaussian distribution: 4 errors of mean and of variance.
    assert abs(np.mean(y)) < 4 / len(y) ** 0.5
    assert abs(np.var(y) - 1) < 4 * (2 / len(y)) ** 0.5


def test_the_teacher_is_no_linear_function():
    train, test = read("teacher_student")
    weights, *_ = np.linalg.lstsq(train.x, train.y, rcond=None)
    left = np.var(test.y - test.x @ weights)
    # erf at length 1: its linear part holds 0.955 of the variance (3/π).
    assert left == pytest.approx(1 - 3 / np.pi, rel=0.1)
