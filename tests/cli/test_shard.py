"""The flag --shard: shares as they are typed, and as SLURM numbers an array's tasks."""

import random

import pytest

from depthbench.research.cli import shard
from depthbench.research.cli.main import main
from depthbench.research.study.errors import Refusal


def tasks(numbers, step):
    """What SLURM sets in each task of an array of these numbers."""
    return [
        dict(
            zip(
                shard.VARIABLES,
                map(str, (number, min(numbers), max(numbers), step, len(numbers))),
                strict=True,
            )
        )
        for number in numbers
    ]


def test_the_tasks_of_an_array_are_all_shares_once():
    """Arrays of 40 beginnings, steps and lengths, drawn; -0-7:2 has 4 tasks, up to 6."""
    chance = random.Random(0)
    for _ in range(40):
        first, step, count = (chance.randint(low, 30) for low in (0, 1, 1))
        numbers = [first + step * n for n in range(count)]
        shares = [shard.share("slurm", task) for task in tasks(numbers, step)]
        assert shares == [f"{n}/{count}" for n in range(1, count + 1)]


def test_of_an_array_with_holes_no_task_runs_a_share_that_another_lacks():
    """Whatever numbers are left out, and whatever step SLURM calls it: a task is refused,
    or all of the tasks are all shares."""
    chance = random.Random(1)
    for _ in range(300):
        numbers = sorted(chance.sample(range(12), chance.randint(2, 7)))
        step = chance.choice([1, 1, 2, 3])
        shares, refused = [], 0
        for task in tasks(numbers, step):
            try:
                shares.append(shard.share("slurm", task))
            except Refusal as refusal:
                refused += 1
                assert "has holes" in str(refusal)
        whole = [f"{n}/{len(numbers)}" for n in range(1, len(numbers) + 1)]
        assert refused or shares == whole
        row = numbers == list(range(numbers[0], numbers[-1] + 1))
        if step == 1:  # as SLURM sets it where numbers are listed: all run, or none
            assert shares == (whole if row else [])


@pytest.mark.parametrize("name", shard.VARIABLES)
@pytest.mark.parametrize("value", [None, "", "one", "-1", "1.5", str(2**32)])
def test_what_slurm_does_not_set_is_named(name, value, monkeypatch, capsys):
    for each, text in tasks([1, 2], 1)[0].items():
        monkeypatch.setenv(each, text)
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    assert main(["run", "gradient_flow", "--shard", "slurm", "--dry-run"]) == 2
    line = capsys.readouterr().err
    assert name in line and line.count("\n") == 1


def test_numbers_of_another_arrays_task_are_refused():
    for wrong in ({"ID": "9"}, {"STEP": "0"}, {"COUNT": "0"}, {"MIN": "2"}):
        task = tasks([1, 2, 3], 1)[0]
        task |= {f"SLURM_ARRAY_TASK_{n}": value for n, value in wrong.items()}
        with pytest.raises(Refusal, match="--shard slurm"):
            shard.share("slurm", task)


def test_shares_that_are_counted_from_0_are_told_how_they_are_counted(capsys):
    assert main(["run", "gradient_flow", "--shard", "0/4", "--dry-run"]) == 2
    line = capsys.readouterr().err
    assert "1/4 to 4/4" in line and "--shard slurm" in line
