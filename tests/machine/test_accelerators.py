"""What runs on a GPU or TPU alone: that it lowers for one, and computes the same.

There is none here. Its branches are taken on the CPU by another name of the backend, and
programs are lowered for it, which is all that can be done without its compiler.
"""

import dataclasses

import jax
import numpy as np
import pytest
from jax.extend import core

from depthbench.benchmarks.peers import torch_loop
from depthbench.benchmarks.throughput import programs as throughput_programs
from depthbench.benchmarks.throughput import study as throughput
from depthbench.research.architectures import ARCHITECTURES, attention
from depthbench.research.catalogues import initializers, optimizers
from depthbench.research.engine import runner
from depthbench.research.learning import examples, supervised, sweeps
from depthbench.research.learning.recipe import Recipe
from depthbench.research.machine import operations
from depthbench.research.signal import ensembles, measurement
from depthbench.research.study import plan
from depthbench.research.study.declaration import Cost, Unit

FUSED = ("__cudnn$fmhaSoftmax", "__cudnn$fmhaSoftmaxBackward")


@pytest.fixture
def elsewhere(monkeypatch):
    """A function after which code takes the branches of another platform."""

    def at(platform):
        name = {"cuda": "gpu"}.get(platform, platform)
        monkeypatch.setattr(jax, "default_backend", lambda: name)
        monkeypatch.setattr(attention, "_on_cuda", lambda: platform == "cuda")
        # The version that wheels of jax come with; checked where the kernel is asked for.
        path = "jax._src.cudnn.fused_attention_stablehlo.check_cudnn_version"
        monkeypatch.setattr(path, lambda: 91000)
        forget()

    yield at
    monkeypatch.undo()
    forget()


def forget():
    """Programs that were made for one platform are not another's."""
    ensembles._compiled.cache_clear()
    sweeps._programs.cache_clear()
    initializers._orthogonal_sampler.cache_clear()
    jax.clear_caches()


def lowered(function, *arguments, platform):
    """A program's text for the platform; functions are jitted."""
    return function.trace(*arguments).lower(lowering_platforms=(platform,)).as_text()


def program_of(architecture, dtype, mode, **more):
    """(program, shapes of what it holds, of a batch) of a small net in throughput."""
    family = ARCHITECTURES[architecture]
    cell = {name: axis.values[0] for name, axis in throughput.AXES.items()}
    cell |= {"architecture": architecture, "dtype": dtype, "mode": mode, "batch": 2}
    cell |= {"depth": family.depths.examples[0], "width": family.width or 16} | more
    data = throughput_programs.keyed_batches(cell)
    start = throughput_programs.start(cell)
    state = jax.eval_shape(start, jax.random.key(0), data[0][0]["inputs"])
    shapes = jax.eval_shape(lambda *a: a, state, data)
    return throughput_programs.program(cell, *shapes)


def kernels(architecture, dtype, mode, platform):
    program = program_of(architecture, dtype, mode)
    step = jax.jit(program.function)
    # Of bfloat16 jax's own attention has float32 sums, and mixes them.
    with jax.numpy_dtype_promotion("standard"):
        text = lowered(step, program.held, program.batches[0], platform=platform)
    assert "lapack" not in text and "Eigen" not in text  # a CPU's own
    return {name for name in FUSED if f"@{name}(" in text}


@pytest.mark.parametrize(
    "architecture, dtype, mode, platform, fused",
    [
        ("transformer_decoder", "bfloat16", "step", "cuda", 2),
        ("transformer_decoder", "bfloat16", "inference", "cuda", 1),
        ("transformer_decoder", "float32", "inference", "cuda", 0),
        ("vit", "bfloat16", "inference", "cuda", 0),  # too few patches
        ("resnet", "bfloat16", "step", "tpu", 0),
    ],
)
def test_programs_lower_with_the_kernel_that_is_there(
    architecture, dtype, mode, platform, fused, elsewhere
):
    elsewhere(platform)
    assert len(kernels(architecture, dtype, mode, platform)) == fused


