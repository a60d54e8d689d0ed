"""A run that diverges at any step, also the first, is diverged wherever it is read."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.benchmarks.max_trainable_depth.trainer import Trainer
from depthbench.research.learning import examples, feed, sweeps, training
from depthbench.research.learning import system as systems
from depthbench.research.learning.sweeps import Problem, Run
from depthbench.research.learning.system import LARGEST, ONGOING, System

NEVER = 99


def step(tree, hyper, batch, moment):
    """A loss that is `hyper.value` from step `hyper.at` on, and 1 before."""
    at, value = hyper
    reached = moment.step.astype(jnp.float32) >= at
    return tree + 1.0, {"loss": jnp.where(reached, value, 1.0)}


def measure(tree, batch):
    return {"loss": jnp.full(batch["inputs"].shape[:1], tree)}


SYSTEM = System(lambda key, hyper: jnp.float32(0.0), step, measure)
DATA = {"inputs": np.ones((4, 2), np.float32)}
SIZES = {"train": 4, "test": 4}
BAD = {"nan": np.nan, "infinity": np.inf, "as large as it may not be": LARGEST}
values = pytest.mark.parametrize("value", BAD.values(), ids=BAD)


def train(*runs, steps=6):
    runs = [Run(seed, hyper) for seed, hyper in enumerate(runs)]
    return sweeps.train(Problem(SYSTEM, feed.whole, DATA, DATA, DATA), runs, steps)


@values
@pytest.mark.parametrize("at", [0, 1, 5])
def test_a_run_stops_at_the_step_that_was_too_much(value, at):
    state = systems.start(jnp.float32(0.0), jax.random.key(0))
    for number in range(6):
        state, _ = systems.step(SYSTEM, state, (at, value), DATA)
        since = int(systems.diverged_at(state.diverged))
        assert since == (at if number >= at else ONGOING)
    bad, good = train((at, value), (NEVER, value))
    assert (bad.diverged, good.diverged) == (at, None)
    goes_on = bool(np.isfinite(value))  # what is large may yet recover
    assert np.all(np.isnan(bad.log["loss"][at + 1 :]) != goes_on)


@pytest.mark.parametrize("at", [0, 3])
def test_its_row_says_so(at):
    lost = training.result(train((at, np.nan), (at, np.inf)), 0.9, SIZES)
    assert lost.status == "diverged" and f"from step {at}" in lost.reason
    assert (lost.values["diverged"], lost.values["diverged_at"]) == (1.0, at)
    half = training.result(train((at, np.nan), (NEVER, 0.0)), 0.9, SIZES)
    assert half.status == "ok"
    assert (half.values["diverged"], half.values["diverged_at"]) == (0.5, at)
    none = training.result(train((NEVER, 0.0)), 0.9, SIZES)
    assert (none.values["diverged"], none.values["diverged_at"]) == (0.0, None)


class Planted(Trainer):
    """A trainer whose one call ends with `stopped` [runs], and everything right."""

    def state(self, depth, group):
        return None

    def program(self, depth, arguments, runs):
        ended = SimpleNamespace(
            diverged=np.asarray(self.programs["stopped"]), step=np.int32(20)
        )
        every = np.ones((len(ended.diverged), 20), np.float32)
        log = {"accuracy": every, "loss": every}
        return SimpleNamespace(call=lambda *given: (ended, log))


@pytest.mark.parametrize("at", [0, 7])
def test_a_search_for_a_depth_counts_it_and_sees_no_test_data(at, monkeypatch):
    from depthbench.research.learning import recipe

    monkeypatch.setattr(examples, "batches", lambda recipe: (DATA, None))
    monkeypatch.setattr(sweeps, "grouped", lambda runs, at_a_time: [runs])
    settings = {**recipe.DEFAULTS, "steps": 20, "seeds": 2, "target": 0.9, "rates": 1}
    trainer = Planted(settings, 4, 2, {"stopped": [at, ONGOING]}, {})
    ended = trainer.train(2, trainer.runs(1e-3, 2))
    assert ended.diverged == [True, False] and ended.right == [0.0, 1.0]
