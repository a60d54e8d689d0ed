"""The report of a training run: rows, tables and a figure; made without jax."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from depthbench.research.engine import console
from depthbench.research.learning import selection
from depthbench.research.learning.recipe import FIELDS, NUMBERS
from depthbench.research.report import figures, markdown, page, rendering, study_report
from depthbench.research.report.trained import (
    PARTS,
    STUDY,
    TrainingRun,
    judged,
    measured,
    members,
    values,
)
from depthbench.research.signal import profiles
from depthbench.research.store import atomic
from depthbench.research.study.declaration import Headline
from depthbench.research.study.tables import Mark, Table, number, ranged

SHOWN = ("architecture", "depth", "width", "activation", "initializer", "normalizer")
RECIPE = ("dataset", "optimizer", "schedule", "batch", "steps", "dtype")
CURVES = ("run", "seed", "learning_rate", "step", "status")
FOLLOWING = ("train_", "test_", "log10_ratio")


GRADIENT = "log10_gradient_"


def curves(
    settings: Mapping[str, Any], history: Sequence, exact: bool = False
) -> list[dict[str, Any]]:
    """One row for each report and run: the measures at that step.

    exact: as they were measured; or else to six figures, as reports have them: what is
    beyond differs between machines.
    """
    plain = _exact if exact else _plain
    points = []
    for step, arrays in history:
        for place, member in enumerate(members(settings)):
            stop = int(arrays["diverged"][place])
            points.append(
                {
                    "run": place,
                    **member,
                    "step": step,
                    "status": "ok" if stop < 0 else "diverged",
                    "diverged_at": None if stop < 0 else stop,
                    **_measures(settings, arrays, place, stop >= 0, plain),
                    **_ratios(arrays, place, plain),
                }
            )
    return points


def _ratios(
    arrays: Mapping[str, np.ndarray], place: int, plain: Callable
) -> dict[str, float | None]:
    """Of each net `log10_ratio`, which names the net where there are several."""
    nets = [name.removeprefix(GRADIENT) for name in arrays if name.startswith(GRADIENT)]
    return {
        "log10_ratio" + f"_{net}" * (len(nets) > 1): plain(
            profiles.ratio(arrays[GRADIENT + net][place : place + 1])[0]
        )
        for net in nets
    }


def _measures(
    settings: Mapping[str, Any], arrays, place: int, diverged: bool, plain: Callable
):
    """Measures of one run. Once it has diverged only its losses are of use."""
    names = measured(settings, arrays)
    return {
        f"{part}_{name}": None
        if diverged and name != "loss"
        else plain(arrays[f"{part}_{name}"][place])
        for part in PARTS
        for name in names
    }


def _plain(value: Any) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _exact(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def results(
    settings: Mapping[str, Any], points: Sequence[dict]
) -> list[dict[str, Any]]:
    """One row for each combination of numbers: the last report's mean over seeds.

    `_low` and `_high` are the lowest and the highest seed.
    """
    last = [row for row in points if row["step"] == points[-1]["step"]]
    groups: dict[tuple, list[dict]] = {}
    for row in last:
        groups.setdefault(tuple(row[name] for name in NUMBERS), []).append(row)
    names = measured(settings, points[0])
    columns = [f"{part}_{name}" for part in PARTS for name in names]
    return [_result(key, group, columns) for key, group in groups.items()]


def _result(key: tuple, group: Sequence[dict], columns: Sequence[str]):
    """A row of means of the columns, with their lowest and highest."""
    stops = [row["diverged_at"] for row in group if row["status"] == "diverged"]
    row = {
        **dict(zip(NUMBERS, key, strict=True)),
        "seeds": len(group),
        "step": group[0]["step"],
        "status": "diverged" if len(stops) == len(group) else "ok",
        "diverged": len(stops),
        "diverged_at": min(stops, default=None),
    }
    for name in columns:
        values = [r[name] for r in group if r["status"] == "ok" and r[name] is not None]
        row[name] = float(np.mean(values)) if values else None
        several = len(values) > 1
        row[f"{name}_low"] = min(values) if several else None
        row[f"{name}_high"] = max(values) if several else None
    return row


def table(settings: Mapping[str, Any], ended: Sequence[dict]) -> Table:
    """The outcome, one line for each combination of numbers.

    Marked is the best in training, never in testing."""
    varied = [
        n for n in NUMBERS if n == "learning_rate" or len(values(settings, n)) > 1
    ]
    names = measured(settings, ended[0])
    measures = [f"{part}_{name}" for part in PARTS for name in names]
    ranged = f"test_{judged(settings)[1]}"  # with the lowest and the highest seed
    best = _best(settings, ended)
    body = []
    for row in ended:
        line: list[Any] = [number(_standing(settings, name, row)) for name in varied]
        line += [number(row["seeds"]), number(row["step"])]
        for name in measures:
            text = _with_range(row, name) if name == ranged else number(row[name])
            line.append(Mark(text, "good") if row is best else text)
        stops = "ok"
        if row["diverged"]:
            stops = (
                f"{row['diverged']} of {row['seeds']}, first at {row['diverged_at']}"
            )
        line.append(Mark(stops, "bad") if row["diverged"] else stops)
        body.append(tuple(line))
    title = ", ".join(f"{settings[n]}" for n in SHOWN if n != "depth")
    title = f"{title}, depth {settings['depth']}; {settings['dataset']}"
    return Table(title, (*varied, "seeds", "step", *measures, "diverged"), tuple(body))


def _standing(settings: Mapping[str, Any], name: str, row: Mapping[str, Any]) -> Any:
    """A run's number, also where none was given; "none" where it stands for nothing."""
    value = row[name]
    value = FIELDS[name].unset(settings) if value is None else value
    return "none" if value is None else value


