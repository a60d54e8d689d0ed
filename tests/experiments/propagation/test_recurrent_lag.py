"""Jacobians of recurrent nets against plain products of matrices, and their bound."""

import numpy as np
import pytest

from depthbench.experiments.propagation import recurrent_lag
from depthbench.experiments.propagation.recurrent_lag import STUDY, norms_by_lag
from depthbench.experiments.propagation.recurrent_nets import (
    DRAWN,
    LAGS,
    drawn,
    lags_to,
    program,
)
from depthbench.research.report.rendering import as_markdown

CELL = {
    "architecture": "rnn",
    "activation": "linear",
    "draw": "identity",
    "sigma_w": 0.8,
    "lag": 12,
    "width": 6,
    "seeds": 3,
}


def test_lags_end_at_the_longest():
    assert list(lags_to(4)) == [1, 2, 3, 4]
    for longest in (12, 13, 100, 1000):
        lags = lags_to(longest)
        assert lags[-1] == longest and lags[0] >= 1
        assert 6 <= len(lags) <= LAGS
        assert len(set(np.diff(lags))) == 1


@pytest.mark.parametrize("draw", ["identity", "orthogonal"])
def test_a_linear_net_changes_by_the_size_of_an_isometry(draw):
    measured = norms_by_lag({**CELL, "draw": draw})
    assert measured.status == "ok"
    expected = np.log10(0.8)
    values = measured.values
    # float32 rounds some 1e-7 of a norm at each step, in decades 1e-7 too.
    for name in ("rate", "bound", "bound_worst"):
        np.testing.assert_allclose(values[name], expected, atol=1e-5)
    for name in ("excess", "off_radius"):
        np.testing.assert_allclose(values[name], 0, atol=1e-5)
    np.testing.assert_allclose(values["rho"], 0.8, rtol=1e-5)
    np.testing.assert_allclose(values["gamma"], 1.0, rtol=1e-6)
    np.testing.assert_allclose(
        measured.profiles["log10_norm"],
        expected * measured.profiles["lags"],
        atol=1e-4,  # of a norm of a dozen steps
    )


def test_norms_are_those_of_the_product_of_steps():
    """h' = φ(h W + x U): ∂h'/∂h = diag(φ′) Wᵀ, in double precision by numpy."""
    cell = {**CELL, "activation": "tanh", "draw": "lecun_normal", "sigma_w": 1.5}
    variables, x = drawn(cell, 0)
    lags = lags_to(cell["lag"])
    norms = program("rnn", "tanh", cell["width"], cell["lag"])
    log10_norms, finite = norms(variables, x, np.float32(1.5), lags)
    assert finite

    w = 1.5 * np.asarray(variables.stages[0]["params"]["Recurrent_0"]["kernel"], float)
    (projection,) = variables.stem["params"].values()
    u = np.asarray(projection["Dense_0"]["kernel"], float)
    for example, steps in enumerate(np.asarray(x, float)):
        h, product, expected = np.zeros(len(w)), np.eye(len(w)), []
        for now in steps:
            h = np.tanh(h @ w + now @ u)
            product = (1 - h[:, None] ** 2) * w.T @ product
            expected.append(np.log10(np.linalg.norm(product, 2)))
        # In decades: a dozen float32 products, of which tanh's saturation costs digits.
        np.testing.assert_allclose(
            log10_norms[:, example], np.array(expected)[lags - 1], atol=1e-4
        )


def test_states_that_overflow_are_told():
    measured = norms_by_lag({**CELL, "sigma_w": 1e10})  # 1e120 is beyond float32
    assert measured.status == "overflow"
    assert measured.reason and "rate" not in measured.values
    assert measured.values["bound_worst"] > 9  # what the weights alone decide is known


def test_gated_cells_have_no_bound():
    cell = {**CELL, "architecture": "gru", "activation": "tanh", "draw": "orthogonal"}
    measured = norms_by_lag(cell)
    assert measured.status == "ok"
    assert np.isfinite(measured.values["rate"]) and "bound" not in measured.values


def test_gated_cells_keep_tanh_unless_asked():
    cells = [
        {**CELL, "architecture": name, "activation": phi}
        for name in ("rnn", "gru")
        for phi in ("tanh", "relu")
    ]
    fitted, lines = STUDY.fit(cells, set())
    assert fitted == cells[:3] and len(lines) == 1
    assert STUDY.fit(cells, {"activation"}) == (cells, [])


def test_the_rate_leaves_out_the_transient():
    lags = lags_to(100)
    log10 = np.where(lags < 50, 5.0, -0.1 * lags)
    # Rounding of a least-squares fit in double precision.
    assert recurrent_lag.rate(lags, log10[:, None]) == pytest.approx(-0.1, abs=1e-12)


def test_tables_and_figures_of_any_rows():
    cells = [
        {
            **CELL,
            "architecture": name,
            "activation": "tanh",
            "sigma_w": size,
            "draw": draw,
        }
        for name in ("rnn", "lstm_chrono")
        for draw in DRAWN
        for size in STUDY.axes["sigma_w"].values
    ]
    values = {"status": "ok", "rate": -0.123456, "log10_norm": -4.0, "bound": -0.123456}
    rows = [{**cell, **values} for cell in cells]
    rows[0] |= {"status": "overflow", "rate": None}
    rates, bounds = (as_markdown(table) for table in STUDY.tables(rows))
    for text in (rates, bounds):
        assert all(len(line) <= 110 for line in text.splitlines())
    assert "overflow" in rates and "lstm_chrono" in rates
    assert "lstm_chrono" not in bounds
    profiles = {"lags": np.arange(3), "log10_norm": np.zeros(3)}
    (figure,) = STUDY.figures(rows, lambda row: profiles)
    left, right = figure.draw().axes
    assert len(left.lines) > 0 and len(right.lines) > 0
