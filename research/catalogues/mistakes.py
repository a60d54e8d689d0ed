"""What the person at the keyboard can mend, in one line that says what is allowed."""

import difflib
from collections.abc import Iterable


class Mistake(ValueError):
    """What the person at the keyboard can mend; the message is the one line to print."""


class DataError(Mistake):
    """Data that are missing, damaged or not what they should be; says what to do."""


class UnknownName(Mistake):
    """A name that is not in a catalogue; says what is, nearest first."""


def nearest(name: str, allowed: Iterable[str], listing: str = "") -> str:
    """A sentence's end: the nearest allowed names, and all of them.

    listing: what is allowed, in words, where the names are too many for a line.

    >>> nearest("rleu", ["tanh", "relu"])
    'did you mean relu? (allowed: tanh, relu)'
    """
    allowed = [str(a) for a in allowed]
    lower = {a.lower(): a for a in allowed}
    near = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
    listing = f"allowed: {listing or ', '.join(allowed)}"
    if not near:
        return listing
    return f"did you mean {' or '.join(lower[n] for n in near)}? ({listing})"
