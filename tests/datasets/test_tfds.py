"""TensorFlow Datasets: what is prepared is read without TensorFlow; the rest is said."""

import importlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from depthbench.research.datasets import (
    DataError,
    Stream,
    contract,
    fashion_mnist,
    find,
    fingerprint,
)
from tests.datasets import prepared

IMAGE = {"image": {"dtype": "uint8", "shape": {"dimensions": ["6", "5", "3"]}}}
FLOATS = {"tensor": {"dtype": "float64", "shape": {"dimensions": ["7"]}}}
LABEL = {"classLabel": {"numClasses": "4"}}
installed = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_datasets") is None,
    reason="no tensorflow_datasets here: pip install -e '.[data]'",
)


def kind(feature):
    """A feature with the class's name, as TFDS writes it."""
    names = {"image": "image_feature.Image", "tensor": "tensor_feature.Tensor"}
    names["classLabel"] = "class_label_feature.ClassLabel"
    name = names.get(next(iter(feature)), "text_feature.Text")
    return {**feature, "pythonClassName": f"tensorflow_datasets.core.features.{name}"}


def labels(count):
    return {"classLabel": {"numClasses": str(count)} if count else {}}


def key_of(key):
    """As TFDS writes a supervised key, or a tree of them."""
    if isinstance(key, dict):
        return {"dict": {"dict": {name: key_of(inner) for name, inner in key.items()}}}
    return {"featureKey": key}


@pytest.fixture
def prepare(tmp_path):
    """A writer of a prepared set's metadata, as TFDS 4.9.10 writes it."""

    def write(
        place="little/1.0.0",
        splits=(("train", 12), ("test", 8)),
        features=(("picture", IMAGE), ("kind", LABEL)),
        keys=("picture", "kind"),
        form="array_record",
    ):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        info = {
            "name": place.split("/")[0],
            "version": folder.name,
            "fileFormat": form,
            "splits": [
                {
                    "name": name,
                    "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                    "shardLengths": [str(count)],
                    "numBytes": "1",
                }
                for name, count in splits
            ],
            "supervisedKeys": {"tuple": {"items": [key_of(key) for key in keys]}},
        }
        (folder / "dataset_info.json").write_text(json.dumps(info))
        tree = {
            "pythonClassName": "tensorflow_datasets.core.features.features_dict."
            "FeaturesDict",
            "featuresDict": {"features": {name: kind(f) for name, f in features}},
        }
        (folder / "features.json").write_text(json.dumps(tree))
        return folder

    return write


def refusal(name, folder) -> str:
    with pytest.raises(DataError) as error:
        find(name, folder).split()
    message = str(error.value)
    assert "\n" not in message
    return message


# What the metadata say


def test_a_prepared_set_is_declared_by_its_metadata(prepare, tmp_path):
    folder = prepare()
    entry = find("tfds:little", tmp_path)
    assert (entry.name, entry.shape, entry.classes) == (
        "tfds:little:1.0.0",
        (6, 5, 3),
        4,
    )
    assert (entry.task, entry.stored, entry.sizes) == ("classes", "uint8", (12, 8))
    assert str(folder) in entry.source
    assert {entry: 1}[find("tfds:little", tmp_path)] == 1  # hashable: a cache's key


def test_the_newest_version_is_meant_unless_one_is_named(prepare, tmp_path):
    for version in ("2.0.0", "10.0.0", "9.1.0"):
        prepare(f"little/{version}")
    assert find("tfds:little", tmp_path).source.endswith("little/10.0.0")
    assert find("tfds:little:9.1.0", tmp_path).source.endswith("little/9.1.0")
    message = refusal("tfds:little:3.0.0", tmp_path)
    assert "is 2.0.0, 9.1.0, 10.0.0, not 3.0.0" in message


def test_a_configuration_is_named_or_the_sets_own(prepare, tmp_path):
    for config in ("plain", "corrupted_1"):
        prepare(f"little/{config}/1.0.0")
    assert find("tfds:little/plain:1.0.0", tmp_path).source.endswith("plain/1.0.0")
    assert "name one of corrupted_1, plain" in refusal("tfds:little", tmp_path)
    known = tmp_path / "little" / ".config" / "metadata.json"
    known.parent.mkdir()
    known.write_text(json.dumps({"default_config_name": "plain"}))
    assert find("tfds:little", tmp_path).source.endswith("plain/1.0.0")


