"""`million_layers`: its nets against exact products, drift, rounding, thinned curves.

Whether a paper's claim holds is no test.
"""

import json
import math

import jax
import numpy as np
import pytest

from depthbench.experiments.propagation import (
    million_layers,
    million_probed,
    ten_thousand_layers,
)
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.cli.main import main
from depthbench.research.engine import runner
from depthbench.research.report import published
from depthbench.research.report.rendering import as_markdown
from depthbench.research.signal import measurement, profiles
from depthbench.research.study import headlines, plan

STUDY = million_layers.STUDY
ALL = tuple(million_layers.RECIPES)


def cells_of(*recipes, depth=24, width=6, seeds=2):
    same = {"depth": depth, "width": width, "seeds": seeds}
    return [{"recipe": recipe, **same} for recipe in recipes]


def rules(w, b, first=1.0):
    return tuple((np.float32(x), np.float32(y)) for x, y in ((first, 0.0), (w, b)))


def gained(weights, states, rule):
    log10_gradient = jax.jit(million_probed.probe)(
        weights, *states, rule
    ).log10_gradient
    return float(profiles.ratio(np.asarray(log10_gradient)[None])[0])


@pytest.mark.slow
def test_the_command(tmp_path, capsys):
    flags = ["--size", "smoke", "--depth", "32", "--recipe", ",".join(ALL)]
    out = ["--format", "json", "--out", f"{tmp_path}"]
    assert main(["run", "million_layers", *flags, *out]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in rows] == ["ok"] * 6
    at = {(row["recipe"], row["depth"]): row for row in rows}
    ours = at["orthogonal", 32]
    absent = {"compile_ratio", "compile_ratio_se"}  # of deep nets alone
    absent |= {"reason", "log10_ratio_product", "signal_lost_at", "signal_lost_how"}
    assert {name for name in STUDY.columns if ours[name] in (None, "")} == absent
    # Kernels keep norms and slopes are at most 1: σ_w a layer at most (float32: 1e-4).
    point = measurement.at_length({"activation": "tanh", "q_star": 1 / 32}).hidden
    assert ours["log10_ratio"] <= 16 * math.log10(point.sigma_w2) + 1e-4
    for table in STUDY.tables(rows):
        assert all(len(line) <= 110 for line in as_markdown(table).splitlines())
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    failed = {**ours, "status": "oom", "reason": "needs more"}
    failed |= {name: None for name in STUDY.columns[6:]}
    assert len(STUDY.tables([failed, ours])) == 4
    assert "1 oom" in headlines.of(STUDY, [failed, ours]).worst


@pytest.mark.parametrize("draw", ["orthogonal", "normal"])
def test_a_net_against_the_product_of_its_jacobians(draw):
    depth, width, w, b = 12, 5, 1.3, 0.2
    weights = million_probed.drawn(draw, depth, width, 3)
    states = million_probed.ends(width, 3)
    rule = rules(w, b, 0.7)
    signal = jax.jit(million_probed.probe)(weights, *states, rule)
    kernels, biases = (np.asarray(a, np.float64) for a in weights)
    z, cotangent = (np.asarray(a, np.float64) for a in states)
    (stem, _), (w, b) = (map(float, pair) for pair in rule)
    z = stem * z
    path = [z]
    for kernel, bias in zip(kernels, biases, strict=True):
        path.append(w * np.tanh(path[-1]) @ kernel + b * bias)
    gradients = [np.log10(np.linalg.norm(cotangent))]
    for kernel, z in zip(kernels[::-1], path[-2::-1], strict=True):
        cotangent = (cotangent @ (w * kernel).T) * (1 - np.tanh(z) ** 2)
        gradients.append(np.log10(np.linalg.norm(cotangent)))
    # float32: 12 layers of some 1e-7 each
    np.testing.assert_allclose(signal.log10_gradient, gradients[::-1], atol=1e-5)
    lengths = np.log10(np.mean(np.square(path), axis=(1, 2)))
    np.testing.assert_allclose(signal.log10_length, lengths, atol=1e-5)
    in_float64 = million_probed.in_float64(weights, *states, rule)
    # The same in float64, but for numbers that began as float32's.
    assert in_float64 == pytest.approx(gradients[-1] - gradients[0], abs=1e-12)


def test_gaussian_products_drift_as_theory_says():
    depth, width = 20_000, 16
    states = million_probed.ends(width, 0)
    weights = million_probed.drawn("normal", depth, width, 0)
    found = gained(weights, states, rules(1.0, 0.0, 1e-6))  # so small, tanh is linear
    # ln χ²(16)/16 has the variance ψ′(8) = 0.1331: one net scatters by 11 of 277
    # decades. Four standard errors, and the first few layers of four cotangents.
    scatter = math.sqrt(0.1331 * depth) / 2 / math.log(10)
    assert found == pytest.approx(depth * million_layers.drift(width), abs=4 * scatter)
    assert depth * million_layers.drift(width) < -20 * scatter
    # −1/n − 1/(3 n²) to the squared norm's log
    leading = -(1 / 64 + 1 / (3 * 64**2)) / 2 / math.log(10)
    assert million_layers.drift(64) == pytest.approx(leading, rel=1e-4)


