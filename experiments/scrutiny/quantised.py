"""How deep can a net be and still work in integers of eight, four or two bits?

Source: Wu et al. 2020, arXiv:2004.09602: with weights and activations in int8, a scale for
each output channel of the weights and one for each tensor of activations, every net of
theirs stays within 1 % of its accuracy in float32. Kuzmin et al. 2023, arXiv:2307.02973: at
equal size, quantised nets are mostly better than pruned ones.

A trained net is calibrated by its training part alone, exported, read back, and judged by
products that really are of int8 with int8, in int32. The strong baseline takes the same
bytes: the largest weights in float16, as the source has them, with a bit for each weight
that says whether it is kept; whether by one threshold or one a layer, validation examples
say. Neither net is trained again. What rounding adds is followed from layer to layer.
"""

import math
import tempfile
from pathlib import Path

from depthbench.experiments import comparisons, scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.scrutiny import quantised_shown as shown
from depthbench.experiments.training import costs, nets, pairs
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import (
    Headline,
    Measured,
    Study,
)
from depthbench.research.study.doubts import certain
from depthbench.research.study.estimates import above, below, mean_of
from depthbench.research.study.headlines import measured
from depthbench.research.study.tables import flat

with lazily():
    import numpy as np

    from depthbench.research.learning import fits, held_out, quantised, supervised

SOURCE = "Wu et al. 2020, arXiv:2004.09602"
SCALES = choices(
    "scale",
    per_channel="one for each output of a kernel",
    per_tensor="one for all of a kernel",
)
SCORING = Scoring(
    system="net in integers",
    noun="test accuracy",
    trivial="largest class",
    strong="pruned to equal bytes",
    by=("bits", "scales", "architecture"),
    naming=lambda row, net: (
        f"{net} in {row['bits']} bits {scores.words(row['scales'])}"
    ),
)
SKIPS = ("mlp", "residual_mlp_scaled")
NET = ("architecture", "activation", "depth")
CALIBRATED = 512  # examples of the training part
PROTOCOL = (
    "digits, 64 ReLU units, Adam, 600 steps of 64, 3 seeds; scales by the maximum over "
    "512 training examples"
)


def net_of(cell, parts):
    recipe = Recipe(
        **{name: cell[name] for name in NET},
        width=cell["width"],
        initializer="he_normal",
        schedule="cosine",
    )
    return fits.Net(recipe, supervised.Task(parts.shape, parts.classes))


def measure(cells, shared, memory):
    """One Measured for each cell: bits and scales of the same trained nets."""
    cell = cells[0]
    parts = held_out.parts(cell["dataset"], data_dir=cell.get("data_dir"))
    net = net_of(cell, parts)
    by_rate = fits.by_rate(net, parts.train.batch, cell["steps"], cell["seeds"])
    most = cell["further_rates"]
    held = fits.held(parts.valid)
    tuned = fits.tuned(by_rate, nets.rates(cell), "accuracy", held, most=most)
    before = fits.beforehand(net, parts.train.batch, cell["seeds"])
    met = [run.states(parts.train.x[:CALIBRATED]) for run in tuned.runs]
    true = [run.states(parts.test.x) for run in tuned.runs]
    return [row(one, tuned, before, parts, met, true) for one in cells]


