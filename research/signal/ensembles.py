"""Seeds × variances × activations × depths in one compiled program.

A program is compiled once for an architecture: the activation is a branch of a switch,
the depth a loop bound, σ_w and σ_b numbers. Members that differ in seed or variance run
side by side (vmap); what differs in activation or depth is another call of the program.
"""

import functools
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.architectures import ARCHITECTURES, contract
from depthbench.research.architectures.contract import (
    Settings,
    Variables,
    Weights,
    init,
)
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.initializers import DRAWS, Rule
from depthbench.research.catalogues.losses import LOSSES
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.datasets import Data, Dataset, Stream, find
from depthbench.research.datasets.contract import spread
from depthbench.research.datasets.reading import reader
from depthbench.research.machine import shares
from depthbench.research.signal import probes
from depthbench.research.theory.activation import steepest, value_and_slope

SATURATED = 0.01  # a slope below this share of the activation's steepest is saturated


class Program(NamedTuple):
    """The static settings: changing any of these recompiles.

    capacity: the number of layers that are drawn; any depth up to it can be run.
    data_dir: where the data set is prepared; "" for where it usually is.
    """

    architecture: str
    normalizer: str
    activations: tuple[str, ...]
    width: int
    capacity: int
    batch: int
    dataset: str
    data_dir: str = ""

    @property
    def data(self) -> Dataset:
        """The data set's declaration. Raises DataError."""
        return find(self.dataset, self.data_dir or None)


class Member(NamedTuple):
    """The traced settings of one network, but for the seed and what calls share."""

    first: Rule  # of the layer that reads the input
    hidden: Rule


def signals(
    program: Program,
    activation: str,
    draw: str,
    depth: int,
    members: Sequence[Member],
    seeds: range,
) -> list[probes.Signal]:
    """One Signal for each member, with arrays [seeds, states or layers].

    All members share draws: the same seed gives the same weights but for their size,
    and the first layers of a deeper net are the shallower net.
    """
    host = _run(_compiled(program), program, activation, draw, depth, members, seeds)
    # Where depth is a loop bound, what lies beyond it was not run.
    states = depth + 1 if repeats(program) else None
    layers = depth if repeats(program) else None
    trimmed = probes.Signal(
        log10_length=host.log10_length[..., :states],
        decorrelation=host.decorrelation[..., :states],
        log10_gradient=host.log10_gradient[..., :states],
        log10_parameter_gradient=None,
        saturated=host.saturated[..., :layers],
    )
    return [jax.tree.map(lambda a, m=m: a[m], trimmed) for m in range(len(members))]


def log_gradients(
    program: Program,
    activation: str,
    draw: str,
    depth: int,
    members: Sequence[Member],
    seeds: range,
) -> np.ndarray:
    """log10 gradient norms [members, seeds, states]: those of `signals`, sooner."""
    run = _compiled(program, gradients_alone=True)
    host = _run(run, program, activation, draw, depth, members, seeds)
    return host[..., : depth + 1] if repeats(program) else host


def _run(run, program: Program, activation: str, draw: str, depth, members, seeds):
    """The compiled program's results, on the host."""
    variables = drawn(program, draw, seeds)
    x, y = batches(program, seeds)
    rules = jax.tree.map(lambda *a: np.asarray(a, np.float32), *members)
    threshold = np.float32(SATURATED * steepest(ACTIVATIONS[activation]))
    index = np.int32(program.activations.index(activation))
    result = run(variables, x, y, rules, index, threshold, np.int32(depth))
    with shares.spent(shares.WAITING):
        return jax.device_get(result)


def inputs(program: Program, draw: str, seeds: range):
    """(variables of unit size, x, y), all [seeds, …]: what `signals` runs on."""
    return drawn(program, draw, seeds), *batches(program, seeds)


def build(
    program: Program, activation: Any, draw: str, rules: Member, depth: Any, ntk=True
):
    """The program's network for one activation; rules and depth may be traced.

    ntk: as of `contract.Weights`.
    """
    weights = Weights(DRAWS[draw], rules.hidden.gains, ntk, first=rules.first.gains)
    family, dataset = ARCHITECTURES[program.architecture], program.data
    settings = Settings(
        width=program.width,
        depth=program.capacity,
        activation=activation,
        weights=weights,
        normalizer=NORMALIZERS[program.normalizer],
        outputs=family.outputs(dataset.shape, dataset.classes),
        active_depth=depth,
        every_step=LOSSES[family.task(dataset.task)].every_step,
    )
    return family.build(settings)


def repeats(program: Program) -> bool:
    return ARCHITECTURES[program.architecture].repeats


