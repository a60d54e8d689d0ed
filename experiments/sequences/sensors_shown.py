"""What nets that read sensors are said and drawn to do."""

from depthbench.research.lazy import lazily
from depthbench.research.report import figures as drawing
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import counted, listed, measured

with lazily():
    import numpy as np

    from depthbench.research.datasets import vibration

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
    """Nets beside baselines on vibrations, and on each of the others the best net."""
    done = measured(rows)
    answer, worst = scoring.headline(of_machine(done))
    others = [row for row in done if row not in of_machine(done)]
    said = []
    for name in dict.fromkeys(row["dataset"] for row in others):
        best = scoring.best([row for row in others if row["dataset"] == name])
        each = (scoring.write(best[which]) for which in ("score", "strong"))
        said.append(f"{called(name)} {' against '.join(each)}")
    more = f" Nets against baselines elsewhere: {listed(said)}." if said else ""
    return Headline(answer + more, worst)


def draw_signals(rows, profiles, scoring):
    """A figure of a signal of each state, and how often each is told."""
    best = scoring.best(of_machine(measured(rows)))
    kept = profiles(best)
    x, y = vibration.signals(64)
    figure = drawing.new(10.8, 3.2)
    panels = np.ravel(figure.subplots(2, 2, sharex=True))
    time = 1000 * np.arange(vibration.SAMPLES) / vibration.RATE
    for state, axes in enumerate(panels):
        signal = x[np.flatnonzero(y == state)[3]]
        axes.plot(time, signal, lw=0.6, color=f"C{state}")
        shares = (f"{kept[name][state]:.2f}" for name in ("net", "features"))
        told = " by the net, ".join(shares)
        axes.set_title(
            f"{vibration.STATES[state]}: told {told} by features",
            loc="left",
            fontsize=8,
        )
        axes.set_ylim(-4.5, 4.5)
        axes.set_yticks([])
    for axes in panels[2:]:
        axes.set_xlabel("ms")
    return figure


def figures(scoring, rows, profiles):
    machine = of_machine(rows)
    lines = scoring._replace(by=("architecture",))
    kept = [lines.figure(machine)]
    if any(row["dataset"] == "vibration" for row in rows):
        caption = (
            "A vibration of each state, brought to one loudness, and the share of its "
            "test signals that the best net and a support vector machine on an engineer's "
            "features tell."
        )
        draw = lambda: draw_signals(rows, profiles, scoring)
        kept.append(Figure("signals", caption, draw))
    return kept
