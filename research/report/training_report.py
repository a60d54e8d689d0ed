"""What a training run left on disk, as rows, tables and a figure; made without jax."""

import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from research.report import figures, rendering, study_report
from research.signal import profiles
from research.store import atomic, rows
from research.store import folder as folders
from research.store.folder import Folder
from research.study.errors import Refusal
from research.study.tables import Mark, Table, number

STUDY = "train"
SHOWN = ("architecture", "depth", "width", "activation", "initializer", "normalizer")
RECIPE = ("dataset", "optimizer", "schedule", "batch", "steps", "dtype")
# What is traced: several values are several runs.
NUMBERS = (
    *("learning_rate momentum decay weight_decay clip warmup".split()),
    *("sigma_w2 sigma_b2".split()),
)
CURVES = (
    *("run seed learning_rate step status train_loss train_accuracy".split()),
    *("test_loss test_accuracy log10_ratio".split()),
)


def members(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The settings of every run: each combination of numbers, and each seed of it."""
    combinations = itertools.product(*(settings[name] for name in NUMBERS))
    return [
        {**dict(zip(NUMBERS, values, strict=True)), "seed": seed}
        for values in combinations
        for seed in range(settings["seeds"])
    ]


def reports(folder: Folder) -> list[tuple[int, dict[str, np.ndarray]]]:
    """(step, arrays by name) of every report, in order. Raises Refusal without one."""
    inside = folder.path / "reports"
    steps = sorted(int(path.stem) for path in inside.glob("*.npz"))
    if not steps:
        raise Refusal(f"{folder.path}: holds no report of a training run yet")
    return [(step, rows.profiles(inside, f"{step:09d}")) for step in steps]


def curves(settings: Mapping[str, Any], found: Sequence) -> list[dict[str, Any]]:
    """One row for each report and run: the measures at that step."""
    made = []
    for step, arrays in found:
        ratio = profiles.ratio(arrays["log10_gradient"])
        for place, member in enumerate(members(settings)):
            stop = int(arrays["diverged"][place])
            made.append(
                {
                    "run": place,
                    **member,
                    "step": step,
                    "status": "ok" if stop < 0 else "diverged",
                    "diverged_at": None if stop < 0 else stop,
                    **_measures(settings, arrays, place, stop >= 0),
                    "log10_ratio": _plain(ratio[place]),
                }
            )
    return made


def _measures(settings: Mapping[str, Any], arrays, place: int, diverged: bool):
    """Losses and accuracies of one run; None where there are none."""
    told = {}
    for part in ("train", "test"):
        told[f"{part}_loss"] = _plain(arrays[f"{part}_loss"][place])
        judged = settings["judged"] and not diverged
        share = _plain(arrays[f"{part}_right"][place]) if judged else None
        told[f"{part}_accuracy"] = share
    return told


def _plain(value: Any) -> float | None:
    # Six figures: what is beyond them differs between machines.
    return float(f"{value:.6g}") if np.isfinite(value) else None


def results(settings: Mapping[str, Any], made: Sequence[dict]) -> list[dict[str, Any]]:
    """One row for each combination of numbers: the last report's mean over seeds.

    `_low` and `_high` are the lowest and the highest seed.
    """
    last = [row for row in made if row["step"] == made[-1]["step"]]
    groups: dict[tuple, list[dict]] = {}
    for row in last:
        groups.setdefault(tuple(row[name] for name in NUMBERS), []).append(row)
    return [_result(key, group) for key, group in groups.items()]


def _result(key: tuple, group: Sequence[dict]) -> dict[str, Any]:
    stops = [row["diverged_at"] for row in group if row["status"] == "diverged"]
    row = {
        **dict(zip(NUMBERS, key, strict=True)),
        "seeds": len(group),
        "step": group[0]["step"],
        "status": "diverged" if len(stops) == len(group) else "ok",
        "diverged": len(stops),
        "diverged_at": min(stops, default=None),
    }
    for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        values = [r[name] for r in group if r["status"] == "ok" and r[name] is not None]
        row[name] = float(np.mean(values)) if values else None
        several = len(values) > 1
        row[f"{name}_low"] = min(values) if several else None
        row[f"{name}_high"] = max(values) if several else None
    return row


def table(settings: Mapping[str, Any], ended: Sequence[dict]) -> Table:
    """The outcome, one line for each combination of numbers, the best test marked."""
    varied = [n for n in NUMBERS if n == "learning_rate" or len(settings[n]) > 1]
    measures = ["train_loss", "train_accuracy", "test_loss", "test_accuracy"]
    if not settings["judged"]:
        measures = ["train_loss", "test_loss"]
    told = measures[-1]  # with the lowest and the highest seed
    best = _best(settings, ended)
    body = []
    for row in ended:
        line: list[Any] = [number(row[name]) if row[name] else "own" for name in varied]
        line += [number(row["seeds"]), number(row["step"])]
        for name in measures:
            text = _with_range(row, name) if name == told else number(row[name])
            line.append(Mark(text, "good") if row is best else text)
        said = "ok"
        if row["diverged"]:
            said = f"{row['diverged']} of {row['seeds']}, first at {row['diverged_at']}"
        line.append(Mark(said, "bad") if row["diverged"] else said)
        body.append(tuple(line))
    title = ", ".join(f"{settings[n]}" for n in SHOWN if n != "depth")
    title = f"{title}, depth {settings['depth']}; {settings['dataset']}"
    return Table(title, (*varied, "seeds", "step", *measures, "diverged"), tuple(body))


def _best(settings: Mapping[str, Any], ended: Sequence[dict]) -> Any:
    if len(ended) < 2:
        return None
    good = [row for row in ended if row["test_loss"] is not None]
    if settings["judged"]:
        return max(good, key=lambda row: row["test_accuracy"], default=None)
    return min(good, key=lambda row: row["test_loss"], default=None)


def _with_range(row: Mapping[str, Any], name: str) -> str:
    if row[name] is None or row[f"{name}_low"] is None:
        return number(row[name])
    low, high = (number(row[f"{name}_{end}"]) for end in ("low", "high"))
    return f"{number(row[name])} ({low}–{high})"


def write(folder: Folder) -> None:
    """Writes curves.csv, results.csv, the figure, and the report as Markdown and HTML."""
    settings, made, found = _read(folder)
    ended = results(settings, made)
    drawn = figure(settings, made, found)
    figures.lay_out(drawn)
    png = figures.as_png(drawn)
    shown = table(settings, ended)
    head = ", ".join(f"{name} {settings[name]}" for name in (*SHOWN, *RECIPE))
    stamp = study_report.stamp_line(folders.read_manifest(folder) or {})
    caption = (
        "Left: loss on the batches since the last report. Middle: on the test set. Right: "
        "the gradient of each state during the first run, in decades beside the last "
        "state's: red vanishes, blue explodes."
    )
    files = {
        "curves.csv": rendering.as_csv(made, _columns(made)).encode(),
        "results.csv": rendering.as_csv(ended, list(ended[0])).encode(),
        "figure.png": png,
        "figure.svg": figures.as_svg(drawn),
        "report.md": (
            f"# train\n\n{head}.\n\n{stamp}\n\n![figure](figure.svg)\n\n{caption}\n\n"
            f"{rendering.as_markdown(shown)}"
        ).encode(),
        "report.html": study_report.PAGE.format(
            title="train",
            body=f"<h1>train</h1><p>{head}.</p><p>{stamp}</p><figure><img "
            f'src="{figures.data_uri(png)}" alt="figure"><figcaption>{caption}'
            f"</figcaption></figure>{rendering.as_html(shown)}",
        ).encode(),
    }
    for name, content in files.items():
        atomic.write_atomically(folder.path / name, content)


def _columns(made: Sequence[dict]) -> list[str]:
    """CURVES, then what else is said of some run."""
    told = [n for n in made[0] if any(row[n] is not None for row in made)]
    return [*CURVES, *(name for name in told if name not in CURVES)]


def _read(folder: Folder):
    manifest = folders.read_manifest(folder) or {}
    settings = manifest["settings"]
    found = reports(folder)
    return settings, curves(settings, found), found


def present(folder: Folder, form: str) -> None:
    """Prints the outcome in the form that was asked for."""
    settings, made, _ = _read(folder)
    ended = results(settings, made)
    shown = lambda: [table(settings, ended)]
    rendering.present(form, ended, list(ended[0]), shown)
    if form == "table":
        print(f"depthbench: {folder.path}/report.html", file=sys.stderr, flush=True)


def figure(settings: Mapping[str, Any], made: Sequence[dict], found: Sequence) -> Any:
    """Losses and accuracy over steps, and the first run's gradient by layer."""
    drawn = figures.new(9.6, 2.9)
    left, middle, right = drawn.subplots(1, 3)
    _lines(left, settings, made, "train_loss")
    _lines(
        middle, settings, made, "test_accuracy" if settings["judged"] else "test_loss"
    )
    if not settings["judged"]:
        middle.set_yscale("log")
    left.set_yscale("log")
    left.legend(fontsize=6, frameon=False, title="learning rate", title_fontsize=6)
    _map(right, found)
    return drawn


def _lines(axes: Any, settings: Mapping[str, Any], made: Sequence[dict], name: str):
    import matplotlib

    colours = matplotlib.color_sequences["tab10"]
    rates = list(dict.fromkeys(row["learning_rate"] for row in made))
    told = set()
    for place in dict.fromkeys(row["run"] for row in made):
        own = [row for row in made if row["run"] == place]
        rate = own[0]["learning_rate"]
        label = None if rate in told else ("own" if rate is None else f"{rate:g}")
        told.add(rate)
        values = [np.nan if row[name] is None else row[name] for row in own]
        colour = colours[rates.index(rate) % len(colours)]
        steps = [row["step"] for row in own]
        axes.plot(steps, values, color=colour, lw=1, alpha=0.8, label=label)
    axes.set_title(name.replace("_", " "), loc="left")
    axes.set_xlabel("step")
    axes.grid(alpha=0.25, lw=0.5)


def _map(axes: Any, found: Sequence) -> None:
    """log10 gradient norms of the states over the reports, beside the last state's."""
    gradient = np.stack([arrays["log10_gradient"][0] for _, arrays in found])
    beside = gradient - gradient[:, -1:]
    beside[~np.isfinite(beside)] = np.nan
    limit = max(1.0, float(np.nanmax(np.abs(beside), initial=0.0)))
    last = found[-1][0]
    image = axes.imshow(
        beside.T,
        aspect="auto",
        cmap="RdBu",
        vmin=-limit,
        vmax=limit,
        interpolation="nearest",
        extent=(0, last, beside.shape[1] - 0.5, -0.5),
    )
    axes.set_facecolor("#bbbbbb")
    axes.set_xlabel("step")
    axes.set_ylabel("state")
    axes.set_title("log10 gradient", loc="left")
    axes.figure.colorbar(image, ax=axes, shrink=0.9)
