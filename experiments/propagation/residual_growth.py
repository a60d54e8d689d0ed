"""Do residual nets grow polynomially with depth, or exponentially?

Sources: Yang & Schoenholz 2017, arXiv:1712.08969; De & Smith 2020, arXiv:2002.10444.
"""

import functools

from depthbench.experiments.propagation import nets
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study import families
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.estimates import about, below, mean_of
from depthbench.research.study.headlines import counted, listed, measured
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import numpy as np

    from depthbench.research.signal import profiles

LOG10_2 = 0.30102999566398120


def settings(cell):
    return {"initializer": "he_normal", "batch": 16}


def finish(cell, result):
    """Both fits of log10 length: against log10 layer (power) and layer (rate)."""
    if result.status != "ok":
        return Measured(result.status, result.reason, {})
    lengths = result.profiles["log10_length_of_seeds"].astype(np.float64)
    first = lengths.shape[1] // 8  # the power law is asymptotic
    layer = np.arange(lengths.shape[1])[first:] + 1.0
    power, power_misfit = fit(np.log10(layer), lengths[:, first:])
    rate, rate_misfit = fit(layer, lengths[:, first:])
    columns = {"power": power, "rate": rate, "misfit_gap": power_misfit - rate_misfit}
    values = {"power_misfit": power_misfit.mean(), "rate_misfit": rate_misfit.mean()}
    for name, of_seeds in columns.items():
        values[name], error = profiles.over_seeds(of_seeds)
        values[f"{name}_se"] = None if np.isnan(error) else error
    misfits = values["power_misfit"], values["rate_misfit"]
    return Measured(
        "ok",
        "",
        {
            **{name: v if v is None else float(v) for name, v in values.items()},
            "growth": growth(lengths.mean(0), *misfits),
            "log10_ratio": result.values["log10_ratio"],
        },
        {"log10_length": result.profiles["log10_length"]},
    )


def growth(length, power_misfit, rate_misfit):
    """The law that fits better; "bounded" if the length grows less than tenfold.

    Of two that fit as well, the slower: growth has to be seen to be called exponential.
    """
    if np.ptp(length) < 1:
        return "bounded"
    return "exponential" if rate_misfit < power_misfit else "polynomial"


def fit(x, y):
    """(slopes, root mean square residuals) [seeds] of least-squares lines; y [seeds, x].

    y: log10 of float32's numbers, one a layer. What is below their rounding is 0.
    """
    slope, offset = np.polyfit(x, y.T, 1)
    residual = y - slope[:, None] * x - offset[:, None]
    misfit = np.sqrt(np.mean(residual**2, axis=1))
    slopes = [profiles.resolved(one) for one in slope]
    misfits = [profiles.resolved(one, y.shape[1]) for one in misfit]
    return np.array(slopes), np.array(misfits)


def headline(rows):
    """How many nets grow by which law, and which loses most."""
    done = measured(rows)
    laws = list(dict.fromkeys(row["growth"] for row in done))
    counts = [
        f"{sum(row['growth'] == law for row in done)} {law}" for law in sorted(laws)
    ]
    fast = [net(row) for row in done if row["growth"] == "exponential"]
    worst = max(done, key=lambda row: abs(row["log10_ratio"]))
    named = f" (exponential: {listed(fast)})" if fast else ""
    return Headline(
        f"Of {counted(len(done), 'residual net')} the squared length's growth is "
        f"{listed(counts)}{named}.",
        f"Worst: {net(worst)}: the gradient changes by {worst['log10_ratio']:+.1f} "
        f"decades through {counted(worst['depth'], 'layer')}.",
    )


def net(row):
    norm = "no norm" if row["normalizer"] == "none" else f"{row['normalizer']} norm"
    return f"{row['architecture']} {row['activation']}, {norm}"


def tables(rows):
    """How each net's lengths grow, and by which law."""
    body = tuple(
        (
            row["architecture"],
            row["activation"],
            row["normalizer"],
            Mark(row["growth"], "bad" if row["growth"] == "exponential" else "good")
            if row["status"] == "ok"
            else Mark(row["status"], "bad"),
            number(row.get("power")),
            number(row.get("rate")),
            number(row.get("log10_ratio")),
        )
        for row in rows
    )
    headers = "architecture activation normalizer growth power rate log10_ratio".split()
    return [Table("Growth of the squared length", tuple(headers), body)]


