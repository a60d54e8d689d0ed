"""Recordings: beside the report, played in its page, published, linked from the gallery."""

import base64
import html.parser
import re
import shutil
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

from depthbench.research.report import gallery, page, published, sounds, study_report
from depthbench.research.store import folder as folders
from depthbench.research.study.declaration import Recording
from depthbench.research.study.studies import studies
from tests.cli.test_command import run_small
from tests.hostile import TEXTS

TUNE, SONG = sounds.wav([0.0, 0.5, -0.5, 0.0], 8000), b"MThd, no song"
CAPTION = 'a tune | of <b>"two"</b> & [more](javascript:alert(1))'
NAME = "a [b](c) | d.mid"


class Elements(html.parser.HTMLParser):
    """Each element of a page with its attributes, and the text of all."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture
def heard(once, tmp_path):
    """(study with recordings, a run's folder with its report, its records)."""

    def make(out):
        assert run_small(out) == 0

    path = shutil.copytree(once("small", make), tmp_path / "run")

    def recordings(rows, profiles):
        assert rows and callable(profiles)
        return [
            Recording("tune.wav", CAPTION, lambda: TUNE),
            Recording(NAME, "a song", lambda: SONG),
        ]

    study = studies()["gradient_flow"]._replace(recordings=recordings)
    opened, _, _ = folders.existing(path)
    records, _ = folders.records(opened)
    study_report.write(study, opened, records)
    return study, opened, records


def links(markdown):
    """(text, target) of each link that Markdown has, as CommonMark reads it."""
    tokens = [t for block in MarkdownIt().parse(markdown) for t in block.children or ()]
    found = []
    for place, token in enumerate(tokens):
        if token.type == "link_open":
            found.append((tokens[place + 1].content, unquote(token.attrs["href"])))
    return found


def test_recordings_lie_beside_the_report_which_links_to_them(heard):
    _, folder, _ = heard
    assert (folder.path / "tune.wav").read_bytes() == TUNE
    assert (folder.path / NAME).read_bytes() == SONG
    text = (folder.path / "report.md").read_text()
    assert links(text) == [("tune.wav", "tune.wav"), (NAME, NAME)]
    line = next(line for line in text.splitlines() if line.startswith("[tune.wav]"))
    inline = MarkdownIt().parseInline(line)[0].children
    shown = "".join(t.content for t in inline if t.type == "text")
    assert shown == f"tune.wav: {CAPTION}"


def test_the_page_plays_waves_and_keeps_songs_with_text_as_text(heard):
    _, folder, _ = heard
    made = Elements((folder.path / "report.html").read_text())
    (player,) = made.of("audio")
    assert player["src"].startswith("data:audio/wav;base64,")
    assert base64.b64decode(player["src"].partition(",")[2]) == TUNE
    files = {file["download"]: file["href"] for file in made.of("a")}
    assert set(files) == {"tune.wav", NAME}
    assert files[NAME].startswith("data:audio/midi;base64,")
    assert base64.b64decode(files[NAME].partition(",")[2]) == SONG
    assert CAPTION in made.text and not made.of("script")


@pytest.mark.parametrize("text", TEXTS)
def test_no_name_or_caption_acts_in_a_page(text):
    bare = Elements(page.recording("a.wav", "b", TUNE))
    made = Elements(page.recording(f"{text}.wav", text, TUNE))
    assert [tag for tag, _ in made.found] == [tag for tag, _ in bare.found]
    names = lambda elements: [sorted(attributes) for _, attributes in elements.found]
    assert names(made) == names(bare)


def test_recordings_are_published_and_in_the_gallery(heard, tmp_path, monkeypatch):
    study, folder, records = heard
    monkeypatch.setattr(published, "RESULTS", tmp_path / "results")
    target = published.publish(study, folder, records)
    assert (target / "tune.wav").read_bytes() == TUNE
    assert (target / NAME).read_bytes() == SONG
    # The report that is published is made from committed rows alone, and has the links.
    committed = (target / "report.md").read_text()
    assert committed == published.made_again(study)
    assert committed == (folder.path / "report.md").read_text()
    monkeypatch.setattr(gallery, "members", lambda name: [study])
    found = dict(links(gallery.pictures("benchmarks")))
    assert found[NAME] == f"../../benchmarks/results/cpu/gradient_flow/{NAME}"
    assert re.search(r"tune\.wav\): a tune &#124; of &lt;b>", gallery.pictures("x"))


@pytest.mark.parametrize(
    "name", ["../tune.wav", "a/b.mid", ".wav", "tune.mp3", "c\\d.wav"]
)
def test_a_name_that_is_none_of_a_recording_is_refused(heard, name):
    study, folder, records = heard
    odd = study._replace(recordings=lambda r, p: [Recording(name, "", lambda: TUNE)])
    before = (folder.path / "report.md").read_bytes()
    with pytest.raises(ValueError, match="a recording is named"):
        study_report.write(odd, folder, records)
    assert (folder.path / "report.md").read_bytes() == before
