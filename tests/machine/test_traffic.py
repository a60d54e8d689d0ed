"""Bytes that a compiled program's kernels move, beside what can be said without it."""

import jax
import jax.numpy as jnp
import pytest

from depthbench.research.machine import traffic
from depthbench.research.machine.traffic import kernels, total

# A loop of three rounds, as XLA has it for a GPU: layer i of a stack is read, and what it
# came to is written to its place in another. The arrays that it is told of are whole.
LOOP = """
%into (stack: f32[3,8], x: f32[8], i: s32[]) -> f32[3,8] {
  %stack = f32[3,8]{1,0} parameter(0)
  %x = f32[8]{0} parameter(1)
  %i = s32[] parameter(2)
  %zero = s32[] constant(0)
  %row = f32[1,8]{1,0} bitcast(%x)
  ROOT %update = f32[3,8]{1,0} dynamic-update-slice(%stack, %row, %i, %zero)
}

%added (layers: f32[3,8], x: f32[8], i: s32[]) -> f32[8] {
  %layers = f32[3,8]{1,0} parameter(0)
  %x = f32[8]{0} parameter(1)
  %i = s32[] parameter(2)
  %zero = s32[] constant(0)
  %layer = f32[1,8]{1,0} dynamic-slice(%layers, %i, %zero), dynamic_slice_sizes={1,8}
  %row = f32[8]{0} bitcast(%layer)
  ROOT %sum = f32[8]{0} add(%x, %row)
}

%body (all: (s32[], f32[3,8], f32[3,8], f32[8])) -> (s32[], f32[3,8], f32[3,8], f32[8]) {
  %all = (s32[], f32[3,8]{1,0}, f32[3,8]{1,0}, f32[8]{0}) parameter(0)
  %i = s32[] get-tuple-element(%all), index=0
  %layers = f32[3,8]{1,0} get-tuple-element(%all), index=1
  %stack = f32[3,8]{1,0} get-tuple-element(%all), index=2
  %x = f32[8]{0} get-tuple-element(%all), index=3
  %y = f32[8]{0} fusion(%layers, %x, %i), kind=kLoop, calls=%added, metadata={op_name="f/add"}
  %kept = f32[3,8]{1,0} fusion(%stack, %y, %i), kind=kLoop, calls=%into
  ROOT %next = (s32[], f32[3,8]{1,0}, f32[3,8]{1,0}, f32[8]{0}) tuple(%i, %layers, %kept, %y)
}

ENTRY %main (a: f32[8,8], x: f32[8]) -> f32[8] {
  %a = f32[8,8]{1,0} parameter(0)
  %x = f32[8]{0} parameter(1)
  %product = (f32[8]{0}, s8[4]{0}) custom-call(%a, %x), custom_call_target="__cublas$gemm"
  %all = (s32[], f32[3,8]{1,0}, f32[3,8]{1,0}, f32[8]{0}) tuple()
  %loop = (s32[], f32[3,8]{1,0}, f32[3,8]{1,0}, f32[8]{0}) while(%all), condition=%c, body=%body, backend_config={"known_trip_count":{"n":"3"}}
  ROOT %out = f32[8]{0} get-tuple-element(%loop), index=3
}
"""  # noqa: E501


def test_a_loop_counts_its_slices_as_often_as_it_runs():
    found = {kernel.name: kernel for kernel in kernels(LOOP)}
    row, index = 8 * 4, 4
    assert found["y"] == ("loop", "y", 3, 2 * row + index, row, "f/add")
    assert found["kept"] == ("move", "kept", 3, row + index, row, "")
    assert found["product"] == ("product", "product", 1, 9 * row, row + 4, "")
    assert total(kernels(LOOP), "move") == 3 * (2 * row + index)
    assert total(kernels(LOOP)) == sum(kernel.moved for kernel in found.values())


def test_a_loop_of_unknown_rounds_is_not_counted_as_one():
    unknown = LOOP.replace("known_trip_count", "other")
    with pytest.raises(ValueError, match="loop: how often it runs is not known"):
        kernels(unknown)


@pytest.mark.parametrize("rounds", (1, 5))
def test_programs_of_this_machine_are_read(rounds):
    """A loop over 2 MiB in place: each round reads and writes them."""
    x = jnp.ones(2**19)

    def f(x):
        return jax.lax.fori_loop(0, rounds, lambda i, x: jnp.sin(x) * 2, x)

    program = jax.jit(f, donate_argnums=0).lower(x).compile()
    loops = [kernel for kernel in kernels(program.as_text()) if kernel.kind == "loop"]
    assert total(loops) == pytest.approx(rounds * 2 * x.nbytes, rel=1e-3)


@pytest.mark.parametrize(
    ("shape", "bytes_"),
    (("bf16[3,4]{1,0}", 24), ("(f32[2], pred[])", 9), ("f8e4m3fn[5]", 5), ("s32[]", 4)),
)
def test_sizes(shape, bytes_):
    assert traffic.size(shape) == bytes_
