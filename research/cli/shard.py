"""The flag --shard: which share of a run's cells, as it is typed or as SLURM numbers it."""

from collections.abc import Mapping

from depthbench.research.catalogues.axes import integer
from depthbench.research.study.errors import Refusal

MOST = 10**6
SLURM = "slurm"
# What SLURM sets in each task of a job array (slurm.schedmd.com/job_array.html).
VARIABLES = tuple(
    f"SLURM_ARRAY_TASK_{n}" for n in ("ID", "MIN", "MAX", "STEP", "COUNT")
)


def share(text: str, environment: Mapping[str, str]) -> str:
    """A share "I/N", written in one way; of "slurm", that of the task of a job array.

    Raises Refusal.

    >>> share("02/4", {})
    '2/4'
    """
    if text == SLURM:
        return of_task(environment)
    numbers = [integer(part) for part in text.split("/")]
    match numbers:
        case [int(number), int(count)] if 1 <= number <= count <= MOST:
            return f"{number}/{count}"
        case [0, int(count)] if 1 <= count <= MOST:
            raise Refusal(
                f"--shard {text}: shares are counted from 1: 1/{count} to {count}/{count}; "
                "in a SLURM array, which may begin at 0, --shard slurm"
            )
    raise Refusal(f"--shard {text}: must be I/N with 1 ≤ I ≤ N ≤ {MOST:,}, or slurm")


def of_task(environment: Mapping[str, str]) -> str:
    """The share "I/N" of a task of a SLURM array, which may begin anywhere and have steps.

    Raises Refusal outside of an array, and in one with holes: of tasks 1, 2 and 5 none
    knows which number it is, and a share that two take is one that none takes.

    >>> share("slurm", dict(zip(VARIABLES, ("4", "0", "6", "2", "4"))))
    '3/4'
    """
    task, low, high, step, count = (_number(name, environment) for name in VARIABLES)
    if not (step >= 1 and count >= 1 and low <= task <= high):
        typed = ", ".join(f"{name} {environment[name]}" for name in VARIABLES)
        raise Refusal(f"--shard slurm: no such array: {typed}")
    place, beside = divmod(task - low, step)
    if (high - low) // step + 1 != count or beside or not place < count <= MOST:
        raise Refusal(
            f"--shard slurm: the array has holes: {count} tasks from {low} to {high} in "
            f"steps of {step}; number them in a row: sbatch --array=1-{count}"
        )
    return f"{place + 1}/{count}"


def _number(name: str, environment: Mapping[str, str]) -> int:
    text = environment.get(name)
    if text is None:
        raise Refusal(
            f"--shard slurm: {name} is not set; SLURM sets it in the tasks of an array: "
            "sbatch --array=1-8"
        )
    number = integer(text)
    if number is None or not 0 <= number < 2**32:
        raise Refusal(f"--shard slurm: {name} is {text!r}, not a whole number")
    return number
