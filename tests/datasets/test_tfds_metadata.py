"""Metadata of prepared sets: whatever is in them, a set that is read or one line."""

import copy
import json

import pytest

from depthbench.research.datasets import DataError, find
from tests.datasets import prepared

WRONG = [None, True, 5, -1, 1.5, 10**30, "", "abc", "-3", "9" * 30, "nan", [], {}]
WRONG += [[None], {"a": []}, json.loads("[" * 400 + "]" * 400), "\x00", "=1+1", "a\nb"]
FILES = ("dataset_info.json", "features.json")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "toy" / "1.0.0"
    folder.mkdir(parents=True)
    lengths = {"train": 12, "test": 8}
    prepared.describe(folder, lengths, prepared.form(prepared.pictures(1)[0]))
    return folder


def places(tree, path=()):
    """Every place in a tree of JSON, and the tree itself."""
    yield path
    if isinstance(tree, dict | list):
        inner = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, value in inner:
            yield from places(value, (*path, key))


def changed(tree, path, value):
    if not path:
        return value
    tree = copy.deepcopy(tree)
    inside = tree
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return tree


def without(tree, path):
    tree = copy.deepcopy(tree)
    inside = tree
    for key in path[:-1]:
        inside = inside[key]
    del inside[path[-1]]
    return tree


@pytest.mark.parametrize("name", FILES)
def test_every_field_may_be_anything(folder, name):
    """What is found is what nets can read; all else is one line, on this set."""
    path, root = folder / name, folder.parents[1]
    tree = json.loads(path.read_text())
    tried = refused = 0
    for place in places(tree):
        trees = [changed(tree, place, value) for value in WRONG]
        for content in [*trees, *([without(tree, place)] if place else [])]:
            path.write_text(json.dumps(content))
            tried += 1
            try:
                entry = find("tfds:toy", root)
            except DataError as error:
                refused += 1
                line = str(error)
                assert "\n" not in line and line.startswith("tfds:toy:1.0.0: "), line
            else:
                assert entry.classes >= 2 and min(entry.shape) >= 1
                assert all(0 < size < 2**31 for size in entry.sizes)
    assert tried > 300 and refused > tried / 2


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        (0, ("splits", 0, "shardLengths", 0), "-3", "splits[0].shardLengths[0]: "),
        (0, ("splits", 0, "shardLengths", 0), "abc", "splits[0].shardLengths[0]: "),
        (0, ("splits", 1, "shardLengths"), 5, "splits[1].shardLengths: expected"),
        (0, ("splits", 0), {"shardLengths": ["1"]}, "splits[0]: object missing"),
        (0, ("splits",), "9" * 30, "splits: expected `array`"),
        (0, ("supervisedKeys",), 5, "supervisedKeys: expected"),
        (1, ("featuresDict",), 3, "featuresDict: expected `object`, got `int`"),
        (
            1,
            ("featuresDict", "features", "label", "classLabel", "numClasses"),
            "abc",
            "numClasses: expected `int`, got `str`",
        ),
        (
            1,
            ("featuresDict", "features", "input", "image", "shape", "dimensions", 0),
            "9" * 30,
            "dimensions[0]: expected `int` <= ",
        ),
    ],
)
def test_the_line_names_file_and_field(folder, name, place, value, message):
    path = folder / FILES[name]
    path.write_text(json.dumps(changed(json.loads(path.read_text()), place, value)))
    with pytest.raises(DataError) as error:
        find("tfds:toy", folder.parents[1])
    assert f"{path}: damaged: " in str(error.value) and message in str(error.value)


CONTENTS = ["", "{", "\x00", "[" * 10**5 + "]" * 10**5, '{"x": ' * 10**5 + "}" * 10**5]


@pytest.mark.parametrize("name", [*FILES, ".config/metadata.json"])
@pytest.mark.parametrize("content", CONTENTS, ids=range(len(CONTENTS)))
def test_no_json_is_one_line(folder, name, content):
    path = folder / name
    if "config" in name:  # what a set's default configuration is
        path = folder.parent / name
        path.parent.mkdir()
        folder.rename(folder.parent / "plain")
    path.write_text(content)
    with pytest.raises(DataError) as error:
        find("tfds:toy", folder.parents[1])
    assert f"{path}: damaged: " in str(error.value)


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_file_is_one_line(folder, name, monkeypatch):
    """And a pipe, which nobody writes to, is not waited for."""
    import os

    path = folder / name
    content = path.read_bytes()
    for make in (lambda: os.mkfifo(path), path.mkdir):
        path.unlink()
        make()
        with pytest.raises(DataError, match=r"cannot be read: is a (pipe|folder)"):
            find("tfds:toy", folder.parents[1])
        path.rmdir() if path.is_dir() else path.unlink()
        path.touch()
    path.unlink()
    elsewhere = folder / "elsewhere"  # a link is followed: data may lie anywhere
    elsewhere.write_bytes(content)
    path.symlink_to(elsewhere)
    assert find("tfds:toy", folder.parents[1]).classes == 4


@pytest.mark.parametrize(
    "data_dir", ["x" * 300, "/".join(["y" * 100] * 60), "~nobody/x"]
)
def test_folders_that_cannot_be_are_one_line(data_dir):
    for name in ("tfds:toy", f"tfds:{'z' * 300}", "fashion_mnist"):
        with pytest.raises(DataError) as error:
            find(name, data_dir).split()
        assert "\n" not in str(error.value)
