"""What is taken piecewise has the bits of one program, and compiles nothing twice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.learning import fits, supervised, sweeps
from depthbench.research.learning.recipe import Recipe
from depthbench.research.machine import compiled
from depthbench.research.machine.piecewise import piecewise

TASK = supervised.Task((8, 8, 1), 10)


def beginning(**net):
    """(what draws a fresh learner, its arguments)."""
    recipe = Recipe(**{"depth": 8, "width": 16, "batch": 8, **net})
    system = supervised.system(recipe, task=TASK)
    numbers = fits.numbers(fits.Net(recipe, TASK), 1e-3, 1)
    seed, hyper = sweeps.arguments([sweeps.Run(3, numbers)])
    return lambda seed, hyper: system.init(jax.random.key(seed), hyper), (seed, hyper)


@pytest.mark.parametrize(
    "net",
    [
        {"architecture": "mlp", "initializer": "he_normal"},
        {"architecture": "mlp", "initializer": "pytorch"},
        {"architecture": "cnn", "initializer": "delta_orthogonal"},
        {"architecture": "cnn", "initializer": "looks_linear"},
        {"architecture": "lstm", "initializer": "he_uniform"},
        {"architecture": "gru", "initializer": "critical", "activation": "tanh"},
        {"architecture": "resnet", "initializer": "he_truncated"},
        {"architecture": "transformer_learned", "initializer": "glorot_normal"},
        {"architecture": "unet", "initializer": "he_normal"},
    ],
    ids=lambda net: f"{net['architecture']}-{net['initializer']}",
)
def test_fresh_weights_have_the_bits_of_one_program(net):
    """Rows do not know how a net's weights were drawn: on a CPU piecewise, of several
    runs at once or on an accelerator by one program."""
    begin, arguments = beginning(**net)
    whole, pieces = jax.jit(begin)(*arguments), piecewise(begin)(*arguments)
    assert jax.tree.structure(whole) == jax.tree.structure(pieces)
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(pieces), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_programs_within_are_compiled_lightly_with_the_same_bits(monkeypatch):
    """These tests name a level for all programs, which a command does not."""

    def drawn(options):
        monkeypatch.setattr(compiled, "lightly", lambda: options)
        begin, arguments = beginning(width=21, initializer="he_normal")
        return jax.tree.leaves(piecewise(begin)(*arguments))

    levels = (drawn({compiled.LEVEL: level}) for level in (3, 1))
    for one, other in zip(*levels, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(jax.errors.JaxRuntimeError, match="no_such_option"):
        drawn({"no_such_option": 1})
    begin, arguments = beginning(width=21, initializer="he_normal")
    jax.jit(piecewise(begin))(*arguments)  # where no program within can have options


def test_a_second_net_of_the_same_shapes_compiles_nothing():
    compiled = []

    def listen(name, seconds, **_):
        compiled.extend([seconds] * name.endswith("backend_compile_duration"))

    def compiles(architecture):
        begin, arguments = beginning(architecture=architecture, width=23)
        before = len(compiled)
        jax.block_until_ready(piecewise(begin)(*arguments))
        return len(compiled) - before

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        assert compiles("mlp") > 0
        assert compiles("residual_mlp") == 0
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def test_what_no_result_depends_on_is_not_computed():
    def function(x):
        jnp.sin(x) * 2  # nobody asks for it
        return x + 1

    assert float(piecewise(function)(1.0)) == 2.0
    names = [e.primitive.name for e in jax.make_jaxpr(piecewise(function))(1.0).eqns]
    assert names == ["add"]


def test_results_can_be_given_away():
    """Programs of steps overwrite the state they are given: no two parts of it, and
    nothing that a later call begins from, may lie in the same memory."""
    constant = jnp.arange(3.0)

    def function(x):
        zero = jnp.zeros(3)
        return zero, zero, constant, x, constant + 0, jax.random.key(0)

    run, give = piecewise(function), jax.jit(lambda *a: a, donate_argnums=range(6))
    for _ in range(2):
        given = give(*run(jnp.ones(3)))
        np.testing.assert_array_equal(given[2], [0, 1, 2])
