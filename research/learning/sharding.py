"""Many devices: how a training run is placed on them, by the axes of a mesh.

cells: an ensemble's runs, each on devices of its own. data: a batch's examples.
parameters: the batch too, and with it all that is as large as the parameters: they
themselves, their gradients and the optimizer's averages ("fully sharded", ZeRO's third
stage). A device keeps its part and is sent a layer's others when it comes to the layer.

Nothing of training is written again. State and batches are placed, and from that jit
makes one program for all devices that computes what it computes on one: the batch's own
examples, means and batch norm over all of it, the same random numbers. Only sums are
taken in another order: a step is equal to float tolerance and not bit for bit, and many
steps let the difference grow.
Source: Xu et al. 2021, GSPMD, arXiv:2105.04663; Rajbhandari et al. 2020, ZeRO,
arXiv:1910.02054.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from depthbench.research.catalogues.axes import integer, items
from depthbench.research.catalogues.catalogue import Mistake, nearest
from depthbench.research.files.text import one_line
from depthbench.research.lazy import lazily

with lazily():
    import jax
    import numpy as np

BATCH = ("data", "parameters")  # both take a share of a batch's examples


class Shape(NamedTuple):
    """How many devices along each axis. The last are neighbours: they talk the most."""

    cells: int = 1
    data: int = 1
    parameters: int = 1

    @property
    def devices(self) -> int:
        return self.cells * self.parts

    @property
    def parts(self) -> int:
        """Shares that a batch is split in."""
        return self.data * self.parameters

    def __str__(self) -> str:
        named = zip(self._fields, self, strict=True)
        return ",".join(f"{n}={size}" for n, size in named if size > 1) or "one device"


def parse(text: str) -> Shape:
    """The shape of "data=4,cells=2". Raises Mistake; imports no jax.

    >>> parse("data=4,cells=2")
    Shape(cells=2, data=4, parameters=1)
    """
    sizes: dict[str, int] = {}
    for part in items("--mesh", text):
        name, _, size = (word.strip() for word in part.partition("="))
        if name not in Shape._fields:
            raise Mistake(f"--mesh {part}: {nearest(name, Shape._fields)}")
        if name in sizes:
            raise Mistake(f"--mesh {text}: {name} is given twice")
        devices = integer(size)
        if devices is None or not 1 <= devices <= 10**6:
            raise Mistake(f"--mesh {part}: must be {name}=N, a number of devices")
        sizes[name] = devices
    return Shape(**sizes)


def check(shape: Shape, batch: int, accumulate: int, runs: int) -> None:
    """Raises Mistake where batch or runs cannot be split in equal shares."""
    if batch // accumulate % shape.parts:
        what = f"--batch {batch}"
        if accumulate > 1:
            what += f" --accumulate {accumulate}"
        raise Mistake(
            f"--mesh {shape}: {batch // accumulate} examples ({what}) are not divisible "
            f"by {shape.parts}, the product of data and parameters"
        )
    if runs % shape.cells:
        raise Mistake(
            f"--mesh {shape}: {runs} runs (seeds × settings) are not divisible by "
            f"cells={shape.cells}"
        )


def mesh(shape: Shape, devices: Sequence[Any] | None = None) -> Any:
    """A mesh of these devices, or of all there are. Raises Mistake where they are more
    or fewer than the shape has."""
    devices = list(jax.devices() if devices is None else devices)
    if len(devices) != shape.devices:
        there = "is 1" if len(devices) == 1 else f"are {len(devices)}"
        hint = ""
        if devices[0].platform == "cpu":
            hint = f"; JAX_NUM_CPU_DEVICES={shape.devices} makes virtual ones on a CPU"
        raise Mistake(
            f"--mesh {shape}: needs {shape.devices} devices; there {there}{hint}"
        )
    automatic = (jax.sharding.AxisType.Auto,) * len(shape)
    return jax.make_mesh(
        tuple(shape), shape._fields, axis_types=automatic, devices=devices
    )


def place(mesh: Any, *axes: Any) -> Any:
    """The sharding of an array's leading axes over axes of the mesh; none: everywhere."""
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))


def split(mesh: Any, batch: Any) -> Any:
    """A batch's arrays [batch, …] in equal shares; what has none stays as it is."""
    parts = mesh.shape["data"] * mesh.shape["parameters"]

    def one(array: Any) -> Any:
        if array.ndim == 0 or array.shape[0] % parts:
            return array
        return jax.lax.with_sharding_constraint(array, place(mesh, BATCH))

    return jax.tree.map(one, batch)


