"""A system's score by depth, beside a trivial and a strong baseline: one form for all.

A study of a system declares a `Scoring` and has its rows made by `values`; headline,
table, picture and the line in the table of all systems follow. Which depth serves best is
chosen by `valid`, a score that looked at no test data.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from depthbench.experiments import comparisons, score_panels
from depthbench.experiments.buildable import one_of
from depthbench.experiments.line_names import common
from depthbench.experiments.line_names import words as words
from depthbench.experiments.once import once
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study import estimates
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Figure, Headline, Row, Summary
from depthbench.research.study.estimates import mean_of
from depthbench.research.study.headlines import counted, listed, measured
from depthbench.research.study.tables import Mark, Table, number

with lazily():
    import numpy as np

    from depthbench.research.learning import baselines, held_out
    from depthbench.research.signal import interval, profiles

BASELINES = ("trivial", "strong", "strong_se", "gap", "gap_se", "gap_test_se", "tested")
BEFOREHAND = ("first_gradient", "decades", "step_mflop")
CHOICE = ("learning_rate", "rate_at_edge", "unfinished")
COLUMNS = (
    *("status", "reason", "score", "score_se", "score_low", "score_high"),
    *("score_by_seed", "valid", *BASELINES, *BEFOREHAND, *CHOICE),
)
SKIPS = ("mlp", "residual_mlp")
TIE = "no better than"
DOUBT = "not surely better than"
GRADIENT = "at the start: log10 of the first layer's gradient, decades through the net"


def axes(
    depths: Sequence[int] = (1, 4, 16),
    architectures: Sequence[str] = SKIPS,
    activations: Sequence[str] = ("relu",),
    known: Sequence[str] = SKIPS,
) -> dict[str, Axis]:
    """The axes that all studies of systems share: depth, skips, activation.

    known: the architectures that the system can be built of.
    """
    nets = one_of(known)
    return {
        "architecture": Axis("with and without skips", tuple(architectures), nets),
        "activation": Axis("the nonlinearity", tuple(activations), ACTIVATIONS),
        "depth": whole("hidden layers after the first", tuple(depths), single=False),
    }


def spread(
    name: str, each: Sequence[float], examples: int | None = None
) -> dict[str, Any]:
    """A mean over seeds, its standard error and 95 % interval, by name.

    examples: of a share in [0, 1], how many each seed's is of.
    """
    average, error = profiles.over_seeds(np.asarray(each, np.float64))
    if examples is None:
        low, high = interval.student(average, error, len(each))
    else:
        low, high = interval.of_share(average, error, len(each), examples)
    ends = {"": average, "_se": error, "_low": low, "_high": high}
    return {name + end: _finite(value) for end, value in ends.items()}


def beside(
    name: str, one: Sequence[float], other: Sequence[float], examples: int
) -> dict[str, Any]:
    """By how much a share is above another of the same test examples, seed by seed.

    As of `spread`, and with the standard error that is due to the examples.
    """
    means = float(np.mean(one)), float(np.mean(other))
    error = comparisons.of_examples(*means, examples)
    return {**spread(name, np.subtract(one, other)), f"{name}_test_se": error}


def of_answers(name: str, one: Any, other: Any) -> dict[str, Any]:
    """As `beside`, of whether each answer is right [seeds, examples]."""
    apart = np.mean(one, axis=1) - np.mean(other, axis=1)
    error = comparisons.of_answers(one, other)
    return {**spread(name, apart), f"{name}_test_se": error}


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def values(
    score: Sequence[float],
    valid: float,
    trivial: float,
    strong: float | Sequence[float],
    before: Any,
    tuned: Any = None,
    examples: int | None = None,
    higher: bool = True,
    anew: bool = False,
    test_error: float | None = None,
    independent: bool = False,
) -> dict[str, Any]:
    """The columns that all studies of systems share.

    score: of the test part [seeds]. valid: what depths are chosen by, the mean over
    seeds. strong: the strong baseline's score, of each seed where it differs.
    before: of `fits.beforehand`. tuned: of `fits.tuned`, if a rate was chosen.
    examples: as of `spread`. higher: whether a higher score is better. anew: whether each
    seed is judged by examples of its own, so that seeds differ by those too.
    test_error: the gap's standard error over the test examples, such as
    `comparisons.gap_error`; of a share it is binomial unless given. independent: whether
    the baseline's seeds are draws of its own, which no seed of the nets shares.
    """
    strongs = np.broadcast_to(np.asarray(strong, np.float64), (len(score),))
    gaps = (np.asarray(score, np.float64) - strongs) * (1 if higher else -1)
    own, gap = spread("score", score, examples), spread("gap", gaps)
    strong = spread("strong", strongs)
    if independent:
        gap["gap_se"] = comparisons.united([own["score_se"], strong["strong_se"]])
    same = examples if examples and not anew else None
    means = float(np.mean(score)), float(np.mean(strongs))
    if same and test_error is None:
        test_error = comparisons.of_examples(*means, same)
    return {
        **own,
        "score_by_seed": comparisons.by_seed(score),
        "valid": _finite(valid),
        "trivial": float(trivial),
        **{name: strong[name] for name in ("strong", "strong_se")},
        **{name: gap[name] for name in ("gap", "gap_se")},
        "gap_test_se": _finite(test_error),
        "tested": same,
        **{name: _finite(getattr(before, name)) for name in BEFOREHAND},
        "learning_rate": tuned.setting if tuned else None,
        "rate_at_edge": bool(tuned and tuned.at_edge),
        "unfinished": tuned.unfinished if tuned else False,
        "valid_half": _finite(tuned.sooner) if tuned else None,
    }


@once
def baseline(name: str, dataset: str, data_dir: str | None) -> float:
    """A baseline's test accuracy, tuned on the part that nets are trained on."""
    parts = held_out.parts(dataset, data_dir=data_dir)
    fitted = baselines.fit(name, *parts.train)
    return float(np.mean(fitted.predict(parts.test.x) == parts.test.y))


