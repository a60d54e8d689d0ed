"""What the studies of Transformers share: depths, exponents, nets of any depth, tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.experiments.propagation import (
    deepnorm_update,
    transformer_placement,
    transformers,
)
from depthbench.research.architectures.contract import init
from depthbench.research.catalogues.initializers import Draw
from depthbench.research.report.rendering import as_markdown
from depthbench.research.study import plan

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
    for leaf, expected in zip(
        jax.tree.leaves(brought), jax.tree.leaves(drawn(2)), strict=True
    ):
        # A product with σ_w β and one with σ_w, then β, round differently.
        np.testing.assert_allclose(leaf, expected, rtol=1e-6)


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
    profiles = {name: np.zeros((3, 4)) for name in names}
    profiles |= {"depths": np.array([1, 4, 16, 64]), "by_layer": np.zeros((3, 1024))}
    (figure,) = study.figures(rows, lambda row: profiles)
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
