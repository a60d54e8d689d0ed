"""Letters are the declared ones, told apart by their shape, and drawn the same again."""

import collections
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from depthbench.research.cli.main import main
from depthbench.research.datasets import DATASETS, DataError, find, glyphs
from depthbench.research.datasets.glyphs import FONTS, SCRIPTS, letters


@pytest.fixture
def fresh(monkeypatch):
    """Nothing is taken that was kept from before, and nothing is kept for others."""
    monkeypatch.setattr(glyphs, "_letters", glyphs._letters.__wrapped__)


@pytest.fixture
def folder(fresh, tmp_path, monkeypatch):
    """matplotlib's folder of fonts, a copy that a test may damage."""
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    copied = tmp_path / "fonts" / "ttf"
    copied.mkdir(parents=True)
    for name in FONTS:
        shutil.copy(fonts / f"{name}.ttf", copied)
    monkeypatch.setattr(matplotlib, "get_data_path", lambda: str(tmp_path))
    return copied


# The letters


def test_every_script_has_enough_letters():
    counts = collections.Counter(letters().script.tolist())
    assert counts == dict(zip(SCRIPTS, (135, 32, 46, 48, 39), strict=True))


def test_letters_are_single_and_in_order_by_script():
    drawn = letters()
    assert len(set(drawn.characters)) == 300
    places = [SCRIPTS.index(script) for script in drawn.script]
    order = list(zip(places, drawn.characters, strict=True))
    assert order == sorted(order)
    for character, script in zip(drawn.characters, drawn.script, strict=True):
        assert unicodedata.name(character).lower().startswith(script)
        assert unicodedata.category(character)[0] == "L"
        assert not unicodedata.decomposition(character)


@pytest.mark.exhaustive
def test_letters_are_those_that_a_new_search_finds():
    found = glyphs.distinct()
    by_script = {script: "" for script in SCRIPTS}
    for letter in found:
        by_script[glyphs._script(letter)] += letter
    assert by_script == glyphs.DISTINCT


def upright(characters):
    """Each one's pictures in all fonts."""
    masks = glyphs._masks(characters, glyphs._paths())
    return [glyphs._upright(masks[character]) for character in characters]


ALIKE = ("AΑА", "BΒВ", "Oo", "Ss", "IlΙӀ", "pρр", "Яя", "FϜ")


@pytest.mark.parametrize("alike", ALIKE)
def test_of_letters_that_look_alike_the_first_is_kept(alike):
    first, *others = upright(alike)
    assert all(glyphs._alike(other, first) for other in others)
    assert set(alike) & set("".join(glyphs.DISTINCT.values())) == {alike[0]}


@pytest.mark.parametrize("other", ["EF", "OQ", "bd", "nh", "PR", "pq", "Aa", "ΓL"])
def test_letters_that_differ_are_all_kept(other):
    assert not glyphs._alike(*upright(other))
    assert set(other) <= set("".join(glyphs.DISTINCT.values()))


def test_no_two_upright_letters_are_within_nine_per_cent():
    """Each fifth of those kept, by another sum than the one that chose them."""
    kept = "".join(sorted("".join(glyphs.DISTINCT.values())))
    pixels = np.array(upright(kept[::5]), np.float64)
    for number, own in enumerate(pixels[:-1]):
        others = pixels[number + 1 :].reshape(-1, 256)
        for picture in own:
            between = np.sum((others - picture) ** 2, axis=1)
            mean = (np.sum(others**2, axis=1) + np.sum(picture**2)) / 2
            assert np.min(between / mean) >= 0.09


# The drawings


def test_drawings_have_the_declared_form():
    drawn = letters()
    assert drawn.x.shape == (300, 20, 16, 16, 1) and drawn.x.dtype == np.uint8
    assert drawn.font.shape == (300, 20)
    assert not any(array.flags.writeable for array in drawn)
    assert letters(300, 20) is letters()  # kept


def test_each_font_has_drawn_each_letter():
    font = letters(5, 30).font
    for start in (0, 12):
        rounds = np.sort(font[:, start : start + 12], axis=1)
        np.testing.assert_array_equal(rounds, np.tile(np.arange(12), (5, 1)))
    last = np.sort(font[:, 24:], axis=1)
    assert np.all(np.diff(last, axis=1) > 0)
    first = letters().font[:, 0]  # of 300 letters, 25 ± 5 a font
    assert np.bincount(first, minlength=12).min() >= 5


