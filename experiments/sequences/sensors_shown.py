"""What nets that read sensors are said and drawn to do."""

from depthbench.experiments import by_depth, scores
from depthbench.research.lazy import lazily
from depthbench.research.report import figures as drawing
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import counted, listed, measured

with lazily():
    import numpy as np

    from depthbench.research.datasets import vibration

BASELINES = ("warping", "features")
CHOSEN = "chosen on held-out signals"
CALLED = {"cnn_1d": "convolutional net", "stacked_gru": "GRU"}


def called(name):
    """A set in words: "GunPoint"."""
    return name.removeprefix("ts:").replace("_", " ")


def named(row, _):
    """A row's net in words: "GRU of 4 layers, GunPoint"."""
    net = f"{CALLED[row['architecture']]} of {counted(row['depth'], 'layer')}"
    return net if row["dataset"] == "vibration" else f"{net}, {called(row['dataset'])}"


def of_machine(rows):
    """The rows of vibrations; all where they were not asked for."""
    return [row for row in rows if row["dataset"] == "vibration"] or rows


def headline(scoring, rows):
    """Nets beside baselines on vibrations, what depth does there, and on each of the
    others the best net and both baselines."""
    done = measured(rows)
    machine = of_machine(done)
    chosen = scoring._replace(strong=f"{scoring.strong}, {CHOSEN}")
    answer, worst = by_depth.headline(chosen, machine, named=by_depth.of_names(CALLED))
    others = [row for row in done if row not in machine]
    said = []
    for name in dict.fromkeys(row["dataset"] for row in others):
        best = scoring.best([row for row in others if row["dataset"] == name])
        net, *both = map(scoring.write, (best[n] for n in ("score", *BASELINES)))
        said.append(f"{called(name)} {net} ({', '.join(both)})")
    more = f" Elsewhere nets ({', '.join(BASELINES)}): {listed(said)}." if said else ""
    return Headline(answer + more, worst)


def draw_signals(rows, profiles, scoring):
    """A figure of a signal of each state, and how often each is recognised."""
    best = scoring.best(of_machine(scores.scored(rows)))
    kept = profiles(best)
    x, y = vibration.signals(64)
    figure = drawing.new(10.8, 3.2)
    panels = np.ravel(figure.subplots(2, 2, sharex=True))
    time = 1000 * np.arange(vibration.SAMPLES) / vibration.RATE
    for state, axes in enumerate(panels):
        signal = x[np.flatnonzero(y == state)[3]]
        axes.plot(time, signal, lw=0.6, color=f"C{state}")
        shares = (f"{n} {kept[n][state]:.2f}" for n in ("net", "features"))
        axes.set_title(
            f"{vibration.STATES[state]}, recognised: {', '.join(shares)}",
            loc="left",
            fontsize=8,
        )
        axes.set_ylim(-4.5, 4.5)
        axes.set_yticks([])
    for axes in panels[2:]:
        axes.set_xlabel("ms")
    return figure


def figures(scoring, rows, profiles):
    rows = scores.scored(rows)
    machine = of_machine(rows)
    lines = scoring._replace(by=("architecture",))
    kept = [lines.figure(machine, f"Warping or features: {CHOSEN}.")]
    if any(row["dataset"] == "vibration" for row in rows):
        caption = (
            "A vibration of each state, brought to one loudness, and the share of its "
            "test signals that is recognised: by the best net, and by a support vector "
            "machine on an engineer's features."
        )
        draw = lambda: draw_signals(rows, profiles, scoring)
        kept.append(Figure("signals", caption, draw))
    return kept