def test_float32_orthogonal_products_stay_within_their_singular_values():
    depth, width = 5000, 8
    weights = million_probed.drawn("orthogonal", depth, width, 1)
    states = million_probed.ends(width, 1)
    rule = rules(1.0, 0.0, 1e-6)
    bound = million_probed.stretched(weights[0], depth)["stretch_bound"]
    exact = million_probed.in_float64(weights, *states, rule)
    assert 0 < bound < 5000 * 1e-6
    # A thousand of the matrices stand for all: their mean is known to a few per cent.
    # The states are 1e-6 long: tanh's slopes take 5000 × 1e-12 more.
    assert abs(exact) < 1.1 * bound + 1e-8
    # Each layer's products and tanh round as the weights did.
    assert abs(gained(weights, states, rule) - exact) < 5000 * 1e-7


def test_the_stretch_of_known_matrices():
    kernels = np.stack([np.diag([1.0, 2.0, 0.1]), np.eye(3)])
    found = million_probed.stretched(kernels, 2)
    assert (found["stretch_least"], found["stretch_most"]) == pytest.approx((0.1, 2.0))
    assert found["stretch_bound"] == pytest.approx(1.0)  # one decade, and none


@pytest.mark.parametrize("depth", [2, 3, 250, 1000, 10**6])
def test_curves_keep_their_ends_and_few_points(depth):
    layers = million_layers.kept_layers(depth)
    assert (layers[0], layers[-1]) == (0, depth)
    assert {1, depth - 1} <= set(layers.tolist())
    assert np.all(np.diff(layers) > 0)
    assert len(layers) <= min(depth + 1, 2 * million_layers.POINTS + 1)
    # Between neighbours from either end there are a few per cent of the way.
    gaps = np.diff(layers) / np.minimum(layers[1:], depth - layers[:-1])
    assert np.max(gaps[1:-1], initial=0) <= 1.0


def test_correlations_at_some_layers_are_those_of_the_whole_map():
    depth = 400
    hidden = measurement.at_length({"activation": "tanh", "q_star": 0.2}).hidden
    layers = million_layers.kept_layers(depth)[::3]
    some = million_layers.decorrelations(*hidden[:2], 0.2, 0.9, layers)
    whole = ten_thousand_layers.decorrelations(
        ACTIVATIONS["tanh"], *hidden[:2], 0.2, 0.9, depth
    )
    # The same series, summed otherwise at each layer.
    np.testing.assert_allclose(some, whole[layers], rtol=1e-11)


def test_matrices_are_drawn_once_for_all_that_share_them():
    cells = [cell for depth in (16, 32) for cell in cells_of(*ALL, depth=depth)]
    units = plan.units(STUDY, cells)
    assert [len(unit.cells) for unit in units] == [3] * 4
    # Alone or with others, a net's numbers are the same.
    (alone,) = million_layers.measure(cells_of("glorot"), {}, 2**30)
    together = million_layers.measure(cells_of("gaussian", "glorot"), {}, 2**30)[1]
    same = [name for name in alone.values if name not in STUDY.timings]
    assert [alone.values[n] for n in same] == [together.values[n] for n in same]


def test_what_does_not_fit_is_a_row_that_says_so():
    cells = cells_of("orthogonal", depth=10**6, width=64)
    (unit,) = plan.units(STUDY, cells)
    assert unit.cost.memory > 4 * 10**6 * (64**2 + 64)  # the weights alone
    (row,) = runner.attempt(unit, 2**33)
    assert row.status == "oom" and "may be used" in row.reason
    _, costs = million_probed.compilation("normal", 5000, 16)
    planned = million_layers.cost(cells_of("gaussian", depth=5000, width=16), {})
    assert costs["peak_mib"] is None or (
        costs["peak_mib"] * 2**20 < planned.memory - 2**28
    )


def test_deep_programs_are_compiled_beside_a_shallow_one(monkeypatch):
    seconds = iter([9.0, *[3.0, 2.0, 4.0, 2.0, 5.0, 2.0] * 3])  # the first warms up
    called = []

    def compiled(draw, depth, width):
        called.append(depth)
        return None, next(seconds)

    million_probed._warm_up.cache_clear()
    monkeypatch.setattr(million_probed, "compiled", compiled)
    monkeypatch.setattr(million_probed, "PAIRS", 3)
    monkeypatch.setattr(million_probed.timing, "planned", lambda program: None)
    _, costs = million_probed.compilation("normal", 10**6, 4)
    assert called == [2, *[10**6, 100] * 3]
    assert (costs["compile_s"], costs["compile_ratio"]) == (4.0, 2.0)
    assert costs["compile_ratio_se"] == pytest.approx(0.5 / 3**0.5)


def test_readme_says_what_the_rows_say(root):
    """README's sentence above the picture: change it with the rows."""
    made = published.made("million_layers")
    assert made is not None
    at = {row["recipe"]: row for row in made.rows if row["depth"] == 10**6}
    text = " ".join((root / "README.md").read_text().split())
    kept, lost = (at[name]["log10_ratio"] for name in ("orthogonal", "gaussian"))
    assert f"1,000,000 layers keeps its gradient ({kept:+.2g} decades)" in text
    assert f"lose {-lost:,.0f} decades, where theory of wide nets says 0" in text
    assert [at[n]["log10_ratio_theory"] for n in ("orthogonal", "gaussian")] == [0, 0]
