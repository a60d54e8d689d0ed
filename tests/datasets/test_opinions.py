"""Sentences that are meant well or badly: a generator's, and rated ones of a user."""

import io
import tarfile

import numpy as np
import pytest

from depthbench.research.cli.main import main
from depthbench.research.datasets import DataError, find, opinions

LINES = (
    "1\t2.5\tA warm film.\r\n2\t-1.0\tNot a good one\r\n3\t0.0\tA film\r\n"
    + "".join(
        f"{n}\t{n % 2 - 0.5}\tsentence number word{'x' * n}\r\n" for n in range(4, 24)
    )
)
FILE = "movieReviewSnippets_GroundTruth.txt"


def packed(name, content):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo(f"folder/{name}")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize("form", ["file", "below", "inner", "outer"])
def test_rated_sentences_are_read_in_all_forms(form, tmp_path):
    inner = packed(FILE, LINES.encode())
    if form == "file":
        (tmp_path / FILE).write_text(LINES)
    elif form == "below":
        (tmp_path / "hutto_ICWSM_2014").mkdir()
        (tmp_path / "hutto_ICWSM_2014" / FILE).write_text(LINES)
    elif form == "inner":
        (tmp_path / opinions.INNER).write_bytes(inner)
    else:
        outer = packed(opinions.INNER, inner)
        (tmp_path / "vaderSentiment-3.3.2.tar.gz").write_bytes(outer)
    rated = opinions.rated("vader:films", str(tmp_path))
    assert (
        rated.texts[:2] == ("A warm film.", "Not a good one") and len(rated.texts) == 22
    )
    assert rated.good[:4].tolist() == [True, False, False, True]
    train, test = find("vader:films", tmp_path).split()
    assert train.x.shape == (17, opinions.LONG) and len(test.y) == 5


def test_what_is_not_there_is_one_line(tmp_path, capsys):
    with pytest.raises(DataError, match="must be one of vader:films"):
        find("vader:film")
    with pytest.raises(DataError, match=r"has neither .* pip download"):
        opinions.rated("vader:films", str(tmp_path))
    (tmp_path / FILE).write_text("1\tgood\tA film\n")
    with pytest.raises(DataError, match="line 1 of"):
        opinions.rated("vader:films", str(tmp_path))
    (tmp_path / "tweets").mkdir()
    (tmp_path / opinions.INNER).write_bytes(b"no archive")
    with pytest.raises(DataError, match="cannot be read"):
        opinions.rated("vader:tweets", str(tmp_path))
    out = tmp_path / "out"
    assert main(["run", "sentiment", "--out", str(out)]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and "--data-dir" in said and not out.exists()


def test_words_are_numbers_of_the_commonest(monkeypatch):
    read = opinions.parts("opinions")
    (row,) = read.numbers(["the film was not zzqx"])
    assert [read.words[n] for n in row[:4]] == ["the", "film", "was", "not"]
    assert row[4] == opinions.UNKNOWN and not row[5:].any()
    shared = set(read.train.texts) & set(read.test.texts)
    assert not shared and abs(np.mean(read.train.good) - 0.5) < 0.02


def test_the_generator_means_what_it_says():
    """Each clause alone: its degree, turned round and weaker where it is negated."""
    random = np.random.RandomState(3)
    for _ in range(200):
        text, worth = opinions._clause(random)
        words = text.split()
        size = next((opinions.DEGREES[w] for w in words if w in opinions.DEGREES), 1.0)
        side = 1 if words[-1] in opinions.GOOD else -1
        negated = any(word in opinions.NEGATIONS for word in words)
        assert worth == side * size * (-0.75 if negated else 1)
