"""The report of one probe: the answer in a sentence, then states, parameters, a picture."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from depthbench.research.report import notebook, probed_figure, probed_table
from depthbench.research.report.notebook import Text
from depthbench.research.signal import profiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TINY = math.log10(float(np.finfo(np.float32).tiny))
HUGE = math.log10(float(np.finfo(np.float32).max))
LOST = {
    "overflow": "the signal is not finite from `{}` on",
    "zero": "the signal is exactly 0 from `{}` on",
    "correlated": "examples cannot be told apart in float32 from `{}` on",
}
VERBS = {
    "survives": "survives",
    "vanishes": "vanishes",
    "explodes": "explodes",
    "overflow": "cannot be told",
    "no gradient": "is 0",
}


class Report(NamedTuple):
    """What was measured of a network, as plain data.

    rows: a dictionary of each state, from the input to the outputs: state, log10_gradient,
      log10_length, decorrelation, saturated, dead; nan where there is no such number.
    parameters: log10 of the gradient's norm of each parameter that has one.
    verdict: "survives" (first and last gradient within a factor of 1,000), "vanishes" or
      "explodes"; "overflow" where the loss is not finite, "no gradient" where it is 0.
    slope: decades per layer (from a state to the next) that the gradient gains towards
      the input, by least squares.
    log10_ratio: log10 of the first state's gradient norm over the last's.
    first_bad: from the outputs down, the first state whose gradient is no more within a
      factor of 1,000 of the last's; None if there is none.
    lost_at: from the input up, the first state at which inputs cannot be told apart, and
      why: "overflow", "zero" or "correlated"; None if there is none.
    zeros: states and parameters whose gradient is exactly 0, in float64 too.
    without_gradient: parameters that no gradient can reach, and why.
    loss: its value.
    """

    rows: list[dict[str, Any]]
    parameters: dict[str, float]
    verdict: str
    slope: float
    log10_ratio: float
    first_bad: str | None
    lost_at: tuple[str, str] | None
    zeros: tuple[str, ...]
    without_gradient: dict[str, str]
    loss: float

    def column(self, name: str) -> np.ndarray:
        """[states] A column of the rows."""
        return np.array([row[name] for row in self.rows], np.float64)

    @property
    def answer(self) -> str:
        """What the report says, in a sentence."""
        return answer(self)

    def table(self, width: int | None = None) -> Text:
        """The answer and a table of the states that fits a width: the terminal's, or 80.

        Of many states those at the ends and around the first bad one.
        """
        table = probed_table.states(self.rows, _flags(self))
        return notebook.text(self.answer, [table], notes(self), width)

    def figure(self) -> "Figure":
        """A matplotlib Figure: gradient and length by state, the gradient's band grey."""
        return probed_figure.profile(self.rows, self.first_bad, self.answer)

    def to_pandas(self) -> Any:
        """The rows as a DataFrame. Raises Mistake where there is no pandas."""
        return notebook.frame(self.rows)

    def _repr_html_(self) -> str:
        table = probed_table.states(self.rows, _flags(self), probed_table.FEW)
        return notebook.part(self.answer, [table], notes(self), self.figure())

    def __repr__(self) -> str:
        return (
            f"{self.answer}\n{len(self.rows)} states, {len(self.parameters)} parameters"
        )


def report(
    rows: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, float],
    zeros: Sequence[str],
    without_gradient: Mapping[str, str],
    loss: float,
) -> Report:
    """The report of these rows of states."""
    gradient = np.array([row["log10_gradient"] for row in rows], np.float64)
    ratio = float(gradient[0] - gradient[-1]) if np.isfinite(gradient[-1]) else math.nan
    verdict = _verdict(ratio, gradient, loss)
    with np.errstate(invalid="ignore"):  # of two that are infinite there is no ratio
        far = np.flatnonzero(np.abs(gradient - gradient[-1]) > profiles.SURVIVES)
    return Report(
        rows=[dict(row) for row in rows],
        parameters=dict(parameters),
        verdict=verdict,
        slope=slope(gradient),
        log10_ratio=ratio,
        first_bad=str(rows[far[-1]]["state"]) if far.size else None,
        lost_at=_lost_at(rows),
        zeros=tuple(zeros),
        without_gradient=dict(without_gradient),
        loss=loss,
    )


