"""`trainability` and `max_trainable_depth` ask whether a net trains, and agree on it."""

import pytest

from depthbench.benchmarks.max_trainable_depth import study as searching
from depthbench.benchmarks.max_trainable_depth.search import ladder
from depthbench.benchmarks.trainability import study as sweeping
from depthbench.research.study import trials
from depthbench.research.study.declaration import chosen_values, grid


def standard(study, **given):
    """The standard cell of a net that several studies have."""
    (cell,) = grid(study, chosen_values(study, "standard", given))
    return cell


def net(activation, initializer):
    return {
        "architecture": ("mlp",),
        "activation": (activation,),
        "initializer": (initializer,),
        "normalizer": ("none",),
        "optimizer": ("adam",),
    }


@pytest.mark.parametrize(
    ("activation", "initializer", "depths"),
    # A net that trains to 4 layers at a rate beyond the first three, and not to 8.
    [("sigmoid", "he_normal", (4, 8)), ("relu", "critical", (4,))],
)
def test_a_net_trains_in_both_or_in_neither(activation, initializer, depths):
    """At the same grid of rates, wider alike, with the same draws and batches."""
    one = net(activation, initializer)
    searched = {**trials.DEFAULTS, **standard(searching.STUDY, **one)}
    trainer = searching.Trainer(searched, max(depths), 8, {}, {})
    assert ladder(lambda depth: True, 8).grid[-1] == 8
    for depth in depths:
        cell = standard(sweeping.STUDY, **one, depth=(depth,))
        shared = (
            "rates",
            "further_rates",
            "target",
            "seeds",
            "steps",
            "batch",
            "width",
        )
        assert [cell[name] for name in shared] == [searched[name] for name in shared]
        (swept,) = trials.measure(
            [cell],
            2**30,
            sweeping.settings,
            lambda cell, result: result,
            cell["target"],
        )
        trains = trainer.trains(depth)
        assert (swept.values["trained"] > 0.5) == trains
        there = trainer.tries[depth]
        if swept.values["best_rate"] == there.rate:
            ended = trainer.train(depth, trainer.runs(there.rate, cell["seeds"]))
            assert swept.values["right"] == pytest.approx(
                sum(ended.right) / len(ended.right), abs=1e-12
            )


def test_what_is_seen_of_the_two_rules_cannot_differ():
    """Most of the seeds at the target, at the end: of any outcomes of the runs."""
    cell = {**trials.DEFAULTS, **standard(searching.STUDY, **net("relu", "critical"))}
    trainer = searching.Trainer(cell, 2, 8, {}, {})
    for right in ([0.9, 0.9, 0.1], [0.9, 0.1, 0.1], [1.0] * 3, [0.0] * 3, [0.8999] * 3):
        assert trainer.good(right) == (trainer.share(right) > 0.5)
