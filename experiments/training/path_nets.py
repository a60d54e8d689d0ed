"""Nets whose paths are walked: how they are trained, and what is measured of them."""

import functools
from typing import NamedTuple

from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.lazy import lazily
from depthbench.research.study import trials
from depthbench.research.study.declaration import Measured

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.experiments.training import path_lengths, paths
    from depthbench.research.architectures import contract
    from depthbench.research.learning import (
        examples,
        recipe,
        supervised,
        sweeps,
        training,
    )
    from depthbench.research.signal import profiles as profiles_of

SOURCE = "Veit, Wilber & Belongie 2016, arXiv:1605.06431"
ABOVE = 2  # times chance: the least accuracy of a net of which something can be lost


class Net(NamedTuple):
    """A net by name: its recipe, whether it has skips, and its layers.

    layers: for each block, and beside.
    """

    name: str
    recipe: dict
    residual: bool = True
    layers: tuple[int, int] = (1, 0)

    @property
    def source(self):
        return SOURCE


NETS = Catalogue(
    "net",
    [
        Net(
            "batch norm",
            {
                "architecture": "residual_mlp",
                "normalizer": "batch",
                "learning_rate": 0.001,
            },
        ),
        Net(
            "1/√depth",
            {"architecture": "residual_mlp_scaled", "learning_rate": 0.001},
        ),
        Net(
            "plain",
            {
                "architecture": "mlp",
                "initializer": "critical_orthogonal",
                "learning_rate": 0.0003,
            },
            residual=False,
        ),
        Net(
            "images",
            {
                "architecture": "resnet_v2",
                "normalizer": "batch",
                "learning_rate": 0.001,
            },
            layers=(2, 2),
        ),
    ],
)


def full(cell):
    """The settings of a cell's training."""
    net = NETS[cell["net"]]
    per_block, beside = net.layers
    settings = {"depth": per_block * cell["depth"] + beside}
    return {**trials.DEFAULTS, **cell, **net.recipe, **settings}


def residual(row):
    return NETS[row["net"]].residual


@functools.lru_cache(maxsize=8)
def _programs(chosen, residual):
    """Compiled (params, stats, batch, …) -> log norms of paths; of lengths; accuracies."""
    parts = supervised.parts(chosen)

    def links(params, stats, train):
        return contract.links(parts.net, contract.unite(params, stats), train=train)

    def loss_of(batch):
        return lambda outputs: jnp.mean(parts.loss.loss(outputs, batch))

    @jax.jit
    def single(params, stats, batch, masks):
        chain, x = links(params, stats, True), parts.read(batch["inputs"])
        along = lambda mask: paths.log10_norms(chain, x, loss_of(batch), mask)
        return jax.lax.map(along, masks)

    @jax.jit
    def together(params, stats, batch):
        chain, x = links(params, stats, True), parts.read(batch["inputs"])
        every = paths.by_length(chain, x, loss_of(batch))
        return jnp.sqrt(jnp.sum(every**2, tuple(range(1, every.ndim))))

    @jax.jit
    def cut(params, stats, batch, keep):
        chain, x = links(params, stats, False), parts.read(batch["inputs"])

        def accuracy(keep):
            out = paths.outputs(chain, x, keep, not residual)
            return jnp.mean(jnp.argmax(out, -1) == batch["targets"])

        return jax.lax.map(accuracy, keep)

    return single, together, cut


def gradients(cell, programs, tree, batch, seed):
    """log10 of the mean norm of single paths [lengths], and of all of a length."""
    single, together, _ = programs
    masks = path_lengths.chosen(seed, cell["depth"], cell["paths"])
    with jax.default_matmul_precision("highest"):
        norms = jax.device_get(single(tree.params, tree.stats, batch, masks))
        summed = jax.device_get(together(tree.params, tree.stats, batch))
    with np.errstate(divide="ignore"):
        norms = np.mean(10.0 ** norms.astype(np.float64), axis=1)
        return np.log10(norms), np.log10(summed.astype(np.float64))


