"""Data sets keep their declarations; what is damaged or missing is said."""

import collections
import functools
import gzip
import math
import random
import shutil

import jax
import numpy as np
import pytest

from depthbench.research.catalogues.catalogue import UnknownName
from depthbench.research.cli.main import main
from depthbench.research.datasets import (
    DATASETS,
    Data,
    DataError,
    Dataset,
    Splits,
    Stream,
    check,
    digits,
    fashion_mnist,
    find,
    fingerprint,
    images,
    mark,
)

TOKENS = [name for name, entry in DATASETS.items() if entry.task == "tokens"]


@functools.cache
def read(name: str) -> Splits:
    """The set's parts, once for all tests."""
    entry = DATASETS[name]
    if name == "fashion_mnist" and not fashion_mnist.FOLDER.is_dir():
        pytest.skip("no Fashion-MNIST here: apt-get install dataset-fashion-mnist")
    return entry.split()


each = pytest.mark.parametrize("name", DATASETS)


@each
def test_a_data_set_keeps_its_declaration(name):
    entry, splits = DATASETS[name], read(name)
    for part, size in zip(splits, entry.sizes or map(len, splits), strict=True):
        inner = entry.shape[:1] if entry.stored == "int32" else entry.shape
        assert part.x.dtype == entry.stored
        assert part.x.shape == (len(part.y), *inner)
        assert part.classes == entry.classes
        assert (part.scale is not None) == (entry.stored == "uint8")
        assert not entry.sizes or len(part.y) == size
        if entry.task == "classes":
            assert part.y.dtype == np.int32 and part.y.shape == (len(part.x),)
            assert set(np.unique(part.y)) == set(range(entry.classes))
        elif entry.task == "numbers":
            assert part.y.dtype == np.float32
            assert part.y.shape == (len(part.x), entry.classes)
        else:
            assert part.y.dtype == np.int32 and part.y.shape == part.x.shape
            assert entry.shape[1] == entry.classes


@pytest.mark.parametrize("name", [n for n in DATASETS if n != "fashion_mnist"])
def test_no_example_is_in_both_parts(name):
    train, test = ({row.tobytes() for row in part.x} for part in read(name))
    assert train and not train & test


@pytest.mark.parametrize("name", [n for n, e in DATASETS.items() if e.sizes or e.mark])
def test_a_data_set_is_the_same_everywhere(name):
    """Another mark means that published rows of this set were measured on other data."""
    digest = mark(*read(name))
    assert DATASETS[name].mark == digest, f'its entry needs mark="{digest}"'


def test_a_mark_is_of_what_is_drawn_and_not_of_the_last_bits():
    x = np.float32(np.random.RandomState(0).randint(-999, 999, (1200, 3)) / 1024)

    def marked(change, first=0):
        part = Data(x.copy(), np.zeros(1200, np.int32), 2)
        part.x[first] += np.float32(change)
        return mark(part, part)

    assert marked(1e-4) == marked(0) != marked(1e-3)
    assert marked(1.0, first=999) != marked(0) == marked(1.0, first=1000)
    assert len(marked(0)) == 16


QUICK = ("digits", "noise", "adding", "parity", "sorting", "grammar", "stdlib")


@pytest.mark.parametrize("name", QUICK)
def test_the_same_bits_come_again(name):
    assert fingerprint(DATASETS[name].split()) == fingerprint(read(name))


def test_a_fingerprint_sees_examples_and_labels():
    train = read("two_spirals").train
    moved = train.x.copy()
    moved[-1, -1] = np.nextafter(moved[-1, -1], np.float32(9))
    others = train._replace(x=moved), train._replace(y=np.roll(train.y, 1))
    assert len({fingerprint(d) for d in (train, *others)}) == 3
    stream = Stream(len(train.y), lambda n: (train.x[n], train.y[n]), 2)
    other = stream._replace(read=lambda n: (train.x[n], 1 - train.y[n]))
    assert fingerprint(stream) != fingerprint(other)
    assert fingerprint(stream) == fingerprint(stream._replace(scale=None))


@pytest.mark.parametrize("name", ["digits", "digits_32", "digits_64", "noise"])
def test_examples_have_mean_square_1(name):
    x = DATASETS[name].load().x.astype(np.float64)
    squares = np.mean(x.reshape(len(x), -1) ** 2, axis=1)
    np.testing.assert_allclose(squares, 1, rtol=1e-6)  # float32 rounding of the inputs


def test_a_set_without_a_split_is_parted_once_and_whole():
    whole, (train, test) = DATASETS["digits"].load(), read("digits")
    assert (len(train.y), len(test.y)) == (1437, 360)
    parts = np.concatenate([train.x, test.x]).reshape(1797, -1)
    rows = [
        collections.Counter(map(bytes, a.reshape(1797, -1))) for a in (whole.x, parts)
    ]
    assert rows[0] == rows[1]
    # Not the first four fifths: who wrote the digits goes with their order.
    assert not np.array_equal(train.y, whole.y[:1437])


