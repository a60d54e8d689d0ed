"""A user's own data: every wrong form of them is one line, wherever they come in."""

import jax
import numpy as np
import pytest

from depthbench.research.catalogues.losses import LOSSES
from depthbench.research.cli.main import main
from depthbench.research.datasets import Data, DataError, Dataset, Splits, digits
from depthbench.research.datasets.contract import check_batch
from depthbench.research.learning import examples, sweeps
from depthbench.research.learning.recipe import Recipe

COUNT, CLASSES = 40, 10
LABELS = np.arange(COUNT, dtype=np.int32) % CLASSES
BAD_LABELS = {
    "floats": LABELS.astype(np.float32),
    "one-hot": np.eye(CLASSES, dtype=np.int32)[LABELS],
    "one-hot floats": np.eye(CLASSES, dtype=np.float32)[LABELS],
    "strings": LABELS.astype(str),
    "bytes": LABELS.astype(bytes),
    "objects": LABELS.astype(object),
    "a column": LABELS[:, None],
    "a row": LABELS[None],
    "one number": np.int32(3) * np.ones((), np.int32),
    "booleans": LABELS > 4,
    "complex": LABELS.astype(complex),
    "times": LABELS.astype("timedelta64[s]"),
    "a list": LABELS.tolist(),
    "nothing": None,
}
IMAGES = np.ones((COUNT, 8, 8, 1), np.float32)
BAD_INPUTS = {
    "objects": IMAGES.astype(object),
    "strings": IMAGES.astype(str),
    "integers": IMAGES.astype(np.int32),
    "booleans": IMAGES > 0,
    "flat": IMAGES.reshape(COUNT, 64),
    "no channel": IMAGES[..., 0],
    "another size": IMAGES[:, :7],
    "one number": np.ones((), np.float32),
    "a list": list(IMAGES),
    "nothing": None,
}
ENTRY = Dataset("yours", "digits:load", (8, 8, 1), CLASSES, "a test")
CASES = [("targets", name) for name in BAD_LABELS]
CASES += [("inputs", name) for name in BAD_INPUTS]
every = pytest.mark.parametrize(("what", "name"), CASES)


def wrong(what, name):
    if what == "targets":
        return Data(IMAGES, BAD_LABELS[name], CLASSES)
    return Data(BAD_INPUTS[name], LABELS, CLASSES)


@every
@pytest.mark.parametrize("parts", [False, True])
def test_what_a_loader_gives_is_looked_at(what, name, parts, monkeypatch):
    data = wrong(what, name)
    given = Splits(Data(IMAGES, LABELS, CLASSES), data) if parts else data
    monkeypatch.setattr(digits, "load", lambda: given)
    for read in (ENTRY.load, ENTRY.split):
        with pytest.raises(DataError, match=rf"^yours: its {what} are .*; must be "):
            read()
    with pytest.raises(DataError, match=rf"^yours: its {what} are "):
        check_batch(ENTRY, data.x, data.y, "read")


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64])
def test_integers_and_floats_of_any_size_are_taken(kind, monkeypatch):
    data = Data(IMAGES.astype(np.float64), LABELS.astype(kind), CLASSES)
    monkeypatch.setattr(digits, "load", lambda: data)
    assert len(ENTRY.split().train.y) == COUNT * 4 // 5


@pytest.mark.parametrize("command", ["train", "run gradient_flow --size smoke"])
@pytest.mark.parametrize("name", ["floats", "one-hot", "strings", "objects"])
def test_a_command_ends_with_one_line(command, name, monkeypatch, capsys, tmp_path):
    good = digits.load()
    bad = {
        "floats": good.y.astype(np.float32),
        "one-hot": np.eye(10, dtype=np.int32)[good.y],
        "strings": good.y.astype(str),
        "objects": good.y.astype(object),
    }[name]
    monkeypatch.setattr(digits, "load", lambda: good._replace(y=bad))
    examples._splits.cache_clear()
    examples._on_device.cache_clear()
    try:
        assert main([*command.split(), "--out", str(tmp_path / "run")]) == 2
    finally:
        examples._splits.cache_clear()
    line = capsys.readouterr().err
    assert line.startswith("depthbench: digits: its targets are ")
    assert line.count("\n") == 1 and "must be integers [examples]" in line


TASKS = {"classes": (4,), "tokens": (4, 5), "numbers": (4, 3), "reconstruction": (4, 3)}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_says_which_targets_it_takes(name):
    """Of batches that come from no data set; while a step is traced, at no cost."""
    shape = TASKS[name]
    outputs = jax.ShapeDtypeStruct((*shape, 7) if len(shape) == 1 else shape, "float32")
    if name == "tokens":
        outputs = jax.ShapeDtypeStruct((*shape, 7), "float32")
    place = "inputs" if name == "reconstruction" else "targets"
    labelled = name in ("classes", "tokens")
    right = ("int32", shape) if labelled else ("float32", outputs.shape)
    bad = [
        ("float32" if labelled else "int32", right[1]),
        (right[0], (*right[1], 7)),
        (right[0], (right[1][0] + 1, *right[1][1:])),
    ]
    for measure in LOSSES[name].measures.values():

        def trace(dtype, shape, measure=measure):
            batch = {place: jax.ShapeDtypeStruct(shape, dtype)}
            return jax.eval_shape(measure, outputs, batch)

        assert trace(*right).shape == shape[:1]
        for dtype, shape_ in bad:
            with pytest.raises(DataError, match=rf"^targets are {dtype} .*must be "):
                trace(dtype, shape_)


NO_NUMBERS = ("strings", "bytes", "objects", "times", "a list", "nothing", "one number")


@pytest.mark.parametrize("name", NO_NUMBERS)  # the others are a loss's to refuse
def test_batches_that_are_no_numbers_are_refused_before_training(name):
    problem = sweeps.problem(Recipe(depth=1, width=4, batch=4, steps=1))
    batch = {"inputs": IMAGES, "targets": BAD_LABELS[name]}
    for part in ("train", "test"):
        with pytest.raises(DataError, match=r"^targets are .*must be an array of numb"):
            sweeps.train(problem._replace(**{part: batch}), [], 1)
    short = {"inputs": IMAGES, "targets": LABELS[1:]}
    with pytest.raises(DataError, match=r"one entry an example .*: 40 inputs, 39 targ"):
        sweeps.train(problem._replace(train=short), [], 1)
