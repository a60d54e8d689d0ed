"""One rule for the best setting: what it must do whatever the numbers are."""

import itertools
import math
import random

import pytest

from depthbench.research.learning import selection
from depthbench.research.learning.selection import (
    Outcome,
    at_edge,
    best,
    merit,
    outcome,
)

QUESTIONS = ("steps", "loss", "accuracy", "trained")
BETTER = {
    "steps": {"reached": 1.0, "stayed": True, "steps": 1.0},
    "loss": {"loss": 1e-3},
    "accuracy": {"accuracy": 1.0},
    "trained": {"trained": 1.0, "right": 1.0},
}
every = pytest.mark.parametrize("by", QUESTIONS)


def drawn(random, ended=(1 / 3, 2 / 3, 1.0)):
    """Some outcome; values are few, so that there are ties."""
    return Outcome(
        random.choice(ended),
        random.choice((0.0, 1 / 3, 1.0)),
        random.choice((True, False)),
        random.choice((30.0, 90.0, math.inf)),
        random.choice((0.1, 1.0, math.inf)),
        random.choice((0.1, 0.91, 0.99)),
        random.choice((0.0, 1 / 3, 1.0)),
        random.choice((0.1, 0.91, 0.99)),
    )


def grids(count=300, **settings):
    for seed in range(count):
        source = random.Random(seed)
        yield source, [drawn(source, **settings) for _ in range(source.randint(2, 6))]


def row(draw):
    """A row as `training.result` makes it."""
    return {
        "diverged": draw.choice((0.0, 1 / 3, 1.0)),
        "reached": draw.choice((0.0, 1.0)),
        "steps_to_target": draw.choice((None, 30.0, 90.0)),
        "train_loss": draw.choice((None, math.nan, 0.1, 1.0)),
        "train_accuracy": draw.choice((None, 0.5, 0.99)),
        "test_loss": draw.random(),
        "test_accuracy": draw.random(),
        "test_accuracy_low": draw.random(),
    }


@every
def test_test_data_are_never_looked_at(by):
    for seed in range(200):
        draw = random.Random(seed)
        rows = [row(draw) for _ in range(4)]
        chosen = best([outcome(r, 0.9) for r in rows], by)
        tests = [{n: v for n, v in r.items() if n.startswith("test")} for r in rows]
        for shuffled in itertools.permutations(tests):
            other = [r | t for r, t in zip(rows, shuffled, strict=True)]
            assert best([outcome(r, 0.9) for r in other], by) == chosen
        bare = [r | dict.fromkeys(tests[0], math.nan) for r in rows]
        assert best([outcome(r, 0.9) for r in bare], by) == chosen


@every
def test_a_diverged_setting_never_wins_while_another_ended(by):
    for draw, outcomes in grids():
        dead = draw.randrange(len(outcomes))
        perfect = Outcome(0.0, 1.0, True, 1.0, 0.0, 1.0)
        outcomes[dead] = perfect
        assert best(outcomes, by) != dead
        assert best([perfect] * 3, by) == 0


@every
def test_what_becomes_better_is_still_the_best(by):
    for draw, outcomes in grids():
        place = best(outcomes, by)
        name, value = draw.choice(list(BETTER[by].items()))
        improved = list(outcomes)
        improved[place] = outcomes[place]._replace(**{name: value})
        assert merit(improved[place], by) >= merit(outcomes[place], by)
        assert best(improved, by) == place


@every
def test_the_choice_is_that_of_every_order_but_for_equals(by):
    for draw, outcomes in grids(100):
        chosen = outcomes[best(outcomes, by)]
        shuffled = draw.sample(outcomes, len(outcomes))
        assert merit(shuffled[best(shuffled, by)], by) == merit(chosen, by)
        # Between two it does not matter which others there are.
        for other in outcomes:
            assert best([chosen, other], by) == 0


@every
def test_the_question_decides_before_the_others(by):
    good = Outcome()._replace(**BETTER[by], ended=1.0)
    others = {n: v for name in QUESTIONS if name != by for n, v in BETTER[name].items()}
    assert best([Outcome()._replace(**others), good], by) == 1


def test_the_questions_disagree_where_they_must():
    slow, fast = Outcome(1, 1, True, 90, 0.1, 0.99), Outcome(1, 1, True, 30, 0.4, 0.91)
    assert [best([slow, fast], by) for by in QUESTIONS] == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("by", "outcomes", "place"),
    [
        ("accuracy", [Outcome(accuracy=1, steps=90), Outcome(accuracy=1, steps=30)], 1),
        ("accuracy", [Outcome(accuracy=1, loss=2), Outcome(accuracy=1, loss=1)], 0),
        ("steps", [Outcome(accuracy=0.1, loss=2), Outcome(accuracy=0.1, loss=1)], 0),
        ("loss", [Outcome(loss=1, accuracy=0.5), Outcome(loss=1, accuracy=0.6)], 1),
        ("steps", [Outcome(loss=1, accuracy=0.5), Outcome(loss=2, accuracy=0.6)], 1),
        ("steps", [Outcome(), Outcome()], 0),
        # It did not stay there.
        ("steps", [Outcome(1, 1, False, 10), Outcome(1, 1, True, 90)], 1),
        # One of three runs diverged, and the loss is that of the others.
        ("loss", [Outcome(2 / 3, loss=0.1), Outcome(loss=2)], 1),
        ("steps", [Outcome(), Outcome(2 / 3, 2 / 3, True, 30)], 1),
    ],
)
def test_ties_go_to_the_others(by, outcomes, place):
    assert best(outcomes, by) == place