def slope(log10_gradient: np.ndarray) -> float:
    """Decades per layer towards the input, over the states that have a gradient.

    >>> slope(np.array([-6.0, -3.0, 0.0]))
    -3.0
    """
    finite = np.flatnonzero(np.isfinite(log10_gradient))
    if finite.size < 2:
        return math.nan
    if finite.size == log10_gradient.size:
        return profiles.resolved(float(profiles.slope(log10_gradient[None])[0]))
    return -float(np.polyfit(finite, log10_gradient[finite], 1)[0])


def _verdict(ratio: float, gradient: np.ndarray, loss: float) -> str:
    if not math.isfinite(loss) or np.isnan(gradient).any():
        return "overflow"
    if math.isnan(ratio):
        return "no gradient"
    return profiles.verdict(ratio)


def _lost_at(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    columns = ("log10_length", "decorrelation")
    lost = profiles.lost_at(*(np.array([r[c] for r in rows]) for c in columns))
    return None if lost is None else (str(rows[lost[0]]["state"]), lost[1])


def answer(report: Report) -> str:
    """The verdict, decades in all and per layer, and what float32 would show."""
    first, last = (str(report.rows[place]["state"]) for place in (0, -1))
    to = "the input" if first == "input" else f"`{first}`"
    parts = []
    if len(report.rows) < 2:
        parts.append(f"one state, {to}")
    elif report.verdict in ("survives", "vanishes", "explodes"):
        word = "within " if report.verdict == "survives" else ""
        amount = abs(report.log10_ratio)
        shown = "all" if math.isinf(amount) else f"{amount:.1f}"
        steps = notebook.decades(abs(report.slope))
        parts.append(f"{word}{shown} decades from `{last}` to {to}, {steps} a layer")
    parts += [*_in_float32(report)]
    if report.lost_at is not None:
        name, how = report.lost_at
        parts.append(LOST[how].format(name))
    body = "; ".join(parts)
    return f"The gradient {VERBS[report.verdict]}{': ' * bool(body)}{body}."


def _in_float32(report: Report) -> list[str]:
    """What plain float32 would make of the states' gradients."""
    gradient, names = report.column("log10_gradient"), [r["state"] for r in report.rows]
    lines = []
    for there, word in ((gradient < TINY, "0"), (gradient > HUGE, "inf")):
        places = np.flatnonzero(there)
        if not places.size:
            continue
        top = names[places[-1]]
        if places.size == 1:
            where = f"at `{top}`"
        elif places.size == places[-1] + 1:
            where = f"from `{top}` down"
        else:
            where = f"at {places.size} states"
        lines.append(f"float32 would show {word} {where}")
    return lines


def _flags(report: Report) -> dict[str, str]:
    """Words beside a state in the table."""
    flags: dict[str, str] = {}
    if report.first_bad is not None:
        flags[report.first_bad] = "first bad"
    if report.lost_at is not None:
        name, how = report.lost_at
        flags[name] = ", ".join(filter(None, (flags.get(name, ""), f"lost: {how}")))
    return flags


def notes(report: Report) -> list[str]:
    """Lines below the table: parameters with the least and the most, and those without."""
    lines = []
    if report.parameters:
        least = min(report.parameters, key=report.parameters.__getitem__)
        most = max(report.parameters, key=report.parameters.__getitem__)
        both = [
            f"`{n}` {notebook.decades(report.parameters[n])}" for n in (least, most)
        ]
        lines.append(f"log10 gradient of parameters: from {both[0]} to {both[1]}.")
    if report.zeros:
        lines.append(f"Gradient exactly 0: {_listed(report.zeros)}.")
    if report.without_gradient:
        pairs = [f"{name} ({why})" for name, why in report.without_gradient.items()]
        lines.append(f"Without a gradient: {_listed(pairs)}.")
    return lines


def _listed(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
