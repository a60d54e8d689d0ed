"""gradient_flow's tables: what a reader must see of a grid."""

from benchmarks.gradient_flow import show as gradient_flow_report
from research.report.rendering import as_markdown


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
        "sigma_w2": None,
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
    (figure,) = gradient_flow_report.draw_figures(rows, lambda row: {})
    assert figure.draw().axes


def test_few_architectures_have_a_table_each():
    rows = [row(f"net_{n}", depth, 0.5) for n in range(2) for depth in (4, 16)]
    survivors, *decades, _ = gradient_flow_report.tables(rows)
    assert len(lines(survivors)) == 2 and len(decades) == 2
