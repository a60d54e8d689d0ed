"""Numbers as tables show them: ranges show the digits in which their ends differ."""

import random

import pytest

from depthbench.research.study.tables import RESOLUTION, number, ranged

DRAWS = 400


def ends_of(text, word="–"):
    """(the number, its lowest, its highest) as they are written."""
    middle, _, ends = text.partition(" (")
    return middle, *ends.removesuffix(")").split(word)


def draw(source, decade, gap):
    """A number of a decade, between ends that are `gap` of it apart."""
    value = source.uniform(1, 10) * 10.0**decade
    low = value * (1 - gap * source.random())
    return value, low, low + value * gap


@pytest.mark.parametrize("decade", range(-12, 13))
@pytest.mark.parametrize("gap", [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0])
def test_ends_that_differ_look_different(decade, gap):
    source = random.Random(f"{decade} {gap}")
    for _ in range(DRAWS):
        value, low, high = draw(source, decade, gap)
        for digits, ends in ((3, 2), (3, 3), (2, 2)):
            middle, least, most = ends_of(ranged(value, low, high, digits, ends))
            assert least != most and float(least) < float(most)
            if digits == ends:  # else the middle has a figure that the ends have not
                assert float(least) <= float(middle) <= float(most)
            for text, exact in ((middle, value), (least, low), (most, high)):
                # Never fewer figures than are asked.
                assert float(text) == pytest.approx(exact, rel=0.5 * 10 ** (1 - ends))


@pytest.mark.parametrize("decade", range(6))
def test_no_exponent_stands_for_figures_before_the_point(decade):
    source = random.Random(decade)
    for _ in range(DRAWS):
        value, low, high = draw(source, decade, 0.01)
        if high < 999_999:
            assert "e" not in ranged(value, low, high, ends=2)


@pytest.mark.parametrize("decade", range(-3, 4))
def test_decimals_grow_where_they_must(decade):
    source = random.Random(decade)
    for _ in range(DRAWS):
        gap = 10.0 ** source.uniform(-4, 0)
        value, low, high = draw(source, decade, gap)
        texts = ends_of(ranged(value, low, high, 2, form="f"))
        assert min(len(text.partition(".")[2]) for text in texts) >= 2
        assert high - low < 10.0**-RESOLUTION or texts[1] != texts[2]
        wide = high - low > 0.02
        assert not wide or {len(text.partition(".")[2]) for text in texts} == {2}


def test_what_is_the_same_stays_short():
    assert ranged(1.0, 1.0, 1.0) == "1 (1–1)"
    assert ranged(0.5, 0.5, 0.5, 2, form="f") == "0.50 (0.50–0.50)"
    # Noise in the last digits of a double is below what is shown.
    assert ranged(0.3, 0.3, 0.1 + 0.2) == "0.3 (0.3–0.3)"


def test_the_quartiles_of_the_complaint():
    assert ranged(286.4, 285.1, 288.0, ends=2) == "286 (285–288)"
    assert ranged(0.912, 0.52, 1.31, word=" to ") == "0.912 (0.52 to 1.31)"


def test_without_a_range_it_is_a_number():
    for value in (None, 0.25, 286.4, 7):
        assert ranged(value, None, None) == number(value)
        assert ranged(value, 1.0, None) == number(value)
