"""Does a cascade of a few rectangles find as many faces as a convolutional net?

Source: Viola & Jones 2001, CVPR, "Rapid object detection using a boosted cascade of simple
features": AdaBoost picks differences of sums over rectangles, a stage passes on what may
be a face, and most windows cost a few sums. What differs: 45 faces to learn from and 15
to choose by, a hundred in all, where they had 4,916; each face also mirrored and moved by
a pixel. All stages together have one number of features, and a stage that rejects too
little takes more of them, so that there may be fewer stages than were asked for. Every
`seed` divides the faces anew, and each division has rates, penalties, widths and a share of
faces that stages keep of its own, as what another holds out is among its test faces;
photographs never change parts. Divisions test parts of the same hundred faces: who is ahead
of the SVM counts the error of a hundred as well.

All detectors learn from one pool of windows, in which each looks for its own hard
negatives, and are compared at one share of false positives among windows of photographs
that nobody learned from: the share of test faces above that windows' score. A cascade of
one stage is plain AdaBoost. Operations are counted twice: of a window by itself, and of
one in a scan, where overlapping windows share the integral image, the gradients or, but
for what borders change, the convolutions.
"""

from depthbench.experiments import comparisons, scores
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.experiments.vision import faces_claims, faces_shown
from depthbench.research.catalogues import packages
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.lazy import lazily
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Cost, Measured, Plan, Study
from depthbench.research.study.errors import Refusal
from depthbench.research.study.headlines import counted

with lazily():
    import numpy as np

    from depthbench.experiments.vision import faces_found
    from depthbench.research.learning import fits

DETECTORS = choices(
    "detector", cascade="boosted Haar features in stages", cnn="convolutional layers"
)


def naming(row, net):
    """As in "cascade of up to 4 stages", "AdaBoost in 1 stage", "CNN of 4 layers"."""
    if row["detector"] == "cascade" and row["depth"] == 1:
        return "AdaBoost in 1 stage"
    if row["detector"] == "cascade":
        return f"cascade of up to {counted(row['depth'], 'stage')}"
    return f"CNN of {counted(row['depth'], 'layer')}"


SCORING = Scoring(
    system="face detector of boosted rectangles, and CNNs",
    noun="faces found at equal false positives",
    trivial="likeness to the mean face",
    strong="RBF SVM on HOG",
    by=("detector",),
    naming=naming,
)
OWN = (
    *(
        "alone_kflop",
        "scan_kflop",
        "strong_alone_kflop",
        "strong_scan_kflop",
        "cheaper",
    ),
    *("stages", "stage_keeps", "two_found", "two_false"),
    *("strict", "strong_strict"),
)


def fit(cells, typed):
    """The cells. Raises Refusal where a cascade has more stages than pairs of features,
    and DataError without scikit-image."""
    packages.need("faces", "skimage")
    for cell in cells:
        if cell["detector"] == "cascade" and cell["boosted"] < 2 * cell["depth"]:
            raise Refusal(
                f"--depth {cell['depth']}: a stage has two features or more, and there "
                f"are {cell['boosted']} for all: --boosted"
            )
    return nets.fit(cells, typed)


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [faces_of(cell) for cell in cells]


def faces_of(cell):
    """The share of faces found, and what a window costs."""
    count, share, net = cell["windows"], cell["false_positives"], None
    others = faces_found.rivals.begin(cell["seeds"], count, cell["negatives"])
    tuned, before = None, fits.Beforehand(None, None, None)
    if cell["detector"] == "cnn":
        net, tuned = faces_found.net_of(cell), faces_found.tuned_rates(cell)
        x = faces_found.divided(0).train[..., None]
        data = {"inputs": x, "targets": np.ones(len(x), np.int32)}
        before = fits.beforehand(net, data, cell["seeds"])
    every = []
    for seed in range(cell["seeds"]):
        made = detector(cell, seed, net, tuned)
        every.append((made, judged(made.score, seed, count)))
    others = others()
    likenesses = [faces_found.template(n, count) for n in range(cell["seeds"])]
    values = scores.values(
        score=[faces_found.found(*test, share) for _, (test, _) in every],
        valid=np.mean([faces_found.found(*valid, share) for _, (_, valid) in every]),
        trivial=np.mean([faces_found.found(*pair, share) for pair in likenesses]),
        strong=[faces_found.found(*pair, share) for *pair, _ in others],
        before=before,
        tuned=tuned,
        examples=len(faces_found.divided(0).test),
        anew=True,
    )
    # Divisions test parts of the same faces: their spread alone would say too little.
    both = values["score"], values["strong"]
    values["gap_test_se"] = comparisons.of_examples(*both, faces_found.FACES)
    values |= costs([made for made, _ in every], [own for *_, own in others])
    # How much of a detector is a matter of the place on the curve.
    strict = [faces_found.found(*test, share / 10) for _, (test, _) in every]
    rivals = [faces_found.found(*pair, share / 10) for *pair, _ in others]
    values |= {
        "strict": float(np.mean(strict)),
        "strong_strict": float(np.mean(rivals)),
    }
    rival = faces_found.rival_boxes(count, cell["negatives"])
    made, (_, (_, held)) = every[0]
    shown = faces_shown.shown(made, np.max(held), rival, count)
    return Measured("ok", "", values, shown)


