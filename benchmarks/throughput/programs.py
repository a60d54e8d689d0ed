"""What throughput times: a net's outputs, its gradient or a whole training step."""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.family import Family
from depthbench.research.architectures.loops import Loop, chosen
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.catalogues.dtypes import DTYPES
from depthbench.research.catalogues.initializers import DRAWS, INITIALIZERS
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.catalogues.schedules import SCHEDULES
from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.architectures import contract, stacks
    from depthbench.research.catalogues import losses
    from depthbench.research.learning import supervised
    from depthbench.research.learning import system as systems
    from depthbench.research.machine import operations

FEATURES = 64  # of a step of a sequence
SIDE, LENGTH = 16, 64  # of an image and of a sequence, where no other is asked for
BATCHES = 4  # that are read in turn, so that no call has what the last one had


class Kind(NamedTuple):
    """An entry with nothing but its meaning."""

    name: str
    source: str


MODES: Catalogue[Kind] = Catalogue(
    "mode",
    [
        Kind("inference", "outputs of a trained net, its weights in the dtype"),
        Kind("gradient", "of the mean loss, for all parameters"),
        Kind("step", "gradient, optimizer and new state, in the old one's memory"),
    ],
)


class TimedProgram(NamedTuple):
    """function(held, batch): what is timed. carried: held is the first of its results.

    loss: of the parameters and a batch, for what its gradient keeps; None at inference.
    """

    function: Callable[[Any, Any], Any]
    held: Any
    batches: tuple[Any, ...]
    carried: bool
    loss: Callable[[Any, Any, Any], Any] | None

    def caller(self, compiled: Callable, held: Any) -> Callable[[], Any]:
        """A call of the compiled function with the next batch, and the state so far."""
        following = itertools.cycle(self.batches)

        def call():
            nonlocal held
            results = compiled(held, next(following))
            held = results[0] if self.carried else held
            return results

        return call


def shape(cell: dict[str, Any]) -> tuple[int, ...]:
    """The shape of an example: as many pixels a side, steps or numbers as asked for."""
    family: Family = ARCHITECTURES[cell["architecture"]]
    length = cell["length"]
    if family.takes == "image":
        return (*(length or max(SIDE, family.smallest),) * 2, 3)
    if family.takes == "sequence":
        if family.space == 0:  # a step is a layer
            return (cell["depth"], FEATURES)
        return (length or max(LENGTH, family.smallest), FEATURES)
    return (length or LENGTH,)


def parts(cell: dict[str, Any], exact: bool = False) -> Any:
    """What training is made of in a cell. exact: as products are counted, in plain
    float32 with nothing computed twice."""
    family: Family = ARCHITECTURES[cell["architecture"]]
    dtype = DTYPES[cell["dtype"]]
    if exact:
        plain = (s._replace(frugal=False, segment=None) for s in net_of(cell).stages)
        net = net_of(cell)._replace(stages=tuple(plain))
    else:
        net = loop(cell).change(net_of(cell))
    return supervised.Components(
        net=net,
        loss=losses.LOSSES[family.task("classes")],
        optimizer=OPTIMIZERS[cell["optimizer"]],
        schedule=SCHEDULES["constant"],
        dtype=jnp.float32 if exact else dtype.dtype,
        scaled=dtype.scaled,
    )


def loop(cell: dict[str, Any]) -> Loop:
    """How layers are gone through: of "auto", what was chosen."""
    size = (cell["batch"], *shape(cell))
    return chosen(cell["loop"], net_of(cell), jax.ShapeDtypeStruct(size, jnp.float32))


def net_of(cell: dict[str, Any]) -> Any:
    """The net as it is built, whose stages are scans."""
    family: Family = ARCHITECTURES[cell["architecture"]]
    activation = ACTIVATIONS[cell["activation"]]
    he = INITIALIZERS["he_normal"]
    return family.build(
        contract.Settings(
            width=cell["width"],
            depth=cell["depth"],
            activation=activation.phi,
            weights=contract.Weights(DRAWS[he.draw], he.hidden(activation).gains),
            normalizer=NORMALIZERS[family.published_normalizer],
            outputs=family.outputs(shape(cell), cell["classes"]),
            active_depth=cell["depth"],
        )
    )


