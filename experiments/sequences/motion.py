"""Where will the ball be, seen in one snapshot, in two, in five?

Popular accounts explain recurrent nets so: from one snapshot nobody can say where a ball
flies, from a sequence of them one can. Here it flies straight for six pictures more and
bounces off four walls. Nets read pixels, the missing snapshots blank, so that one program
serves all; a CNN's head reads every place. The strong baseline is told nothing but what
brightness is: the centre of each snapshot, a line by least squares that bounces at walls
where the training balls turned back, or ridge regression on powers of the centres,
whichever held-out balls choose. The rate is chosen by the first seed's error on them.
"""

import itertools

from depthbench.experiments import comparisons, first_seed, scores
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.sequences import motion_shown
from depthbench.experiments.sequences.motion_claims import CLAIMS
from depthbench.experiments.sequences.motion_shown import CALLED
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Cost, Headline, Measured, Plan, Study
from depthbench.research.study.headlines import counted

with lazily():
    import numpy as np

    from depthbench.research.architectures.convolutional import circular
    from depthbench.research.datasets import balls
    from depthbench.research.learning import baselines, extrapolation, fits, supervised

MOST, AHEAD, NOISE = 5, 6, 0.1
LEARNED, HELD, JUDGED = 10_000, 500, 1000
MIDDLE, HALF = 7.5, 5.5  # pixels: what nets give is from -1 to 1
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)
SHOWN = 3  # balls in the picture
SCORING = Scoring(
    system="net that foresees a ball's flight",
    noun="error in pixels",
    trivial="stays where it is",
    strong="line that bounces, or ridge",
    by=("architecture", "snapshots"),
    higher=False,
    form=".2f",
    naming=lambda row, _: (
        f"{CALLED[row['architecture']]} of {counted(row['depth'], 'layer')}, "
        f"{counted(row['snapshots'], 'snapshot')}"
    ),
    within=scores.positive,
)


@once
def parts(snapshots):
    """(train, valid, test) of balls of which the last so many snapshots are seen."""
    counts = itertools.accumulate((0, LEARNED, HELD, JUDGED))
    whole_set = balls.balls(LEARNED + HELD + JUDGED, MOST, AHEAD, NOISE, 0)
    whole_set.frames[:, : MOST - snapshots] = 0
    return tuple(
        balls.Balls(*(array[low:high] for array in whole_set))
        for low, high in itertools.pairwise(counts)
    )


def read(architecture, part):
    """A part as a net of this kind reads it, and what it is asked, from −1 to 1."""
    frames = part.frames
    if architecture == "cnn_same":
        frames = np.moveaxis(frames, 1, -1)
    elif architecture == "stacked_gru":
        frames = frames.reshape(*frames.shape[:2], -1)
    asked = ((part.asked - MIDDLE) / HALF).astype(np.float32)
    return {"inputs": np.ascontiguousarray(frames), "targets": asked}


def missed(given, asked):
    """The mean distance in pixels."""
    return float(np.mean(distances(given, asked)))


def distances(given, asked):
    """How far from each ball, in pixels [balls]."""
    return np.linalg.norm(given - asked, axis=-1)


# --------------------------------------------------------------------- without a net


@once
def by_hand(snapshots):
    """{name: (error on the test part, what is said of it [balls, 2])} of both baselines."""
    train, valid, test = parts(snapshots)
    walls = train.asked.min(), train.asked.max()
    tried = []
    for threshold in THRESHOLDS:
        seen = [_centres(part, snapshots, threshold) for part in (train, valid, test)]
        for used in range(2, snapshots + 1):
            said = [extrapolation.ahead(s[:, -used:], AHEAD, walls) for s in seen[1:]]
            tried.append((missed(said[0], valid.asked), said[1]))
        ridge = baselines.fit("ridge", _powers(seen[0]), train.asked)
        said = [ridge.predict(_powers(s)) for s in seen[1:]]
        tried.append((missed(said[0], valid.asked), said[1]))
    strong = min(tried, key=lambda one: one[0])[1]
    stays = [
        [_centres(part, 1, t)[:, -1] for part in (valid, test)] for t in THRESHOLDS
    ]
    stay = min(stays, key=lambda one: missed(one[0], valid.asked))[1]
    return {
        "trivial": (missed(stay, test.asked), stay),
        "strong": (missed(strong, test.asked), strong),
    }


def _centres(part, snapshots, threshold):
    return extrapolation.centres(part.frames[:, MOST - snapshots :], threshold)


def _powers(places):
    """[balls, …]: each coordinate from −1 to 1, its square and its cube."""
    flat = (places.reshape(len(places), -1) - MIDDLE) / HALF
    return np.concatenate([flat, flat**2, flat**3], axis=1)


# ----------------------------------------------------------------------------- nets