def test_without_a_folder_the_variable_says_where(prepare, tmp_path, monkeypatch):
    prepare()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert find("tfds:little") == find("tfds:little", tmp_path)
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert "home/tensorflow_datasets" in refusal("tfds:little", None)


@pytest.mark.parametrize(
    ("splits", "sizes"),
    [
        ([("train", 12), ("validation", 3)], (12, 3)),
        ([("validation", 3), ("test", 4), ("train", 12)], (12, 4)),
        ([("train", 11)], (8, 3)),
    ],
)
def test_which_examples_are_judged_by(prepare, tmp_path, splits, sizes):
    prepare(splits=splits)
    assert find("tfds:little", tmp_path).sizes == sizes


TEXT = {"text": {}}
ANY_SIZE = {"image": {"dtype": "uint8", "shape": {"dimensions": ["-1", "-1", "3"]}}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"form": "tfrecord"}, "prepare it again with file_format='array_record'"),
        ({"splits": [("part", 3)]}, "has no split named train (splits: part)"),
        ({"keys": ()}, "not an input and a label each"),
        ({"keys": ("kind", "picture")}, "not an input and a label each"),
        ({"keys": ({"a": "x"}, "kind")}, "not an input and a label each"),
        (
            {"features": [("picture", TEXT), ("kind", LABEL)]},
            "neither a uint8 image nor",
        ),
        ({"features": [("picture", ANY_SIZE), ("kind", LABEL)]}, "no fixed size"),
        (
            {"features": [("picture", IMAGE)]},
            "it has no 'kind', which is in supervised",
        ),
        ({"splits": [("train", 0), ("test", 1)]}, "its split train has no examples"),
        ({"splits": [("train", 9), ("test", 0)]}, "its split test has no examples"),
        ({"splits": [("train", 1)]}, "has one example, of which none can be kept"),
        ({"features": [("picture", IMAGE), ("kind", labels(1))]}, "has 1 class: there"),
        (
            {"features": [("picture", IMAGE), ("kind", labels(0))]},
            "has no classes: there",
        ),
    ],
)
def test_what_cannot_be_read_says_why(prepare, tmp_path, changes, message):
    prepare(**changes)
    line = refusal("tfds:little", tmp_path)
    assert message in line
    damaged = "which is in supervised" in line
    assert ("remove" in line) is damaged  # what is whole is not to be removed


@pytest.mark.parametrize("content", ["", "{", "[]", '{"featuresDict": 3}'])
def test_damaged_metadata_are_said(prepare, tmp_path, content):
    (prepare() / "features.json").write_text(content)
    line = refusal("tfds:little", tmp_path)
    assert "features.json: damaged: " in line and "and prepare it again" in line


@pytest.mark.parametrize(
    "name",
    [
        "tfds:",
        "tfds:a b",
        "tfds:../x",
        "tfds:x:new",
        "tfds:x/..",
        "tfds:x#",
        "tfds:x#a,b,c",
    ],
)
def test_a_name_that_cannot_be_one_is_refused(name, tmp_path):
    assert "must be tfds:NAME" in refusal(name, tmp_path)


# What is missing

OFFLINE = """
import socket, sys

class Refused(socket.socket):
    def __init__(self, *a, **k):
        raise AssertionError("the network was asked")

socket.socket = Refused
from depthbench.research.datasets import DataError, find
try:
    find("tfds:cifar10", sys.argv[1])
except DataError as error:
    print(error)
print(*({"tensorflow_datasets", "tensorflow", "jax"} & set(sys.modules)))
"""


