from typing import Any

import msgspec
import pytest

from depthbench.research.files.schema import Malformed, decoded


class Point(msgspec.Struct):
    x: list[int]
    y: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "truncated"),
        (b"[]", "expected `object`, got `array`"),
        (b'{"x": 5}', "^x: expected `array`, got `int`"),
        (b'{"x": [1, "a"]}', r"^x\[1\]: expected `int`, got `str`"),
        (b'{"x": [], "y": {"a": NaN}}', "invalid character"),
        (b'{"x": [], "y": {"a": ' + b"[" * 10**5, "nested too deeply"),
        (b'{"y": {}}', "missing required field `x`"),
        (b"\xff\xfe", "malformed"),
        (b'{"x": [], "y": {"a": "\xff"}}', "no text in UTF-8"),
    ],
)
def test_the_field_is_named(content, line):
    with pytest.raises(Malformed, match=line):
        decoded(content, Point)
