"""What XLA makes of a training step for an H100, compiled without one.

jax's CUDA plugin compiles for a device that is described to it: the kernels, and the
memory that they need, are those that such a device is given, but for what it finds by
timing. VERSION is that of jax:

    pip install --no-deps --target plugin jax-cuda13-{plugin,pjrt}==VERSION
    JAX_PLATFORMS=cpu PYTHONPATH=plugin python -m benchmarks.throughput.planned
    JAX_PLATFORMS=cpu PYTHONPATH=plugin python -m benchmarks.throughput.planned \\
        --loop scan,unrolled --products triton,cublas

An axis of `throughput` is a flag here: of another net, its --architecture, --depth, ….
"""

import argparse
import contextlib
import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from unittest import mock

import jax
import numpy as np
from jax.experimental import topologies

from depthbench.benchmarks.throughput import programs
from depthbench.benchmarks.throughput.study import AXES
from depthbench.research.architectures import attention
from depthbench.research.machine import traffic

GIB = 2**30
# An H100 SXM, as XLA describes it: openxla/xla, backends/gpu/target_config/specs.
H100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  shared_memory_per_core: 233472 threads_per_core_limit: 2048 core_count: 132
  fpus_per_core: 128 block_dim_limit_x: 2147483647 block_dim_limit_y: 65535
  block_dim_limit_z: 65535 memory_bandwidth: 3352320000000 l2_cache_size: 52428800
  clock_rate_ghz: 1.98 device_memory_size: 84942979072
  shared_memory_per_block_optin: 232448 cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 10 }
runtime_version { major: 13 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
# Its rates, of rows that were measured there: operations and bytes a second.
PRODUCT, COPY = 719e12, 2655 * GIB
# The Transformer of docs/cost.md.
CELL = {"architecture": "transformer_decoder", "depth": 24, "width": 2048} | {
    "length": 2048,
    "batch": 8,
    "dtype": "bfloat16",
    "mode": "step",
}
# Nothing can be timed. Triton's products take what they read from other loops; those of
# cuBLAS end with a bias, an activation or a sum.
OPTIONS = {"xla_gpu_autotune_level": 0}
PRODUCTS = {"triton": {}, "cublas": {"xla_gpu_enable_triton_gemm": False}}
# A kernel's part of a step: the first whose pattern its operation's name has.
PARTS = (
    ("normalisers", r"norm"),
    ("attention's heads and positions", r"/attention/(?!output)"),
    (
        "feed-forward net: bias and activation",
        r"/wide/|/feed/|(?<!/)relu|/max$|/Block/jit",
    ),
    ("parameters in the products' dtype", r"jvp\(\)/convert_element_type$"),
    ("optimizer", r"^jit\(step\)/[a-z_]+$"),
)

FUSED, REST = "fused attention", "sums of the residual stream, and the rest"
STACKS = "a loop's stacks: filled with zeros, written, read"
KINDS = {"product": "products", "attention": FUSED, "move": STACKS}
NAMES = (STACKS, *(name for name, _ in PARTS), REST)  # which are copies


@contextlib.contextmanager
def there() -> Iterator[None]:
    """Nets have the forms that they have on a GPU; cuDNN, which is asked for its version
    where its attention is called, is 9.10."""
    version = "jax._src.cudnn.fused_attention_stablehlo.check_cudnn_version"
    device = mock.patch.object(attention, "_on_cuda", lambda: True)
    backend = mock.patch.object(jax, "default_backend", lambda: "gpu")
    with device, backend, mock.patch(version, lambda: 91000):
        yield


def place() -> Any:
    """The device that is not there. Raises RuntimeError without jax's CUDA plugin."""
    topology = topologies.get_topology_desc(
        platform="cuda", target_config=H100, topology="1x1x1"
    )
    mesh = topologies.make_mesh(topology, (1,), ("device",))
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())


def compiled(cell: dict[str, Any], products: str) -> tuple[Any, float]:
    """(a cell's program as it is compiled for the device, FLOPs that it needs).

    products: whose kernels they are, of PRODUCTS. Raises RuntimeError as `place`.
    """
    device = place()
    size = (cell["batch"], *programs.shape(cell))
    batch = {
        "inputs": jax.ShapeDtypeStruct(size, np.float32),
        "targets": jax.ShapeDtypeStruct(size[:1], np.int32),
    }
    data = ((batch, jax.eval_shape(lambda: jax.random.key(0))),)
    with there(), jax.default_matmul_precision(programs.DTYPES[cell["dtype"]].matmul):
        start = programs.start(cell)
        state = jax.eval_shape(start, jax.random.key(0), batch["inputs"])
        program = programs.program(cell, state, data)
        held, first = jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=device),
            (program.held, program.batches[0]),
        )
        donated = (0,) if program.carried else ()
        traced = jax.jit(program.function, donate_argnums=donated).trace(held, first)
    scan = {**cell, "loop": "scan"}  # which changes no product
    state = jax.eval_shape(programs.start(scan), jax.random.key(0), batch["inputs"])
    program = traced.lower().compile(OPTIONS | PRODUCTS[products])
    return program, programs.flops(scan, state, data)


