"""How `policy_gradient` is shown: the harder environment first, and what was done there."""

from depthbench.experiments import by_depth
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import listed, measured

with lazily():
    import numpy as np

ORDER = ("acrobot", "cartpole")  # the harder first
CALLED = {"cartpole": "CartPole", "acrobot": "Acrobot"}
FRAMES = 8
LINES = ("-", (0, (1, 1)), (0, (3, 1, 1, 1)))  # of depths; dashes are the baseline's


def of(rows, environment):
    return [row for row in rows if row["environment"] == environment]


def there(rows):
    """The environments that rows are of, the harder first."""
    return [name for name in ORDER if of(rows, name)]


def hardest(rows):
    """The rows of the hardest environment that there is."""
    return of(rows, there(measured(rows))[0])


def headline(scoring, rows):
    """Each environment's best net beside its drawn policies, the harder first, and what
    depth does there."""
    done = measured(rows)
    hard = hardest(done)
    answer, worst = scoring.headline(hard)
    if deeper := by_depth.told(scoring, hard, scoring.by, by_depth.net):
        answer += f" {deeper}"
    for name in there(done)[1:]:
        other = of(done, name)
        best = scoring.best(other)
        answer += (
            f" In {CALLED[name]} the best drawn linear policy returns "
            f"{best['strong']:.3g}, the best net {best['score']:.3g}, the worst net "
            f"{scoring.worst(other)['score']:.3g}."
        )
    return Headline(answer, worst)


def figures_of(scoring, rows, profiles):
    done = measured(rows)
    pictures = []
    for place, name in enumerate(there(done)):
        caption = (
            f"{CALLED[name]}. Left: {scoring.noun} by depth, rings the seeds and dots "
            f"their means; dashed {scoring.strong}, dotted {scoring.trivial}. Middle: "
            "decades by which the fresh net's gradient changes on its way from the last "
            "state to the first. Right: the mean return of episodes in training, of drawn "
            "actions, against how many there were (logarithmic); squares, the test's, of "
            "the likeliest actions."
        )
        some = of(done, name)
        # Seeds end at one of two returns: an interval of their mean would tell nothing.
        plain = [{**row, "score_low": None, "score_high": None} for row in some]
        one = scoring.figure(plain, draw=draw_learning(scoring, plain, profiles))
        file = "figure" if place == 0 else name
        pictures.append(one._replace(name=file, caption=caption))
    text = (
        "The first test episode by the best net (left) and by the best drawn linear "
        "policy, every few steps; later ones are darker. Below: the height of Acrobot's "
        "free end; the pole's angle. States are those before each action: the one after "
        "the last, in which the end passes 1 m, is not among them. "
        f"{of_all(scoring, done)}"
    )
    drawn = Figure("episodes", text, lambda: draw_episodes(scoring, done, profiles))
    return [*pictures, drawn]


def of_all(scoring, rows):
    """What the best nets and policies return in all test episodes."""
    told = []
    for name in there(rows):
        best = scoring.best(of(rows, name))
        net, policy = (scoring.write(best[n]) for n in ("score", "strong"))
        told.append(f"{net} and {policy} in {CALLED[name]}")
    return f"Over all test episodes and seeds net and policy return {listed(told)}."


