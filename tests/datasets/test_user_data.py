"""A user's files are read as they are: every value, every class, and the same anywhere."""

import csv
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from depthbench.research.datasets import Stream, contract, find, fingerprint
from depthbench.research.datasets.contract import order
from depthbench.research.datasets.reading import reader
from depthbench.research.datasets.record import described, notes, record
from depthbench.research.datasets.user_parts import scale_of_floats
from tests.datasets.refusals import PIXELS, X, Y

TRAIN, TEST = order(20)
TOKENS = np.random.RandomState(0).randint(0, 7, (20, 6))


def saved(path, **arrays):
    np.savez_compressed(path, **arrays)
    return find(f"npz:{path}")


# ------------------------------------------------------------------------------- npz


@pytest.mark.parametrize(
    ("x", "form"),
    [
        (PIXELS, ((6, 5, 1), "uint8")),
        (np.stack([PIXELS] * 3, -1), ((6, 5, 3), "uint8")),
        (X, ((2,), "float32")),
        (X.astype(">f4"), ((2,), "float32")),
        (np.asfortranarray(X.astype(np.float16)), ((2,), "float32")),
        (PIXELS / 255.0, ((6, 5), "float32")),
        (PIXELS[..., None] / 255.0, ((6, 5, 1), "float32")),
        (TOKENS, ((6, 7), "int32")),
        (TOKENS.astype(np.uint16), ((6, 7), "int32")),
    ],
)
def test_inputs_of_every_form(x, form, tmp_path):
    dataset = saved(tmp_path / "a.npz", x=x, y=Y.astype(np.uint8))
    assert (dataset.shape, dataset.stored) == form
    assert (dataset.task, dataset.classes, dataset.sizes) == ("classes", 2, (16, 4))
    train, test = dataset.split()
    whole = x.reshape(20, *train.x.shape[1:]).astype(dataset.stored)
    np.testing.assert_array_equal(train.x, whole[TRAIN])
    np.testing.assert_array_equal(test.x, whole[TEST])
    np.testing.assert_array_equal(np.append(train.y, test.y), Y[np.append(TRAIN, TEST)])
    read = np.asarray(reader(dataset, train.scale)(train.x), np.float64)
    if dataset.stored == "int32":
        np.testing.assert_array_equal(read.argmax(-1), whole[TRAIN])
    else:  # of the training part alone
        columns = read.reshape(-1, read.shape[-1])
        np.testing.assert_allclose(columns.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(columns.std(0), 1, rtol=1e-4)


NEXT = np.concatenate([TOKENS[:, 1:], np.full((20, 1), 3)], 1)


@pytest.mark.parametrize(
    ("x", "y", "form"),
    [
        (X, Y[:, None], ("classes", 2, False)),
        (X, Y * 0.25, ("numbers", 1, False)),
        (X, X[:, ::-1], ("numbers", 2, False)),
        (TOKENS, TOKENS[:, ::-1] + 2, ("tokens", 9, False)),
        (TOKENS, NEXT, ("tokens", 7, True)),
        (TOKENS, np.where(NEXT == 2, -1, NEXT), ("tokens", 7, True)),
    ],
)
def test_targets_of_every_form(x, y, form, tmp_path):
    dataset = saved(tmp_path / "a.npz", x=x, y=y)
    assert (dataset.task, dataset.classes, dataset.causal) == form
    train = dataset.split().train
    wanted = y.reshape(20, *train.y.shape[1:]).astype(train.y.dtype)
    np.testing.assert_array_equal(train.y, wanted[TRAIN])


def test_a_split_of_its_own(tmp_path):
    four = {"x_train": PIXELS[:12], "y_train": Y[:12], "x_test": PIXELS[12:]}
    dataset = saved(tmp_path / "a.npz", **four, y_test=Y[12:], x_val=PIXELS)
    train, test = dataset.split()
    np.testing.assert_array_equal(train.x[..., 0], PIXELS[:12])
    np.testing.assert_array_equal(test.x[..., 0], PIXELS[12:])
    np.testing.assert_array_equal(train.scale[0], np.float32(PIXELS[:12].mean()))
    assert train.note == "not read: x_val"


def test_columns_that_never_change(tmp_path):
    x = np.stack([X[:, 0], np.full(20, 0.1), np.where(np.isin(Y, 0), 5, 5.0)], 1)
    x[TEST[0], 2] = 7  # changes among those to judge by alone
    train, test = saved(tmp_path / "a.npz", x=x, y=Y).split()
    np.testing.assert_array_equal(train.scale[1][1:], 1)
    assert train.note == "2 of 3 columns never change"
    read = reader(find(f"npz:{tmp_path / 'a.npz'}"), train.scale)
    np.testing.assert_array_equal(read(train.x)[:, 1:], 0)
    np.testing.assert_array_equal(read(test.x)[:, 2], np.where(TEST[0] == TEST, 2, 0))


def test_a_constant_has_no_deviation():
    """Whatever is rounded in the mean of so many of it."""
    for count in (3, 7, 49, 997):
        for value in np.float32([0.1, 1e-20, 1 / 3, 1e30]):
            mean, deviation = scale_of_floats(np.full((count, 2), value))
            np.testing.assert_array_equal(mean, value)
            np.testing.assert_array_equal(deviation, 1)


# ------------------------------------------------------------------------------- csv

LABELS = {
    "text": ([["dog", "cat", "7 eels"][n % 3] for n in range(20)], ("classes", 3)),
    "whole numbers": ([n % 3 - 1 for n in range(20)], ("classes", 3)),
    "gaps": ([[3, 10, 0][n % 3] for n in range(20)], ("classes", 3)),
    "numbers": ([n / 4 for n in range(20)], ("numbers", 1)),
    "exponents": ([f"{n}e0" for n in range(20)], ("numbers", 1)),
}


@pytest.mark.parametrize("case", LABELS)
@pytest.mark.parametrize("form", ["plain", "quoted", "spaced", "old", "no names"])
def test_tables_of_every_form(case, form, tmp_path):
    labels, declared = LABELS[case]
    path, x = tmp_path / "a.csv", X * np.float64([0.1, -1e-3])
    rows = [[a, label, b] for (a, b), label in zip(x.tolist(), labels, strict=True)]
    names = [["first, of two", "kind", "zweite\nß"]] if form != "no names" else []
    end = {"old": "\r", "spaced": "\r\n"}.get(form, "\n")
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        quoted = csv.QUOTE_ALL if form in ("quoted", "old") else csv.QUOTE_MINIMAL
        csv.writer(file, lineterminator=end, quoting=quoted).writerows(names + rows)
        file.write(end * 2)
    if form == "spaced":
        path.write_bytes(path.read_bytes().replace(b",", b", ").replace(b"y, ", b"y,"))
    dataset = find(f"csv:{path}:{2 if form == 'no names' else 'kind'}")
    assert (dataset.task, dataset.classes, dataset.shape) == (*declared, (2,))
    train, test = dataset.split()
    np.testing.assert_array_equal(train.x, x[TRAIN].astype(np.float32))
    np.testing.assert_array_equal(test.x, x[TEST].astype(np.float32))
    if dataset.task == "numbers":
        wanted = [float(labels[number]) for number in TRAIN]
        np.testing.assert_array_equal(train.y[:, 0], wanted)
    else:
        ranks = {label: rank for rank, label in enumerate(sorted(set(labels)))}
        np.testing.assert_array_equal(train.y, [ranks[labels[n]] for n in TRAIN])
        assert f"classes {', '.join(map(str, sorted(set(labels))))}" in train.note


# ---------------------------------------------------------------------------- images


def pictures(folder, part="", count=20, save=None):
    for number in range(count):
        place = folder / part / ["Übung 2", "cat"][number % 2]
        place.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(PIXELS[number])
        path = place / f"{number:02}.png"
        image.save(path) if save is None else save(image, path, number)
    (folder / ".DS_Store").write_bytes(b"litter")
    return folder


# In the order of the folders: cat, then Übung 2.
SORTED = np.concatenate([np.arange(1, 20, 2), np.arange(0, 20, 2)])


def test_pictures_are_read_in_order(tmp_path):
    dataset = find(f"images:{pictures(tmp_path)}")
    assert (dataset.shape, dataset.stored, dataset.classes) == ((6, 5, 1), "uint8", 2)
    train, test = dataset.split()
    np.testing.assert_array_equal(train.x[..., 0], PIXELS[SORTED][TRAIN])
    np.testing.assert_array_equal(test.x[..., 0], PIXELS[SORTED][TEST])
    np.testing.assert_array_equal(train.y, (SORTED % 2 == 0)[TRAIN])
    assert train.note == "classes cat, Übung 2"


@pytest.mark.parametrize("name", ["test", "val", "valid", "validation"])
def test_parts_of_pictures(name, tmp_path):
    pictures(pictures(tmp_path, "train"), name, 8)
    (tmp_path / "README.md").write_text("two kinds")
    train, test = find(f"images:{tmp_path}").split()
    mixed = np.random.RandomState(0).permutation(20)
    np.testing.assert_array_equal(train.x[..., 0], PIXELS[SORTED][mixed])
    np.testing.assert_array_equal(test.x[..., 0], PIXELS[[1, 3, 5, 7, 0, 2, 4, 6]])
    assert train.note == "classes cat, Übung 2; left out: README.md"


def colours(image, path, number):
    """The same grey in forms that hold it without loss."""
    rgb = image.convert("RGB")
    clear = rgb.copy()
    clear.putalpha(255)
    table = Image.new("P", image.size)
    table.putpalette([grey for grey in range(256) for _ in range(3)])
    table.putdata(list(PIXELS[number].ravel()))
    (rgb, clear, table)[number % 3].save(path)


def test_forms_without_loss(tmp_path):
    grey = find(f"images:{pictures(tmp_path / 'grey')}").load().x
    other = find(f"images:{pictures(tmp_path / 'colours', save=colours)}").load().x
    assert other.shape == (20, 6, 5, 3)
    np.testing.assert_array_equal(other, np.repeat(grey, 3, -1))
    black = find(
        f"images:{pictures(tmp_path / 'b', save=lambda i, p, n: i.convert('1').save(p))}"
    )
    assert set(np.unique(black.load().x)) <= {0, 255}


def test_what_does_not_fit_in_memory_is_read_from_disk(tmp_path, monkeypatch):
    whole = find(f"images:{pictures(tmp_path)}").load()
    monkeypatch.setattr(contract, "IN_MEMORY", 100)
    train, test = find(f"images:{tmp_path}").split()
    assert isinstance(train, Stream) and isinstance(test, Stream)
    x, y = train.read(np.arange(16))
    np.testing.assert_array_equal(x, whole.x[:16])
    np.testing.assert_array_equal(y, whole.y[:16])
    np.testing.assert_array_equal(test.read(np.array([2, 0]))[0], whole.x[[18, 16]])
    np.testing.assert_allclose(train.scale, whole.scale)
    before = fingerprint(train)
    number = TRAIN[TRAIN < 10][0]  # of the cats, the first
    place = tmp_path / f"cat/{SORTED[number]:02}.png"
    place.write_bytes(place.read_bytes().replace(b"IDAT", b"IDAX"))
    with pytest.raises(
        contract.DataError, match=rf"image {number + 1}, cat/\d+\.png, cannot"
    ):
        train.read(np.arange(16))
    Image.fromarray(PIXELS[2]).save(place)
    assert fingerprint(find(f"images:{tmp_path}").split().train) != before


# ------------------------------------------------------------------ names and hashes


def test_the_same_contents_have_the_same_hash_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=X, y=Y)
    (tmp_path / "t.csv").write_text(
        "a,b\n" + "".join(f"{n},{n % 2}\n" for n in range(9))
    )
    pictures(tmp_path / "pics")
    shutil.copytree(tmp_path, tmp_path / "else/where")
    for name in ("npz:{}a.npz", "csv:{}t.csv:b", "images:{}pics"):
        digests = set()
        for place in (
            "",
            "./",
            "else/where/",
            f"{tmp_path}/",
            f"{tmp_path}/else/where/",
        ):
            dataset = find(name.format(place))
            assert dataset.name == name.format(place)
            digests.add(fingerprint(dataset.split()))
        assert len(digests) == 1
    np.savez("a.npz", x=X + 1, y=Y)
    assert fingerprint(find("npz:a.npz").split()) != fingerprint(
        find("npz:else/where/a.npz").split()
    )


