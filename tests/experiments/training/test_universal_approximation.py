"""The exact sawtooth, numbers of weights, splines, and slopes."""

import jax
import numpy as np
import pytest

from depthbench.experiments.training import universal_approximation as study
from depthbench.research.learning import fits

CELL = {"architecture": "mlp", "activation": "relu", "function": "sawtooth"}


def exact_sawtooth(fit):
    """A net of 2 units a layer that is the sawtooth with as many doublings as it has
    layers: tent(y) = 2 relu(y) − 4 relu(y − ½)."""
    stages = fit.variables.stages
    first = {"kernel": [[[0.5, 0.5]]], "bias": [[0.5, 0.0]]}
    tent, shift = [[2.0, 2.0], [-4.0, -4.0]], [0.0, -0.5]
    layers = stages[1]["params"]["Dense_0"]["kernel"].shape[0] if len(stages) > 1 else 0
    others = {"kernel": [tent] * layers, "bias": [shift] * layers}
    head = {"kernel": [[2.0], [-4.0]], "bias": [0.0]}

    def filled(tree, values):
        found = {name: np.asarray(value, np.float32) for name, value in values.items()}
        return {"params": {"Dense_0": found}} | {
            k: v for k, v in tree.items() if k != "params"
        }

    made = [filled(stages[0], first)]
    made += [filled(stage, others) for stage in stages[1:]]
    variables = fit.variables._replace(
        stages=tuple(made), head=filled(fit.variables.head, head)
    )
    return fit._replace(variables=variables)


@pytest.mark.parametrize("doublings", [1, 2, 4, 6])
def test_two_units_in_each_layer_are_the_sawtooth_exactly(doublings):
    """Telgarsky 2015: error 0, as all numbers are sums of powers of 2 in float32."""
    weights = study.count(doublings, 2)
    net = study.net_of({**CELL, "depth": doublings, "weights": weights})
    assert net.recipe.width == 2
    exact = exact_sawtooth(fits.fresh(net))
    x = np.linspace(-1, 1, 2**10 + 1)
    np.testing.assert_array_equal(
        study.answers([exact], x)[0], study.sawtooth(x, doublings)
    )
    pieces = 1 + np.count_nonzero(
        np.diff(np.sign(np.diff(study.sawtooth(x, doublings))))
    )
    assert pieces == 2**doublings


def test_a_net_of_one_layer_with_too_few_units_stays_half_away():
    """It has at most 1 + 13 pieces and would have to cross ½ 16 times."""
    net = study.net_of({**CELL, "depth": 1, "weights": 40})
    assert net.recipe.width == 13 < 2**study.DOUBLINGS - 1
    x, y = study.parts("sawtooth")[2]
    for seed in range(5):
        fit = fits.fresh(net, seed)
        assert np.max(np.abs(study.answers([fit], x)[0] - y)) >= 0.5


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("weights", [60, 300])
def test_a_net_has_as_many_weights_as_are_allowed(depth, weights):
    net = study.net_of({**CELL, "depth": depth, "weights": weights})
    used = sum(leaf.size for leaf in jax.tree.leaves(fits.fresh(net).variables))
    width = net.recipe.width
    assert used == study.count(depth, width) <= weights < study.count(depth, width + 1)


def test_splines_have_the_numbers_that_they_may_and_converge():
    x, y = study.parts("smooth")[2]
    far = []
    for numbers in (20, 40, 80):
        spline = study.best_spline("smooth", numbers)
        inner = len(spline.t) - 2 * (spline.k + 1)
        assert inner + len(spline.c) <= numbers
        far.append(np.max(np.abs(spline(x) - y)))
    # A cubic spline's error falls as the 4th power of its knots: by 16, or 8 at least.
    assert far[1] < far[0] / 8 and far[2] < far[1] / 8


def test_a_slope_is_that_of_the_power_that_rows_have():
    rows = [
        {
            **{"function": "smooth", "depth": 1, "activation": "relu", "status": "ok"},
            **{
                "width": w,
                "seeds": 3,
                "log10_rms": -1.5 * np.log10(w),
                "log10_rms_se": 0.1,
            },
        }
        for w in (10, 100, 1000)
    ]
    (found,) = study.slopes(rows)
    assert found["slope"] == pytest.approx(-1.5)
    assert found["slope_se"] == pytest.approx(
        0.1 / 2**0.5
    )  # ends pull by ½, middle by 0
    assert study.slopes(rows[:2]) == []