def test_a_missing_set_is_answered_from_the_disk_alone(
    prepare, tmp_path, clean_environment
):
    prepare()
    run = [sys.executable, "-c", OFFLINE, str(tmp_path)]
    done = subprocess.run(
        run,
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    message, imported = done.stdout.splitlines()
    assert imported == ""
    for part in (
        f"tfds:cifar10 is not prepared in {tmp_path} (it has little)",
        "pip install -e '.[data,tensorflow]'",
        f'tfds.builder("cifar10", data_dir="{tmp_path}", file_format="array_record")',
        "--data-dir",
        "such as digits",
    ):
        assert part in message


def test_fashion_mnist_has_a_way_of_its_own(tmp_path):
    assert "fashion_mnist is this one" in refusal("tfds:fashion_mnist", tmp_path)


def test_without_the_package_one_line_says_what_to_install(
    prepare, tmp_path, monkeypatch
):
    prepare()
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert "pip install -e '.[data]'" in refusal("tfds:little", tmp_path)


# What is read


@installed
def test_images_are_read_into_memory(tmp_path):
    x, y = prepared.pictures(12)
    prepared.write(tmp_path, train=(x, y), test=prepared.pictures(8))
    entry = find("tfds:toy", tmp_path)
    train, test = entry.split()
    assert fingerprint(entry.split()) == fingerprint(entry.split())
    np.testing.assert_array_equal(train.x, x)
    np.testing.assert_array_equal(train.y, y)
    assert train.x.dtype == np.uint8 and train.y.dtype == np.int32
    np.testing.assert_allclose(train.scale[0], x.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(train.scale[1], x.std((0, 1, 2)), rtol=1e-6)
    assert test.scale is train.scale and len(test.y) == 8
    assert "tensorflow" not in sys.modules


@installed
def test_floats_are_read_as_float32(tmp_path):
    x, y = prepared.rows(12)
    prepared.write(tmp_path, train=(x, y), test=(x, y))
    train = find("tfds:toy", tmp_path).split().train
    assert train.x.dtype == np.float32 and train.scale is None
    np.testing.assert_array_equal(train.x, x)


@installed
def test_a_set_without_a_test_split_is_parted(tmp_path):
    prepared.write(tmp_path, train=prepared.pictures(10))
    entry = find("tfds:toy", tmp_path)
    train, test = entry.split()
    assert entry.sizes == (8, 2) == (len(train.y), len(test.y))
    rows = {row.tobytes() for row in [*train.x, *test.x]}
    assert len(rows) == 10


@installed
def test_what_is_too_large_for_memory_is_streamed_and_the_same(tmp_path, monkeypatch):
    prepared.write(tmp_path, train=prepared.pictures(10))
    entry = find("tfds:toy", tmp_path)
    parts, whole = entry.split(), entry.load()
    monkeypatch.setattr(contract, "IN_MEMORY", 0)
    pieces = [*zip(parts, entry.split(), strict=True), (whole, entry.load())]
    for part, stream in pieces:
        assert isinstance(stream, Stream) and stream.length == len(part.y)
        for numbers in ([1, 0, 1], [len(part.y) - 1, 0], [len(part.y) - 1]):
            x, y = stream.read(np.array(numbers))
            np.testing.assert_array_equal(x, part.x[numbers])
            np.testing.assert_array_equal(y, part.y[numbers])
        np.testing.assert_array_equal(stream.scale, part.scale)


@installed
def test_missing_files_are_said(prepare, tmp_path):
    prepare()
    assert "cannot be read" in refusal("tfds:little", tmp_path)


@installed
def test_prepared_fashion_mnist_is_what_the_original_files_hold():
    try:
        entry = find("tfds:fashion_mnist")
    except DataError:
        pytest.skip("no tfds:fashion_mnist is prepared here")
    if not Path(fashion_mnist.FOLDER).is_dir():
        pytest.skip("no Fashion-MNIST here: apt-get install dataset-fashion-mnist")
    for ours, theirs in zip(fashion_mnist.load(), entry.split(), strict=True):
        np.testing.assert_array_equal(ours.scale, theirs.scale)
        rows = [  # TFDS has its own order
            sorted(
                x.tobytes() + bytes([y]) for x, y in zip(part.x, part.y, strict=True)
            )
            for part in (ours, theirs)
        ]
        assert rows[0] == rows[1]
