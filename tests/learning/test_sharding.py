"""Many devices compute what one does: meshes, checkpoints across them, processes."""

import csv
import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from depthbench.research.catalogues import optimizers
from depthbench.research.cli.main import main
from depthbench.research.learning import examples, sharding, supervised, sweeps
from depthbench.research.learning.recipe import Recipe

# Momentum's steps are as small as gradients are: Adam makes steps of the rounding errors
# that are left of gradients which are 0, such as those of a bias before batch norm.
RECIPE = Recipe(
    *("mlp", 2, 32, "tanh"), normalizer="batch", optimizer="momentum", batch=32
)


STEPS = 6


# Sums of 32 examples in another order differ by some 1e-7 of their size, and six steps
# let that grow a little; a lost example or a gradient not summed differs by percents.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def runs_of(count):
    rule = optimizers.OPTIMIZERS[RECIPE.optimizer].hyper(steps=float(STEPS))
    numbers = supervised.Numbers(supervised.UNIT, rule)
    return [sweeps.Run(seed, numbers) for seed in range(count)]


def begun(recipe, mesh, count):
    """(programs, arguments of `advance`) of runs on a mesh, or on one device."""
    runs = runs_of(count)
    programs = sweeps.of_recipe(recipe, STEPS, count > 1, mesh)
    data = examples.first(examples.splits(recipe).train)
    if mesh is not None:
        data = sharding.put(data, sharding.place(mesh))
    seeds, hyper = sweeps.arguments(runs)
    state = programs.init(seeds, hyper)
    return programs, (state, hyper, data, np.int32(STEPS))


def trained(recipe, mesh, count):
    """(state, log) after a few steps, on the host."""
    programs, arguments = begun(recipe, mesh, count)
    return sharding.whole(programs.advance(*arguments))


def same(tree, wanted):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **CLOSE), tree, wanted)


def compiled(programs, arguments):
    """(state and log after the steps, operations of a device, kinds of collectives)."""
    steps = programs.advance.lower(*arguments).compile()
    kinds = ("all-reduce", "all-gather", "all-to-all", "collective-permute")
    sent = {kind for kind in kinds if f" {kind}(" in steps.as_text()}
    return steps(*arguments), steps.cost_analysis()["flops"], sent


@pytest.fixture(scope="module")
def alone():
    """([what each of two runs gives by itself on one device], its operations)."""
    programs, (state, hyper, data, steps) = begun(RECIPE, None, 1)
    first, flops, sent = compiled(programs, (state, hyper, data, steps))
    assert sent == set()
    seed, hyper = sweeps.arguments(runs_of(2)[1:])
    second = programs.advance(programs.init(seed, hyper), hyper, data, steps)
    return sharding.whole([first, second]), flops


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        pytest.param("data=2", {"all-reduce"}, marks=pytest.mark.exhaustive),
        ("parameters=2", {"all-reduce", "all-gather"}),
        pytest.param("cells=2", set(), marks=pytest.mark.exhaustive),
    ],
)
def test_two_devices_share_the_work_and_give_what_one_gives(text, sent, alone):
    """Each does about half of the operations, and sends what the axis must send."""
    shape = sharding.parse(text)
    wanted, flops = alone
    runs = shape.cells
    done, share, collectives = compiled(*begun(RECIPE, sharding.mesh(shape), runs))
    assert collectives >= sent and share < 0.6 * runs * flops
    for place in range(runs):
        run = jax.tree.map(lambda a, n=place: a[n] if runs > 1 else a, done)
        same(sharding.whole(run), wanted[place])
    state, _ = done
    if runs > 1:
        parts = {x.addressable_shards[0].data.shape[0] for x in jax.tree.leaves(state)}
        assert parts == {1}
    large = [
        x for x in jax.tree.leaves((state.tree.params, state.tree.opt)) if x.ndim > 0
    ]
    local_bytes = sum(x.addressable_shards[0].data.nbytes for x in large)
    held = 1 if text == "data=2" else 2  # all of their sizes are even
    assert local_bytes * held == sum(x.nbytes for x in large)


def test_depth_is_not_split():
    """A scan that walks along a split axis would be sent every layer's owner's all."""
    mesh = sharding.mesh(sharding.Shape(parameters=2))
    _, (state, *_) = begun(RECIPE, mesh, 1)
    for leaf in jax.tree.leaves(state.tree.params.stages):
        assert leaf.addressable_shards[0].data.shape[0] == leaf.shape[0] == 2


