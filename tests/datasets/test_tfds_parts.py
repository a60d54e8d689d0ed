"""Parts of prepared sets: which are used, how they are read, and what is said of them."""

import ast
import shlex

import numpy as np
import pytest

from depthbench.research.cli.main import main
from depthbench.research.datasets import (
    Data,
    DataError,
    Stream,
    contract,
    find,
    fingerprint,
)
from depthbench.research.datasets.contract import spread
from depthbench.research.learning import examples, feed
from depthbench.research.learning.recipe import Recipe
from tests.datasets import prepared

pytest.importorskip("tensorflow_datasets")


def line_of(name, root) -> str:
    with pytest.raises(DataError) as error:
        find(name, root).split()
    assert "\n" not in str(error.value)
    return str(error.value)


def of(count, **changed):
    """Rows, of which some labels or numbers are changed: y={7: 9}."""
    x, y = prepared.rows(count)
    for place, value in changed.get("y", {}).items():
        y[place] = value
    for place, value in changed.get("x", {}).items():
        x[place, 1] = value
    return x, y


@pytest.fixture
def limit(monkeypatch):
    """A function that sets how many bytes of a part are kept in memory."""
    return lambda count: monkeypatch.setattr(contract, "IN_MEMORY", count)


@pytest.fixture
def unlabelled():
    x, y = prepared.rows(6, shift=1)
    return x, np.full_like(y, -1)


# Which parts


def test_parts_are_named_or_the_usual_ones(tmp_path):
    parts = {"train": of(9), "test": of(5), "validation": of(4), "extra": of(3)}
    prepared.write(tmp_path, **parts)
    for name, sizes in (
        ("tfds:toy", (9, 5)),
        ("tfds:toy#train,validation", (9, 4)),
        ("tfds:toy:1.0.0#extra,train", (3, 9)),
        ("tfds:toy#train", (7, 2)),
    ):
        entry = find(name, tmp_path)
        train, test = entry.split()
        assert entry.sizes == sizes == (train.length, test.length)
        assert entry.name == f"tfds:toy:1.0.0{name[name.find('#') :] * ('#' in name)}"
    assert "no split named dev (splits: train, test" in line_of(
        "tfds:toy#dev", tmp_path
    )
    assert "cannot be both" in line_of("tfds:toy#test,test", tmp_path)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_test_part_without_labels_is_not_judged_by(
    tmp_path, unlabelled, limit, streamed
):
    limit(0 if streamed else 2**30)
    prepared.write(tmp_path, train=of(9), test=unlabelled, validation=of(4))
    test = find("tfds:toy", tmp_path).split().test
    assert test.length == 4
    wanted = "its split test has no labels (all are -1); judged by its split validation"
    assert wanted in test.note
    source = feed.source(Recipe(dataset="tfds:toy", data_dir=str(tmp_path), batch=2), 2)
    assert any(wanted in note for note in source.notes)
    with pytest.raises(DataError, match="test example 0 has a label outside 0 to 3"):
        find("tfds:toy#train,test", tmp_path).split().test.read(np.arange(2))


def test_where_nothing_else_has_labels_the_line_says_how(tmp_path, unlabelled):
    prepared.write(tmp_path, train=of(9), test=unlabelled, extra=of(4))
    message = line_of("tfds:toy", tmp_path)
    for way in ("tfds:toy:1.0.0#train,extra", "tfds:toy:1.0.0#train for a fifth"):
        assert way in message
        assert find(way.split()[0], tmp_path).split().test.length in (4, 2)


# Where they are read


def test_each_part_decides_by_itself_where_it_is(tmp_path, limit):
    prepared.write(tmp_path, train=of(100), test=of(20))
    limit(500)  # bytes; a row has 12
    train, test = find("tfds:toy", tmp_path).split()
    assert isinstance(train, Stream) and isinstance(test, Data)


def test_a_streamed_test_part_is_judged_by_all_over_it(tmp_path, limit, monkeypatch):
    """Sorted by label, as many sets are: each class is seen as often as it is there."""
    x, _ = prepared.rows(9000)
    y = np.arange(9000) * 3 // 9000
    prepared.write(tmp_path, train=of(8), test=(x, y))
    recipe = Recipe(dataset="tfds:toy", data_dir=str(tmp_path), batch=2)
    whole = feed.source(recipe, 2)
    assert len(whole.test["targets"]) == 9000 and not whole.notes
    limit(0)
    examples._splits.cache_clear()
    some = feed.source(recipe, 2)
    counts = np.bincount(some.test["targets"], minlength=3)
    assert counts.sum() == examples.EVALUATED and np.ptp(counts) <= 2
    assert "judged by 4,096 of its 9,000 test examples" in some.notes[0]


