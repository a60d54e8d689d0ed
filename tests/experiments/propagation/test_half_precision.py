"""half_precision: where half of the entries are 0, theory's layer, and pairs of rows."""

import math

import numpy as np
import pytest

from depthbench.experiments.propagation import half_claims as claims
from depthbench.experiments.propagation import half_precision as half
from depthbench.experiments.propagation import half_shown as shown
from depthbench.research.report.rendering import as_markdown
from depthbench.research.study.declaration import chosen_values, grid


def test_a_float16_is_0_below_what_the_claims_have_as_its_least():
    for dtype, least in (("float16", -25),):
        smallest = np.float64(2.0) ** least
        assert np.dtype(dtype).type(smallest * 1.001) > 0
        assert np.dtype(dtype).type(smallest * 0.999) == 0
    draws = np.random.default_rng(0).standard_normal(10**6)
    size = 10 ** claims.underflow("float16")
    zeros = np.mean((draws * size).astype(np.float16) == 0)
    assert zeros == pytest.approx(0.5, abs=0.002)
    with np.errstate(over="ignore"):
        draws = draws[:2048] * 10 ** claims.overflow("float16")
        assert np.max(np.abs(draws)) == pytest.approx(65520, rel=0.15)


def test_half_is_between_two_states():
    exact = np.array([[-8.0, -7.0, -6.0, -5.0]] * 4)
    zeros = np.array(
        [
            [1.0, 0.75, 0.25, 0.0],  # half way from the third to the second
            [1.0, 1.0, 1.0, 1.0],  # at the last already
            [0.5, 0.4, 0.1, 0.0],  # nowhere more than half
            [np.nan, 0.6, 0.0, 0.0],
        ]
    )
    np.testing.assert_allclose(
        half.halved(exact, zeros), [-6.5, np.nan, np.nan, -6 - 5 / 6]
    )


def test_theory_has_it_lost_where_its_line_leaves_the_dtype():
    exact = np.full((2, 11), -3.0)  # what is read is the last state
    falling, rising = np.arange(11) - 10.0, 10.0 - np.arange(11)
    lost = half.lost_by_theory
    # −3, −4, …: float16 ends at −7.35, 2^8 later at −9.8; bfloat16 not at all.
    assert lost("float16", 0, exact, falling) == 4
    assert lost("float16", 8, exact, falling) == 6
    assert lost("bfloat16", 0, exact, falling) == 10
    # −3, −2, …: inf beyond 4.8 less the spread of the entries.
    assert lost("float16", 0, exact, rising) == 7
    assert lost("float16", 8, exact, rising) == 4


def row(net, dtype, scale=0, depth=128, **values):
    known = dict.fromkeys(half.STUDY.columns)
    settings = {"net": net, "dtype": dtype, "scale": scale, "depth": depth}
    sizes = {"width": 16, "seeds": 4, "status": "ok", "log2_scale": float(scale)}
    numbers = {
        **dict.fromkeys(("kept_layers", "half_layers", "theory_layers"), depth),
        **dict.fromkeys(("cosine", "zero_share"), 0.5),
    }
    return {**known, **settings, **sizes, **numbers, **values}


def test_pairs_are_of_equal_nets():
    size = {"log10_entry_half_se": 0.01}
    rows = [
        row("sigmoid_he", "float16", log10_entry_half=-7.4, **size),
        row("sigmoid_he", "float16", 8, log10_entry_half=-9.9, **size),
        row("sigmoid_he", "float16", 16, log10_entry_half=None, **size),
        row("relu_he", "float16", 8, log10_entry_half=-9.9, **size),
        row("sigmoid_he", "float16", 8, depth=8, log10_entry_half=0.0, **size),
    ]
    first, second = claims.shifted(rows)
    assert first["shift"] == pytest.approx(2.5 - 8 * math.log10(2))
    assert first["shift_se"] == pytest.approx(0.01 * 2**0.5)
    assert (second["scale"], second["shift"]) == (16, None)


def test_the_power_of_the_depth():
    rows = [
        row("relu_he", "bfloat16", depth=d, angle=0.01 * d**0.75, angle_se=1e-5)
        for d in (8, 32, 128)
    ]
    (grown,) = claims.growing(rows)
    assert grown["power"] == pytest.approx(0.75) and 0 < grown["power_se"] < 1e-2
    fine = [{**r, "dtype": "float16_scaled", "angle": r["angle"] / 8} for r in rows]
    assert [pair["finer"] for pair in claims.sharper([*rows, *fine])] == [3.0] * 3


def test_scales_are_float16s_alone():
    study = half.STUDY
    cells = grid(study, chosen_values(study, "standard", {}))
    kept, _ = study.fit(cells, set())
    assert {c["dtype"] for c in kept if c["scale"]} == {"float16"}
    assert len(kept) == len(half.NETS) * 3 * (3 + 3)
    assert study.fit(cells, {"scale"})[1]


def test_tables_and_pictures_show_what_is_lost():
    lost = {"kept_layers": 10.0, "half_layers": 9.0, "lost_how": "zero"}
    rows = [
        row("sigmoid_he", dtype, scale, depth, angle=0.1, angle_se=0.01, **more)
        for depth in (8, 128)
        for dtype, scale, more in (
            ("float32", 0, {}),
            ("float16", 0, lost if depth > 8 else {}),
            ("float16", 8, {}),
        )
    ]
    text = "\n".join(as_markdown(table) for table in shown.tables(rows))
    assert "9 (128)" in text and "lost" in text and "float16 × 2^8" in text
    answer, worst = shown.headline(rows)
    assert "0 of 1 net in float16" in answer and "half 0 after 9 layers" in worst
    line = np.linspace(-9, -2, 129, dtype=np.float32)
    plain = np.where(line < -7, -np.inf, line)
    arrays = {"exact": line, "plain": plain}
    for figure in shown.draw_figures(rows, lambda row: arrays):
        assert figure.draw().axes
