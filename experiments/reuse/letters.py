"""Letters to learn a distance from, and letters that are never learned from.

Which letters are which is fixed: of 300, 100 are looked at once, at the end, 40 choose
rates and baselines, and the other 160 are learned from.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from depthbench.experiments import comparisons, scores
from depthbench.experiments.once import once
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.datasets import glyphs
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.study.axes import Axis

with lazily():
    import jax
    import numpy as np
    import sklearn.decomposition as decomposition
    import sklearn.discriminant_analysis as discriminant_analysis

    from depthbench.research.learning import embeddings, feed, fits, supervised

OBJECTIVES = choices(
    "objective",
    prototypes="Snell et al. 2017, arXiv:1703.05175: episodes of the letters learned from",
    pairs="Hadsell, Chopra & LeCun 2006: pairs are drawn together or pushed apart",
    classes="Chen et al. 2019, arXiv:1904.04232: the letters learned from are told apart",
)
LEARNED, CHOOSING, UNSEEN = 160, 40, 100
# Branches as they are would multiply what goes through 16 layers by hundreds.
SKIPS = ("mlp", "residual_mlp_scaled")
CODE, BATCH = 64, 64  # numbers of an embedding; examples of a step
STRONG = "best of pixels, PCA and LDA"


class Letters(NamedTuple):
    """Drawings [letters, drawings, 16, 16, 1] float32, as nets read them.

    train: of the letters learned from. valid: of those that choose. test: of those that
    nothing was learned from or chosen by.
    """

    train: Any
    valid: Any
    test: Any


@once
def drawn(drawings: int = 20) -> tuple[Any, Any]:
    """(all drawings [300, drawings, 16, 16, 1] uint8, their fonts [300, drawings]).

    In a fixed order: first those to learn from, then those that choose.
    """
    every = glyphs.letters(LEARNED + CHOOSING + UNSEEN, drawings)
    order = np.random.RandomState(0).permutation(len(every.x))
    return every.x[order], every.font[order]


def parts(x: Any, learned: int = LEARNED, shown: int | None = None) -> Letters:
    """Drawings [300, …] uint8 of all letters, scaled by those that are learned from.

    learned: how many letters are, at most `LEARNED`. shown: how many drawings of each,
    the first, are learned from and chosen by; all by default.
    """
    x = x.astype(np.float32) / 255
    some = x[:learned, :shown]
    x = (x - some.mean(axis=(0, 1))) / some.std()
    chosen = LEARNED + CHOOSING
    return Letters(x[:learned, :shown], x[LEARNED:chosen, :shown], x[chosen:])


# --------------------------------------------------------------------- an embedding


def net_of(cell: Any, train: Any) -> Any:
    """The cell's net. train: [letters, drawings, …]."""
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
        batch=BATCH // min(16, len(train)) * min(16, len(train)),
        schedule="cosine",
    )
    outputs = len(train) if cell["objective"] == "classes" else CODE
    losses = {"prototypes": embeddings.PROTOTYPES, "pairs": embeddings.CONTRAST}
    loss = losses.get(cell["objective"], "classes")
    return fits.Net(recipe, supervised.Task(train.shape[2:], outputs, loss))


def fed(cell: Any, train: Any, batch: int) -> tuple[Any, Any]:
    """(feeds, data) of the cell's objective."""
    if cell["objective"] == "classes":
        targets = np.repeat(np.arange(len(train), dtype=np.int32), train.shape[1])
        return feed.drawn(batch), {"inputs": flat(train), "targets": targets}
    feeds = {"prototypes": embeddings.episodes, "pairs": embeddings.pairs}
    return feeds[cell["objective"]](batch), {"inputs": train}


def flat(x: Any) -> Any:
    """All drawings in one row, [letters × drawings, …]."""
    return x.reshape(-1, *x.shape[2:])


def codes(fit: Any, x: Any) -> Any:
    """Embeddings [letters, drawings, numbers], of length 1.

    Of a net that tells classes apart its last state, which its outputs are made from.
    """
    classes = fit.net.task.loss == "classes"
    code = fit.states(flat(x))[-1] if classes else fit.outputs(flat(x))
    return embeddings.unit(code.astype(np.float64)).reshape(*x.shape[:2], -1)


class Embedded(NamedTuple):
    """tuned: as of `fits.tuned`, by what `worth` gave. before: of `fits.beforehand`."""

    tuned: Any
    before: Any


def embedded(cell: Any, parts: Letters, worth: Callable[[Any], float]) -> Embedded:
    """The cell's nets at the rate that is best for the letters that choose.

    worth: from those letters' embeddings to a number from 0 to 1.
    """
    net = net_of(cell, parts.train)
    feeds, data = fed(cell, parts.train, net.recipe.batch)
    train = fits.by_rate(net, data, cell["steps"], cell["seeds"], feeds=feeds)

    held = fits.chosen_by(lambda run: worth(codes(run, parts.valid)))
    most = cell["further_rates"]
    tuned = fits.tuned(train, nets.rates(cell), "accuracy", held, most=most)
    batch = feeds(jax.device_put(data), 0)(jax.random.key(0), 0)
    return Embedded(tuned, fits.beforehand(net, batch, cell["seeds"]))


