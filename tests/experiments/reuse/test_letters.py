"""Letters of three kinds, that nothing is learned from twice, and linear maps."""

import numpy as np
import pytest

from depthbench.experiments import comparisons
from depthbench.experiments.reuse import letters, verification

X = np.arange(300 * 4 * 4, dtype=np.int64).reshape(300, 4, 2, 2, 1) % 251


def test_no_letter_is_of_two_kinds():
    """Nor does a number of the others have part in how drawings are scaled."""
    x = X.astype(np.uint8)
    parts = letters.parts(x, learned=20, shown=3)
    assert [part.shape[:2] for part in parts] == [(20, 3), (40, 3), (100, 4)]
    assert parts.train.mean() == pytest.approx(0, abs=1e-6)  # of float32 sums
    changed = x.copy()
    changed[20:], changed[:, 3:] = 7, 9
    np.testing.assert_array_equal(
        letters.parts(changed, learned=20, shown=3).train, parts.train
    )


def test_the_best_map_is_chosen_by_what_is_asked():
    random = np.random.RandomState(0)
    x = random.randint(0, 256, (300, 4, 4, 4, 1)).astype(np.uint8)
    parts = letters.parts(x, learned=10)
    wanted = parts.valid.shape[0] * parts.valid.shape[1] * 9.0
    name, best = letters.best_map(parts, lambda codes: -abs(codes.size - wanted))
    assert name.startswith("LDA to 9,")  # of 10 letters 9 directions
    assert best(parts.test).shape == (100, 4, 9)


def test_maps_at_length_1_are_at_length_1():
    random = np.random.RandomState(0)
    x = random.randint(0, 256, (300, 4, 4, 4, 1)).astype(np.uint8)
    parts = letters.parts(x, learned=10)
    maps = dict(letters.maps(parts.train))
    pixels = maps["pixels"](parts.test)
    np.testing.assert_array_equal(
        pixels, parts.test.reshape(100, 4, 16).astype(np.float64)
    )
    code = maps["pixels, at length 1"](parts.test)
    np.testing.assert_allclose(np.linalg.norm(code, axis=-1), 1)


def test_sigmoid_nets_are_left_out_only_where_nobody_typed_them():
    cell = {"objective": "prototypes", "architecture": "mlp", "activation": "sigmoid"}
    further = {**cell, "objective": "pairs"}
    assert letters.fit([cell, further], set())[0] == [cell]
    assert letters.fit([cell, further], {"activation"})[0] == [cell, further]


def test_an_error_of_letters_is_that_of_drawing_them_anew():
    """As pairs of the same 100 letters are no 4,000 answers: by them the error would be
    less than half of it."""
    pairs = verification.asked(100, seen=4, seed=0)
    found, errors = [], []
    for seed in range(60):
        random = np.random.RandomState(seed)
        center = random.normal(size=(100, 1, 2))
        spread = 0.3 * random.standard_exponential((100, 1, 1))  # a letter's own
        codes = center + spread * random.normal(size=(100, 4, 2))
        known = verification.of_pairs("score", [codes], np.zeros_like(codes), pairs)
        without = np.array(known["score_left_out"].split(), float)
        found.append(verification.error(codes, pairs))
        errors.append(comparisons.jackknife(without))
    drawn = np.std(found, ddof=1)
    # 60 draws know their deviation to a tenth; the jackknife errs to the safe side.
    assert 0.8 * drawn < np.mean(errors) < 1.6 * drawn
    one = np.mean(found)
    assert 2 * np.sqrt(one * (1 - one) / 4000) < drawn
