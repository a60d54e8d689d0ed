"""JSON that has its own checksum: what is read back is what was written, or it is said."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from depthbench.research.files import schema
from depthbench.research.files.schema import Malformed

T = TypeVar("T")


def digest(value: Any) -> str:
    """The SHA-256 of what JSON can hold, whatever the order of its names."""
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def packed(body: Mapping[str, Any]) -> bytes:
    """The content of a file: the body, and its checksum."""
    whole = {**body, "checksum": digest(body)}
    text = json.dumps(whole, indent=1, sort_keys=True, allow_nan=False)
    return text.encode() + b"\n"


def opened(content: bytes, type: type[T]) -> T:
    """The body of such a file, as the type. Raises Malformed, which says what is wrong.

    >>> opened(packed({"a": 1}), dict[str, int])
    {'a': 1}
    >>> opened(packed({"a": 1}).replace(b"1", b"2", 1), dict[str, int])
    Traceback (most recent call last):
    depthbench.research.files.schema.Malformed: checksum does not match
    """
    body = schema.decoded(content, dict[str, Any])
    checksum = body.pop("checksum", None)
    if checksum is None:
        raise Malformed("has no checksum")
    try:
        right = digest(body) == checksum
    except (ValueError, RecursionError):  # what JSON reads and cannot write
        right = False
    if not right:
        raise Malformed("checksum does not match")
    return schema.converted(body, type)