# ------------------------------------------------------------------ errors of letters


def of_letters(
    name: str, nets: Sequence[Any], strong: Any, share: Callable, which: Any
) -> dict[str, Any]:
    """`comparisons.of_groups` of a score that is asked about the same letters again and
    again: the letters are what chance drew, whatever the number of questions.

    nets, strong: what each says [questions, …]. share: from such, and how often each
    question counts [questions], to the score. which: the letters of each question
    [questions, several], of which every twentieth is of one group.
    """
    weighed = [functools.partial(share, each) for each in (*nets, strong)]
    return comparisons.of_groups(
        name, weighed[:-1], weighed[-1], which % comparisons.GROUPS
    )


# ---------------------------------------------------------------------- the baselines

Map = Callable[[Any], Any]  # from drawings to codes, both [letters, drawings, …]


def maps(train: Any) -> Iterator[tuple[str, Map]]:
    """Linear maps, fitted to the letters learned from: pixels, PCA and LDA.

    Each as it is, and with its codes at length 1.
    """
    x = flat(train).reshape(-1, int(np.prod(train.shape[2:]))).astype(np.float64)
    labels = np.repeat(np.arange(len(train)), train.shape[1])
    plain = {"pixels": lambda rows: rows}
    pca = decomposition.PCA(random_state=0).fit(x)
    for size in (16, 32, 64):
        plain[f"PCA to {size}"] = lambda rows, n=size: pca.transform(rows)[:, :n]
    for shrinkage in (0.1, 0.3, 0.7):
        lda = discriminant_analysis.LinearDiscriminantAnalysis(
            solver="eigen", shrinkage=shrinkage
        ).fit(x, labels)
        for size in sorted({min(n, len(train) - 1) for n in (16, 32, 64)}):
            name = f"LDA to {size}, shrunk by {shrinkage}"
            plain[name] = lambda rows, n=size, lda=lda: lda.transform(rows)[:, :n]
    for name, linear in plain.items():
        yield name, lambda x, f=linear: _mapped(f, x)
        yield f"{name}, at length 1", lambda x, f=linear: embeddings.unit(_mapped(f, x))


def _mapped(linear: Callable[[Any], Any], x: Any) -> Any:
    rows = flat(x).reshape(x.shape[0] * x.shape[1], -1).astype(np.float64)
    return linear(rows).reshape(*x.shape[:2], -1)


def best_map(parts: Letters, worth: Callable[[Any], float]) -> tuple[str, Map]:
    """The linear map that is best for the letters that choose, with its name."""
    every = list(maps(parts.train))
    return max(every, key=lambda named: worth(named[1](parts.valid)))


# ---------------------------------------------------------------- what studies share


def axes(objectives: tuple[str, ...]) -> dict[str, Axis]:
    """The axes of a study of embeddings of letters."""
    learned = Axis(
        "letters that are learned from; 40 more choose rates",
        (LEARNED,),
        kind="integer",
        low=2,
        high=LEARNED,
    )
    return {
        "objective": Axis("what is descended", objectives, OBJECTIVES),
        **scores.axes(
            (1, 4, 16), SKIPS, ("relu", "sigmoid"), (*scores.SKIPS, SKIPS[1])
        ),
        "width": whole("units of a layer", (64,)),
        "letters": learned,
        "steps": whole("steps of 64 drawings", (1600,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(1e-3, 1e-2, 3),
    }


def sizes(objective: str) -> dict[str, dict[str, tuple]]:
    """The sizes that both studies of letters have. objective: of the smallest."""
    return {
        "smoke": {
            "objective": (objective,),
            "architecture": ("mlp",),
            "activation": ("relu",),
            "depth": (1, 2),
            "width": (16,),
            "steps": (30,),
            "rates": (1,),
            "seeds": (2,),
        },
        "full": {"depth": (1, 4, 16, 32), "width": (1024,), "steps": (10_000,)},
    }


def fit(cells: Any, typed: Any) -> tuple[Any, list[str]]:
    """The cells; sigmoid nets are asked for one case alone unless an axis is typed."""
    cells, lines = nets.fit(cells, typed)
    if typed & {"objective", "architecture", "activation"} or not cells:
        return cells, lines
    first = cells[0]["objective"]
    kept = [
        cell
        for cell in cells
        if cell["activation"] != "sigmoid"
        or (cell["objective"], cell["architecture"]) == (first, "mlp")
    ]
    left = len(cells) - len(kept)
    say = f"left out: {left} sigmoid nets with skips or of a further objective"
    return kept, lines + [say] * (left > 0)
