"""The copying problem's baselines, and the gradient over a lag, in closed form."""

import math

import numpy as np
import pytest

from depthbench.experiments.training import copying
from depthbench.research.architectures.recurrent import cells
from depthbench.research.datasets import sequences


def cell(name, **more):
    return {"cell": name, "clip": "norm_1", "lag": 3, "width": 16, "seeds": 1, **more}


def test_without_memory_the_loss_is_the_papers_and_an_eighth_is_right():
    _, _, test = copying.parts(3)
    outputs = np.full((*test.y.shape, copying.TOKENS), -50.0, np.float32)
    outputs[:, : -copying.SYMBOLS, 8] = 0  # blanks are known
    outputs[:, -copying.SYMBOLS :, :8] = 0
    # float64 sums of exact logarithms; e⁻⁵⁰ is left out.
    memoryless = sequences.copy_baseline(3)
    assert copying.lost(outputs, test.y) == pytest.approx(memoryless, rel=1e-9)
    # 20,000 guesses: 4 standard errors of 0.0023.
    assert copying.right(outputs, test.y) == pytest.approx(1 / 8, abs=0.01)
    hits = copying.hits(outputs, test.y)
    assert hits.shape == (2000, 10) and hits.mean() == copying.right(outputs, test.y)


def test_a_linear_map_of_all_steps_copies():
    assert copying.ridge(3) == 1.0


def test_the_parts_are_three_and_one_hot():
    every = copying.parts(3)
    assert [len(part.y) for part in every] == [19_000, 1_000, 2_000]
    said = [part.x[:, : copying.SYMBOLS].argmax(-1) for part in every]
    for part, symbols in zip(every, said, strict=True):
        np.testing.assert_array_equal(part.x.sum(-1), 1)
        np.testing.assert_array_equal(symbols, part.y[:, -copying.SYMBOLS :])
    assert len(np.unique(np.concatenate(said), axis=0)) == 22_000


@pytest.mark.parametrize("kept", [1.0, 0.5])
def test_a_linear_net_keeps_its_factor_to_the_power_of_the_lag(kept):
    """h' = a h + U x: the first symbol's gradient is a^(T + 10) of the answer's own."""

    def change(net):
        (stage,) = net.stages

        def recurrent(weights):
            eye = cells.identity_kernel(weights)
            gains = lambda fan_in, fan_out: (kept, eye.gains(fan_in, fan_out)[1])
            return eye._replace(gains=gains)

        layer = stage.layer.clone(recurrent=recurrent)
        return net._replace(stages=(stage._replace(layer=layer),))

    net = copying.net_of(cell("rnn"))
    linear = copying.Recipe(**{**vars(net.recipe), "activation": "linear"})
    net = net._replace(recipe=linear, task=net.task._replace(change=change))
    decades = copying.over_lag(net, copying.parts(3)[0].first(8), 2)
    # float32 products of 13 steps.
    assert decades == pytest.approx(13 * math.log10(kept), abs=1e-5)


def test_fresh_nets_differ_in_their_start_alone():
    nets = [copying.net_of(cell(name)) for name in copying.NETS]
    assert [net.recipe.depth for net in nets] == [1] * 5
    identity = copying.fits.fresh(copying.net_of(cell("irnn", width=400))).variables
    stem = np.asarray(identity.stem["params"]["Dense_0"]["kernel"])
    params = identity.stages[0]["params"]
    inputs = stem @ np.asarray(params["Projection_0"]["Dense_0"]["kernel"])[0]
    # 4,000 products of sums of 400 terms: within a tenth.
    assert inputs.std() == pytest.approx(0.001, rel=0.1)


def row(name, score, loss, decades=-1.0):
    ends = dict(score=score, score_se=0.01, loss=loss, loss_se=0.01, memoryless=0.8)
    ends |= dict(seeds=3, status="ok", reason="", decades=decades)
    return dict(cell=name, clip="norm_1", lag=20, **ends)


def test_a_start_is_better_where_more_is_right():
    rows = [row("lstm", 0.2, 0.7), row("lstm_chrono", 0.5, 0.4, -4.0)]
    claim = copying.STUDY.claims[0]
    (pair,) = claim.of(rows)
    assert pair["gap"] == pytest.approx(0.3) and pair["cell"] == "lstm_chrono to lstm"
    (faded,) = copying.faded(rows)
    assert faded["cell"] == "lstm_chrono"
    assert copying.remaining(faded).value == pytest.approx(0.5)