def row(cell, tuned, before, parts, met, true):
    """A cell's Measured. met, true: each run's states in calibration and in the test."""
    bits, test = cell["bits"], parts.test
    exact = [hits(run.outputs(test.x), test.y) for run in tuned.runs]
    made = [export(run, cell, parts, states) for run, states in zip(tuned.runs, met)]  # noqa: B905
    forward = quantised.states_of(tuned.runs[0].net.parts.net, bits)
    right, errors = [], []
    for whole_net, states in zip(made, true, strict=True):
        given, outputs = forward(whole_net, test.x)
        right.append(hits(outputs, test.y))
        errors.append(relative(np.asarray(given), np.stack(states)))
    valid = [hits(forward(one, parts.valid.x)[1], parts.valid.y) for one in made]
    score, whole = (np.mean(each, axis=1) for each in (right, exact))
    values = scores.values(
        score=score,
        valid=float(np.mean(valid)),
        trivial=float(np.mean(test.y == np.bincount(parts.train.y).argmax())),
        strong=[thinned(run, bits, parts) for run in tuned.runs],
        before=before,
        tuned=tuned,
        examples=len(test.y),
    )
    count = quantised.weights(made[0])
    values |= scores.spread("float32", whole, len(test.y))
    values |= scores.spread("lost", whole - score)
    values["lost_test_se"] = comparisons.of_answers(exact, right)
    values |= scores.spread("first_error", [error[0] for error in errors])
    values |= scores.spread("last_error", [error[-1] for error in errors])
    values |= {"kib": count * bits / 8 / 1024, "float32_kib": count * 4 / 1024}
    return Measured("ok", "", values, {"error": np.mean(errors, axis=0)})