def detector(cell, seed, net, tuned):
    """The cell's detector of a division of the faces."""
    if net is None:
        return faces_found.of_cascade(cell, seed)
    return faces_found.of_fit(tuned.runs[seed], faces_found.net_kflop(cell, net))


def judged(score, seed, count):
    """Scores of (faces, windows) of the test and of what is chosen by."""
    faces, windows = faces_found.divided(seed), faces_found.windows(count)
    test = score(faces.test), score(windows.test)
    return test, (score(faces.held), score(windows.valid))


def costs(made, others):
    """Thousands of operations for a window, and of the first stage what it passes on."""
    mine = np.array([[one.alone, one.scanning] for one in made])
    theirs = np.array(others)
    names = ("alone_kflop", "scan_kflop")
    means = dict(zip(names, mine.mean(axis=0).tolist(), strict=True))
    means["scan_kflop_se"] = scores.spread("scan", mine[:, 1])["scan_se"]
    of_rival = zip(names, theirs.mean(axis=0).tolist(), strict=True)
    means |= {f"strong_{name}": value for name, value in of_rival}
    ratio = scores.spread("cheaper", list(theirs[:, 1] / mine[:, 1]))
    kept = {"cheaper": ratio["cheaper"], "cheaper_se": ratio["cheaper_se"]}
    for name in ("stages", "stage_keeps", "two_found", "two_false"):
        each = [one.more.get(name) for one in made]
        known = {} if None in each else scores.spread(name, each)
        kept |= {name: known.get(name), f"{name}_se": known.get(f"{name}_se")}
    return means | kept


# --------------------------------------------------------------------------- shown


def headline(rows):
    return faces_shown.headline(SCORING, beside_mean_face(rows))


def beside_mean_face(rows):
    """Rows whose trivial baseline is the mean face; those of before have it as
    `template`, and guessing in its place."""
    return [
        row if row.get("template") is None else {**row, "trivial": row["template"]}
        for row in rows
    ]


STUDY = Study(
    name="faces",
    kind="experiment",
    question="Does a cascade of a few rectangles find as many faces as a deep net?",
    source=faces_claims.SOURCE,
    axes={
        "detector": Axis("what looks at a window", ("cascade", "cnn"), DETECTORS),
        "depth": whole("stages, or layers after the first", (1, 4, 16), single=False),
        "width": whole("channels of a convolution", (8,)),
        "features": whole("Haar features that boosting picks from", (2000,), low=8),
        "boosted": whole("features that a cascade has in all", (100,), low=2),
        "windows": whole("windows of photographs to learn from", (10000,), low=500),
        "negatives": whole("windows of a stage, or drawn and hard", (600,), low=50),
        "false_positives": Axis(
            "share of windows that may be taken for faces",
            (0.001,),
            kind="number",
            low=0.0001,
            below=1.0,
            single=True,
        ),
        "steps": whole("steps of 64 windows", (250,), low=2),
        "seeds": whole("divisions of the faces", (3,)),
        **nets.rate_axes(1e-3, 1e-2, 2),
    },
    sizes={
        "smoke": {
            "depth": (1,),
            "width": (4,),
            "features": (100,),
            "boosted": (8,),
            "windows": (500,),
            "negatives": (100,),
            "false_positives": (0.01,),
            "steps": (20,),
            "seeds": (1,),
            "rates": (1,),
            "further_rates": (0,),
        },
        "full": {
            "depth": (1, 4, 8, 16, 32),
            "width": (64,),
            "features": (10000,),
            "boosted": (400,),
            "windows": (60000,),
            "negatives": (3000,),
            "steps": (3000,),
            "seeds": (6,),
        },
    },
    plan=Plan(cost=lambda cells, shared: cost(cells), priority=nets.longest_first),
    fit=fit,
    measure="depthbench.experiments.vision.faces:measure",
    columns=("detector", "depth", "width", *scores.COLUMNS, *OWN),
    claims=faces_claims.CLAIMS,
    headline=headline,
    tables=lambda rows: [
        SCORING.table(
            faces_shown.in_words(beside_mean_face(rows)),
            more=("scan_kflop", "strong_scan_kflop", "stages"),
        )
    ],
    figures=lambda rows, profiles: faces_shown.figures_of(
        SCORING, beside_mean_face(rows), profiles
    ),
    shows=("face detector in cameras",),
    summary=SCORING.summary,
    compile_seconds=3.0,
)


def cost(cells):
    """Of rounds that look at all features and examples, or of trained layers."""
    seconds, memory = 0.0, 2**28
    for cell in cells:
        pool = cell["windows"] * 2.5e-4
        if cell["detector"] == "cascade":
            looked = cell["features"] * (2 * cell["negatives"] + 450)
            own = 5e-9 * looked * (cell["boosted"] + 20 * cell["depth"])
            own *= len(faces_found.KEPT) if cell["depth"] > 1 else 1
        else:
            layer = cell["depth"] * (cell["width"] / 8) ** 2
            own = (cell["steps"] * 192 + 2 * cell["windows"]) * (layer + 1) * 1.2e-5
            own *= cell["rates"] + cell["further_rates"] / 4
        seconds += cell["seeds"] * (own + pool)
        memory = max(memory, cell["windows"] * 20_000 + cell["features"] * 40_000)
    return Cost(memory, memory, seconds)


if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
