"""What XLA makes of a training step for an H100, compiled without one.

jax's CUDA plugin compiles for a device that is described to it: the kernels, and the
memory that they need, are those that such a device is given, but for what it finds by
timing. VERSION is that of jax:

    pip install --no-deps --target plugin jax-cuda13-{plugin,pjrt}==VERSION
    JAX_PLATFORMS=cpu PYTHONPATH=plugin python -m benchmarks.throughput.planned
    JAX_PLATFORMS=cpu PYTHONPATH=plugin python -m benchmarks.throughput.planned \\
        --loop unrolled --products cublas
"""

import argparse
import contextlib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any
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


@contextlib.contextmanager
def there() -> Iterator[None]:
    """Programs are those that a device with cuDNN is given, which is asked for its
    version where its attention is called: 9.10."""
    version = "jax._src.cudnn.fused_attention_stablehlo.check_cudnn_version"
    device = mock.patch.object(attention, "_on_cuda", lambda: True)
    with device, mock.patch(version, lambda: 91000):
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
    if kernel.kind == "product":
        return "products"
    if kernel.kind == "attention":
        return "fused attention"
    if kernel.kind == "move":
        return "a loop's stacks: filled with zeros, written, read"
    for name, pattern in PARTS:
        if re.search(pattern, kernel.source):
            return name
    return "sums of the residual stream, and the rest"


def table(cell: dict[str, Any], products: str) -> str:
    """The kernels of a step by what they are of, and what the plan comes to."""
    program, flops = compiled(cell, products)
    found = traffic.kernels(program.as_text())
    lines = ["| part | kernels | GiB moved | ms |", "| --- | --- | --- | --- |"]
    by_part: dict[str, list[traffic.Kernel]] = {}
    for kernel in found:
        by_part.setdefault(part(kernel), []).append(kernel)
    copies = 0.0
    for name, kernels in sorted(by_part.items(), key=lambda p: -traffic.total(p[1])):
        moved = traffic.total(kernels)
        often = sum(kernel.times for kernel in kernels)
        ms = f"{1e3 * moved / COPY:.1f}"
        if name == "products":
            ms = f"{1e3 * flops / PRODUCT:.0f} (of {flops / 1e12:.1f} TFLOP)"
        elif name == "fused attention":
            ms = "with the products"
        else:
            copies += moved
        lines.append(f"| {name} | {often:,} | {moved / GIB:.1f} | {ms} |")
    memory = program.memory_analysis()
    held = memory.argument_size_in_bytes + memory.temp_size_in_bytes
    lines.append(
        f"\n{cell['loop']}, {products}: {1e3 * flops / PRODUCT:.0f} ms of products and "
        f"{1e3 * copies / COPY:.0f} ms of copies; {held / GIB:.1f} GiB, of them "
        f"{memory.temp_size_in_bytes / GIB:.1f} beside the state"
    )
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> None:
    """Prints the table of the cell that the words describe."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    usual = {name: axis.values[0] for name, axis in AXES.items()} | CELL
    for name, value in usual.items():
        kind = int if value is None else type(value)
        parser.add_argument(f"--{name}", type=kind, default=value)
    parser.add_argument("--products", choices=PRODUCTS, default="triton")
    cell = vars(parser.parse_args(words))
    jax.config.update(
        "jax_enable_compilation_cache", False
    )  # a device's client reads it
    try:
        print(table(cell, cell.pop("products")))
    except RuntimeError as error:
        sys.exit(f"depthbench: {error}; this needs jax's CUDA plugin, as its text says")


if __name__ == "__main__":
    main()
