"""What a run will take: compilation counts, and is shared by workers only if it can be."""

import pytest

from depthbench.research.datasets import DataError
from depthbench.research.study import forecast, plan
from depthbench.research.study.declaration import (
    Plan,
    Study,
    chosen_values,
    fixed,
    grid,
)
from depthbench.research.study.studies import studies

CELLS = [{"net": net, "n": n} for net in ("plain", "residual", "highway") for n in "ab"]

# Whose programs are compiled by other processes, or are none of jax.
NO_PROGRAM = ("linear_regions", "dense_weights", "engine_overhead")


def study(threads, compile_seconds=7.0, **more):
    planned = Plan(
        program=lambda cell: cell["net"], cost=fixed(memory=2**20, seconds=3.0), **more
    )
    parts = ("any", "experiment", "?", "", {}, {}, "nowhere:measure", (), planned)
    return Study(*parts, compile_seconds=compile_seconds, threads=threads)


def seconds(threads, cells, **more):
    one = study(threads, **more)
    return forecast.of(one, plan.units(one, cells), 2**30).seconds - forecast.STARTING


def test_programs_are_compiled_side_by_side_but_no_program_is_shared_out():
    assert seconds(1, CELLS) == pytest.approx(3 * 7 + 6 * 3)
    assert seconds(2, CELLS) == pytest.approx(3 * 7 / 2 + 6 * 3 / 2)
    assert seconds(2, CELLS[:2]) == pytest.approx(7 + 2 * 3 / 2)
    assert seconds(8, CELLS) == pytest.approx(7 + 6 * 3 / 8)
    one = study(0)
    by = [forecast.of(one, plan.units(one, CELLS), 2**30, workers=n) for n in (1, 3)]
    assert [each.workers for each in by] == [1, 3]
    assert [each.measuring for each in by] == pytest.approx([6 * 3, 6 * 3 / 3])
    assert seconds(2, CELLS, compile_seconds=0.0) == pytest.approx(6 * 3 / 2)


def test_nothing_takes_no_time_and_what_does_not_fit_is_not_compiled():
    one = study(2)
    assert forecast.of(one, [], 2**30).seconds == 0
    small = forecast.of(one, plan.units(one, CELLS), 2**10)
    assert (small.cells, small.left_out, small.compiling, small.measuring) == (
        6,
        6,
        0,
        0,
    )


@pytest.mark.parametrize("name", studies())
@pytest.mark.parametrize("size", ["smoke", "standard"])
def test_every_studys_time_counts_what_it_compiles(name, size):
    one = studies()[name]
    cells, _ = one.fit(grid(one, chosen_values(one, size, {})), set())
    expected = forecast.of(one, plan.units(one, cells), 2**40)
    assert expected.cells == len(cells)
    # Some time compilation itself, in their units' seconds; one counts without jax.
    timed = ("throughput", "compile_time", "scaling", "probe_cost")
    assert expected.compiling > 0 or name in (*timed, *NO_PROGRAM)
    assert expected.seconds > forecast.STARTING


@pytest.mark.parametrize("name", studies())
def test_more_work_is_said_to_take_longer(name):
    """A constant for each cell says the same of a smoke run as of an accelerator's."""
    one = studies()[name]
    seconds = []
    for size in ("smoke", "standard", "full"):
        try:
            cells, _ = one.fit(grid(one, chosen_values(one, size, {})), set())
            costs = [unit.cost.seconds for unit in plan.units(one, cells)]
        except DataError:  # of the full size, which is not prepared here
            assert size == "full"
            continue
        seconds.append((sum(costs), max(costs)))
    totals, longest = zip(*seconds, strict=True)
    assert list(totals) == sorted(totals)
    if one.summary is not None:  # a system's unit trains nets, which grow
        assert list(longest) == sorted(set(longest))
