"""Letters of three kinds, that nothing is learned from twice, and linear maps."""

import numpy as np
import pytest

from depthbench.experiments.reuse import letters

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
