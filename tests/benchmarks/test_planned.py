"""A Transformer's step as it is compiled for an H100, where jax's plugin for one is."""

import jax
import pytest

from depthbench.benchmarks.throughput import planned, programs
from depthbench.research.architectures.recurrent import sequence
from depthbench.research.machine.traffic import Kernel

STEP = "jit(step)/transpose(jvp())/while/body/closed_call/checkpoint/Block/"


@pytest.mark.parametrize(
    ("kind", "source", "part"),
    (
        ("product", f"{STEP}wide/dot_general", "products"),
        ("attention", f"{STEP}attention/dot_product_attention_fwd", planned.FUSED),
        ("move", f"{STEP}wide", planned.STACKS),
        ("loop", f"{STEP}norm_attention/add_any", "normalisers"),
        ("loop", f"{STEP}attention/transpose", "attention's heads and positions"),
        ("loop", f"{STEP}wide/reduce_sum", "feed-forward net: bias and activation"),
        ("loop", "jit(step)/sub", "optimizer"),
        (
            "loop",
            "jit(step)/jvp()/convert_element_type",
            "parameters in the products' dtype",
        ),
        ("loop", f"{STEP}add", planned.REST),
    ),
)
def test_a_kernel_is_counted_where_its_operation_is(kind, source, part):
    assert planned.part(Kernel(kind, "any", 1, 1, 1, source)) == part


CELL = {name: axis.values[0] for name, axis in planned.AXES.items()} | planned.CELL
SMALL = {"depth": 2, "width": 128, "length": 128, "batch": 2}


@pytest.mark.parametrize("loop", ("scan", "unrolled"))
def test_a_step_is_compiled_for_a_device_that_is_not_here(loop):
    try:
        planned.place()
    except RuntimeError as error:
        pytest.skip(f"jax's CUDA plugin is not installed: {error}")
    plan = planned.plan(CELL | SMALL | {"loop": loop}, "triton")
    kernels = {name: sum(k.times for k in part) for name, part in plan.parts.items()}
    assert kernels[planned.FUSED] == 4  # of two layers, both ways
    assert (kernels.get(planned.STACKS, 0) > 50) == (loop == "scan")
    rows = planned.table([plan]).splitlines()
    assert rows[0] == f"| copies, ms | {loop}, triton |"
    assert "| kernels of fused attention | 4 |" in rows


def test_without_the_plugin_it_says_what_is_missing(monkeypatch):
    def none(*arguments, **keywords):
        raise RuntimeError("topology not implemented for cuda")

    monkeypatch.setattr(planned.topologies, "get_topology_desc", none)
    cached = jax.config.jax_enable_compilation_cache
    try:
        with pytest.raises(
            SystemExit, match=r"^depthbench: .* needs jax's CUDA plugin"
        ):
            planned.main(["--depth", "2"])
    finally:
        jax.config.update("jax_enable_compilation_cache", cached)


def test_nets_have_their_forms_of_a_gpu():
    """Blocks of an LSTM's steps, and few large layers written out."""
    with planned.there():
        assert sequence.form() == "in blocks"
        assert programs.loop(CELL | {"loop": "auto"}).name == "unrolled"
    assert sequence.form() == "step by step" or jax.default_backend() != "cpu"
