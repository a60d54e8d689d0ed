"""Which setting of a method is its best: one rule, by training alone.

Methods are compared each at the best of one grid of settings, learning rates as a rule.
The best is the one that does best, in training, what the study asks about, its `by`:

- "steps": most runs at the target; where there is a choice, one that is still there at
  the end; then the fewest steps to it.
- "accuracy": the largest share right of what was trained on, at the end.
- "trained": most runs at the target at the end; then the largest share right there.
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

MOST = 4  # settings that are added to a grid at an end, as long as the best is there
ALIKE = 0.01  # accuracies no further apart, and losses as a share, are no different
SLOW = 0.02  # of the loss: what falls by less in a tenth of the steps has come to rest
REST = 0.05  # of the loss: and what falls by less in the second half of them
By = Literal["steps", "accuracy", "trained", "loss"]


class Outcome(NamedTuple):
    """What the runs of one setting gave in training.

    ended: the share that did not diverge. reached: the share at the target.
    stayed: whether they are there at the end as well. steps: to the target, the median.
    loss, accuracy: at the end. trained: the share that end at the target. right: the
    share right of the last batches.
    """

    ended: float = 1.0
    reached: float = 0.0
    stayed: bool = True
    steps: float = math.inf
    loss: float = math.inf
    accuracy: float = 0.0
    trained: float = 0.0
    right: float = 0.0


def outcome(row: Mapping[str, Any], target: float | None = None) -> Outcome:
    """The outcome of a row of `training.result`, or of what has its columns.

    target: the share right whose reaching `steps_to_target` is about.

    >>> outcome({"train_loss": 0.25, "train_accuracy": 0.9, "diverged": 0.0}).loss
    0.25
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
        row.get("trained", 0.0),
        row.get("right", 0.0),
    )


def merit(outcome: Outcome, by: By) -> tuple[Any, ...]:
    """What the best outcome has most of: by the question, and then by what ties go to.

    >>> merit(Outcome(loss=0.1), "loss") > merit(Outcome(loss=0.2), "loss")
    True
    """
    questions: dict[str, tuple[Any, ...]] = {
        "steps": (outcome.reached, outcome.stayed, -outcome.steps),
        "accuracy": (outcome.accuracy,),
        "trained": (outcome.trained, outcome.right),
        "loss": (outcome.ended, -outcome.loss),
    }
    return (
        outcome.ended > 0,
        *questions[by],
        *questions["steps"],
        *questions["accuracy"],
    )


def best(outcomes: Sequence[Outcome], by: By) -> int:
    """The place of the best outcome.

    >>> best([Outcome(accuracy=0.5), Outcome(accuracy=0.9)], "accuracy")
    1
    """
    return max(range(len(outcomes)), key=lambda place: merit(outcomes[place], by))


def at_edge(settings: Sequence[float], outcomes: Sequence[Outcome], by: By) -> bool:
    """Whether the best setting is the lowest or the highest, and might be better beyond.

    Where it is no better than the next one within, nothing changes towards the edge: as
    of a net that has learned nothing at any setting. A single setting is at the edge, and
    so is the best of those at all of which every run diverges.

    >>> losses = [Outcome(loss=loss) for loss in (0.3, 0.2, 0.1)]
    >>> at_edge([0.01, 0.1, 1.0], losses, "loss")
    True
    >>> at_edge([0.01, 1.0, 0.1], losses, "loss")
    False
    """
    place = best(outcomes, by)
    if outcomes[place].ended == 0:
        return True
    if min(settings) < settings[place] < max(settings):
        return False
    others = [n for n in range(len(settings)) if settings[n] != settings[place]]
    if not others:
        return True
    next_within = min(others, key=lambda n: abs(settings[n] - settings[place]))
    return _better(outcomes[place], outcomes[next_within], by)


def _better(one: Outcome, other: Outcome, by: By) -> bool:
    """Whether an outcome is better than another by more than ALIKE."""
    questions = {
        "steps": (one.reached, one.steps) != (other.reached, other.steps)
        or one.accuracy > other.accuracy + ALIKE,
        "accuracy": one.accuracy > other.accuracy + ALIKE,
        "trained": one.trained != other.trained or one.right > other.right + ALIKE,
        "loss": one.loss < other.loss * (1 - ALIKE),
    }
    return one.ended != other.ended or questions[by]