NAMES = [
    "a,b.npz",
    "a b.npz",
    "ä→β.npz",
    "a:b.npz",
    "C:\\d\\e.npz",
    "~x.npz",
    "#1.npz",
    "a",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_files(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with (tmp_path / "home" / name).open("wb") as file:
        np.savez(file, x=X, y=Y)
    absolute, short = f"npz:{tmp_path}/home/{name}", f"npz:~/{name}"
    for typed, shown in [(f"npz:home/{name}", None), (absolute, short), (short, short)]:
        dataset = find(typed)
        assert dataset.name == (shown or typed)
        assert dataset.split().train.length == 16
    os.symlink(tmp_path / "home" / name, tmp_path / "link.npz")
    assert find("npz:link.npz").sizes == (16, 4)


def test_a_label_may_have_colons_and_so_may_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{n},{n % 2}\n" for n in range(9))
    (tmp_path / "t.csv").write_text(f"a,the: kind\n{rows}")
    (tmp_path / "t.csv:old").write_text(f"b,kind\n{rows}")
    assert find("csv:t.csv:the: kind").classes == 2
    assert find("csv:t.csv:old:kind").classes == 2


def test_what_is_said_before_data_are_used(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=PIXELS, y=Y)
    dataset = find("npz:a.npz")
    parts = dataset.split()
    (line,) = notes(dataset, parts, record(dataset, parts))
    assert line == (
        "npz:a.npz: 16 examples to learn, 4 to judge by: image 6 × 5 × 1, 2 classes; "
        f"its hash is {fingerprint(parts)[:16]}"
    )
    np.savez("a.npz", x=TOKENS, y=NEXT)
    assert described(find("npz:a.npz")).endswith(
        ": 6 tokens of 7, the next token asked"
    )
    digits = find("digits")
    assert notes(digits, digits.split(), {}) == []