def one(cell, programs, sweep, run, data, test):
    """What one seed's net shows, fresh and trained: arrays by name."""
    net, blocks, steps = NETS[cell["net"]], cell["depth"], cell["steps"]
    several, hyper = sweeps.arguments([run])
    state = sweep.init(several, hyper)
    order = np.random.default_rng(run.seed).permutation(len(data["targets"]))
    batch = jax.tree.map(lambda a: a[order[: cell["batch"]]], data)
    seen = {}
    if net.residual:
        seen["log10_fresh"], _ = gradients(cell, programs, state.tree, batch, run.seed)
    state, _ = sweep.advance(state, hyper, data, np.int32(steps))
    if net.residual:
        single, summed = gradients(cell, programs, state.tree, batch, run.seed)
        seen |= {"log10_path": single, "log10_summed": summed}
    keep = np.concatenate([np.ones((1, blocks), bool), ~np.eye(blocks, dtype=bool)])
    with jax.default_matmul_precision("highest"):
        cut = programs[2](state.tree.params, state.tree.stats, test, keep)
    seen["accuracy_cut"] = np.asarray(jax.device_get(cut), np.float64)
    seen["train_accuracy"] = float(sweep.evaluate(state, data)["accuracy"])
    return seen


def measured(cell):
    """The row of a cell: its nets trained, their paths walked, their blocks left out."""
    settings = full(cell)
    chosen = recipe.of(settings)
    sweep = sweeps.of_recipe(chosen, settings["steps"])
    programs = _programs(chosen, NETS[cell["net"]].residual)
    data, test = examples.batches(chosen)
    test = jax.tree.map(lambda a: a[: examples.EVALUATED], test)
    runs = training.runs_of(settings)
    seen = [one(cell, programs, sweep, run, data, test) for run in runs]
    arrays = {name: np.array([each[name] for each in seen]) for name in seen[0]}
    values = {"train_accuracy": float(np.mean(arrays.pop("train_accuracy")))}
    if NETS[cell["net"]].residual:
        if not np.all(np.isfinite(arrays["log10_path"][:, 0])):
            return Measured("diverged", "no gradient is finite", {})
        values |= _paths(cell["depth"], arrays)
    values |= _cut(arrays["accuracy_cut"], 1 / examples.dataset(chosen).classes)
    return Measured("ok", "", values, arrays)


def _with_error(name, values):
    over = profiles_of.over_seeds(np.asarray(values), 1.0)
    return {name: over.mean, f"{name}_se": over.error if len(values) > 1 else None}


def _paths(blocks, arrays):
    """Columns on the gradient by length, of log norms [seeds, lengths]."""
    within, counts = path_lengths.effective(blocks), path_lengths.log10_counts(blocks)
    every = [path_lengths.shares(counts + log10) for log10 in arrays["log10_path"]]
    fresh = [path_lengths.shares(counts + log10) for log10 in arrays["log10_fresh"]]
    summed = [path_lengths.shares(log10) for log10 in arrays["log10_summed"]]
    lines = [path_lengths.line(log10) for log10 in arrays["log10_path"]]
    factor = float(10 ** np.mean([slope for slope, _ in lines]))
    start = float(
        10 ** np.mean([path_lengths.line(log10)[0] for log10 in arrays["log10_fresh"]])
    )
    return {
        **_with_error("share", [np.sum(s[within]) for s in every]),
        **_with_error("share_fresh", [np.sum(s[within]) for s in fresh]),
        **_with_error("share_summed", [np.sum(s[within]) for s in summed]),
        "share_binomial": float(np.sum(path_lengths.expected(blocks, factor)[within])),
        "share_independent": float(
            np.sum(path_lengths.expected(blocks, factor, 0.5)[within])
        ),
        "share_equal": float(np.sum(path_lengths.expected(blocks, 1.0)[within])),
        "factor": factor,
        "factor_fresh": start,
        **_with_error("straight", [fit if s < 0 else 0.0 for s, fit in lines]),
        "shortest": float(np.mean([path_lengths.quantile(s, 0.05) for s in every])),
        "longest": float(np.mean([path_lengths.quantile(s, 0.95) for s in every])),
        "shortest_summed": float(
            np.mean([path_lengths.quantile(s, 0.05) for s in summed])
        ),
        "longest_summed": float(
            np.mean([path_lengths.quantile(s, 0.95) for s in summed])
        ),
    }


def _cut(accuracy, chance):
    """Columns on nets with a block left out, of accuracies [seeds, whole and without].

    What is kept means nothing of a net that is not above chance.
    """
    whole = _with_error("test_accuracy", accuracy[:, 0])
    if np.min(accuracy[:, 0]) < ABOVE * chance:
        return {**whole, "kept": None, "kept_se": None, "kept_least": None}
    kept = (accuracy[:, 1:] - chance) / (accuracy[:, :1] - chance)
    return {
        **whole,
        **_with_error("kept", np.mean(kept, axis=1)),
        "kept_least": float(np.mean(np.min(kept, axis=1))),
    }