def draw_figures(rows, arrays):
    caption = (
        "log10 of the squared length against layer, both logarithmic: polynomial growth "
        "is a straight line, exponential growth bends upwards."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, arrays))]


def _draw(rows, arrays):
    figure = figures.new(9, 3.6)
    names = list(dict.fromkeys(r["normalizer"] for r in rows))
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    for axes, name in zip(panels, names, strict=True):
        lines = []
        for row in rows:
            if row["normalizer"] == name and row["status"] == "ok":
                label = f"{row['architecture']} {row['activation']}"
                lines.append(figures.Line(label, arrays(row)["log10_length"], None))
        figures.profile_lines(axes, lines, f"normaliser: {name}")
        axes.set_xscale("log")
        axes.set_xlim(left=1)
        axes.set_xlabel("layer")
        axes.legend(fontsize=6, frameon=False)
    panels[0].set_ylabel("log10 q")
    return figure


def plain(row, *activations):
    """The residual net without a normaliser, with one of the activations."""
    return (
        row["architecture"] == "residual_mlp"
        and row["normalizer"] == "none"
        and row["activation"] in activations
    )


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return nets.measure(cells, shared, memory, settings, finish)


HERE = "digits, dense nets of 100 blocks of 256 units, 8 drawn nets"
CNN = "convolutional nets, on the way forward"

STUDY = Study(
    name="residual_growth",
    kind="experiment",
    question="Do residual nets grow polynomially with depth, or exponentially?",
    source="Yang & Schoenholz 2017; De & Smith 2020, arXiv:2002.10444",
    axes={
        "architecture": Axis(
            "how layers are connected",
            ("residual_mlp", "residual_mlp_scaled"),
            ARCHITECTURES,
        ),
        "activation": Axis("the nonlinearity", ("tanh", "relu"), ACTIVATIONS),
        "normalizer": Axis(
            "what comes before the activation", ("none", "batch", "layer"), NORMALIZERS
        ),
        "depth": Axis("layers", (100,), kind="integer", low=16, high=10**4),
        "width": Axis("units", (256,), kind="integer", low=2, high=10**5, single=True),
        "seeds": Axis(
            "networks per cell", (8,), kind="integer", low=1, high=999, single=True
        ),
    },
    sizes={
        "smoke": {"width": (48,), "depth": (32,), "seeds": (3,)},
        "full": {"width": (1000,), "depth": (100, 1000), "seeds": (16,)},
    },
    plan=nets.plan(settings),
    fit=families.at_own_depths,
    measure="depthbench.experiments.propagation.residual_growth:measure",
    columns=tuple(
        "architecture activation normalizer depth width seeds status reason growth "
        "power power_se power_misfit rate rate_se rate_misfit misfit_gap misfit_gap_se "
        "log10_ratio".split()
    ),
    claims=(
        Claim(
            "de2020.relu-block-doubles-variance",
            "without normalisation a residual ReLU block doubles the variance",
            "De & Smith 2020, arXiv:2002.10444, section 2",
            tag="S8",
            protocol=HERE,
            differs=CNN,
            estimate=mean_of("rate"),
            published="log10 2 = 0.301",
            allows=about(LOG10_2, within=0.01),
            scope=lambda row: plain(row, "relu"),
            label=("activation", "depth"),
        ),
        Claim(
            "de2020.normalised-block-adds-constant",
            "with normalisation each residual block adds a constant variance: it grows "
            "as the first power of depth",
            "De & Smith 2020, arXiv:2002.10444, section 2",
            tag="S8",
            protocol=f"{HERE}, batch and layer norm",
            differs=f"{CNN}, batch norm",
            estimate=mean_of("power"),
            published="power 1",
            allows=about(1.0, within=0.1),
            scope=lambda row: (
                row["architecture"] == "residual_mlp" and row["normalizer"] != "none"
            ),
            label=("activation", "normalizer", "depth"),
        ),
        Claim(
            "yang2017.tanh-grows-polynomially",
            "tanh residual nets grow polynomially without any normalisation",
            "Yang & Schoenholz 2017, arXiv:1712.08969, section 3",
            tag="S8",
            protocol=f"{HERE}: a power law misses log10 q by less than an exponential",
            differs="derived for wide nets, and drawn at hundreds of layers",
            estimate=mean_of("misfit_gap"),
            published="misfit less than an exponential's: below 0",
            allows=below(0.0),
            scope=lambda row: plain(row, "tanh"),
            label=("activation", "depth"),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
