"""The report of one model at several depths: decades per layer, and how deep it may be."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from depthbench.research.report import notebook
from depthbench.research.report.notebook import Text
from depthbench.research.report.probed import Report
from depthbench.research.signal import profiles
from depthbench.research.study.tables import Mark, Table, with_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TONES = {"survives": "good", "vanishes": "bad", "explodes": "bad"}


class DepthsReport(NamedTuple):
    """What was measured at each depth, as plain data.

    rows: a dictionary of each depth: depth, seeds, states, log10_ratio, log10_slope
      (decades per layer that the gradient gains towards the input), both with their
      standard error over seeds (`…_se`, nan of one seed), verdict, first_bad, lost_at.
    deepest: the deepest of those probed through which the gradient survives; None.
    extrapolated: how deep by the decades per depth of the deepest probed: an estimate,
      inf where these are 0 within two standard errors.
    theory: ½ log10 χ₁, decades per layer of an infinitely wide plain net; nan without.
    reports: of the first seed at each depth.
    notes: what else is to be known.
    """

    rows: list[dict[str, Any]]
    deepest: int | None
    extrapolated: float
    theory: float
    reports: dict[int, Report]
    notes: tuple[str, ...]

    @property
    def answer(self) -> str:
        """How deep the gradient survives, in a sentence."""
        return answer(self)

    def table(self, width: int | None = None) -> Text:
        """The answer, and a line a depth; fits a width: the terminal's, or 80."""
        return notebook.text(self.answer, [_table(self)], self.notes, width)

    def figure(self) -> "Figure":
        """A matplotlib Figure: the profile of each depth, and decades by depth."""
        return notebook.drawn(7.2, 3.0, lambda figure: _draw(figure, self))

    def to_pandas(self) -> Any:
        """The rows as a DataFrame. Raises Mistake where there is no pandas."""
        return notebook.frame(self.rows)

    def _repr_html_(self) -> str:
        return notebook.part(self.answer, [_table(self)], self.notes, self.figure())

    def __repr__(self) -> str:
        depths = ", ".join(str(row["depth"]) for row in self.rows)
        return f"{self.answer}\ndepths {depths}"


def report(
    probed: Mapping[int, Sequence[Report]],
    theory: float = math.nan,
    notes: Sequence[str] = (),
) -> DepthsReport:
    """The report of the reports [seeds] of each depth."""
    rows = [_row(depth, reports) for depth, reports in probed.items()]
    survive = [row["depth"] for row in rows if row["verdict"] == "survives"]
    firsts = {depth: reports[0] for depth, reports in probed.items()}
    return DepthsReport(
        rows=rows,
        deepest=max(survive, default=None),
        extrapolated=_extrapolated(rows[-1]),
        theory=theory,
        reports=firsts,
        notes=tuple(notes),
    )


def _row(depth: int, reports: Sequence[Report]) -> dict[str, Any]:
    ratio = _mean([each.log10_ratio for each in reports])
    slope = _mean([each.slope for each in reports])
    # One seed that is not finite or has no gradient is the worst, and says so.
    broken = [r.verdict for r in reports if r.verdict in ("overflow", "no gradient")]
    return {
        "depth": depth,
        "seeds": len(reports),
        "states": len(reports[0].rows),
        "log10_ratio": ratio.mean,
        "log10_ratio_se": ratio.error,
        "log10_slope": slope.mean,
        "log10_slope_se": slope.error,
        "verdict": broken[0] if broken else profiles.verdict(ratio.mean),
        "first_bad": reports[0].first_bad,
        "lost_at": next((r.lost_at[0] for r in reports if r.lost_at), None),
    }


def _mean(values: Sequence[float]) -> profiles.SeedMean:
    if not np.isfinite(values).all():  # −inf is a gradient of 0, and stays one
        return profiles.SeedMean(float(np.sum(values)), math.nan)
    return profiles.over_seeds(np.array(values))