def draw_learning(scoring, rows, profiles):
    """Draws each seed's test return, and mean returns in training against episodes."""

    def draw(figure, axes):
        left, middle, _ = figure.axes
        ordered = sorted(rows, key=lambda row: row["depth"])
        kinds = list(dict.fromkeys(map(by_depth.net, ordered)))
        depths = sorted({row["depth"] for row in rows})
        for row in ordered:
            ink = f"C{kinds.index(by_depth.net(row))}"
            style = LINES[depths.index(row["depth"]) % len(LINES)]
            seeds = [float(one) for one in str(row["score_by_seed"]).split()]
            aside = 2 ** (
                0.12 * (kinds.index(by_depth.net(row)) - (len(kinds) - 1) / 2)
            )
            at = [aside * max(row["depth"], 0.5)] * len(seeds)
            left.plot(at, seeds, "o", ms=3, mfc="white", mec=ink, mew=0.8, zorder=3)
            kept = profiles(row)
            episodes = np.maximum(kept["episodes"], 1)
            label = f"{by_depth.net(row)}, {row['depth']}"
            axes.plot(episodes, kept["returns"], lw=1, color=ink, ls=style, label=label)
            axes.plot(episodes[-1], row["score"], "s", ms=4, color=ink, zorder=3)
        level = np.mean([row["strong"] for row in rows])
        axes.axhline(level, color="black", lw=1, ls="--", label=scoring.strong)
        axes.set_xscale("log")
        axes.set_xlabel("episodes")
        axes.set_title("return in training; squares: in the test", loc="left")
        axes.grid(alpha=0.25, lw=0.5)
        for each in (middle, axes):
            figures.legend_below(each)

    return draw


def draw_episodes(scoring, rows, profiles):
    """Frames of an episode of each environment, and what it is about over time."""
    names = there(rows)
    figure = figures.new(8, 4.2 * len(names))
    panels = figure.subplots(2 * len(names), 2, squeeze=False)
    for place, name in enumerate(names):
        row = scoring.best(of(rows, name))
        kept = profiles(row)
        for column, by in enumerate(("net", "search")):
            states = np.asarray(kept[by])
            upper, lower = panels[2 * place : 2 * place + 2, column]
            FRAMED[name](upper, states)
            who = scoring.name(row) if by == "net" else scoring.strong
            upper.set_title(f"{who}: {len(states)} steps", loc="left")
            follow(lower, name, states)
    return figure


def spaced(states):
    """(darkness, state) of some of the states, first to last."""
    places = np.unique(np.linspace(0, len(states) - 1, FRAMES).astype(int))
    shades = np.linspace(0.8, 0.0, len(places))
    return [(str(shade), states[n]) for shade, n in zip(shades, places, strict=True)]


def frame_acrobot(axes, states):
    """Both links, hanging from the joint at the origin; the line to pass."""
    for shade, (one, two, *_) in spaced(states):
        knee = np.array([np.sin(one), -np.cos(one)])
        end = knee + [np.sin(one + two), -np.cos(one + two)]
        axes.plot(*zip((0, 0), knee, end, strict=True), "o-", color=shade, ms=2, lw=1.5)
    axes.axhline(1.0, color="C3", ls="--", lw=1)
    axes.set_xlim(-2.2, 2.2)
    axes.set_ylim(-2.2, 2.2)
    axes.set_aspect("equal")


def frame_cartpole(axes, states):
    """The cart on its track, and the pole on it."""
    for shade, (place, _, angle, _) in spaced(states):
        tip = (place + np.sin(angle), np.cos(angle))
        axes.plot((place, tip[0]), (0, tip[1]), color=shade, lw=1.5)
        axes.plot([place], [0], "s", color=shade, ms=6)
    for edge in (-2.4, 2.4):
        axes.axvline(edge, color="C3", ls="--", lw=1)
    axes.set_xlim(-2.6, 2.6)
    axes.set_ylim(-0.2, 1.2)
    axes.set_aspect("equal")


FRAMED = {"acrobot": frame_acrobot, "cartpole": frame_cartpole}


def follow(axes, name, states):
    """What an episode is about, step by step: height in m, or degrees."""
    if name == "acrobot":
        told = -np.cos(states[:, 0]) - np.cos(states[:, 0] + states[:, 1])
        bounds, unit = (1.0,), "height of the end, m"
    else:
        told, bounds, unit = np.degrees(states[:, 2]), (-12, 12), "angle, degrees"
    axes.plot(told, lw=1)
    for bound in bounds:
        axes.axhline(bound, color="C3", ls="--", lw=1)
    axes.set_ylabel(unit)
    axes.set_xlabel("step")
