"""Text of files, shown: every character that is not seen has its escape."""

import sys
import unicodedata

from depthbench.research.files.text import UNSEEN, one_line, visible, writable


def test_every_unseen_character_is_escaped_and_no_other():
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        unseen = unicodedata.category(character) in UNSEEN
        assert (visible(character) != character) is unseen
        if unseen:
            assert visible(character).isascii() and visible(character).isprintable()
            assert visible(character, keep=character) == character


def test_what_an_encoding_lacks_is_escaped():
    for encoding in ("ascii", "latin-1", "utf-8", "cp437"):
        shown = writable("σ² ± \ud800", encoding)
        assert shown.encode(encoding).decode(encoding) == shown
    assert writable("a²", "latin-1") == "a²"


def test_a_line_is_one_whatever_ends_lines():
    words = "why\r\n\n  it\tfailed\x0b\u2028here \x85"
    assert one_line(words) == "why it failed here"
    assert one_line(words, most=6) == "why it" and one_line(" \n", most=6) == ""