def test_a_whole_set_begins_with_what_is_trained_on():
    whole, splits = DATASETS["two_spirals"].load(), read("two_spirals")
    np.testing.assert_array_equal(whole.x, np.concatenate([p.x for p in splits]))


# Real data


def test_fashion_mnist_has_the_published_figures():
    train, test = read("fashion_mnist")
    assert np.all(np.bincount(train.y) == 6000) and np.all(np.bincount(test.y) == 1000)
    mean, deviation = train.scale
    assert mean.dtype == deviation.dtype == np.float32
    # 0.2860 and 0.3530 of 255 is what everybody normalises by: four digits.
    np.testing.assert_allclose(mean / 255, [0.2860], atol=5e-5)
    np.testing.assert_allclose(deviation / 255, [0.3530], atol=5e-5)
    np.testing.assert_allclose(np.mean(train.x), mean, rtol=1e-6)
    assert test.scale is train.scale


def test_missing_files_are_answered_with_ways_to_get_them(tmp_path):
    with pytest.raises(DataError) as missing:
        find("fashion_mnist", tmp_path).load()
    message = str(missing.value)
    for way in (
        "apt-get install dataset-fashion-mnist",
        "--data-dir",
        "tfds:fashion_mnist",
    ):
        assert way in message
    assert str(tmp_path) in message and "\n" not in message


def test_files_that_are_not_the_published_ones_are_refused(tmp_path):
    names = list(fashion_mnist.FILES)
    for name in names:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(b"another data set"))
    with pytest.raises(DataError, match="does not hold what was published"):
        find("fashion_mnist", tmp_path).split()
    (tmp_path / f"{names[0]}.gz").write_bytes(b"\x1f\x8b cut off")
    with pytest.raises(DataError, match="cannot be read"):
        find("fashion_mnist", tmp_path).split()


def test_the_file_that_is_missing_is_named(tmp_path):
    if not fashion_mnist.FOLDER.is_dir():
        pytest.skip("no Fashion-MNIST here: apt-get install dataset-fashion-mnist")
    for path in fashion_mnist.FOLDER.glob("t10k*"):
        shutil.copy(path, tmp_path)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is missing"):
        find("fashion_mnist", tmp_path).split()


def test_mnist1ds_package_leaves_the_global_generators_alone(monkeypatch):
    import mnist1d.data

    def make(arguments):
        assert arguments.seed == 42 and not arguments.shuffle_seq  # the published set
        random.seed(0)
        np.random.seed(0)
        curves, labels = np.random.rand(3, 40), np.arange(3)
        return {"x": curves, "y": labels, "x_test": curves, "y_test": labels}

    monkeypatch.setattr(mnist1d.data, "make_dataset", make)
    before = random.getstate(), np.random.get_state()[1:3]
    assert DATASETS["mnist1d"].split().train.x.shape == (3, 40, 1)
    np.testing.assert_equal((random.getstate(), np.random.get_state()[1:3]), before)


# What is refused


def broken(**changes) -> Data:
    train = read("parity").train
    return train._replace(
        **{k: change(getattr(train, k)) for k, change in changes.items()}
    )


def put(value, *where):
    def change(array):
        array = array.copy()
        array[where] = value
        return array

    return change


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_examples_that_are_no_numbers_are_refused(value):
    with pytest.raises(
        DataError, match=r"parity: training example 7 has NaN or infinity"
    ):
        check(DATASETS["parity"], broken(x=put(value, 7, 3)), "training")
    answers = read("teacher_student").test
    nan = answers._replace(y=put(value, 5)(answers.y))
    with pytest.raises(DataError, match=r"example 5 .* in its target"):
        check(DATASETS["teacher_student"], nan, "test")


@pytest.mark.parametrize("label", [-1, 2, 255])
def test_labels_that_do_not_fit_are_refused(label):
    with pytest.raises(DataError, match="example 4 has a label outside 0 to 1"):
        check(DATASETS["parity"], broken(y=put(label, 4)), "training")


def test_tokens_that_do_not_fit_are_refused():
    part = read("sorting").test
    for field, value, noun in (
        ("x", 17, "token"),
        ("x", -1, "token"),
        ("y", -2, "target"),
    ):
        wrong = part._replace(**{field: put(value, 3, 0)(getattr(part, field))})
        with pytest.raises(
            DataError, match=f"example 3 has an? {noun} outside 0 to 16"
        ):
            check(DATASETS["sorting"], wrong, "test")


def test_examples_without_labels_are_refused():
    with pytest.raises(DataError, match="20000 training examples with 19999 labels"):
        check(DATASETS["parity"], broken(y=lambda y: y[1:]), "training")