def export(run, cell, parts, states):
    """The run in integers, as it is read back from a file."""
    x, channels = parts.train.x[:CALIBRATED], cell["scales"] == "per_channel"
    net = run.net.parts.net
    made = quantised.quantise(net, run.variables, x, states, cell["bits"], channels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.npz"
        quantised.save(path, made)
        return quantised.load(path)


def hits(outputs, y):
    """Which examples the largest output is right of [examples]."""
    return np.asarray(outputs).argmax(axis=1) == y


def relative(given, true):
    """‖z − z₀‖ / ‖z₀‖ of each state [states], over all examples and units.

    Both [states, examples, width]; of a state that is all 0, how large it should be.
    """
    size = np.sqrt(np.sum(np.square(true, dtype=np.float64), axis=(1, 2)))
    wrong = np.sqrt(np.sum(np.square(given - true, dtype=np.float64), axis=(1, 2)))
    return wrong / np.where(size > 0, size, 1.0)


def thinned(run, bits, parts):
    """Test accuracy of the run pruned to as many bytes, by the better threshold."""
    fits_of = [
        run._replace(
            variables=quantised.pruned(run.variables, quantised.kept_share(bits), one)
        )
        for one in (True, False)
    ]
    return max(fits_of, key=lambda fit: fit.accuracy(*parts.valid)).accuracy(
        *parts.test
    )


def channels_gain(rows):
    """Claims' rows: log10 of the last state's error, per tensor over per channel."""
    key = ("bits", *NET)
    done = {(row["scales"], *(row[n] for n in key)): row for row in rows}
    found = []
    for (scales, *rest), one in done.items():
        other = done.get(("per_tensor", *rest))
        if scales == "per_channel" and other is not None:
            errors = [r["last_error_se"] for r in (one, other)]
            sizes = [r["last_error"] for r in (one, other)]
            known = None not in (*errors, *sizes)
            spread = known and np.hypot(*np.divide(errors, sizes)) / np.log(10)
            found.append(
                {
                    **pairs.joint([one, other]),
                    **{name: one[name] for name in (*key, "scales", "seeds")},
                    "gap": None if None in sizes else math.log10(sizes[1] / sizes[0]),
                    "gap_se": float(spread) if known else None,
                }
            )
    return found


def tables(rows):
    columns = ("float32", "score", "lost", "first_error", "last_error", "kib")
    return [
        SCORING.table(rows),
        flat(rows, ("bits", "scales", "architecture", "depth", *columns)),
    ]


def headline(rows):
    """Beside pruning at equal bytes; and what costs the most accuracy at the most bits."""
    done = measured(rows)
    most = max(row["bits"] for row in done)
    worst = max((row for row in done if row["bits"] == most), key=lambda r: r["lost"])
    return Headline(
        SCORING.headline(rows).answer,
        f"The {SCORING.name(worst)} loses most of those: from "
        f"{worst['float32']:.3f} in float32 to {worst['score']:.3f}.",
    )


def eight(row):
    return row["bits"] == 8 and row["scales"] == "per_channel"


LABEL = ("bits", "scales", "architecture", "depth")
STUDY = Study(
    name="quantised",
    kind="experiment",
    question="How deep can a net be and still work in integers of 8, 4 or 2 bits?",
    source=SOURCE,
    axes={
        "bits": Axis("of weights and activations", (8, 4, 2), None, "integer", 2, 8),
        "scales": Axis("of weights", tuple(SCALES), SCALES),
        **scores.axes((1, 4, 16, 64), SKIPS, known=SKIPS),
        "width": whole("units of a layer", (64,)),
        "dataset": readable.axis(readable.classified),
        "steps": whole("steps of 64 examples", (600,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(1e-3, 1e-2, 3),
    },
    sizes={
        "smoke": {
            "bits": (8, 2),
            "depth": (1, 2),
            "architecture": ("mlp",),
            "width": (16,),
            "steps": (30,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (1, 4, 16, 64, 256),
            "width": (1024,),
            "dataset": ("mnist1d",),
            "steps": (3000,),
        },
    },
    plan=costs.plan(
        compiling=1.5,
        layer=4.0e-5,
        together=True,
        group=lambda cell: tuple(cell[name] for name in NET),
    ),
    fit=nets.fit,
    measure="depthbench.experiments.scrutiny.quantised:measure",
    columns=(
        *("bits", "scales", *NET, "width", *scores.COLUMNS),
        *("float32", "lost", "lost_se", "lost_test_se"),
        *("first_error", "first_error_se"),
        *("last_error", "last_error_se", "kib", "float32_kib"),
    ),
    claims=(
        Claim(
            "wu2020.int8-within-1-percent",
            "in int8, with a scale for each channel of the weights, a net loses at most "
            "one point of its accuracy in float32",
            SOURCE,
            estimate=mean_of("lost"),
            allows=below(0.01),
            protocol=PROTOCOL,
            differs="1 % of the accuracy; convolutional nets, Transformers, entropy or "
            "percentile calibration where the maximum was not enough",
            published="within 1 % on all networks studied",
            scope=eight,
            doubt=certain,  # of any trained net, however good
            label=LABEL,
        ),
        Claim(
            "wu2020.channels-err-less",
            "a scale for each channel leaves no larger error in the last state than one "
            "for the whole kernel",
            SOURCE,
            estimate=pairs.gap,
            allows=above(0.0),
            protocol=f"{PROTOCOL}; log10 of the ratio of errors",
            differs="accuracies of nets on ImageNet, COCO and text",
            scope=lambda row: True,
            doubt=certain,
            label=("bits", "architecture", "depth"),
            of=channels_gain,
        ),
        Claim(
            "kuzmin2023.better-than-pruned",
            "a net in int8 is at least as accurate as one pruned to the same bytes",
            "Kuzmin et al. 2023, arXiv:2307.02973",
            estimate=scores.gap,
            allows=above(0.0),
            protocol=f"{PROTOCOL}; pruned nets keep 44 % of their weights, in float16",
            differs="nets trained again after pruning, and no bytes for which are kept",
            published="in most cases quantization outperforms pruning",
            scope=eight,
            doubt=certain,
            label=LABEL,
        ),
        Claim(
            "depthbench.int8-error-stays-small",
            "depthbench's own bar: in int8 the last hidden state of a net is within 5 % "
            "of what it is in float32, however deep the net is",
            "depthbench",
            estimate=mean_of("last_error"),
            allows=below(0.05),
            protocol=PROTOCOL,
            differs="a bar of our own",
            scope=eight,
            doubt=certain,
            label=LABEL,
        ),
    ),
    headline=headline,
    tables=tables,
    figures=lambda rows, profiles: shown.figures_of(SCORING, rows, profiles),
    shows=("net on a telephone",),
    summary=SCORING.summary,
    compile_seconds=4.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
