"""Shapes of inputs, as they are typed."""

import math

from research.study.errors import Refusal

MOST = 2**33  # numbers in all inputs


def of(text: str) -> list[tuple[int, ...]]:
    """The shapes of "16,8;16,4". Raises Refusal.

    >>> of("16,8; 16,4")
    [(16, 8), (16, 4)]
    """
    parts = [tuple(map(_size, one.split(","))) for one in text.split(";")]
    if not all(map(all, parts)):
        raise Refusal(
            f"--input {text!r}: must be sizes from 1, the batch's first, such as "
            "16,224,224,3; those of several inputs have ; between them"
        )
    if sum(map(math.prod, parts)) > MOST:
        raise Refusal(f"--input {text}: is more than {MOST:,} numbers")
    return parts


def written(parts: list[tuple[int, ...]]) -> str:
    """Shapes in the one way in which cells have them.

    >>> written(of(" 16,8; 16, 4"))
    '16,8;16,4'
    """
    return ";".join(",".join(map(str, part)) for part in parts)


def _size(text: str) -> int:
    """A size; 0 for what is none."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
