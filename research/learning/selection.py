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

SLOW = 0.02  # of the loss: what falls by less in a tenth of the steps has come to rest
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


def unfinished(outcome: Outcome, by: By, falls: bool) -> bool:
    """Whether the steps ended before the question was answered.

    That is where the training loss still fell (`falls`, see `falling`), but not by steps
    where every run that ended has been at the target, nor by accuracy where all of what
    was trained on is right. A loss that has come to rest is an answer.
    """
    answered = {
        "steps": outcome.reached >= outcome.ended,
        "accuracy": outcome.accuracy >= 1,
        "loss": False,
    }
    return falls and not answered[by]


def falling(losses: Sequence[float]) -> bool:
    """Whether a training loss still fell when the steps ended.

    losses: of every step. Their mean over the last tenth is below that over the tenth
    before by more than two standard errors, and by more than SLOW of what is left. Of
    fewer than 20 steps nothing is known, and the answer is yes.
    """
    tenth = len(losses) // 10
    if tenth < 2:
        return True
    before, last = losses[-2 * tenth : -tenth], losses[-tenth:]
    error = math.sqrt((_variance(before) + _variance(last)) / tenth)
    rest = sum(last) / tenth
    return sum(before) / tenth - rest > max(2 * error, SLOW * rest)


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)
