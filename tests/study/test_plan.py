"""Units of work: plain data, the same ones each time, and measured anywhere alike."""

import json
import pickle
import subprocess
import sys

import pytest

from depthbench.research.datasets import DataError
from depthbench.research.study import plan
from depthbench.research.study.declaration import (
    Cost,
    Plan,
    Study,
    Unit,
    chosen_values,
    fixed,
    grid,
)
from depthbench.research.study.studies import studies

SIZES = ("smoke", "standard", "full")
each_study = pytest.mark.parametrize("study", studies().values(), ids=lambda s: s.name)


def cells_of(study, size, **given):
    cells, _ = study.fit(grid(study, chosen_values(study, size, given)), set(given))
    return cells


def units_of(study, size):
    """The units; those that no data set is here for are of the digits."""
    try:
        return plan.units(study, cells_of(study, size))
    except DataError:
        return plan.units(study, cells_of(study, size, dataset=("digits",)))


@each_study
@pytest.mark.parametrize("size", SIZES)
def test_units_are_plain_data_the_same_each_time(study, size):
    units = units_of(study, size)
    assert units_of(study, size) == units
    for unit in units:
        assert pickle.loads(pickle.dumps(unit)) == unit
        sent = json.loads(json.dumps([unit.study, unit.cells, unit.shared]))
        assert sent == [unit.study, list(unit.cells), unit.shared]
        assert unit.study == study.name
        assert 0 < unit.cost.memory <= unit.cost.peak and unit.cost.seconds > 0
        hash(unit.program)
    planned = [cell for unit in units for cell in unit.cells]
    order = study.order
    everything = cells_of(study, size) if size != "full" else planned
    assert sorted(planned, key=order) == sorted(everything, key=order)
    assert len({tuple(cell.items()) for cell in planned}) == len(planned)


@each_study
def test_the_function_that_measures_is_there(study):
    assert callable(plan.resolve(study.measure))
    assert study.measure.partition(":")[0] == study.module


CELLS = [
    {"activation": activation, "depth": depth, "sigma": sigma}
    for activation in ("tanh", "relu")
    for depth in (4, 8)
    for sigma in (1.0, 2.0)
]
STUDY = Study("any", "experiment", "?", "", {}, {}, "a.b:measure", ())


def planned(cells=CELLS, **pieces):
    return plan.units(STUDY._replace(plan=Plan(**pieces)), cells)


def places(units, cells=CELLS):
    return [[cells.index(cell) for cell in unit.cells] for unit in units]


def test_without_a_group_each_cell_is_a_unit_and_all_share_a_program():
    units = planned()
    assert places(units) == [[n] for n in range(8)]
    assert {unit.program for unit in units} == {None}
    assert units[3] == Unit("any", (CELLS[3],), {}, None, Cost(2**28, 2**28, 1.0))


def test_cells_of_a_group_are_one_unit_where_its_first_cell_stands():
    units = planned(group=lambda c: (c["sigma"], c["depth"]), cost=fixed(7, 2.0))
    assert places(units) == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert [unit.program for unit in units] == [(1, 4), (2, 4), (1, 8), (2, 8)]
    assert units[0].cost == Cost(7, 7, 4.0)
    assert places(planned(group=plan.all_but("sigma", "activation"))) == [
        [0, 1, 4, 5],
        [2, 3, 6, 7],
    ]


def test_a_unit_knows_of_its_programs_cells_and_of_the_runs():
    def shared(alike, run):
        return {
            "capacity": max(cell["depth"] for cell in alike),
            "activations": list(dict.fromkeys(cell["activation"] for cell in run)),
        }

    def cost(cells, shared):
        return Cost(shared["capacity"], 99, float(len(cells)))

    units = planned(
        CELLS[:-2],  # no relu of depth 8
        group=plan.all_but("sigma"),
        program=lambda cell: cell["activation"],
        shared=shared,
        cost=cost,
    )
    assert places(units) == [[0, 1], [2, 3], [4, 5]]
    assert [unit.program for unit in units] == ["tanh", "tanh", "relu"]
    assert [unit.shared["capacity"] for unit in units] == [8, 8, 4]
    assert all(unit.shared["activations"] == ["tanh", "relu"] for unit in units)
    assert [unit.cost.memory for unit in units] == [8, 8, 4]


def test_a_lone_group_is_split_and_others_are_not():
    alone = planned(group=lambda cell: 0, split=2)
    assert places(alone) == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert places(planned(CELLS[:1], group=lambda cell: 0, split=2)) == [[0]]
    two = planned(group=lambda cell: cell["activation"], split=2)
    assert places(two) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_the_longest_comes_first_and_equals_stay_in_order():
    units = planned(
        cost=lambda cells, shared: Cost(1, 1, float(cells[0]["depth"])),
        priority=plan.longest_first,
    )
    assert places(units) == [[2], [3], [6], [7], [0], [1], [4], [5]]


@pytest.mark.parametrize(
    "name, cells_a_unit, programs",
    [
        ("gradient_flow", [3] * 36, 3),
        ("ten_thousand_layers", [2, 2, 3, 3], 1),
        ("dynamical_isometry", [2, 2, 2, 2, 4, 4], 3),
        ("edge_of_chaos", [6, 6, 6], 1),
        ("residual_growth", [1] * 12, 6),
        ("mup", [2] * 4, 4),
        ("trainable_depth", [3, 3], 2),
        ("deepnorm_update", [1] * 3, 3),
        ("he_against_xavier", [1] * 2, 2),
        ("shattered_gradients", [1] * 2, 2),
    ],
)
def test_studies_measure_together_what_they_did(name, cells_a_unit, programs):
    """What one call measures decides how it is batched, and so a row's last bits."""
    units = units_of(studies()[name], "smoke")
    assert [len(unit.cells) for unit in units] == cells_a_unit
    assert len({unit.program for unit in units}) == programs


def test_cells_that_differ_in_their_variances_alone_are_trained_together():
    given = {"initializer": ("he_normal", "orthogonal", "critical")}
    for name in ("trainability", "max_trainable_depth"):
        study = studies()[name]
        units = plan.units(study, cells_of(study, "smoke", **given))
        found = [tuple(cell["initializer"] for cell in unit.cells) for unit in units]
        assert set(found) == {("he_normal", "critical"), ("orthogonal",)}


ELSEWHERE = """
import json, sys
from depthbench.research.store.rows import record_of
from depthbench.research.study import plan
from depthbench.research.study.studies import studies
name, cells, first = json.load(sys.stdin)
for unit in plan.units(studies()[name], cells)[first:]:
    for cell, got in zip(unit.cells, plan.measure(unit, 2**30), strict=True):
        record, _ = record_of(name, cell, got, {"data": ""})
        print(json.dumps([cell, got.status, record.values, record.profiles]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, given",
    [
        ("gradient_rate", {"activation": ("tanh", "relu")}),
        ("dynamical_isometry", {"activation": ("relu",), "depth": (1, 2)}),
    ],
)
def test_a_process_gets_a_runs_rows_from_a_studys_name_and_cells(
    name, given, clean_environment, root, tmp_path
):
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }

    def rows(first):
        done = subprocess.run(
            [sys.executable, "-c", ELSEWHERE],
            input=json.dumps(
                [name, cells_of(studies()[name], "smoke", **given), first]
            ),
            cwd=root,
            env={**clean_environment, **cache},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
        return list(map(json.loads, done.stdout.splitlines()))

    whole, last = rows(0), rows(-1)
    assert len(whole) > len(last) > 0
    assert last == whole[-len(last) :]
