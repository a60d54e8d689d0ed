"""`rezero`: its rivals are the authors', and a run that is astray may come back."""

import jax
import numpy as np
import pytest

from depthbench.experiments.training import rezero
from depthbench.research.study import trials
from depthbench.research.study.claims import judge
from depthbench.research.study.declaration import chosen_values, grid


@pytest.mark.parametrize("name", ["residual", "rezero"])
def test_a_layer_is_that_of_the_notebook(name, network, filled):
    """h' = h + α φ(W h + b), after a first layer with the activation."""
    net = network(rezero.NETS[name]["architecture"], "relu", width=5, depth=2)
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    params = filled(net, x)
    stage = params.stages[0]["params"]
    kernels, biases = (np.asarray(stage["Dense_0"][n]) for n in ("kernel", "bias"))
    h = np.random.default_rng(1).standard_normal((3, 5)).astype(np.float32)
    for place in range(2):
        one = jax.tree.map(lambda a, p=place: a[p], params.stages[0])
        gate = np.asarray(stage["alpha"][place]) if name == "rezero" else 1.0
        expected = h + gate * np.maximum(h @ kernels[place] + biases[place], 0)
        got = net.stages[0].layer.apply(one, h)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_the_residual_net_begins_where_theirs_did_and_comes_back():
    """Theirs: 131,270 over the first epoch, 27 over the second, 1.87 in the end."""
    chosen = chosen_values(rezero.STUDY, "standard", {"net": ("residual",)})
    cells = grid(rezero.STUDY, {**chosen, "learning_rate": (0.01,), "steps": (40,)})
    (row,) = rezero.measure([{**cells[0], "seeds": 2}], {}, 2**30)
    assert row.status == "ok" and row.values["diverged"] == 0
    assert 2e4 < row.values["first_loss"] < 2e6
    assert row.values["train_loss"] < 1e-3 * row.values["first_loss"]
    kernel = {**trials.DEFAULTS, **rezero.settings(cells[0])}
    assert (kernel["initializer"], kernel["sigma_w2"]) == ("free", 0.25)


def row(net, rate, loss):
    return {
        **{"net": net, "depth": 64, "width": 64, "learning_rate": rate, "seeds": 5},
        **{"status": "ok", "reason": "", "first_loss": 2.5, "diverged": 0.0},
        **{"train_loss": loss, "train_loss_se": 0.02 * loss, "unfinished": True},
    }


def test_what_is_scored_are_logarithms_of_losses():
    """A net that ends at e times the loss is 1 worse, whatever it began with."""
    losses = {"rezero": 0.5, "residual": 0.5 * np.e}
    rows = [
        row(net, rate, loss * (1 if rate == 0.01 else 2))
        for net, loss in losses.items()
        for rate in (0.003, 0.01, 0.03)
    ]
    for claim in rezero.STUDY.claims:
        verdict = judge(claim, rows)
        assert verdict.ours == pytest.approx(1.0) and verdict.word == "holds"