def part(kernel: traffic.Kernel) -> str:
    """The row of the table that a kernel is counted in."""
    if kernel.kind in KINDS:
        return KINDS[kernel.kind]
    for name, pattern in PARTS:
        if re.search(pattern, kernel.source):
            return name
    return REST


class Plan(NamedTuple):
    """What a form of a step is compiled to. name: its loop, and whose its products are.

    flops: that it needs. parts: its kernels by `part`. memory: bytes, of the state and
    beside it.
    """

    name: str
    flops: float
    parts: dict[str, list[traffic.Kernel]]
    memory: tuple[int, int]

    def ms(self, name: str) -> float:
        """Of a part: its bytes at the device's rate of copies."""
        return 1e3 * traffic.total(self.parts.get(name, [])) / COPY


def plan(cell: dict[str, Any], products: str) -> Plan:
    """A cell's Plan. products: of PRODUCTS. Raises RuntimeError as `place`."""
    program, flops = compiled(cell, products)
    parts: dict[str, list[traffic.Kernel]] = {}
    for kernel in traffic.kernels(program.as_text()):
        parts.setdefault(part(kernel), []).append(kernel)
    memory = program.memory_analysis()
    sizes = (memory.argument_size_in_bytes, memory.temp_size_in_bytes)
    return Plan(f"{cell['loop']}, {products}", flops, parts, sizes)


def table(plans: Sequence[Plan]) -> str:
    """Copies by what they are of, in ms, and what they come to, a column for each plan."""
    names = [name for name in NAMES if any(plan.parts.get(name) for plan in plans)]
    lines: list[list[str]] = [["copies, ms", *(plan.name for plan in plans)]]
    lines.append(["---"] * len(lines[0]))
    for name in names:
        lines.append([name, *(f"{plan.ms(name):.1f}" for plan in plans)])
    lines.append(["**all**", *(f"{sum(map(plan.ms, NAMES)):.1f}" for plan in plans)])
    at_best = (f"{1e3 * plan.flops / PRODUCT:.0f}" for plan in plans)
    lines.append(["products at their best rate, ms", *at_best])
    runs = (sum(k.times for k in plan.parts.get(FUSED, ())) for plan in plans)
    lines.append(["kernels of fused attention", *map(str, runs)])
    runs = (
        f"{sum(k.times for kernels in plan.parts.values() for k in kernels):,}"
        for plan in plans
    )
    lines.append(["kernels in all", *runs])
    moved = (
        f"{sum(map(traffic.total, plan.parts.values())) / 1e9:.1f}" for plan in plans
    )
    lines.append(["GB moved in all", *moved])
    whole = (f"{sum(plan.memory) / GIB:.1f}" for plan in plans)
    lines.append(["GiB planned", *whole])
    beside = (f"{plan.memory[1] / GIB:.1f}" for plan in plans)
    lines.append(["of them beside the state", *beside])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(words: Sequence[str] | None = None) -> None:
    """Prints the table of the cell that the words describe."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    usual = {name: axis.values[0] for name, axis in AXES.items()} | CELL
    for name, value in usual.items():
        kind = int if value is None else type(value)
        parser.add_argument(f"--{name}", type=kind, default=value)
    parser.add_argument("--products", default="triton", help=", ".join(PRODUCTS))
    cell = vars(parser.parse_args(words))
    loops, products = (cell.pop(name).split(",") for name in ("loop", "products"))
    jax.config.update(
        "jax_enable_compilation_cache", False
    )  # a device's client reads it
    try:
        forms = itertools.product(loops, products)
        print(table([plan({**cell, "loop": loop}, kind) for loop, kind in forms]))
    except RuntimeError as error:
        sys.exit(f"depthbench: {error}; this needs jax's CUDA plugin, as its text says")
    except ValueError as error:  # a loop whose rounds are not known
        sys.exit(f"depthbench: {error}")


if __name__ == "__main__":
    main()
