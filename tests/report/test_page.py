"""Reports as a browser shows them: the answer first, on any screen, light and dark."""

import functools
import re

import pytest

from depthbench.research.report import figures as drawing
from depthbench.research.report import page, published, rendering, study_report
from depthbench.research.study import headlines
from depthbench.research.study.declaration import Headline
from depthbench.research.study.studies import studies
from depthbench.research.study.tables import Mark, Table
from tests.report import browser

WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
READABLE = 4.5  # contrast of text, by WCAG 2.1, level AA
COMMITTED = published.folders()

shown = pytest.mark.skipif(
    browser.program() is None,
    reason=f"no browser to take pictures with: none of {', '.join(browser.NAMES)}",
)


@functools.cache
def html_of(name, pictures=False):
    """A study's page, made from its committed rows; with pictures of rows alone."""
    study, made = studies()[name], published.made(name)
    shown = []
    if pictures:
        for figure in study.figures(made.rows, lambda row: {}):
            drawn = figure.draw()
            drawing.lay_out(drawn)
            png = drawing.as_png(drawn)
            shown.append(page.figure(figure.name, figure.caption, png))
    return study_report.as_html(study, made.rows, [made.environment], shown)


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    with browser.opened(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def deepest(tmp_path_factory):
    """The page of max_trainable_depth, whose picture is made from rows alone."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(html_of("max_trainable_depth", pictures=True), encoding="utf-8")
    return path


@shown
@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_its_window(window, tmp_path, width):
    """Of every study with rows; their widest table is wider than a telephone."""
    tables = []
    for name in COMMITTED:
        path = tmp_path / f"{name}.html"
        path.write_text(html_of(name), encoding="utf-8")
        window.show(path, width, "light")
        across = "document.documentElement.scrollWidth"
        assert window.value(across) == width == window.value("innerWidth"), name
        widths = "[...document.querySelectorAll('table')].map(t => t.scrollWidth)"
        tables += window.value(widths)
    assert max(tables) > 390


@shown
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_answer_and_the_worst_case_are_seen_first(
    window, deepest, tmp_path, width, scheme
):
    window.show(deepest, width, scheme)
    (tmp_path / f"{width}-{scheme}.png").write_bytes(window.picture())
    answer, worst, picture, table = (
        window.value(f"document.querySelector('{what}').getBoundingClientRect().top")
        for what in (".answer", ".worst", "img", "table")
    )
    assert 0 < answer < worst < picture < table
    assert answer < 200 and worst < 600  # of a window 900 high


@shown
@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
@pytest.mark.parametrize("width", WIDTHS)
def test_page_and_picture_are_light_or_dark_together(
    window, deepest, width, scheme, dark
):
    window.show(deepest, width, scheme)
    window.value("document.querySelector('img').scrollIntoView()")
    pixels = browser.pixels(window.picture())
    left, top = window.value(
        "(r => [r.left, r.top])(document.querySelector('img').getBoundingClientRect())"
    )
    corner = pixels[int(top) + 3, int(left) + 3]  # of the picture, where nothing is
    beside = pixels[int(top) + 3, 2]
    assert (corner.max() < 0.1) if dark else (corner.min() > 0.9)
    assert abs(corner - beside).max() < 0.02  # no frame is seen around the picture


@shown
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_tone_is_readable(window, tmp_path, scheme):
    tones = ("bad", "warning", "good", "dim")
    table = Table("", tones, (tuple(Mark(tone, tone) for tone in tones),))
    head = page.head("a study", "Why?", Headline("So.", "But."))
    parts = (head, page.table(table), page.made(["here"]))
    path = tmp_path / "tones.html"
    path.write_text(page.whole("tones", parts), encoding="utf-8")
    window.show(path, 1280, scheme)
    ground = luminance(window.value("getComputedStyle(document.body).backgroundColor"))
    for what in (*(f"td.{tone}" for tone in tones), ".answer", ".worst", ".made"):
        ink = window.value(f"getComputedStyle(document.querySelector('{what}')).color")
        low, high = sorted((luminance(ink), ground))
        assert (high + 0.05) / (low + 0.05) >= READABLE, (what, ink)


def luminance(colour):
    """Relative luminance of "rgb(…)", by WCAG 2.1."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("name", COMMITTED)
def test_a_page_is_one_file_without_script_and_answers_first(name):
    html = html_of(name)
    assert "<script" not in html and "http-equiv" not in html
    assert not re.search(r"""(src|href)=["'](?!data:)""", html)
    headline = headlines.of(studies()[name], published.made(name).rows)
    answer = html.index('class="answer"')
    assert answer < html.index("<table") and headline.answer
    markdown = (COMMITTED[name] / "report.md").read_text()
    assert markdown.index(rendering.first(headline)[0]) < markdown.index("\n| ")


def test_text_of_rows_is_escaped():
    table = Table("<b>", ("<i>",), ((Mark("<script>", "bad"),),))
    made = page.whole("<u>", [page.table(table), page.head("<a>", "&", Headline("<"))])
    assert not re.search(r"<(b|i|u|a|script)>", made)
