"""Series of the archives: what of a file is read, and what is said where it cannot be."""

import importlib.util

import numpy as np
import pytest

from depthbench.research.datasets import DataError, find, time_series

HEAD = "# a comment\n@problemName Two\n@data\n"


def write(folder, train, test="1,2:1,2:b\n"):
    (folder / "Two_TRAIN.ts").write_text(HEAD + train)
    (folder / "Two_TEST.ts").write_text(HEAD + test)


def test_series_of_several_channels_and_lengths(tmp_path):
    write(tmp_path, "1,2,3:0,0,6:b\n5:2:a\n", "1,1,1,1:0,0,0,0:a\n")
    dataset = find("ts:Two", tmp_path)
    assert (dataset.shape, dataset.classes, dataset.sizes) == ((3, 2), 2, (2, 1))
    train, test = dataset.split()
    assert train.y.tolist() == [1, 0] and test.y.tolist() == [0]
    first, second = np.array([1, 2, 3, 5.0]), np.array([0, 0, 6, 2.0])
    wanted = [(one - one.mean()) / one.std() for one in (first, second)]
    np.testing.assert_allclose(train.x[0], np.stack(wanted, 1)[:3], rtol=1e-6)
    assert not train.x[1, 1:].any() and test.x.shape == (1, 3, 2)


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ("1,2:a\n1,x:b\n", "line 5 of Two_TRAIN.ts is no series"),
        ("1,2:1,2:a\n1,2:b\n", "line 5 of Two_TRAIN.ts is no series"),
        ("1,nan:a\n", "line 4 of Two_TRAIN.ts has a gap"),
        ("", "Two_TRAIN.ts has no series"),
    ],
)
def test_a_file_that_is_none_is_one_line(train, said, tmp_path):
    write(tmp_path, train)
    with pytest.raises(DataError, match=said):
        find("ts:Two", str(tmp_path))


def test_what_is_not_there_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"there is no Other_TRAIN.ts in"):
        find("ts:Other", tmp_path)
    with pytest.raises(DataError, match="must be ts:NAME"):
        time_series.load("ts:no name")


@pytest.mark.skipif(
    importlib.util.find_spec("aeon") is None, reason="pip install --no-deps aeon"
)
@pytest.mark.parametrize(
    ("name", "shape", "sizes", "classes"),
    [
        ("BasicMotions", (100, 6), (40, 40), 4),
        ("GunPoint", (150, 1), (50, 150), 2),
        ("JapaneseVowels", (26, 12), (270, 370), 9),
    ],
)
def test_aeons_sets_are_as_the_archives_say(name, shape, sizes, classes):
    dataset = find(f"ts:{name}")
    assert (dataset.shape, dataset.sizes, dataset.classes) == (shape, sizes, classes)