def beyond(
    grid: Sequence[float],
    settings: Sequence[float],
    outcomes: Sequence[Outcome],
    by: By,
    most: int,
) -> float | None:
    """The setting to try next where the best is at the edge of those that were tried.

    It lies as far beyond as the grid's last two at that end are apart, as a ratio. None
    where the best is at no edge, where `most` were tried beyond the grid at that end, or
    where the grid is a single one. Where every run diverges it is a lower one.

    >>> losses = [Outcome(loss=loss) for loss in (0.3, 0.2, 0.1)]
    >>> beyond([0.01, 0.1, 1.0], [0.01, 0.1, 1.0], losses, "loss", most=4)
    10.0
    """
    ends = sorted(set(grid))
    if len(ends) < 2 or not at_edge(settings, outcomes, by):
        return None
    place = best(outcomes, by)
    chosen = settings[place] if outcomes[place].ended else min(settings)
    if chosen == max(settings):
        ratio, added = ends[-1] / ends[-2], sum(s > ends[-1] for s in set(settings))
    else:
        ratio, added = ends[0] / ends[1], sum(s < ends[0] for s in set(settings))
    return float(f"{chosen * ratio:.4g}") if added < most and ratio > 0 else None


def unfinished(outcome: Outcome, by: By, falls: bool) -> bool:
    """Whether the steps ended before the question was answered.

    That is where the training loss still fell (`falls`, see `falling`), but not by steps
    where every run that ended has been at the target, nor by accuracy where all of what
    was trained on is right. A loss that has come to rest is an answer.

    >>> unfinished(Outcome(loss=0.1), "loss", falls=True)
    True
    >>> unfinished(Outcome(accuracy=1.0), "accuracy", falls=True)
    False
    """
    answered = {
        "steps": outcome.reached >= outcome.ended,
        "accuracy": outcome.accuracy >= 1,
        "trained": outcome.trained >= outcome.ended,
        "loss": False,
    }
    return falls and not answered[by]


def gained(sooner: Outcome, later: Outcome, by: By) -> bool:
    """Whether twice the steps made a setting better by what settings are chosen by.

    Two trainings, each with its own schedule. A rate that decays to 0 brings every loss to
    rest, so that how one ends says nothing of what more steps would give. By a share right
    better is by more than ALIKE, unless less than that is left; and by the loss by more
    than REST of it.

    >>> gained(Outcome(accuracy=0.90), Outcome(accuracy=0.95), "accuracy")
    True
    >>> gained(Outcome(accuracy=0.90), Outcome(accuracy=0.995), "accuracy")
    False
    >>> gained(Outcome(loss=0.101), Outcome(loss=0.100), "loss")
    False
    """
    before, after = number(sooner, by), number(later, by)
    if by == "loss":
        return before - after > REST * after
    return after - before > ALIKE and 1 - after > ALIKE


def half(steps: int) -> int:
    """Of so many steps, as many as `gained` asks of; one at least.

    >>> half(7), half(1)
    (3, 1)
    """
    return max(1, steps // 2)


def number(outcome: Outcome, by: By) -> float:
    """What of an outcome settings are chosen by: a loss, or a share.

    >>> number(Outcome(accuracy=0.9), "accuracy")
    0.9
    """
    return {
        "loss": outcome.loss,
        "steps": outcome.reached,
        "accuracy": outcome.accuracy,
        "trained": outcome.trained,
    }[by]


def falling(losses: Any) -> bool:
    """Whether a training loss still fell when the steps ended.

    losses: of every step [steps]. Their mean over the last tenth is below that over the
    tenth before by more than two standard errors, and by more than SLOW of what is left.
    Of fewer than 20 steps nothing is known, and the answer is yes.

    >>> falling([1.0 / step for step in range(1, 101)]), falling([0.5] * 100)
    (True, False)
    """
    tenth = len(losses) // 10
    if tenth < 2:
        return True
    before, last = losses[-2 * tenth : -tenth], losses[-tenth:]
    error = math.sqrt((_variance(before) + _variance(last)) / tenth)
    rest = sum(last) / tenth
    return bool(sum(before) / tenth - rest > max(2 * error, SLOW * rest))


def _variance(values: Any) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)