def chosen(found: Sequence[tuple[float, float]]) -> float:
    """Of scores (validation, test) of baselines the test's, where validation's is best.

    The first of those that are equal there: test examples break no tie.
    """
    return max(found, key=lambda pair: pair[0])[1]


def share(row: Row) -> tuple[float, float]:
    """What a share lies within."""
    return 0.0, 1.0


def positive(row: Row) -> tuple[float, float]:
    """What an error or a loss lies within."""
    return 0.0, math.inf


# As claims estimate them: the score, and by how much the net is better than the baseline.
score, gap = comparisons.score, mean_of("gap")


def scored(rows: Sequence[Row]) -> list[Row]:
    """The rows that have a score: not those of nets that gave no finite one."""
    return [row for row in measured(rows) if row["score"] is not None]


def _reasons(rows: Sequence[Row]) -> str:
    return listed(row["reason"] or "not finite, or diverged" for row in rows)


class Scoring(NamedTuple):
    """What a system's score is, and how it is shown.

    system: what it is, in a few words. noun: what is scored, with its unit. trivial,
    strong: what the baselines are called. by: the axes that nets of one depth differ in.
    axis: along which they are compared. form: how a score is written. unit: what depth
    counts. naming: (row, "residual ReLU net of 4 layers") -> what it is called where it
    differs in more. within: the least and the largest score that there can be; the
    intervals that rows have know of seeds alone, and those shown end there. near: whether
    pictures have the trivial baseline as a number, as it is far from all else.
    """

    system: str
    noun: str
    trivial: str
    strong: str
    by: tuple[str, ...] = ("architecture", "activation")
    axis: str = "depth"
    higher: bool = True
    form: str = ".3f"
    unit: str = "layer"
    naming: Callable[[Row, str], str] = lambda row, net: net
    within: Callable[[Row], tuple[float, float]] = lambda row: (-math.inf, math.inf)
    near: bool = False

    def better(self, one: float, other: float) -> bool:
        return one > other if self.higher else one < other

    def best(self, rows: Sequence[Row]) -> Row:
        """The row that serves best, by what was held out of the training data."""
        side = 1 if self.higher else -1
        rows = scored(rows) or rows
        known = [row for row in rows if row["valid"] is not None] or list(rows)
        # The last digits of a mean choose nothing: the first of those that are equal.
        return max(known, key=lambda row: float(f"{side * (row['valid'] or 0):.9g}"))

    def worst(self, rows: Sequence[Row]) -> Row:
        """The row with the worst score."""
        side = 1 if self.higher else -1
        return min(scored(rows) or rows, key=lambda row: side * (row["score"] or 0))

    def write(self, value: float | None) -> str:
        return "-" if value is None else format(value, self.form)

    def name(self, row: Row) -> str:
        """A row's net in words: "residual ReLU net of 4 layers by prototypes"."""
        shape = [n for n in ("architecture", "activation") if n in self.by and n in row]
        kind = " ".join([*(words(row[name]) for name in shape), "net"])
        depth = row.get("depth")
        of = "" if depth is None else f" of {counted(depth, self.unit)}"
        return self.naming(row, kind + of)

    def told(self, row: Row) -> str:
        """`name`, and of a net that is not ahead, whether more steps might help it."""
        late = bool(row.get("unfinished")) and self.verdict(row) != "wins"
        return self.name(row) + ", still learning" * late

    def headline(self, rows: Sequence[Row]) -> Headline:
        """Whether the best net beats the strong baseline, and the worst net.

        Where it does not, the first words say so.
        """
        done = scored(rows)
        if not done:
            return Headline(f"No net has a score in {self.noun}: {_reasons(rows)}.")
        best, worst = self.best(done), self.worst(done)
        net = f"{self.write(best['score'])} ({self.told(best)})"
        strong = f"{self.write(best['strong'])} ({self.strong})"
        side = self.verdict(best)
        if side == "wins":
            answer = f"The net is ahead in {self.noun}: {net} against {strong}."
        elif side == "loses":
            answer = (
                f"The strong baseline is ahead in {self.noun}: {strong} against {net}."
            )
        else:
            level = DOUBT if best["gap"] > 0 else TIE
            answer = (
                f"The net is {level} the strong baseline in {self.noun}: {net} against "
                f"{strong}."
            )
        last = f"Worst: {self.write(worst['score'])} ({self.name(worst)})"
        return Headline(
            answer, f"{last}; {self.trivial}: {self.write(worst['trivial'])}."
        )

    def verdict(self, row: Row) -> str:
        """wins or loses where the gap's 95 % interval leaves out 0, else ties.

        Over seeds, and over the examples of the test part; of one seed always ties.
        """
        low, high = estimates.interval(gap(row), level=0.025)
        if low > 0 or high < 0:
            return "wins" if low > 0 else "loses"
        return "ties"

    def table(self, rows: Sequence[Row], title: str = "", more: Sequence[str] = ()):
        """One line a net, baselines beside it: green above the strong one, red below the
        trivial one, or no better.

        more: further columns.
        """
        body = tuple(
            (
                *(words(str(row[name])) for name in self.by),
                str(row[self.axis]),
                self._marked(row),
                self._interval(row),
                self.write(row.get("strong")),
                self.write(row.get("trivial")),
                number(row.get("first_gradient")),
                number(row.get("decades")),
                number(row.get("step_mflop")),
                *(number(row.get(name)) for name in more),
            )
            for row in rows
        )
        headers = (*self.by, self.axis, self.noun, "95 %", self.strong, self.trivial)
        gradient = ("gradient", "decades", "Mflop")
        return Table(
            title or f"{self.system} ({GRADIENT})", (*headers, *gradient, *more), body
        )

    def _marked(self, row: Row) -> str | Mark:
        if row["status"] != "ok":
            return Mark(row["status"].replace("_", " "), "bad")
        if row["score"] is None:
            return Mark(_reasons([row]), "bad")
        text = self.write(row["score"])
        if not self.better(row["score"], row["trivial"]):
            return Mark(text, "bad")
        return Mark(text, "good") if self.verdict(row) == "wins" else text

    def ends(self, row: Row) -> tuple[float | None, float | None]:
        """The 95 % interval's ends; None for those of one seed."""
        least, most = self.within(row)
        low, high = (row.get(name) for name in ("score_low", "score_high"))
        return (
            None if low is None else max(low, least),
            None if high is None else min(high, most),
        )

    def _interval(self, row: Row) -> str:
        ends = self.ends(row)
        return "-" if None in ends else " to ".join(map(self.write, ends))

    def figure(
        self, rows: Sequence[Row], caption: str = "", draw: Callable | None = None
    ) -> Figure:
        """The picture `figure`: score by depth beside baselines, gradient at the start.

        draw: puts something of the study's own on further axes, (figure, axes), the
        third of three panels.
        """
        last = "Middle" if draw else "Right"
        far = f"{self.trivial} as a number" if self.near else f"dotted {self.trivial}"
        words = (
            f"Left: {self.noun} by {self.axis}, 95 % intervals over seeds; dashed "
            f"{self.strong}, {far}. {last}: decades by which the fresh "
            "net's gradient changes on its way from the last state to the first."
        )
        return Figure(
            "figure", f"{words} {caption}".strip(), lambda: self._draw(rows, draw)
        )

    def _draw(self, rows: Sequence[Row], draw: Callable | None) -> Any:
        count = 3 if draw else 2
        figure = figures.new(3.6 * count, 3.4)
        panels = figure.subplots(1, count)
        lines = self._lines(scored(rows))
        score_panels.scores(self, panels[0], lines)
        score_panels.decades(self, panels[1], lines)
        if draw and lines:  # of what no net has a score of there is nothing to show
            draw(figure, panels[2])
        return figure

    def _lines(self, rows: Sequence[Row]) -> dict[str, list[Row]]:
        """Rows by what a net is called at any depth, each in the order of its depth."""
        lines: dict[str, list[Row]] = {}
        for row in sorted(rows, key=lambda row: row[self.axis]):
            typed = " ".join(words(str(row[name])) for name in self.by)
            lines.setdefault(typed, []).append(row)
        called = [
            common(list(map(self.name, own)), self.axis) for own in lines.values()
        ]
        clear = all(called) and len(set(called)) == len(called)
        return dict(zip(called, lines.values(), strict=True)) if clear else lines

    def summary(self, rows: Sequence[Row]) -> Summary:
        """The system's line in the table of all systems."""
        row = self.best(measured(rows))
        low, high = self.ends(row)
        return Summary(
            system=self.system,
            net=self.told(row),
            depth=row[self.axis] if self.axis == "depth" else row.get("depth"),
            noun=self.noun,
            score=row["score"],
            low=low,
            high=high,
            strong=self.strong,
            strong_score=row["strong"],
            first_gradient=row["first_gradient"],
            step_mflop=row["step_mflop"],
            verdict=self.verdict(row),
            form=self.form,
        )
