"""Gradients and first updates of Transformers, against automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.propagation import deepnorm_update, transformer_placement, transformers
from research.architectures import contract
from research.architectures.contract import Variables, apply, init
from research.catalogues.initializers import Draw
from research.report.rendering import as_markdown
from research.signal import probes
from research.study import plan

CELL = {"width": 8, "depth": 4, "batch": 3, "seeds": 3}
DEPTH = 2  # what is run of the four layers: the others must leave no trace


def net(name, depth=CELL["depth"]):
    return transformers.build({**CELL, "architecture": f"transformer_{name}"}, depth)


def inputs():
    _, x, y = transformers.batches(CELL)
    return x[0], y[0]


def shallow(name, variables):
    """(net, variables) of the first layers alone."""
    cell = {**CELL, "architecture": f"transformer_{name}", "depth": DEPTH}
    layers = jax.tree.map(lambda a: a[:DEPTH], variables.stages)
    return transformers.build(cell, DEPTH), variables._replace(stages=layers)


def test_depths_are_quotients_of_the_deepest():
    assert list(transformers.depths_to(64, 4)) == [1, 4, 16, 64]
    assert list(transformers.depths_to(1000, 4)) == [3, 15, 62, 250, 1000]


def test_the_exponent_of_a_power_is_its_own():
    depths = transformers.depths_to(256, 2)
    powers = np.array([-0.5, 0.0, 0.25])
    log10 = powers[:, None] * np.log10(depths) + 3.0
    log10[:, depths < 8] = 7.0  # before the law begins
    estimate = transformers.exponent(log10, depths, least=8)
    # Rounding of a least-squares fit in double precision.
    np.testing.assert_allclose(estimate.mean, np.mean(powers), atol=1e-12)
    np.testing.assert_allclose(estimate.error, np.std(powers, ddof=1) / 3**0.5)


def test_variables_are_brought_to_another_depth(monkeypatch):
    flat = Draw(lambda key, *a: jnp.ones(*a), lambda key, *a: jnp.ones(*a))
    monkeypatch.setitem(transformers.DRAWS, "normal", flat)  # compiles in no time
    x = inputs()[0]

    @jax.jit
    def drawn(depth):
        return init(jax.random.key(0), net("deepnorm", depth), x)

    ratio = transformers.beta(net("deepnorm", 2)) / transformers.beta(
        net("deepnorm", 4)
    )
    assert ratio == pytest.approx(2**0.25)  # β = (8N)^(-1/4)
    brought = transformers.brought(drawn(4), ratio)
    for own, expected in zip(
        jax.tree.leaves(brought), jax.tree.leaves(drawn(2)), strict=True
    ):
        # A product with σ_w β and one with σ_w, then β, round differently.
        np.testing.assert_allclose(own, expected, rtol=1e-6)


def test_updates_are_derivatives_along_the_first_step(filled):
    x, y = inputs()
    variables = filled(net("deepnorm"), x)
    own = jax.jit(
        lambda v, depth: deepnorm_update.moved(net("deepnorm", depth), v, x, y, depth)
    )(variables, DEPTH)
    small, variables = shallow("deepnorm", variables)

    @jax.jit
    def expected(variables):
        def outputs(stages):
            return apply(small, variables._replace(stages=stages), x)[0]

        loss = transformers.labelled(y)
        gradient = jax.grad(lambda stages: loss(outputs(stages)))(variables.stages)
        _, push = jax.linearize(outputs, variables.stages)
        changes = jax.vmap(push)(deepnorm_update.steps(gradient))
        return jnp.log10(jnp.mean(jnp.linalg.norm(changes, axis=-1), axis=-1))

    # In decades: some 20 float32 products one after the other, in another order.
    np.testing.assert_allclose(own, expected(variables), atol=2e-5)


def test_steps_are_those_of_the_optimizers():
    kernel, bias = np.array([2.0, -0.5, 0.0], np.float32), np.ones(2, np.float32)
    gradient = {"dense": {"kernel": kernel, "bias": bias}}
    optimizer = optax.adam(1.0)

    @jax.jit
    def both(gradient):
        steps = deepnorm_update.steps(gradient)
        return steps, optimizer.update(gradient, optimizer.init(gradient))[0]

    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats and counts
        own, adam = jax.device_get(both(gradient))
    own, adam = own["dense"], adam["dense"]
    np.testing.assert_array_equal(own["kernel"][:2], [kernel, kernel])
    np.testing.assert_array_equal(own["bias"], [0 * bias, bias, 0 * bias])
    # optax divides a mean that is 0.001 of g² by 1 − 0.999 in float32, good to 6e-5.
    np.testing.assert_allclose(own["kernel"][2], -adam["kernel"], rtol=1e-4)


def test_the_last_gradient_is_the_last_layers(filled):
    x, y = inputs()
    deep = net("pre_ln")  # whose head has a normaliser of its own
    variables = filled(deep, x)
    own = jax.jit(
        lambda v, depth: transformer_placement.last_gradient(deep, v, x, y, depth)
    )(variables, DEPTH)
    small, variables = shallow("pre_ln", variables)

    def loss(variables: Variables):
        return transformers.labelled(y)(apply(small, variables, x)[0])

    (layers,) = jax.jit(jax.grad(loss))(variables).stages
    last = layers["params"]["narrow"]["kernel"][-1]
    # In decades: float32's rounding in another order.
    np.testing.assert_allclose(own, np.log10(np.linalg.norm(last)), atol=2e-5)


def rows_of(study, names, **more):
    """A row for each architecture, and one that failed."""
    values = {f"{name}_exponent{end}": 0.3 for name in names for end in ("", "_se")}
    cells = [
        {"architecture": name, "depth": 1024, "width": 256, "batch": 8, "seeds": 3}
        for name in study.axes["architecture"].values
    ]
    return [
        *({**cell, "status": "ok", "reason": "", **values, **more} for cell in cells),
        {**cells[0], "status": "lost", "reason": "because"},
    ]


@pytest.mark.parametrize(
    ("study", "names"),
    [
        (deepnorm_update.STUDY, tuple(deepnorm_update.STEPS)),
        (transformer_placement.STUDY, ("gradient",)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_tables_and_figures_of_any_rows(study, names):
    rows = rows_of(study, names)
    for table in study.tables(rows):
        assert all(len(line) <= 110 for line in as_markdown(table).splitlines())
        assert "lost" in as_markdown(table)
    kept = {name: np.zeros((3, 4)) for name in names}
    kept |= {"depths": np.array([1, 4, 16, 64]), "by_layer": np.zeros((3, 1024))}
    (figure,) = study.figures(rows, lambda row: kept)
    for axes in figure.draw().axes:
        lines = [line for line in axes.lines if len(line.get_xdata()) > 0]
        assert len(lines) >= len(rows) - 1  # all but the row that failed


def power(exponents):
    """A stand-in for a measurement: log10 of depth^p, for each exponent p."""
    exponents = jnp.array(exponents)
    return lambda net, v, x, y, depth: exponents * jnp.log10(depth.astype(jnp.float32))


def row_of(study, name):
    cell = {**CELL, "depth": 16, "architecture": f"transformer_{name}"}
    (unit,) = plan.units(study, [cell])
    (measured,) = plan.measure(unit, unit.cost.memory)
    row = {**cell, "status": measured.status, "reason": "", **measured.values}
    assert row["status"] == "ok" and set(study.columns) == set(row)
    return row


def test_a_row_of_updates(monkeypatch, filled):
    monkeypatch.setattr(contract, "init", lambda key, net, x: filled(net, x))
    monkeypatch.setattr(deepnorm_update, "moved", power([0.0, 1.0, 0.5]))
    row = row_of(deepnorm_update.STUDY, "deepnorm")
    for name, expected in zip(deepnorm_update.STEPS, (0.0, 1.0, 0.5), strict=True):
        # A line through float32 logarithms.
        assert row[f"{name}_exponent"] == pytest.approx(expected, abs=1e-6)
        assert row[f"{name}_exponent_se"] == pytest.approx(0, abs=1e-6)


def test_a_row_of_last_gradients(monkeypatch, filled):
    monkeypatch.setattr(contract, "init", lambda key, net, x: filled(net, x))
    monkeypatch.setattr(transformer_placement, "last_gradient", power(-0.5))
    layers = jnp.arange(16.0)
    monkeypatch.setattr(probes, "log_gradients", lambda *a: (layers, layers))
    row = row_of(transformer_placement.STUDY, "pre_ln")
    # As above.
    assert row["gradient_exponent"] == pytest.approx(-0.5, abs=1e-6)
    assert row["log10_last"] == pytest.approx(-0.5 * np.log10(16), abs=1e-6)
    assert row["log10_first_over_last"] == -15
