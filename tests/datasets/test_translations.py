"""Sentences and their translations: parts, balance, and .po files read as they are."""

import collections

import pytest

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.datasets import translations

PO = """
msgid ""
msgstr "Language: fr\\n"

#: views.py
msgid "Delete %(name)s?"
msgstr "Supprimer "
"%(name)s ?"

#, fuzzy
msgid "Old"
msgstr "Vieux"

msgid "one file"
msgid_plural "many files"
msgstr[0] "un fichier"

msgid "Untranslated"
msgstr ""
"""


def test_no_number_is_in_two_parts_and_lengths_are_in_balance():
    pytest.importorskip("num2words", reason="the [systems] extra is not installed")
    parts = translations.numbers("fr", 600, 100)
    every = [pair.source for part in parts for pair in part]
    assert len(every) == len(set(every)) == 800
    assert [len(part) for part in parts] == [600, 100, 100]
    counts = collections.Counter(map(len, every))
    usual = [counts[n] for n in range(4, 15)]
    # Of the shortest there are not so many; the others share what is left evenly.
    assert max(usual) - min(usual) <= 1 and max(counts.values()) == max(usual)
    known = dict(pair for part in parts for pair in part)
    assert all(word.isalpha() for pair in known.items() for s in pair for word in s)


def test_number_words_are_those_of_the_language():
    pytest.importorskip("num2words", reason="the [systems] extra is not installed")
    known = dict(pair for part in translations.numbers("fr", 600, 100) for pair in part)
    tens = {("ninety",): ("quatre", "vingt", "dix"), ("eleven",): ("onze",)}
    found = {english: known[english] for english in tens if english in known}
    assert found and found == {english: tens[english] for english in found}


def package(tmp_path, monkeypatch, count=400):
    folder = tmp_path / "django" / "contrib" / "locale" / "fr" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (tmp_path / "django" / "__init__.py").write_text("raise ImportError('imported')")
    texts = [f'msgid "Text {n} here"\nmsgstr "Ici {n}"\n' for n in range(count)]
    (folder / "django.po").write_text(PO + "\n" + "\n".join(texts))
    monkeypatch.syspath_prepend(tmp_path)


def test_texts_of_a_package_are_read_and_it_is_not_imported(tmp_path, monkeypatch):
    package(tmp_path, monkeypatch)
    parts = translations.software.__wrapped__("django", "fr", 500, 50)
    known = dict(pair for part in parts for pair in part)
    assert len(known) == 401  # neither fuzzy, plural nor without a translation
    assert known["delete", "{}", "?"] == ("supprimer", "{}", "?")
    assert [len(part) for part in parts] == [301, 50, 50]


def test_what_is_not_there_is_one_line(tmp_path, monkeypatch):
    package(tmp_path, monkeypatch, count=20)
    with pytest.raises(DataError, match=r"has 21 short texts in fr; .* must be 200"):
        translations.software.__wrapped__("django", "fr", 500, 50)
    with pytest.raises(
        DataError, match=r"locale/vi/LC_MESSAGES/django.po is installed"
    ):
        translations.files("django", "vi")


def test_plones_originals_are_in_its_comments():
    text = '#. Default: "Delete it"\nmsgid "label_delete"\nmsgstr "Supprimer"\n'
    assert translations.messages(text) == [("Delete it", "Supprimer")]
