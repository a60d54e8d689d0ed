"""gradient_flow's tables: what a reader must see of a grid."""

import numpy as np
import pytest

from depthbench.benchmarks.gradient_flow import pictures
from depthbench.benchmarks.gradient_flow import show as gradient_flow_report
from depthbench.research.cli.run import STATUSES
from depthbench.research.report import figures
from depthbench.research.report.rendering import as_markdown


def row(architecture, depth, ratio, **changed):
    """A row of a net that keeps its gradient, or has none where the ratio is None."""
    survives = ratio is not None and abs(ratio) <= 3
    numbers = dict.fromkeys(("log10_slope", "log10_slope_se"), 0.01)
    return {
        "architecture": architecture,
        "activation": "tanh",
        "initializer": "critical",
        "normalizer": "none",
        "width": 8,
        "depth": depth,
        **dict.fromkeys(("sigma_w2", "sigma_b2")),
        "status": "lost" if ratio is None else "ok",
        "verdict": "survives" if survives else "vanishes",
        "log10_ratio": ratio,
        "log10_slope_theory": None,
        "saturated": None,
        **numbers,
        **changed,
    }


def lines(table):
    return [
        line for line in as_markdown(table).splitlines() if line.startswith("| net")
    ]


def test_many_architectures_make_one_table_with_the_worst_of_each():
    rows = [row(f"net_{n}", depth, -0.1 * n) for n in range(7) for depth in (4, 16)]
    rows[1] = row("net_0", 16, -7.25)
    rows += [row("net_0", 16, 1.0, activation="relu")]
    rows += [row("net_1", 16, None, activation="relu")]
    families, worst = gradient_flow_report.tables(rows)
    shown = lines(families)
    assert len(shown) == 7
    assert "| 16 " in shown[0] and "1/2 -7.2" in shown[0]
    assert "1/2 lost" in shown[1]
    assert "1/1 -0.2" in shown[2]
    assert as_markdown(worst).count("net_0") >= 1
    for figure in pictures.draw_figures(rows, lambda row: {}):
        assert figure.draw().axes


def test_few_architectures_have_a_table_each():
    rows = [row(f"net_{n}", depth, 0.5) for n in range(2) for depth in (4, 16)]
    survivors, _, *decades = gradient_flow_report.tables(rows)
    assert len(lines(survivors)) == 2 and len(decades) == 2


def test_the_worst_begin_with_those_that_overflow_first():
    rows = [row("deep", 64, -9.0 * n, activation=f"a{n}") for n in range(1, 8)]
    for n in range(7):
        ended = {"status": "overflow", "signal_lost_at": 30 - n, "activation": f"o{n}"}
        rows.append(row("wild", 64, None, **ended))
    _, worst, *_ = gradient_flow_report.tables(rows)
    named = [line[0].split()[1] for line in worst.rows]
    assert named == ["o6", "o5", "o4", "o3", "o2", "a7", "a6", "a5", "a4", "a3"]


def texts(figure):
    """All that is written on a figure: titles, labels, signs, legends."""
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]


@pytest.mark.parametrize("several", [2, 7])
@pytest.mark.parametrize("status", [s for s in STATUSES if s != "diverged"])
def test_maps_say_what_happened_instead(status, several):
    rows = [row(f"net_{n}", 16, -1.0) for n in range(several)]
    rows.append(row("net_0", 16, None, status=status, activation="relu"))
    instead = pictures.INSTEAD.get(status, figures.OTHERWISE)
    maps, _ = pictures.draw_figures(rows, lambda row: {})
    written = texts(maps.draw())
    assert written.count(instead.sign) == 2  # in all, and per layer
    assert f"{instead.sign}  {instead.meaning}" in written
    assert {"decades in all", "decades per layer"} <= set(written)
    maps, _ = pictures.draw_figures(rows[:-1], lambda row: {})
    assert not any(instead.meaning in text for text in texts(maps.draw()))


def test_total_decades_tell_depth_one_from_a_thousand():
    """−0.05 decades a layer are harmless in one layer, and 51 in 1,024."""
    rows = [row("net", depth, -0.05 * depth, log10_slope=-0.05) for depth in (1, 1024)]
    figure = pictures.draw_figures(rows, lambda row: {})[0].draw()
    in_all, per_layer = (
        axes.images[0].get_array()[0, :, :3] for axes in figure.axes if axes.images
    )
    assert np.abs(per_layer[0] - per_layer[1]).max() == 0
    assert in_all[0].min() > 0.95  # nearly white
    assert in_all[1].min() < 0.5


@pytest.mark.parametrize("several", [3, 7])
def test_profiles_are_of_every_architecture(several):
    rows = [row(f"net_{n}", depth, -1.0) for n in range(several) for depth in (4, 9)]

    def profiles(row):
        return {"log10_gradient": np.zeros((2, row["depth"]))}

    curves = pictures.draw_figures(rows, profiles)[1].draw()
    titles = [axes.get_title("left") for axes in curves.axes if axes.lines]
    assert titles == [f"net_{n}, 9 layers" for n in range(several)]
    assert "tanh" in texts(curves)