@pytest.mark.parametrize(
    "architecture",
    ("transformer_pre_ln", "transformer_decoder", "transformer_deepnorm", "attention"),
)
@pytest.mark.parametrize("loop", ("scan", "unrolled"))
def test_attention_is_not_run_again_for_the_gradient(architecture, loop, elsewhere):
    """Of the fused kernel nothing of [time, time] would be kept: its results are."""
    elsewhere("cuda")
    program = program_of(architecture, "bfloat16", "step", loop=loop, depth=2)
    with jax.numpy_dtype_promotion("standard"):
        text = lowered(
            jax.jit(program.function), program.held, program.batches[0], platform="cuda"
        )
    written = {"scan": 1, "unrolled": 2}[loop]
    assert [text.count(f"@{name}(") for name in FUSED] == [written, written]


def test_a_looped_layer_keeps_products_and_the_kernels_results(elsewhere):
    """Of bfloat16: h, q, k, v, attention before and after its product, and the widest
    state; of attention the logarithms that its shares are divided by, and of two norms
    the moments. Nothing else."""
    elsewhere("cuda")
    width, time, batch = 32, 64, 2

    def kept(depth):
        more = {"width": width, "length": time, "batch": batch, "depth": depth}
        program = program_of("transformer_decoder", "bfloat16", "gradient", **more)
        params, stats = program.held
        with jax.numpy_dtype_promotion("standard"):
            return operations.kept(
                program.loss, params, fixed=(stats, program.batches[0])
            )

    # The layers' parameters in bfloat16 are kept too, of all layers in one cast; but for
    # the last bias, on which nothing depends that is made again.
    weights = 2 * (12 * width**2 + 12 * width)
    tokens, heads = time * batch, attention.heads_of(width)
    states = 2 * tokens * width * (1 + 3 + 1 + 1 + 4) + 4 * tokens * (heads + 4)
    assert (kept(6) - kept(2)) / 4 == weights + states


@pytest.mark.exhaustive
@pytest.mark.parametrize("platform", ("cuda", "tpu"))
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_lowers(architecture, platform, elsewhere):
    elsewhere(platform)
    for dtype in ("float32", "bfloat16"):
        for mode in ("inference", "step"):
            kernels(architecture, dtype, mode, platform)


def two_runs(optimizer, steps):
    rule = optimizers.OPTIMIZERS[optimizer].hyper(steps=steps)
    numbers = supervised.Numbers(supervised.UNIT, rule)
    return [sweeps.Run(seed, numbers) for seed in range(2)]


def test_several_runs_at_once_lower_with_the_fused_kernel(elsewhere):
    """It takes an ensemble's axis in one place alone."""
    elsewhere("cuda")
    recipe = Recipe(
        "transformer_decoder", 2, 16, normalizer="layer", dataset="stdlib", batch=2
    )
    recipe = dataclasses.replace(recipe, dtype="bfloat16")
    programs = sweeps.of_recipe(recipe, 1, several=True)
    seeds, hyper = sweeps.arguments(two_runs("adam", 1.0))
    state = jax.eval_shape(programs.init, seeds, hyper)
    data = jax.eval_shape(lambda: examples.batches(recipe)[0])
    text = lowered(programs.advance, state, hyper, data, np.int32(1), platform="cuda")
    assert all(name in text for name in FUSED)