@pytest.mark.parametrize("length", [1, 5, 4096, 4097, 9000, 40_951, 10**6 + 1])
def test_examples_from_all_over_are_one_of_each_stretch(length):
    numbers = spread(length, 4096)
    assert len(numbers) == min(length, 4096) and len(set(numbers)) == len(numbers)
    assert np.array_equal(numbers, spread(length, 4096))
    assert np.all(np.diff(numbers) > 0) and numbers[0] >= 0 and numbers[-1] < length
    assert np.max(np.diff(numbers), initial=1) <= 2 * -(-length // 4096)
    if length > 9000:  # labels that come in turn, ten of them: 410 each are expected
        counts = np.bincount(numbers % 10, minlength=10)
        assert np.all(np.abs(counts - 409.6) < 5 * 409.6**0.5)


# What is too few


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("", "--batch 64: tfds:toy:1.0.0 has 1 example to train on"),
        ("--batch 1 --normalizer batch", "--batch 1: batch norm needs 2 examples or"),
        ("--batch 2 --accumulate 2", "--batch 2: tfds:toy:1.0.0 has 1 example to"),
    ],
)
def test_one_example_to_train_on(tmp_path, capsys, more, message):
    prepared.write(tmp_path, train=of(1), test=of(1))
    words = f"train --dataset tfds:toy --depth 2 --width 4 --steps 2 {more}".split()
    out = tmp_path / "out"
    assert main([*words, "--data-dir", str(tmp_path), "--out", str(out)]) == 2
    line = capsys.readouterr().err
    assert message in line and line.count("\n") == 1 and not out.exists()


# What is wrong with an example


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("what", ["y", "x"])
def test_a_bad_example_has_its_number_in_its_part(
    tmp_path, limit, streamed, part, what
):
    bad = {"y": 4, "x": np.nan}[what]
    parts = {"train": of(9), "test": of(9), part: of(9, **{what: {7: bad}})}
    prepared.write(tmp_path, **parts)
    limit(0 if streamed else 2**30)
    wanted = {"y": "a label outside 0 to 3", "x": "NaN or infinity in its input"}[what]
    with pytest.raises(DataError, match=f"{part} example 7 has {wanted}"):
        splits = find("tfds:toy", tmp_path).split()
        getattr(splits, part).read(np.array([3, 7, 8]))


def test_a_fifth_of_train_is_numbered_as_train_is(tmp_path):
    prepared.write(tmp_path, train=of(20, y={13: 9}))
    assert "train example 13 has a label" in line_of("tfds:toy", tmp_path)


@pytest.mark.parametrize("value", [1e300, -1e300, np.nextafter(3.5e38, 1e39)])
def test_what_float32_cannot_hold_is_said_so(value):
    x = np.ones((4, 3))
    x[2, 1] = value
    entry = contract.Dataset("yours", "", (3,), 2, "a test")
    with pytest.raises(DataError, match="example 2 has a number too large for float32"):
        contract.check_batch(entry, x, np.zeros(4, np.int32), "training")
    x[2, 1] = np.inf
    with pytest.raises(DataError, match="example 2 has NaN or infinity"):
        contract.check_batch(entry, x, np.zeros(4, np.int32), "training")


# What to type


@pytest.mark.parametrize("odd", ["it's", 'a "b"', "a b", "$HOME", "`x`", "\\n", "ü✓"])
def test_the_command_to_prepare_a_set_can_be_pasted(tmp_path, odd):
    root = tmp_path / odd
    message = line_of("tfds:mnist", root)
    command = message[message.index("python -c ") :].partition("; or copy")[0]
    _, _, code = shlex.split(command)
    (call,) = [
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "builder"
    ]
    arguments = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    assert arguments == {"data_dir": str(root), "file_format": "array_record"}
    assert ast.literal_eval(call.args[0]) == "mnist"


# What tells sets apart


@pytest.mark.parametrize("streamed", [False, True])
def test_a_fingerprint_is_of_contents_and_not_of_the_place(tmp_path, limit, streamed):
    limit(0 if streamed else 2**30)

    def print_of(name, more="", **parts):
        prepared.write(tmp_path / name, **parts)
        return fingerprint(find(f"tfds:toy{more}", tmp_path / name).split())

    whole = {"train": of(9), "test": of(5)}
    first = print_of("a", **whole)
    assert print_of("b", **whole) == first
    assert print_of("c", **{**whole, "train": of(9, x={7: 0.5})}) != first
    assert print_of("d", **{**whole, "test": of(5, y={4: 1})}) != first
    assert print_of("e", "#test,train", **whole) != first
    (tmp_path / "a").rename(tmp_path / "moved")
    assert fingerprint(find("tfds:toy", tmp_path / "moved").split()) == first
