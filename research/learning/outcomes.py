"""What the runs of a setting gave: by their logs, or on what is held out."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from depthbench.research.learning import selection, training
from depthbench.research.learning.selection import By, Outcome

LAST = training.WINDOW  # steps whose measures are a run's at its end


def chosen_by(
    worth: Callable[[Any], float], by: Literal["loss", "accuracy"] = "accuracy"
) -> Callable[[Sequence[Any]], Outcome]:
    """What `tuned` chooses by: the mean over runs of their worth on what is held out.

    worth: of a run: its loss, or a share right. Runs whose mean is no finite number have
    diverged. The loss of runs of which one has is ∞.

    >>> from types import SimpleNamespace
    >>> runs = [SimpleNamespace(diverged=None, right=share) for share in (0.25, 0.75)]
    >>> chosen_by(lambda run: run.right)(runs).accuracy
    0.5
    >>> chosen_by(lambda run: np.nan, "loss")(runs).loss
    inf
    """

    def outcome(runs: Sequence[Any]) -> Outcome:
        ended = sum(run.diverged is None for run in runs) / len(runs)
        mean = float(np.mean([worth(run) for run in runs]))
        if not np.isfinite(mean):
            return Outcome(ended=0.0)
        if by == "loss":
            return Outcome(ended=ended, loss=mean if ended == 1 else np.inf)
        return Outcome(ended=ended, accuracy=mean)

    return outcome


def held(part: Any) -> Callable[[Sequence[Any]], Outcome]:
    """What `tuned` chooses by: the accuracy of runs on a part (x, y) that is held out."""
    return chosen_by(lambda run: run.accuracy(*part))


def of_logs(runs: Sequence[Any]) -> Outcome:
    """The outcome of runs by their logs' last steps: loss, and accuracy where it is."""
    ended = [run for run in runs if run.diverged is None]
    accuracies = [at_end(run, "accuracy") for run in ended if "accuracy" in run.log]
    lost = len(ended) < len(runs)
    return Outcome(
        ended=len(ended) / len(runs),
        loss=np.inf if lost else float(np.mean([at_end(run, "loss") for run in ended])),
        accuracy=float(sum(accuracies) / len(runs)),
    )


def at_end(run: Any, name: str) -> float:
    """The mean of a measure over a run's last LAST steps."""
    return float(np.mean(np.asarray(run.log[name])[-LAST:], dtype=np.float64))


def falls(runs: Sequence[Any], by: By, seen: Outcome | None = None) -> bool | None:
    """Whether more steps might have changed the runs' training, whatever chose them.

    That is where the mean loss of their logs still fell at the end, unless all examples
    are right already, or all runs were trained (`seen`). None where no run has a loss.
    """
    if not any("loss" in run.log for run in runs):
        return None
    logs = [run.log["loss"] for run in runs if run.diverged is None]
    late = bool(logs) and selection.falling(np.mean(logs, 0, dtype=np.float64))
    told = seen if seen and by in ("steps", "trained") else of_logs(runs)
    return late and selection.unfinished(told, by, falls=True)