@functools.cache
def _compiled(program: Program, gradients_alone: bool = False):
    phis = tuple(ACTIVATIONS[name].phi for name in program.activations)

    def one(variables, x, y, rules, index, threshold, depth):
        def activation(z):
            return one_of(phis, index, z)

        net = build(program, activation, "normal", rules, depth)
        depths = (depth,) if repeats(program) else None
        links = contract.links(net, variables, depths=depths)
        loss = functools.partial(mean_loss, program, x, y)
        measured = probes.signal(links, x, loss, threshold=threshold)
        # What is left out of the program's results is not worked out.
        if gradients_alone:
            return measured.log10_gradient
        return measured._replace(log10_parameter_gradient=None)

    over_seeds = jax.vmap(one, in_axes=(0, 0, 0, None, None, None, None))
    over_members = jax.vmap(over_seeds, in_axes=(None, None, None, 0, None, None, None))

    def run(*arguments):
        with jax.default_matmul_precision("highest"):
            return over_members(*arguments)

    return jax.jit(run)


def mean_loss(program: Program, x: jax.Array, y: jax.Array, outputs: jax.Array):
    """The mean loss of a batch, by the task of the program's network and data."""
    asked = LOSSES[ARCHITECTURES[program.architecture].task(program.data.task)]
    if asked.name == "reconstruction":  # one sum: published rows have its bits
        return jnp.mean(jnp.square(outputs - x.reshape(outputs.shape)))
    return jnp.mean(asked.loss(outputs, {"inputs": x, "targets": y}))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def one_of(phis: tuple, index: jax.Array, z: jax.Array) -> jax.Array:
    """φ(z) of the activation at `index`.

    Its derivative is another switch. Left to itself, jax would carry from the forward
    to the backward pass what every branch needs there, filled with zeros for all but
    the one that was taken.
    """
    return jax.lax.switch(index, phis, z)


@one_of.defjvp
def _slope_of_one(phis: tuple, primals, tangents):
    index, z = primals
    slopes = [functools.partial(value_and_slope, phi) for phi in phis]
    value, slopes_of_z = jax.lax.switch(index, slopes, z)
    return value, slopes_of_z * tangents[1]


class _LastDraw(threading.local):
    """What the thread drew and read last, its own, which is freed when it ends.

    A worker's calls follow each other by draw, and drawing takes longer than most of
    them; of two workers each has a program, and so a draw, of its own. More than one
    draw for each would not leave the memory that a unit may use: of unit size, and,
    where a dtype's cells count on it, of a member's.
    """

    def __init__(self) -> None:
        self.last: dict[bool, tuple[tuple, Variables]] = {}
        self.fed: tuple | None = None
        self.batches: tuple[np.ndarray, np.ndarray] | None = None


_LAST = _LastDraw()
UNIT = Member(Rule(1.0, 1.0), Rule(1.0, 1.0))


def drawn(
    program: Program, draw: str, seeds: range, member: Member = UNIT, ntk: bool = True
) -> Variables:
    """Fresh variables, stacked [seeds, …]: of unit size, or without `ntk` a member's."""
    request = (program._replace(activations=()), draw, seeds, member)
    last, variables = _LAST.last.get(ntk, (None, None))
    if variables is None or last != request:
        last = variables = None
        _LAST.last.pop(ntk, None)  # freed before the next is made
        variables = _draw(*request, ntk)
        with shares.spent(shares.WAITING):
            jax.block_until_ready(variables)
        _LAST.last[ntk] = request, variables
    return variables


def _draw(
    program: Program, draw: str, seeds: range, member: Member, ntk: bool
) -> Variables:
    """Fresh variables, as `drawn` keeps them.

    Not one jitted program: the samplers are compiled by shape, and so serve every
    architecture; a program for each would take longer to compile than to run.
    """
    zeros = jnp.zeros((program.batch, *program.data.shape), jnp.float32)
    net = build(program, lambda z: z, draw, member, program.capacity, ntk)

    def one(seed):
        return init(jax.random.fold_in(jax.random.key(seed), 1), net, zeros)

    return jax.vmap(one)(np.asarray(seeds, np.uint32))


@functools.cache
def _data(dataset: Dataset) -> Data | Stream:
    return dataset.load()


@functools.cache
def mean_square(dataset: Dataset) -> float:
    """E[x²] of what nets read, from up to 4,096 examples; 1 within what those can tell."""
    data = _data(dataset)
    x, _ = data.read(spread(data.length, 4096))
    square = float(np.mean(np.square(reader(dataset, data.scale)(x), dtype=np.float64)))
    return 1.0 if abs(square - 1) < 0.02 else square


def batches(program: Program, seeds: range) -> tuple[np.ndarray, np.ndarray]:
    """(x [seeds, batch, *shape], y [seeds, batch]): another batch for each seed."""
    fed = (program.dataset, program.data_dir, program.batch, seeds)
    if _LAST.batches is None or _LAST.fed != fed:
        _LAST.fed, _LAST.batches = fed, _read(program, seeds)
    return _LAST.batches


def _read(program: Program, seeds: range) -> tuple[np.ndarray, np.ndarray]:
    dataset = program.data
    data = _data(dataset)
    read = [
        data.read(np.random.default_rng(seed).choice(data.length, program.batch, False))
        for seed in seeds
    ]
    x, y = (np.stack(arrays) for arrays in zip(*read, strict=True))
    return np.asarray(reader(dataset, data.scale)(x)), y
