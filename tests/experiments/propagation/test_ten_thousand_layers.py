"""`ten_thousand_layers`: rows of convolutional nets, isometric kernels, correlations.

Whether a paper's claim holds is no test.
"""

import math

import jax
import numpy as np
import pytest

from depthbench.experiments.propagation import nets, ten_thousand_layers
from depthbench.research.architectures.convolution import convolve
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.initializers import DRAWS
from depthbench.research.signal import measurement
from depthbench.research.study import families, plan
from depthbench.research.theory import mean_field
from tests.experiments.propagation.test_dynamical_isometry import STUDIES, rows_of
from tests.theory.maps import correlation_map


@pytest.mark.exhaustive
def test_the_command_on_convolutional_nets(tmp_path, capsys):
    recipes = "delta_orthogonal,delta_orthogonal_q1"  # of one draw, and so one unit
    flags = ["--width", "4", "--recipe", recipes, "--depth", "8"]
    ours, other = rows_of("ten_thousand_layers", tmp_path, capsys, *flags)
    missing = [c for c in STUDIES["ten_thousand_layers"].columns if ours[c] is None]
    assert not missing and (ours["status"], other["status"]) == ("ok", "ok")
    assert ours["q_star"] == pytest.approx(1 / 8, rel=1e-6)
    assert other["q_star"] == pytest.approx(1, rel=1e-6)
    assert ours["chi_1"] == pytest.approx(1, abs=1e-6)
    # Slopes are at most 1 and kernels keep norms: σ_w a layer at most (float32: 1e-4).
    point = measurement.at_length({"activation": "tanh", "q_star": 1 / 8})
    assert ours["log10_ratio"] <= 4 * math.log10(point.hidden.sigma_w2) + 1e-4
    # Where lengths vanish there is no c map, and where a net failed no gradient.
    lost = {"recipe": "he", "depth": 8, "status": "lost", "reason": "all 0"}
    (table,) = ten_thousand_layers.tables([{**ours, "apart_theory": None}, lost])
    assert [len(row) for row in table.rows] == [4, 4]


def test_a_convolution_s_singular_values():
    random = np.random.default_rng(0)
    kernel = random.standard_normal((3, 3, 2, 3)).astype(np.float32)
    x = np.zeros((1, 4, 5, 2), np.float32)
    dense = jax.jacobian(lambda x: convolve(x, kernel, (1, 1), "CIRCULAR"))(x)
    values = np.linalg.svd(np.asarray(dense).reshape(60, 40), compute_uv=False)
    singular_values = ten_thousand_layers.operator_values(kernel, (4, 5))
    np.testing.assert_allclose(singular_values, values, rtol=1e-5, atol=1e-5)  # float32


def test_delta_orthogonal_convolutions_keep_all_norms():
    kernel = DRAWS["delta_orthogonal"].kernel(
        jax.random.key(3), (3, 3, 6, 6), np.float32
    )
    values = ten_thousand_layers.operator_values(np.asarray(kernel, np.float64), (4, 4))
    np.testing.assert_allclose(values, 1, atol=1e-6)  # float32
    assert values.shape == (96,)


@pytest.mark.parametrize(
    ("name", "point"), [("tanh", (1.5, 0.1)), ("relu", (2.0, 0.0))]
)
def test_correlations_layer_by_layer(name, point):
    """Against the map itself, which integrates anew at every layer."""
    activation, depth = ACTIVATIONS[name], 12
    q = 1.0 if name == "relu" else mean_field.fixed_point(activation, *point).q_star
    decorrelations = ten_thousand_layers.decorrelations(
        activation, *point, q, 0.9, depth
    )
    c = 0.1
    for _ in range(depth):
        c = float(correlation_map(activation, *point, q, c))
    assert decorrelations.shape == (depth + 1,) and decorrelations[0] == 0.9
    # An interpolation of degree 31.
    assert decorrelations[-1] == pytest.approx(1 - c, rel=1e-9)


def test_inputs_stay_apart_where_q_star_falls_with_depth():
    """For tanh c′ = c + ⅔ q² (1 − c)² (2 + c) + O(q³): from c = 0, 4q/3 in 1/q layers."""
    depth = 500
    hidden = measurement.at_length({"activation": "tanh", "q_star": 1 / depth}).hidden
    decorrelations = ten_thousand_layers.decorrelations(
        ACTIVATIONS["tanh"], *hidden[:2], 1 / depth, 1.0, depth
    )
    # The next order in q, and c on the way, change it by a few times q = 0.2 %.
    assert 1 - decorrelations[-1] == pytest.approx(4 / 3 / depth, rel=0.02)


def test_nets_of_other_draws_are_other_units():
    cells = [
        {"recipe": name, "depth": depth, "width": 8, "seeds": 2}
        for name in ("gaussian", "he", "delta_orthogonal")
        for depth in (4, 8)
    ]
    study = STUDIES["ten_thousand_layers"]
    units = plan.units(study, cells)
    groups = [{(c["recipe"], c["depth"]) for c in unit.cells} for unit in units]
    normal = [{("gaussian", d), ("he", d)} for d in (4, 8)]
    assert groups == [*normal, {("delta_orthogonal", 4)}, {("delta_orthogonal", 8)}]
    assert len({unit.program for unit in units}) == 1
    full = {**nets.DEFAULTS, **cells[0], "architecture": "cnn", "batch": 4}
    assert units[0].cost.memory == families.cost(full, 8).memory