def net_of(cell, shape):
    """The cell's net, and how it is trained."""
    name = cell["architecture"]
    recipe = Recipe(
        architecture=name,
        activation="tanh" if name == "stacked_gru" else "relu",
        initializer="glorot_normal" if name == "stacked_gru" else "he_normal",
        depth=cell["depth"],
        width=cell["channels"] if name == "cnn_same" else cell["width"],
        batch=32,
        schedule="cosine",
    )
    change = circular.of_places if name == "cnn_same" else None
    return fits.Net(recipe, supervised.Task(shape, 2, "numbers", change))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [errors(cell) for cell in cells]


def errors(cell):
    """How far from the ball a net's answer is, at the best rate."""
    train, valid, test = parts(cell["snapshots"])
    hand = by_hand.begin(cell["snapshots"])
    data = read(cell["architecture"], train)
    net = net_of(cell, data["inputs"].shape[1:])
    inputs = {
        name: read(cell["architecture"], part)["inputs"]
        for name, part in (("valid", valid), ("test", test))
    }
    answer = lambda run, name: MIDDLE + HALF * run.outputs(inputs[name])

    held = fits.chosen_by(lambda run: missed(answer(run, "valid"), valid.asked), "loss")
    tuned = first_seed.tuned(net, data, cell, nets.rates(cell), "loss", held)
    ended = held(tuned.runs)
    if diverged := first_seed.diverged(tuned, ended):
        return diverged
    said, hand = [answer(run, "test") for run in tuned.runs], hand()
    values = scores.values(
        score=[missed(each, test.asked) for each in said],
        valid=ended.loss,
        trivial=hand["trivial"][0],
        strong=hand["strong"][0],
        before=fits.beforehand(net, data, cell["seeds"]),
        tuned=tuned,
        higher=False,
        test_error=comparisons.of_means(
            [distances(each, test.asked) for each in said],
            distances(hand["strong"][1], test.asked),
        ),
    )
    profiles = {
        "picture": np.max(test.frames[:SHOWN], axis=1).astype(np.float16),
        "path": test.path[:SHOWN],
        "net": said[0][:SHOWN],
        "strong": hand["strong"][1][:SHOWN],
    }
    return Measured("ok", "", values, profiles)


def cost(cells, shared):
    """Of a cell's runs; a CNN's step costs most."""
    cell = cells[0]
    runs = cell["rates"] + cell["seeds"] - 1 + min(2, cell["further_rates"]) / 2
    cnn = cell["architecture"] == "cnn_same"
    layer = 1.1e-3 * (cell["channels"] / 8) ** 2 if cnn else 3e-4 * cell["width"] / 64
    seconds = 3 + runs * cell["steps"] * (4e-4 + layer * cell["depth"])
    return Cost(2**29, 2**29, seconds)


def headline(rows):
    """The best net beside the baseline, and what each number of snapshots allows."""
    first = SCORING.headline(rows)
    best = {}
    for row in scores.scored(rows):
        seen = row["snapshots"]
        if seen not in best or row["valid"] < best[seen]["valid"]:
            best[seen] = row
    said = "; ".join(
        f"{counted(seen, 'snapshot')}: net {row['score']:.2f}, baseline "
        f"{row['strong']:.2f}"
        for seen, row in sorted(best.items())
    )
    return Headline(f"{first.answer} From {said}.", first.worst)


STUDY = Study(
    name="motion",
    kind="experiment",
    question="Where will the ball be, seen in one snapshot, in two, in five?",
    source="popular accounts of recurrent nets",
    axes={
        **{
            name: axis
            for name, axis in scores.axes(
                (1, 4), tuple(CALLED), known=tuple(CALLED)
            ).items()
            if name != "activation"
        },
        "snapshots": Axis(
            "pictures that are seen", (1, 2, 5), kind="integer", low=1, high=MOST
        ),
        "width": whole("units of a layer", (64,)),
        "channels": whole("channels of a CNN's layer", (8,)),
        "steps": whole("steps of 32 balls", (1000,)),
        "seeds": whole("runs of the best rate", (3,)),
        **nets.rate_axes(1e-3, 1e-2, 3),
    },
    sizes={
        "smoke": {
            "architecture": ("mlp", "stacked_gru"),
            "depth": (1,),
            "snapshots": (1, 2),
            "width": (16,),
            "steps": (30,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (1, 4, 16),
            "width": (512,),
            "channels": (64,),
            "steps": (5000,),
        },
    },
    plan=Plan(cost=cost, priority=nets.longest_first),
    fit=nets.fit,
    measure="depthbench.experiments.sequences.motion:measure",
    columns=("architecture", "snapshots", "depth", "width", *scores.COLUMNS),
    claims=CLAIMS,
    headline=headline,
    tables=lambda rows: [SCORING.table(rows, more=("learning_rate",))],
    figures=lambda rows, profiles: motion_shown.figures_of(SCORING, rows, profiles),
    shows=("recurrent net that foresees motion",),
    summary=SCORING.summary,
    compile_seconds=5.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
