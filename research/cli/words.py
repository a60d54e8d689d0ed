"""The words of a command line: characters that none may have, and long ones shortened."""

import unicodedata
from collections.abc import Sequence

from depthbench.research.study.errors import Refusal

# Control characters, halves of characters (bytes that are not UTF-8), ends of lines.
UNPRINTED = {"Cc", "Cs", "Zl", "Zp"}
LONG = 200  # characters of a word; of a longer one a message has the ends
ENDS = 40


def check(words: Sequence[str]) -> None:
    """Raises Refusal for a word that could not be printed, nor be in a file of text."""
    for word in words:
        for character in word:
            if unicodedata.category(character) in UNPRINTED:
                raise Refusal(
                    f"{word!r}: contains {character!r}; names and values are of printed "
                    "characters, in UTF-8"
                )


def shortened(message: str, words: Sequence[str]) -> str:
    """The message, in which no word, value or entry of a list is long.

    >>> shortened(f"--out {'x' * 999}: no", ["run", f"--out={'x' * 999}"])[40:75]
    'xxxxxx… (999 characters) …xxxxxxxxx'
    """
    for word in words:
        if len(word) <= LONG:
            continue
        value = word.partition("=")[2]
        for part in (word, value, *word.split(","), *value.split(",")):
            for written in (part, part.strip(), repr(part)[1:-1]):
                if len(written) > LONG:
                    ends = written[:ENDS], written[-ENDS:]
                    brief = f"{ends[0]}… ({len(part.strip())} characters) …{ends[1]}"
                    message = message.replace(written, brief)
    return message
