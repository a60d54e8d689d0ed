"""What is typed of a net: its inputs' shapes, and further arguments of its call."""

import json
import math

from depthbench.research.study.axes import Value
from depthbench.research.study.errors import Refusal

MOST = 2**33  # numbers in all inputs


def shapes(text: str) -> list[tuple[int, ...]]:
    """The shapes of "16,8;16,4". Raises Refusal.

    >>> shapes("16,8; 16,4")
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


def inputs(text: str) -> str:
    """The shapes in the one way in which cells have them. Raises Refusal.

    >>> inputs(" 16,8;16, 4")
    '16,8;16,4'
    """
    return ";".join(",".join(map(str, shape)) for shape in shapes(text))


def keywords(text: Value) -> str | None:
    """Keyword arguments, as JSON, in one way. Raises Refusal.

    >>> keywords('{"train":true}')
    '{"train": true}'
    """
    if text is None:
        return None
    try:
        value = json.loads(str(text))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refusal(
            f"--kwargs {text}: must be arguments of the net's call in JSON, such as "
            '{"train": true}'
        )
    return json.dumps(value, sort_keys=True)


def _size(text: str) -> int:
    """A size; 0 for what is none."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
