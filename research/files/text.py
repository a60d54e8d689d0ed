"""Text that comes from files, as it can be shown: with nothing in it that acts."""

import re
import unicodedata

# Control and format characters (escape sequences, marks that turn the direction of
# writing), surrogates without their other half, and separators of lines.
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_CANDIDATE = re.compile(r"[^ -~]")  # what is not plain ASCII is looked at


def visible(text: str, keep: str = "") -> str:
    r"""The text with an escape for each character that is not seen itself.

    keep: such characters that stay as they are.

    >>> visible("a\x1b[31mb\nc"), visible("a\nb", keep="\n")
    ('a\\x1b[31mb\\nc', 'a\nb')
    """

    def shown(match: re.Match) -> str:
        character = match[0]
        if character in keep or unicodedata.category(character) not in UNSEEN:
            return character
        return character.encode("unicode_escape").decode()

    return _CANDIDATE.sub(shown, text)


def one_line(text: str, most: int | None = None) -> str:
    r"""The text in one line, its words as they are. most: letters that are kept.

    >>> one_line("a shape:\n  (3, 4)"), one_line("a long story", most=6)
    ('a shape: (3, 4)', 'a long')
    """
    return " ".join(text.split())[:most]


def writable(text: str, encoding: str) -> str:
    r"""The text with an escape for each character that an encoding does not have.

    >>> writable("σ² = 1", "ascii")
    '\\u03c3\\xb2 = 1'
    """
    return text.encode(encoding, "backslashreplace").decode(encoding)