def _extrapolated(row: Mapping[str, Any]) -> float:
    ratio, error = row["log10_ratio"], row["log10_ratio_se"]
    if not math.isfinite(ratio):
        return math.nan
    if abs(ratio) <= 2 * (0 if math.isnan(error) else error) or ratio == 0:
        return math.inf
    return row["depth"] * profiles.SURVIVES / abs(ratio)


def answer(report: DepthsReport) -> str:
    """Through how many of what was probed, and by the slope."""
    last = report.rows[-1]
    if report.deepest == last["depth"]:
        body = f"survives through {last['depth']:,}, the deepest probed"
    elif report.deepest is not None:
        body = f"survives through {report.deepest:,} of the depths probed"
    else:
        body = f"survives at no depth probed, {report.rows[0]['depth']:,} and deeper"
    parts = [f"The gradient {body}"]
    if math.isfinite(last["log10_slope"]):
        error = None if math.isnan(last["log10_slope_se"]) else last["log10_slope_se"]
        slope = with_error(last["log10_slope"], error, "+.3f")
        theory = "" if math.isnan(report.theory) else f" (theory {report.theory:+.3f})"
        parts.append(f"{slope} decades a layer at {last['depth']:,}{theory}")
    if math.isfinite(report.extrapolated):
        parts.append(f"extrapolated, it does to about {report.extrapolated:,.0f}")
    return "; ".join(parts) + "."


def _table(report: DepthsReport) -> Table:
    headers = ("depth", "verdict", "decades in all", "decades a layer")
    theory = not math.isnan(report.theory)
    lost = [n for n in ("first_bad", "lost_at") if any(r[n] for r in report.rows)]
    lines = []
    for row in report.rows:
        lines.append(
            (
                str(row["depth"]),
                Mark(row["verdict"], TONES.get(row["verdict"], "bad")),
                _number(row, "log10_ratio", "+.2f"),
                _number(row, "log10_slope", "+.3f"),
                *([f"{report.theory:+.3f}"] if theory else []),
                *(row[name] or "" for name in lost),
            )
        )
    more = [*(["theory"] if theory else []), *(n.replace("_", " ") for n in lost)]
    return Table("", (*headers, *more), tuple(lines))


def _number(row: Mapping[str, Any], name: str, form: str) -> str:
    value, error = row[name], row[f"{name}_se"]
    if not math.isfinite(value):
        return notebook.decades(value)
    return with_error(value, None if math.isnan(error) else error, form)


def _draw(figure: Any, report: DepthsReport) -> None:
    left, right = figure.subplots(1, 2)
    for depth, each in report.reports.items():
        gradient = each.column("log10_gradient")
        gradient = np.where(np.isfinite(gradient), gradient, np.nan) - gradient[-1]
        left.plot(
            np.linspace(0, 1, gradient.size), gradient, lw=1.4, label=f"{depth:,}"
        )
    left.set_xlabel("place: input 0, output 1")
    left.set_ylabel("log10 ‖gradient‖ beside the last")
    left.legend(frameon=False, fontsize=7, title="depth", title_fontsize=7)
    depths = [row["depth"] for row in report.rows]
    means = np.array([row["log10_ratio"] for row in report.rows], np.float64)
    errors = np.array([row["log10_ratio_se"] for row in report.rows], np.float64)
    shown = np.where(np.isfinite(means), means, np.nan)
    right.errorbar(
        depths, shown, np.nan_to_num(errors), fmt="o-", lw=1.4, ms=4, capsize=2
    )
    if not math.isnan(report.theory):
        states = np.array([row["states"] - 1 for row in report.rows])
        label = "theory: ½ log10 χ₁ a layer"
        right.plot(
            depths, report.theory * states, color="black", lw=1, ls="--", label=label
        )
        right.legend(frameon=False, fontsize=7)
    right.set_xscale("log", base=2)
    right.set_xticks(depths, [f"{depth:,}" for depth in depths])
    right.minorticks_off()
    right.set_xlabel("depth")
    right.set_ylabel("decades, last to first")
    for axes in (left, right):
        axes.axhspan(
            -profiles.SURVIVES, profiles.SURVIVES, color="#888", alpha=0.15, lw=0
        )
        axes.grid(alpha=0.25, lw=0.5)