def answered(settings: Mapping[str, Any], ended: Sequence[dict]) -> Headline:
    """What the runs came to on the test set: those best in training, and the worst."""
    end, measure = judged(settings)
    test, train = f"test_{measure}", f"train_{measure}"
    done = [row for row in ended if row[test] is not None and row[train] is not None]
    ranked = sorted(done, key=lambda row: row[train], reverse=end == "highest")
    runs, stopped = (sum(row[key] for row in ended) for key in ("seeds", "diverged"))
    lost = f"{stopped} of {runs} runs diverged." if stopped else ""
    if not ranked:
        return Headline(f"No run has a test {measure}.", lost)
    best, last = ranked[0], ranked[-1]
    where = _at(settings, best)
    where += ", which is the best in training" * bool(where)
    answer = (
        f"After {best['step']} steps the test {measure} is {_with_range(best, test)}"
    )
    worst = f"Worst: {_with_range(last, test)}{_at(settings, last)}."
    return Headline(f"{answer}{where}.", f"{worst * (last is not best)} {lost}".strip())


def _at(settings: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """The numbers in which a combination differs from the others."""
    names = [n for n in NUMBERS if len(values(settings, n)) > 1]
    varied = ", ".join(
        f"{n.replace('_', ' ')} {number(_standing(settings, n, row))}" for n in names
    )
    return f" with {varied}" * bool(varied)


def _best(settings: Mapping[str, Any], ended: Sequence[dict]) -> Any:
    """The row that is best in training; None where there is no choice."""
    outcomes = [
        selection.outcome({**row, "diverged": row["diverged"] / row["seeds"]})
        for row in ended
    ]
    if len(ended) < 2 or not any(outcome.ended for outcome in outcomes):
        return None
    by = "accuracy" if judged(settings)[1] == "accuracy" else "loss"
    return ended[selection.best(outcomes, by)]


def _with_range(row: Mapping[str, Any], name: str) -> str:
    return ranged(row[name], row[f"{name}_low"], row[f"{name}_high"])


def write(trained: TrainingRun) -> None:
    """Writes curves.csv, results.csv, the figure, and the report as Markdown and HTML."""
    settings, history = trained.settings, trained.history
    points = curves(settings, history)
    ended = results(settings, points)
    drawn = figure(settings, points, history)
    figures.lay_out(drawn)
    png = figures.as_png(drawn)
    shown = table(settings, ended)
    head = ", ".join(f"{name} {settings[name]}" for name in (*SHOWN, *RECIPE))
    headline = answered(settings, ended)
    answer = "\n".join(rendering.first(headline))
    stamp = study_report.stamp_line(trained.manifest.environment)
    caption = (
        "Left: loss on the batches since the last report. Middle: on the test set. Right: "
        "the gradient of each state during the first run, in decades beside the last "
        "state's: red vanishes, blue explodes."
    )
    files = {
        "curves.csv": rendering.as_csv(points, _columns(points)).encode(),
        "results.csv": rendering.as_csv(ended, list(ended[0])).encode(),
        "figure.png": png,
        "figure.svg": figures.as_svg(drawn),
        "report.md": (
            f"# train\n\n{markdown.text(head)}\n\n{answer}\n"
            f"![figure](figure.svg)\n\n{caption}\n\n{rendering.as_markdown(shown)}\n"
            f"- {markdown.text(stamp)}\n"
        ).encode(),
        "report.html": page.whole(
            STUDY,
            (
                page.head(STUDY, head, headline),
                page.figure("figure", caption, png),
                page.table(shown),
                page.made([stamp]),
            ),
        ).encode(),
    }
    for name, content in files.items():
        atomic.write_atomically(trained.folder.path / name, content)


def _columns(points: Sequence[dict]) -> list[str]:
    """CURVES, then further columns that some run has a value in."""
    some = [n for n in points[0] if any(row[n] is not None for row in points)]
    first = [*CURVES, *(n for n in points[0] if n.startswith(FOLLOWING))]
    return [*first, *(name for name in some if name not in first)]


def present(trained: TrainingRun, form: str, where: bool = True) -> None:
    """Prints the outcome in the requested format. where: says where the report is."""
    settings = trained.settings
    points = curves(settings, trained.history)
    ended = results(settings, points)
    shown = lambda: [table(settings, ended)]
    headline = answered(settings, ended)
    rendering.present(form, ended, list(ended[0]), shown, headline=headline)
    if form == "table" and where:
        console.say(f"{trained.folder.path}/report.html")


def figure(
    settings: Mapping[str, Any], points: Sequence[dict], history: Sequence
) -> Any:
    """Losses and accuracy over steps, and the first run's gradient by layer."""
    drawn = figures.new(9.6, 2.9)
    left, middle, right = drawn.subplots(1, 3)
    _lines(left, settings, points, "train_loss")
    end, measure = judged(settings)
    _lines(middle, settings, points, f"test_{measure}")
    if end == "lowest":
        middle.set_yscale("log")
    left.set_yscale("log")
    left.legend(fontsize=6, frameon=False, title="learning rate", title_fontsize=6)
    _map(right, history)
    return drawn


def _lines(axes: Any, settings: Mapping[str, Any], points: Sequence[dict], name: str):
    import matplotlib

    colours = matplotlib.color_sequences["tab10"]
    rates = list(dict.fromkeys(row["learning_rate"] for row in points))
    labelled = set()
    for place in dict.fromkeys(row["run"] for row in points):
        of_run = [row for row in points if row["run"] == place]
        rate = of_run[0]["learning_rate"]
        shown = f"{_standing(settings, 'learning_rate', of_run[0]):g}"
        label = None if rate in labelled else shown
        labelled.add(rate)
        line = [np.nan if row[name] is None else row[name] for row in of_run]
        colour = colours[rates.index(rate) % len(colours)]
        steps = [row["step"] for row in of_run]
        axes.plot(steps, line, color=colour, lw=1, alpha=0.8, label=label)
    axes.set_title(figures.literal(name.replace("_", " ")), loc="left")
    axes.set_xlabel("step")
    axes.grid(alpha=0.25, lw=0.5)


def _map(axes: Any, history: Sequence) -> None:
    """log10 gradient norms of the states over the reports, beside the last state's."""
    net = next(name for name in history[0][1] if name.startswith(GRADIENT))
    gradient = np.stack([arrays[net][0] for _, arrays in history])
    steps = [step for step, _ in history]
    image = figures.over_steps(axes, steps, gradient, least=1.0)
    axes.set_ylabel("state")
    axes.set_title("log10 gradient", loc="left")
    axes.figure.colorbar(image, ax=axes, shrink=0.9)