def places(mesh: Any, state: Any, several: bool) -> Any:
    """Where each array of a training state lies. state: may be of forms.

    several: with a leading axis [runs]. Of the arrays of a system's tree the last axis
    that can be is split; a stage's first is its depth, which a scan walks along.
    Statistics are small, and each device has all of them.
    """
    runs = ["cells"] if several else []

    def one(path: Any, leaf: Any) -> Any:
        names = [getattr(part, "name", None) for part in path]
        axes: list[Any] = [*runs, *[None] * (leaf.ndim - len(runs))]
        first = len(runs) + ("stages" in names)
        if names[0] != "tree" or "stats" in names:
            return place(mesh, *axes)
        for axis in reversed(range(first, leaf.ndim)):
            if not leaf.shape[axis] % mesh.shape["parameters"]:
                axes[axis] = "parameters"
                break
        return place(mesh, *axes)

    return jax.tree_util.tree_map_with_path(one, state)


def settled(mesh: Any, state: Any, several: bool) -> Any:
    """The state, each array at its place; within a compiled function."""
    return jax.lax.with_sharding_constraint(state, places(mesh, state, several))


def shown(mesh: Any, tree: Any) -> Any:
    """Arrays that every device has the whole of; within a compiled function."""
    return jax.lax.with_sharding_constraint(tree, place(mesh))


# ------------------------------------------------------------------ from host to mesh


def put(arrays: Any, where: Any) -> Any:
    """NumPy arrays, the same in every process, on the devices of a sharding.

    A process copies to its own devices no more than their part.
    """

    def one(array: Any) -> Any:
        array = np.asarray(array)
        return jax.make_array_from_callback(array.shape, where, lambda at: array[at])

    return jax.tree.map(one, arrays)


def as_placed(arrays: Any, like: Any) -> Any:
    """NumPy arrays, typed keys by their data, as the arrays of `like` are placed."""
    return jax.tree.map(as_keys, data_placed(arrays, like), like)


def data_placed(arrays: Any, like: Any) -> Any:
    """`as_placed`, with typed keys still by their data."""

    def one(array: Any, like: Any) -> Any:
        return put(array, like.sharding) if isinstance(like, jax.Array) else array

    return jax.tree.map(one, arrays, like)


def as_keys(data: Any, like: Any) -> Any:
    """The typed keys that an array is the data of, placed as `like`, where that is keys."""
    if not _is_key(like):
        return data
    impl = jax.random.key_impl(like)
    wrap = lambda data: jax.random.wrap_key_data(data, impl=impl)
    return jax.jit(wrap, out_shardings=like.sharding)(data)


def whole(tree: Any) -> Any:
    """All of every array as NumPy, in every process; typed keys by their data.

    One array after the other: there is never more than one that is not split.
    """

    def one(leaf: Any) -> Any:
        leaf = jax.random.key_data(leaf) if _is_key(leaf) else leaf
        if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
            from jax.experimental import multihost_utils

            return multihost_utils.process_allgather(leaf, tiled=True)
        return np.asarray(leaf)

    return jax.tree.map(one, tree)


def _is_key(leaf: Any) -> bool:
    return jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


# ------------------------------------------------------------------- several processes

HEARTBEAT = 20  # seconds without a sign of life after which a process counts as dead
CLUSTER = "cluster"  # for `coordinator`: what Slurm, Open MPI or a TPU pod says


class Processes(NamedTuple):
    """The processes of one run: where the first can be reached, which one this is."""

    coordinator: str  # HOST:PORT, or CLUSTER
    number: int = 0
    count: int = 0


def start(processes: Processes, seconds: float = 300.0) -> None:
    """Joins the processes of a run; before the first use of jax. Raises Mistake.

    seconds: after which jax ends this process, where not all have come.

    When one of them dies the others are ended, by the first one's service.
    """
    if processes.count == 1:
        return
    # jax would take SIGTERM for itself, and end nothing.
    jax.config.update("jax_enable_preemption_service", False)
    arguments = {}
    if processes.coordinator != CLUSTER:
        coordinator, number, count = processes
        arguments = {
            "coordinator_address": coordinator,
            "num_processes": count,
            "process_id": number,
        }
    try:
        jax.distributed.initialize(
            **arguments,
            initialization_timeout=int(seconds),
            heartbeat_timeout_seconds=HEARTBEAT,
        )
    except (ValueError, RuntimeError) as error:
        message = one_line(str(error), 200)
        raise Mistake(f"--coordinator {processes.coordinator}: {message}") from None


def leads() -> bool:
    """Whether this is the process that writes and speaks."""
    return jax.process_index() == 0


def agreed(*mine: int) -> Any:
    """What every process says, in all of them: [processes, numbers]."""
    if jax.process_count() == 1:
        return np.array([mine])
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(np.array(mine, np.int32))