def test_every_drawing_has_ink_within_its_frame_and_is_single():
    x = letters().x[..., 0]
    ink = x.sum(axis=(2, 3), dtype=np.int64) / 255
    assert ink.min() > 5 and ink.max() < 200  # pixels of 256
    frame = x.astype(np.int64)
    frame[:, :, 1:-1, 1:-1] = 0
    # A tilted corner may be cut; that is all that the frame's pixels have.
    assert np.mean(frame.sum(axis=(2, 3)) / 255 / ink) < 0.02
    assert len({drawing.tobytes() for drawing in x.reshape(-1, 256)}) == 6000
    assert set(np.unique(x)) == {n * 255 // 16 for n in range(17)}


def test_a_letters_drawings_are_the_same_whatever_else_is_asked():
    drawn, few = letters(), letters(17, 3)
    assert few.x.shape[:2] == (17, 3)
    places = [list(drawn.characters).index(c) for c in few.characters]
    np.testing.assert_array_equal(few.x, drawn.x[places, :3])
    np.testing.assert_array_equal(few.font, drawn.font[places, :3])


@pytest.fixture
def kept():
    return letters()


def test_letters_are_drawn_the_same_again(kept, fresh):
    again = letters()
    assert again is not kept
    for before, now in zip(kept, again, strict=True):
        np.testing.assert_array_equal(before, now)


@pytest.mark.parametrize("tilt, turned", [(0.0, 0), (1.0, 1), (-1.0, 3)])
def test_a_tilt_turns_and_a_place_moves(tilt, turned):
    """tan of half of 90 degrees is 1."""
    mask = np.zeros((8, 8), bool)
    mask[:4, :] = mask[:, :2] = True
    upright = glyphs._inked(mask, 8.0)
    expected = np.zeros((16, 16), int)
    expected[4:12, 4:12] = 16 * mask
    np.testing.assert_array_equal(upright, expected)
    clockwise = np.rot90(upright, -turned)
    np.testing.assert_array_equal(glyphs._inked(mask, 8.0, tilt), clockwise)
    moved = glyphs._inked(mask, 8.0, tilt, place=(1.0, 2.0))
    np.testing.assert_array_equal(moved, np.roll(clockwise, (2, 1), (0, 1)))


# The split, and what simple methods reach


def test_each_class_is_learned_and_judged_equally():
    train, test = DATASETS["glyphs"].split()
    assert np.all(np.bincount(train.y) == 16) and np.all(np.bincount(test.y) == 4)
    np.testing.assert_array_equal(train.x[300 + 7], letters().x[7, 1])
    np.testing.assert_array_equal(test.x[7], letters().x[7, 16])
    assert test.scale is train.scale


def test_a_constant_is_right_once_in_300_and_the_nearest_neighbour_571_in_1200():
    train, test = DATASETS["glyphs"].split()
    assert np.mean(test.y == 0) == 1 / 300
    near, far = (p.x.reshape(len(p.y), -1).astype(np.float64) for p in (train, test))
    # Whole numbers below 2⁵³: exact in whatever order they are summed.
    apart = np.sum(near**2, axis=1) - 2 * far @ near.T
    assert np.sum(train.y[apart.argmin(axis=1)] == test.y) == 571


def test_logistic_regression_is_right_more_often_than_not():
    linear_model = pytest.importorskip("sklearn.linear_model")
    train, test = DATASETS["glyphs"].split()
    x, new = (p.x.reshape(len(p.y), -1) / 255 for p in (train, test))
    fitted = linear_model.LogisticRegression(max_iter=200).fit(x, train.y)
    assert 0.50 < fitted.score(new, test.y) < 0.56  # 0.53


# What is refused


@pytest.mark.parametrize("count", [0, -1, 372])
def test_as_many_letters_as_cannot_be_are_refused(count):
    with pytest.raises(DataError) as refused:
        letters(count)
    assert str(refused.value).startswith(f"glyphs: {count} letters; must be 1 to 371")
    assert len(letters(371, 1).characters) == 371


@pytest.mark.parametrize("drawings", [0, -3])
def test_no_drawings_are_refused(drawings):
    with pytest.raises(DataError, match=f"{drawings} drawings of a letter; must be 1"):
        letters(10, drawings)


def test_fonts_that_are_missing_are_one_line(folder, tmp_path, capsys):
    (folder / "DejaVuSerif-Bold.ttf").unlink()
    (folder / "DejaVuSansMono.ttf").unlink()
    flags = ["--dataset", "glyphs", "--steps", "1", "--out", str(tmp_path / "out")]
    assert main(["train", *flags]) == 2
    line = capsys.readouterr().err
    assert "DejaVuSansMono.ttf is missing (2 of 12 fonts)" in line
    assert "pip install --force-reinstall matplotlib" in line and line.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"no font", None])
def test_a_damaged_font_is_one_line(folder, content):
    path = folder / "DejaVuSans.ttf"
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(DataError, match=r"DejaVuSans\.ttf cannot be read") as refused:
        find("glyphs").split()
    assert "\n" not in str(refused.value)


def test_the_fonts_licence_lies_beside_them():
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    text = (fonts / "LICENSE_DEJAVU").read_text(encoding="utf-8", errors="replace")
    assert "free of charge" in text and "DejaVu changes are in public domain" in text


def test_naming_the_set_imports_nothing_that_draws(clean_environment, root):
    program = (
        "import sys\n"
        "from depthbench.research.datasets import find, glyphs\n"
        "find('glyphs')\n"
        "print(*(m for m in ('PIL', 'matplotlib', 'jax') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [], "")
