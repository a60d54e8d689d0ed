"""Which setting of a method is its best: one rule, by training alone.

Methods are compared each at the best of one grid of settings, learning rates as a rule.
The best is the one that does best, in training, what the study asks about, its `by`:

- "steps": most runs at the target; where there is a choice, one that is still there at
  the end; then the fewest steps to it.
- "accuracy": the largest share right of what was trained on, at the end.
- "loss": the least training loss at the end. A diverged run's is infinite, so settings
  at which fewer runs diverge come first.

A setting of which every run diverged is not chosen while another has one that ended.
Ties go to the steps, then to the accuracy, and then to the first setting; not to the loss,
whose last digits would choose among settings that have learned nothing. Test data are
never looked at: the best of several tests is no fair test. A choice is as good as its grid
and its budget: `at_edge` and `unfinished` say where these were too small.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

By = Literal["steps", "accuracy", "loss"]


class Outcome(NamedTuple):
    """What the runs of one setting gave in training.

    ended: the share that did not diverge. reached: the share at the target.
    stayed: whether they are there at the end as well. steps: to the target, the median.
    loss, accuracy: at the end.
    """

    ended: float = 1.0
    reached: float = 0.0
    stayed: bool = True
    steps: float = math.inf
    loss: float = math.inf
    accuracy: float = 0.0


def outcome(row: Mapping[str, Any], target: float | None = None) -> Outcome:
    """The outcome of a row of `training.result`, or of what has its columns.

    target: the share right whose reaching `steps_to_target` is about.
    """
    steps, accuracy = row.get("steps_to_target"), row.get("train_accuracy")
    ended, loss = 1.0 - row.get("diverged", 0.0), row.get("train_loss")
    if loss is None or not math.isfinite(loss) or ended < 1:
        loss = math.inf
    return Outcome(
        ended,
        # The share of runs that got there counts those that diverged afterwards.
        min(row.get("reached", 0.0), ended),
        target is None or (accuracy is not None and accuracy >= target),
        math.inf if steps is None else steps,
        loss,
        0.0 if accuracy is None else accuracy,
    )


def merit(outcome: Outcome, by: By) -> tuple[Any, ...]:
    """What the best outcome has most of: by the question, and then by what ties go to."""
    questions: dict[str, tuple[Any, ...]] = {
        "steps": (outcome.reached, outcome.stayed, -outcome.steps),
        "accuracy": (outcome.accuracy,),
        "loss": (outcome.ended, -outcome.loss),
    }
    return (
        outcome.ended > 0,
        *questions[by],
        *questions["steps"],
        *questions["accuracy"],
    )


def best(outcomes: Sequence[Outcome], by: By) -> int:
    """The place of the best outcome."""
    return max(range(len(outcomes)), key=lambda place: merit(outcomes[place], by))


def at_edge(settings: Sequence[float], place: int) -> bool:
    """Whether no lower, or no higher, setting was tried than the one at `place`."""
    return settings[place] in (min(settings), max(settings))


def unfinished(outcome: Outcome, by: By, losses: Sequence[float] = ()) -> bool:
    """Whether the steps ended before the question was answered.

    By steps where a run that ended never got to the target; otherwise where the training
    loss still fell: its mean over the last tenth of `losses`, the curve, is below that
    over the tenth before by more than two standard errors.
    """
    if by == "steps":
        return outcome.reached < outcome.ended
    tenth = len(losses) // 10
    if tenth < 2:
        raise ValueError(f"a curve of {len(losses)} points has no tenths")
    before, last = losses[-2 * tenth : -tenth], losses[-tenth:]
    error = math.sqrt((_variance(before) + _variance(last)) / tenth)
    return sum(before) / tenth - sum(last) / tenth > 2 * error


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)