EIGHT = """
import json, sys
import jax
from depthbench.research.engine import processes
from depthbench.research.learning import forms, sharding
from tests.learning import test_sharding as t

wanted = t.trained(t.RECIPE, None, 1)
both = t.trained(t.RECIPE, sharding.mesh(sharding.parse("cells=2,data=2,parameters=2")), 2)
t.same(jax.tree.map(lambda a: a[0], both), wanted)

digests = []
shapes = [sharding.Shape(), sharding.Shape(data=2, parameters=4), sharding.Shape(data=2)]
states = []
for shape in shapes:
    mesh = sharding.mesh(shape, jax.devices()[: shape.devices])
    _, (state, *_) = t.begun(t.RECIPE, mesh, 1)
    states.append(state._replace(step=state.step + 5))
state = states[0]
for number, like in enumerate([*states[1:], states[0]]):
    with processes.keeper(sys.argv[1], 60, True) as keeper:
        keeper.save(number, state)
        step, restored = keeper.restore(like, 10**9)
    assert step == number
    assert jax.tree.all(jax.tree.map(lambda a, b: a.sharding == b.sharding, restored, like))
    digests += [forms.digest(state), forms.digest(restored)]
    state = restored
print(json.dumps(digests))
"""


@pytest.mark.slow
def test_eight_devices_and_checkpoints_from_one_to_eight_to_two(
    tmp_path, clean_environment, root
):
    environment = {
        **clean_environment,
        "JAX_NUM_CPU_DEVICES": "8",
        "XLA_FLAGS": os.environ["XLA_FLAGS"],
    }
    done = subprocess.run(
        [sys.executable, "-c", EIGHT, str(tmp_path / "kept")],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    digests = json.loads(done.stdout.splitlines()[-1])
    assert len(digests) == 6 and len(set(digests)) == 1


SMALL = (
    "train --depth 1 --width 8 --steps 12 --batch 16 --report-every 6 --optimizer sgd "
    "--checkpoint-seconds 0.1"
).split()


def curves(out):
    with open(out / "curves.csv", newline="") as file:
        return list(csv.DictReader(file))


def alike(one, other):
    """Whether all numbers of two runs' curves are equal to float tolerance."""
    assert len(one) == len(other)
    for name in ("train_loss", "test_loss", "train_accuracy", "log10_ratio"):
        columns = [[float(row[name]) for row in rows] for rows in (one, other)]
        np.testing.assert_allclose(
            *columns, rtol=1e-3, atol=1e-4
        )  # written to six digits


@pytest.mark.exhaustive
def test_a_run_goes_on_on_another_mesh_and_says_so(tmp_path, capsys):
    one, moved = tmp_path / "one", tmp_path / "moved"
    assert (
        main([*SMALL, "--out", str(moved)]) == 0
    )  # it compiles, so it is saved midway
    assert main([*SMALL, "--out", str(one)]) == 0
    last = moved / "checkpoints" / "12"
    last.rename(tmp_path / "away")
    assert list((moved / "checkpoints").iterdir())  # an earlier one
    capsys.readouterr()
    assert main([*SMALL, "--mesh", "data=2", "--out", str(moved)]) == 0
    stderr = capsys.readouterr().err
    assert "begun on one device, resumed on another mesh, data=2" in stderr
    assert "resuming from step" in stderr
    alike(curves(one), curves(moved))
    history = json.loads((moved / "run.json").read_text())["history"]
    assert {"mesh": ["one device", "data=2"]} in history


MISTAKES = [
    (["--mesh", "dat=2"], ["--mesh dat=2", "did you mean data"]),
    (["--mesh", "data"], ["data=N"]),
    (["--mesh", "data=0"], ["data=0", "data=N"]),
    (["--mesh", "data=2,data=1"], ["data is given twice"]),
    (["--mesh", "data=4"], ["4 devices", "are 2", "JAX_NUM_CPU_DEVICES=4"]),
    (["--mesh", "data=2", "--batch", "15"], ["15 examples", "divisible by 2"]),
    (["--mesh", "data=2", "--accumulate", "16"], ["1 examples", "--accumulate 16"]),
    (["--mesh", "cells=2", "--seeds", "3"], ["3 runs", "cells=2"]),
    (["--coordinator", "here:1"], ["--coordinator", "--mesh"]),
    (["--mesh", "data=2", "--num-processes", "2"], ["--coordinator", "--process-id"]),
    (
        "--mesh data=2 --num-processes 2 --process-id 2 --coordinator a:1".split(),
        ["--process-id 2", "from 0 to 1"],
    ),
    (
        "--mesh data=2 --num-processes 2 --process-id 0 --coordinator a".split(),
        ["--coordinator a", "HOST:PORT"],
    ),
]


@pytest.mark.parametrize(("more", "words"), MISTAKES, ids=lambda v: " ".join(v))
def test_a_mistake_is_one_line(more, words, tmp_path, capsys):
    out = tmp_path / "run"
    assert main([*SMALL, *more, "--out", str(out)]) == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith("depthbench: ") and len(stderr.splitlines()) == 1
    for word in words:
        assert word in stderr
    assert not out.exists()


def test_a_shape_is_written_as_it_is_read():
    for shape in (sharding.Shape(2, 4), sharding.Shape(parameters=8)):
        assert sharding.parse(str(shape)) == shape
    assert sharding.Shape(2, 3, 4).devices == 24 and sharding.Shape(2, 3, 4).parts == 12