def loops(jaxpr):
    """The scans of a program, those in others included."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "scan":
            yield equation
        for inner in core.jaxprs_in_params(equation.params):
            yield from loops(inner)


def products(scan):
    """How many products of matrices a step of it makes."""
    body = str(scan.params["jaxpr"])
    return body.count("dot_general[")


@pytest.mark.parametrize("platform, unroll, forwards", [("cuda", 8, 1), ("cpu", 1, 2)])
def test_a_step_in_time_is_one_product_on_an_accelerator(
    platform, unroll, forwards, elsewhere
):
    """That with the state; eight steps are one turn of a loop that keeps states alone."""
    elsewhere(platform)
    program = program_of("stacked_lstm", "float32", "step")
    traced = jax.jit(program.function).trace(program.held, program.batches[0])
    time = program.batches[0][0]["inputs"].shape[1]
    forth, back = [
        scan for scan in loops(traced.jaxpr.jaxpr) if scan.params["length"] == time
    ]
    assert (forth.params["unroll"], back.params["unroll"]) == (unroll, unroll)
    assert (products(forth), products(back)) == (forwards, 1)
    columns = [out.aval.shape[-1] for out in forth.outvars[2:]]  # after h and c
    width = forth.outvars[0].aval.shape[-1]
    assert (4 * width in columns) == (platform == "cpu")


def test_the_fused_kernel_is_asked_for_where_it_exists(elsewhere):
    elsewhere("cuda")
    implementation = lambda time, d: attention._implementation(
        (2, 4, time, d), (2, 4, 128, d)
    )
    assert [implementation(128, d) for d in (8, 32, 64, 128)] == ["cudnn"] * 4
    assert [implementation(128, d) for d in (4, 12, 136)] == ["xla"] * 3
    assert [implementation(time, 64) for time in (1, 63, 64)] == ["xla", "xla", "cudnn"]
    elsewhere("tpu")
    assert implementation(128, 64) == "xla"


CELLS = [
    {"architecture": "cnn", "activation": "tanh", "normalizer": "none", "depth": 3}
    | {"width": 8, "batch": 4, "dataset": "digits", "seeds": 2, "initializer": name}
    for name in ("glorot_normal", "he_normal")
]


def probed():
    program = measurement.program_of(CELLS[0], ("tanh",), 3)
    return measurement.measure(CELLS, program, 2)


def test_cells_side_by_side_are_those_in_turn(elsewhere):
    """With XLA's own convolution, of all cells and seeds at once."""
    in_turn = probed()
    elsewhere("cuda")
    beside = probed()  # where cells differ in numbers alone, and are one call
    for one, other in zip(beside, in_turn, strict=True):
        assert one.status == other.status == "ok"
        for name, array in one.profiles.items():
            # Sums of some 100 products in another order; correlations are differences.
            np.testing.assert_allclose(
                array, other.profiles[name], rtol=1e-4, atol=1e-5
            )


@pytest.mark.exhaustive
@pytest.mark.parametrize("architecture", ("mlp", "resnet"))
def test_runs_side_by_side_are_those_in_turn(architecture, elsewhere):
    depth = {"mlp": 3, "resnet": 8}[architecture]
    recipe = Recipe(architecture, depth, 8, normalizer="batch", optimizer="momentum")
    runs = two_runs("momentum", 4.0)
    in_turn = sweeps.train(sweeps.problem(recipe), runs, 4)
    elsewhere("cuda")
    beside = sweeps.train(sweeps.problem(recipe), runs, 4)
    for one, other in zip(beside, in_turn, strict=True):
        # Four steps let a sum's rounding grow a little.
        np.testing.assert_allclose(one.log["loss"], other.log["loss"], rtol=1e-4)


def test_kernels_drawn_all_at_once_are_those_drawn_in_turn(elsewhere):
    def drawn():
        draw = lambda key: initializers.DRAWS["orthogonal"].kernel(
            key, (6, 6), np.float32
        )
        return jax.vmap(draw)(jax.random.split(jax.random.key(0), 3))

    in_turn = drawn()
    elsewhere("cuda")
    # An orthogonal matrix's entries, by the same method.
    np.testing.assert_allclose(drawn(), in_turn, atol=1e-6)


def test_pytorch_is_timed_on_the_same_device_or_not_at_all(elsewhere):
    torch = pytest.importorskip("torch", reason="the [peers] extra is not installed")
    assert (torch_loop.absent(), torch_loop.device()) == ("", "cpu")
    elsewhere("tpu")
    assert "no tpu" in torch_loop.absent()
    elsewhere("cuda")
    assert torch_loop.device() == "cuda"
    assert bool(torch_loop.absent()) != torch.cuda.is_available()


def test_rows_are_of_exact_products_and_the_cpus_programs_stay(elsewhere, monkeypatch):
    precisions = []

    def note(unit, memory):
        precisions.append(jax.config.jax_default_matmul_precision)
        return []

    monkeypatch.setattr(plan, "measure", note)
    unit = Unit("any", (), {}, 0, Cost(0, 0, 0.0))
    runner.attempt(unit, 1)
    elsewhere("cuda")
    runner.attempt(unit, 1)
    assert precisions == [None, "highest"]
