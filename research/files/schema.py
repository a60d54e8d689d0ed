"""What is read back from JSON files: checked against a declared type, or a line on why not.

A type is a `msgspec.Struct` with one field for each name; see msgspec's documentation for
limits, as in `Annotated[int, msgspec.Meta(ge=0)]`.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
Scalar = str | int | float | bool | None


class Malformed(ValueError):
    """Content that is not what its type says; one line names the field."""


def decoded(content: bytes, type: type[T], strict: bool = True) -> T:
    """The value that JSON content stands for, as the type. Raises Malformed.

    strict: a number that is written as a string is none.

    >>> from msgspec import Struct
    >>> class Point(Struct):
    ...     x: list[int]
    >>> decoded(b'{"x": [1]}', Point)
    Point(x=[1])
    >>> decoded(b'{"x": [1, "a"]}', Point)
    Traceback (most recent call last):
    depthbench.research.files.schema.Malformed: x[1]: expected `int`, got `str`
    """
    return _checked(msgspec.json.decode, content, type, strict)


def converted(value: Any, type: type[T]) -> T:
    """What JSON content was read as, as the type. Raises Malformed."""
    return _checked(msgspec.convert, value, type)


def _checked(
    read: Callable[..., T], value: Any, type: type[T], strict: bool = True
) -> T:
    try:
        return read(value, type=type, strict=strict)
    except RecursionError:
        raise Malformed("nested too deeply") from None
    except UnicodeDecodeError:
        raise Malformed("is no text in UTF-8") from None
    except msgspec.DecodeError as error:  # ValidationError too
        raise Malformed(_line(str(error))) from None


def _line(message: str) -> str:
    """msgspec's message with the field first: "history[0].ended: expected `str`, got …"."""
    what, _, where = message.rpartition(" - at `$")
    if not what:
        return message[:1].lower() + message[1:]
    field = where.rstrip("`").removeprefix(".") or "it"
    return f"{field}: {what[:1].lower()}{what[1:]}"