def test_a_row_of_diverged_runs_has_no_loss_and_reached_nothing():
    values = {"diverged": 1.0, "reached": 1.0, "steps_to_target": 3.0}
    diverged = outcome(values | {"train_loss": None, "train_accuracy": 0.95}, 0.9)
    assert (diverged.ended, diverged.reached, diverged.loss) == (0.0, 0.0, math.inf)
    some = {"diverged": 1 / 3, "reached": 1.0, "train_loss": 0.1}
    assert outcome(some)[:2] == pytest.approx((2 / 3, 2 / 3))
    assert outcome(some).loss == math.inf


def test_the_edge_of_a_grid():
    rates = (0.1, 1.0, 0.01, 10.0)  # in any order
    edges = [
        at_edge(
            rates,
            [Outcome()._replace(**BETTER[by] if n == p else {}) for n in range(4)],
            by,
        )
        for by in QUESTIONS
        for p in range(4)
    ]
    assert edges == [False, False, True, True] * len(QUESTIONS)
    assert at_edge((0.1,), [Outcome()], "loss")  # nothing else was tried


@every
def test_a_setting_no_better_than_the_next_within_is_at_no_edge(by):
    """A net that learns nothing at any rate has no best one."""
    assert not at_edge((0.1, 1.0), [Outcome(), Outcome()], by)
    alike = {"loss": 1.0, "accuracy": 0.1, "right": 0.1}
    near = {"loss": 0.995, "accuracy": 0.105, "right": 0.105}
    outcomes = [Outcome(**alike), Outcome(**near), Outcome(**alike)]
    assert not at_edge((0.1, 10.0, 1.0), outcomes, by)
    assert at_edge((0.1, 10.0, 1.0), [Outcome(), Outcome(**BETTER[by]), Outcome()], by)
    # Nor is it one beyond which all runs diverge: that was tried.
    assert not at_edge(
        (0.1, 1.0, 10.0), [Outcome(), Outcome(**BETTER[by]), Outcome(ended=0.0)], by
    )


@every
@pytest.mark.parametrize("high", [True, False])
def test_a_grid_is_made_wider_until_the_best_is_within(by, high):
    grid = [0.01, 0.02, 0.04] if high else [1.0, 2.0, 4.0]
    within = [Outcome(), Outcome(**BETTER[by]), Outcome()]
    assert selection.beyond(grid, grid, within, by, most=2) is None
    rates, good = list(grid), Outcome(**BETTER[by])
    while True:
        best_rate = max(rates) if high else min(rates)
        outcomes = [good if rate == best_rate else Outcome() for rate in rates]
        further = selection.beyond(grid, rates, outcomes, by, most=2)
        if further is None:
            break
        rates.append(further)
    assert rates[3:] == ([0.08, 0.16] if high else [0.5, 0.25])
    assert at_edge(rates, outcomes, by)  # as far as was tried
    assert selection.beyond([0.1], [0.1], [good], by, most=2) is None
    assert selection.beyond(grid, grid, [good, Outcome(), good], by, most=0) is None
    # Where every run diverges, lower ones are tried.
    diverged = [Outcome(ended=0.0)] * 3
    assert at_edge(grid, diverged, by)
    lower = selection.beyond(grid[::-1], grid[::-1], diverged, by, most=2)
    assert lower == grid[0] / 2


def test_the_budget_ended_first():
    assert selection.unfinished(Outcome(1, 2 / 3), "steps", falls=True)
    assert not selection.unfinished(Outcome(2 / 3, 2 / 3), "steps", falls=True)
    assert selection.unfinished(Outcome(accuracy=0.99), "accuracy", falls=True)
    assert not selection.unfinished(Outcome(accuracy=1.0), "accuracy", falls=True)
    assert selection.unfinished(Outcome(accuracy=1.0), "loss", falls=True)
    for by in QUESTIONS:
        assert not selection.unfinished(Outcome(), by, falls=False)


def test_a_loss_that_still_fell():
    noise = random.Random(0)
    steep = [2 - 0.01 * n + 0.02 * noise.random() for n in range(100)]
    level = [1 + noise.random() for _ in range(100)]
    slow = [2 - 0.0001 * n for n in range(100)]  # surely falls, by .05 % a tenth
    assert selection.falling(steep)
    assert not selection.falling(steep[::-1])
    assert not selection.falling(level)
    assert not selection.falling(slow)
    assert not selection.falling([value - 1.98 for value in slow][:20])
    assert selection.falling([0.9**n for n in range(100)])
    assert selection.falling(level[:19])  # too few to say
