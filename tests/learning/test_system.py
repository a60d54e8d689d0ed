"""Any system is trained by the same loop: the contract, and one with two nets."""

import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.engine import trainer
from depthbench.research.engine.order import Order
from depthbench.research.learning import feed, forms, loop, sharding, sweeps
from depthbench.research.learning import system as systems
from depthbench.research.learning.feed import Source
from depthbench.research.learning.system import LARGEST, ONGOING, System
from depthbench.research.study.errors import Refusal
from tests import forged


@pytest.fixture(scope="module")
def page(root):
    """The code of docs/systems.md, as a module."""
    text = (root / "docs" / "systems.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    module = types.ModuleType("page")
    module.blocks = blocks
    exec("\n".join(blocks), vars(module))
    return module


def plain(tree):
    """A tree's arrays, keys as numbers."""
    is_key = lambda a: jnp.issubdtype(a.dtype, jax.dtypes.prng_key)
    return [
        np.asarray(jax.random.key_data(a) if is_key(a) else a)
        for a in jax.tree.leaves(tree)
    ]


@pytest.fixture(scope="module")
def game(page, tmp_path_factory):
    """Two nets of the page, trained and resumed by its own code."""
    return page.trained(tmp_path_factory.mktemp("gan"))


def test_a_system_of_two_nets_is_resumed_bit_for_bit(game):
    whole, resumed, _, _ = game
    assert forms.digest(whole) == forms.digest(resumed)
    assert whole.step.tolist() == [40] * 4
    assert whole.diverged.tolist() == [ONGOING] * 4


def test_its_measures_and_nets_have_names(game):
    _, _, log, gradients = game
    assert {name: array.shape for name, array in log.items()} == {
        "maker": (4, 40),
        "judge": (4, 40),
    }
    assert np.all(np.isfinite(log["judge"])) and np.all(np.isfinite(log["maker"]))
    assert set(gradients) == {"maker", "judge"}
    for states, layers in gradients.values():
        assert states.shape == (4, 3) and layers.shape == (4, 2)
        assert np.all(np.isfinite(states)) and np.all(np.isfinite(layers))


def test_two_nets_learn_and_rates_differ(game):
    """The judge gets better than it was; where the maker follows, it ends at 2 ln 2."""
    _, _, log, _ = game
    judge = np.asarray(log["judge"])
    assert np.all(judge.min(axis=1) < judge[:, 0] - 0.01)
    assert np.all(np.abs(judge[:2, -1] - judge[2:, -1]) > 1e-4)


def test_a_member_of_two_nets_is_the_run_alone(page, game):
    _, _, log, _ = game
    hyper = page.ADAM.hyper(learning_rate=1e-2, momentum=0.5)
    alone = sweeps.programs(page.GAN, page.points, 40)
    seed, numbers = sweeps.arguments([sweeps.Run(1, hyper)])
    _, log_alone = alone.advance(alone.init(seed, numbers), numbers, (), np.int32(40))
    # Sums in another order, grown over 40 steps of Adam, which divides by small roots.
    np.testing.assert_allclose(log_alone["judge"], log["judge"][3], rtol=1e-2)


def test_two_nets_are_split_over_devices(page, game):
    """Parameters and averages are, and a batch is; the numbers are one device's."""
    _, _, log, _ = game
    hyper = page.ADAM.hyper(learning_rate=1e-2, momentum=0.5)
    mesh = sharding.mesh(sharding.Shape(parameters=2))
    programs = sweeps.programs(page.GAN, page.points, 40, mesh=mesh)
    seed, numbers = sweeps.arguments([sweeps.Run(0, hyper)])
    state = programs.init(seed, numbers)
    for leaf in jax.tree.leaves(state.tree["nets"]["maker"]):
        assert leaf.addressable_shards[0].data.size * 2 == leaf.size
    _, split_log = programs.advance(state, numbers, (), np.int32(5))
    np.testing.assert_allclose(split_log["judge"][:5], log["judge"][2, :5], rtol=1e-3)


def test_the_page_counts_its_lines(page):
    (system,) = [block for block in page.blocks if "GAN = System" in block]
    assert len([line for line in system.splitlines() if line.strip()]) == 24


def test_the_loop_on_disk_takes_any_system(page, tmp_path, capsys):
    """Reports by the names of measures and nets; the last step's state is made again."""
    rule = page.ADAM.hyper(learning_rate=1e-2, momentum=0.5)
    runs = [sweeps.Run(seed, rule) for seed in range(2)]
    batch = page.points((), 0)(jax.random.key(1), 0)
    source = Source(page.points, 5, lambda state, count: (), batch, batch)
    settings = {"steps": 10, "dtype": "float32", "system": "gan"}
    order = Order(settings, report_every=5, checkpoint_seconds=0.01, accept=False)
    work = trainer.Work(page.GAN, source, runs, memory=2**20)
    out = tmp_path / "run"
    ready = lambda mesh: work
    assert trainer.main(order, ready, out, lambda folder: None) == 0
    names = [
        f"{part}_{net}" for part in ("train", "test") for net in ("judge", "maker")
    ]
    names += [
        f"log10_{of}_{n}"
        for of in ("gradient", "parameter")
        for n in ("judge", "maker")
    ]
    path = out / "reports" / "000000010.npz"
    with np.load(path) as arrays:
        assert set(arrays) == {*names, "diverged"}
        assert arrays["log10_gradient_maker"].shape == (2, 3)
    before = path.read_bytes()
    (out / "checkpoints" / "10").rename(tmp_path / "away")
    path.unlink()
    assert trainer.main(order, ready, out, lambda folder: None) == 0
    assert path.read_bytes() == before
    forged.edited(out, layout=1)  # as an earlier version wrote it
    with pytest.raises(Refusal, match=r"laid out otherwise: .* choose another --out"):
        trainer.main(order, ready, out, lambda folder: None)


# ------------------------------------------------------------- the contract, by hand


def count(tree, hyper, batch, moment):
    """Adds what it is fed; notes the moment. Watches its sum."""
    total = tree["total"] + hyper["rate"] * batch["inputs"]
    measures = {"at": moment.step.astype(jnp.float32), "sum": total}
    return {"total": total}, measures


COUNTER = System(
    init=lambda key, hyper: {"total": jnp.zeros(())},
    step=count,
    measure=lambda tree, batch: {"off": batch["inputs"] - tree["total"]},
    watch="sum",
)


def ones(data, first):
    return lambda key, step: {"inputs": jnp.ones(())}


def counted(steps, rate=1.0, feeds=ones, data=()):
    programs = sweeps.programs(COUNTER, feeds, 8)
    seed, hyper = sweeps.arguments([sweeps.Run(0, {"rate": rate})])
    state = programs.init(seed, hyper)
    return programs.advance(state, hyper, data, np.int32(steps))


def test_a_step_is_told_when_it_is_and_the_log_has_its_measures():
    state, log = counted(5, rate=0.5)
    assert float(state.tree["total"]) == 2.5 and int(state.step) == 5
    np.testing.assert_array_equal(log["at"][:5], np.arange(5))
    np.testing.assert_array_equal(log["sum"][:5], 0.5 * np.arange(1, 6))
    assert np.all(np.isnan(log["sum"][5:])) and log["sum"].shape == (8,)


def test_a_run_stops_where_what_is_watched_is_no_number():
    state, log = counted(8, rate=2e38)  # the second sum is more than float32 holds
    assert int(state.diverged) == 0 and int(state.step) == 2
    assert np.all(np.isnan(log["sum"][2:]))


def course(*watched):
    """State.diverged after steps with these measures, and the step that it means."""
    state = systems.start((), jax.random.key(0))
    constant = System(
        lambda *_: (), lambda t, h, batch, now: (t, {"loss": batch}), None
    )
    for value in watched:
        state, _ = systems.step(constant, state, None, np.float32(value))
    return int(state.diverged), int(systems.diverged_at(state.diverged))


def test_a_run_may_recover_as_long_as_it_has_numbers():
    high = 2 * LARGEST
    assert course(high)[1] == 0 and course(1.0, high, high)[1] == 1
    assert course(high, high, 1.0) == (ONGOING, ONGOING)
    assert course(high, 1.0, high)[1] == 2
    for lost in (np.nan, np.inf, -np.inf):
        assert course(1.0, high, lost) == (1, 1)
        assert course(1.0, lost, 1.0) == (1, 1)


def test_a_run_can_start_from_a_given_tree():
    start = systems.start({"total": jnp.asarray(7.0)}, jax.random.key(3))
    programs = sweeps.programs(COUNTER, ones, 8)
    state, _ = programs.advance(start, {"rate": np.float32(1)}, (), np.int32(2))
    assert float(state.tree["total"]) == 9.0


def test_batches_that_are_given_are_those_of_the_steps():
    data = {"inputs": np.arange(8, dtype=np.float32)}
    state, log = counted(3, feeds=feed.given, data=data)
    np.testing.assert_array_equal(log["sum"][:3], [0, 1, 3])
    programs = sweeps.programs(COUNTER, feed.given, 8)
    # The next call's batches come from the step that it begins at.
    _, log = programs.advance(state, {"rate": np.float32(1)}, data, np.int32(2))
    np.testing.assert_array_equal(log["sum"][:2], [3, 4])


def test_measures_are_means_over_every_example_once():
    state, _ = counted(1)
    data = {"inputs": jnp.arange(5, dtype=jnp.float32)}
    means = loop.evaluate(COUNTER, state, data, at_a_time=2)
    assert list(means) == ["off"] and float(means["off"]) == 1.0


def test_systems_that_begin_alike_share_the_program_that_does_it():
    other = COUNTER._replace(watch="at")
    one, two = (sweeps.programs(s, ones, 8) for s in (COUNTER, other))
    assert one.init is two.init and one.advance is not two.advance
    assert sweeps.programs(COUNTER, ones, 8) is one


def test_every_problem_is_swept(page):
    """`sweeps.train` returns each run's named measures, on the host."""
    examples = {"inputs": jnp.arange(3, dtype=jnp.float32)}
    problem = sweeps.Problem(COUNTER, ones, (), examples, examples)
    runs = [sweeps.Run(0, {"rate": rate}) for rate in (1.0, LARGEST)]
    calm, lost = sweeps.train(problem, runs, 4)
    assert calm.train == {"off": 1.0 - 4.0} and calm.diverged is None
    assert lost.diverged == 0 and set(lost.log) == {"sum", "at"}