def test_damaged_data_end_a_command_with_one_line(monkeypatch, capsys, tmp_path):
    good = digits.load()
    monkeypatch.setattr(
        digits, "load", lambda: good._replace(x=put(math.nan, 3)(good.x))
    )
    out = tmp_path / "out"
    flags = ["--size", "smoke", "--architecture", "mlp", "--out", str(out)]
    assert main(["run", "gradient_flow", *flags]) == 2
    stderr = capsys.readouterr().err
    assert stderr.count("\n") == 1 and "digits: all example 3 has NaN" in stderr


def test_streams_in_one_piece_are_a_stream(monkeypatch):
    train = Stream(3, lambda numbers: (10 + numbers, numbers), 2)
    test = Stream(2, lambda numbers: (20 + numbers, numbers), 2)
    entry = Dataset("big", "digits:load", (2,), 2, "a test")
    monkeypatch.setattr(digits, "load", lambda: Splits(train, test))
    assert entry.split() == Splits(train, test)
    x, y = entry.load().read(np.array([4, 0, 3, 2, 0]))
    assert x.tolist() == [21, 10, 20, 12, 10] and y.tolist() == [1, 0, 0, 2, 0]


# Names


def test_every_name_is_found():
    assert [find(name) for name in DATASETS] == list(DATASETS.values())
    assert len(set(DATASETS.values())) == len(DATASETS)  # hashable: a cache's key
    with pytest.raises(UnknownName, match=r"did you mean digits.*or tfds:NAME"):
        find("digit")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--dataset", "stdlib"], "mlp: stdlib needs the next token, which mlp does"),
        (["--dataset", "two_spirals", "--batch", "999"], "386 examples are fewer than"),
        (["--dataset", "mnist1d", "--architecture", "lenet5"], "lenet5 reads images"),
        (["--dataset", "two_spirals", "--architecture", "vit"], "vit reads images"),
    ],
)
def test_what_a_study_cannot_read_is_refused(flags, message, capsys):
    assert main(["run", "gradient_flow", "--dry-run", *flags]) == 2
    line = capsys.readouterr().err
    assert message in line and line.count("\n") == 1


def test_the_list_shows_what_is_asked(capsys):
    assert main(["list", "datasets"]) == 0
    text = capsys.readouterr().out
    line = next(line for line in text.splitlines() if "copy_memory_20" in line)
    assert line.split()[1:6] == ["tokens", "40", "×", "10", "10"]
    assert "tfds:NAME" in text


# On the device


def pictures(count=8, channels=3):
    draws = np.random.RandomState(1)
    return draws.randint(0, 256, (count, 5, 6, channels)).astype(np.uint8)


def test_normalised_images_have_mean_0_and_deviation_1():
    from depthbench.research.datasets.pixels import scale_of

    x = pictures(64)
    x[..., 1] //= 3
    z = np.asarray(images.normalised(x, scale_of(x)), np.float64)
    # Bytes, so each channel's mean and deviation are as exact as float32 is.
    np.testing.assert_allclose(z.mean((0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(z.std((0, 1, 2)), 1, rtol=1e-6)
    flat = np.full((2, 4, 4, 1), 7, np.uint8)
    assert np.all(images.normalised(flat, scale_of(flat)) == 0)


def test_images_are_mirrored_by_chance():
    x = np.asarray(pictures(32), np.float32)
    flipped = np.asarray(jax.jit(images.flipped)(jax.random.key(0), x))
    same = [np.array_equal(a, b) for a, b in zip(x, flipped, strict=True)]
    mirrored = [np.array_equal(a[:, ::-1], b) for a, b in zip(x, flipped, strict=True)]
    assert all(np.logical_xor(same, mirrored))
    assert 5 < sum(mirrored) < 27  # 16 expected; 4 deviations of √8


def test_crops_are_windows_of_the_padded_image():
    x = np.asarray(pictures(24, 1), np.float32) + 1
    keys = jax.random.split(jax.random.key(3), 2)
    crop = jax.jit(jax.vmap(lambda key: images.cropped(key, x, 2)))
    crops = np.asarray(crop(keys))
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
    corners = []
    for sample in crops.reshape(-1, 24, 5, 6, 1):
        for image, whole in zip(sample, padded, strict=True):
            fits = [
                (row, column)
                for row in range(5)
                for column in range(5)
                if np.array_equal(whole[row : row + 5, column : column + 6], image)
            ]
            assert len(fits) == 1
            corners += fits
    for axis in zip(*corners, strict=True):  # every shift is drawn in each direction
        assert set(axis) == set(range(5))
    np.testing.assert_array_equal(crops, crop(keys))
    assert not np.array_equal(crops[0], crops[1])