def keyed_batches(cell: dict[str, Any]) -> tuple[Any, ...]:
    """(batch, key for dropout) several times, of Gaussian examples, on the device."""
    random = np.random.default_rng(0)
    size = (cell["batch"], *shape(cell))
    pairs = []
    for number in range(BATCHES):
        x = random.standard_normal(size, np.float32)
        y = random.integers(0, cell["classes"], cell["batch"], np.int32)
        pairs.append(({"inputs": x, "targets": y}, jax.random.key(number)))
    return jax.device_put(tuple(pairs))


def start(cell: dict[str, Any]) -> Callable[[Any, Any], Any]:
    """From a key and a batch's inputs to a training state, drawn as He et al. 2015; the
    same whatever the loop."""
    net_parts, hyper = parts({**cell, "loop": "scan"}), _hyper(cell)

    def state(key, x):
        key_net, key_run = jax.random.split(key)
        return systems.start(supervised.fresh(key_net, net_parts, hyper, x), key_run)

    return state


def _hyper(cell: dict[str, Any]) -> Any:
    return jax.tree.map(jnp.float32, OPTIMIZERS[cell["optimizer"]].hyper())


def program(
    cell: dict[str, Any], state: Any, data: tuple[Any, ...], exact: bool = False
) -> TimedProgram:
    """What a cell times. state: as `start` makes it. Arrays may all be shapes."""
    net_parts = parts(cell, exact)
    system = supervised.system_of(net_parts)
    state = state if exact else _opened(cell, state)

    def loss(params, stats, batch):
        (examples, key) = batch
        each, _ = supervised.measures(net_parts, params, stats, examples, True, key)
        return jnp.mean(each["loss"])

    if cell["mode"] == "inference":

        def outputs(variables, x):
            return contract.apply(net_parts.net, variables, x, False)[0]

        held, inputs = _cast(
            (
                contract.unite(state.tree.params, state.tree.stats),
                tuple(examples["inputs"] for examples, _ in data),
            ),
            net_parts.dtype,
        )
        return TimedProgram(outputs, held, inputs, False, None)
    if cell["mode"] == "gradient":

        def gradient(held, batch):
            return supervised.gradients(net_parts, *held, *batch)

        return TimedProgram(
            gradient, (state.tree.params, state.tree.stats), data, False, loss
        )

    def step(held, batch):
        state, hyper = held
        numbers = supervised.Numbers(supervised.UNIT, hyper)
        state, means = systems.step(system, state, numbers, batch[0])
        return (state, hyper), means

    return TimedProgram(step, (state, _hyper(cell)), data, True, loss)


def _cast(tree: Any, dtype: Any) -> Any:
    """The tree with its arrays in the dtype; of shapes, shapes."""
    return _done(lambda tree: jax.tree.map(lambda a: a.astype(dtype), tree), tree)


def _opened(cell: dict[str, Any], state: Any) -> Any:
    """The state as the cell's loop takes it: layers apart where they are written out."""
    if loop(cell).name != "unrolled":
        return state
    return _done(functools.partial(stacks.apart, net_of(cell)), state)


def _done(function: Callable[[Any], Any], tree: Any) -> Any:
    """The function of a tree of arrays, or its result's shapes, of one of shapes."""
    shapes = isinstance(jax.tree.leaves(tree)[0], jax.ShapeDtypeStruct)
    return jax.eval_shape(function, tree) if shapes else jax.jit(function)(tree)


def flops(cell: dict[str, Any], state: Any, data: tuple[Any, ...]) -> float:
    """Operations of the matrix products that a call needs, none of them done twice.

    state, data: shapes.
    """
    exact = program(cell, state, data, exact=True)
    traced = jax.make_jaxpr(exact.function)(exact.held, exact.batches[0])
    return operations.count(traced.jaxpr).products


def moved(
    cell: dict[str, Any], state: Any, data: tuple[Any, ...], results: Any
) -> float:
    """Bytes that a call has to read or write: its arguments and its results once each,
    and twice what is kept for the gradient. All are shapes."""
    timed = program(cell, state, data)
    ends = jax.tree.leaves((timed.held, timed.batches[0], results))
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in ends)
    if timed.loss is None:
        return size
    tree = _opened(cell, state).tree
    constants = (tree.stats, timed.batches[0])
    return size + 2 * operations.kept(timed.loss, tree.params, fixed=constants)
