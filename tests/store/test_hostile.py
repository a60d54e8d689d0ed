"""A stranger's folder: every field with a value that it cannot have, and right checksums.

What is read of it is refused in a line that names the file and the field, or is shown as
what it is; never a traceback, and never for long.
"""

import itertools
import json
import random
import shutil
from pathlib import Path

import pytest

from depthbench.research.cli.main import main
from tests import forged
from tests.store.test_damage import in_time, made, no_pictures, seen

__all__ = ["in_time", "no_pictures"]  # fixtures

pytestmark = pytest.mark.slow

NESTED: list = []
for _ in range(100):
    NESTED = [NESTED]
VALUES = {
    "null": None,
    "a word": "abc",
    "markup": "<script>alert(1)</script>",
    "a number": 5,
    "a negative": -1,
    "a fraction": 0.5,
    "too many": 900_000_000,
    "huge": 1e300,
    "true": True,
    "a list": [1],
    "an object": {"a": 1},
    "nested": NESTED,
}
FILES = {
    "run": ("run.json", "cells/*.json"),
    "training": ("run.json", "reports/*.json"),
}


def fields(body: dict) -> list[tuple[str, ...]]:
    """Every field of a file, and those within."""
    inner = [(n, k) for n, v in body.items() if isinstance(v, dict) for k in v]
    names = [(name,) for name in body if name != "checksum"]
    some = [pair for pair in inner if pair[0] != "code"]
    return names + some + [pair for pair in inner if pair[0] == "code"][:1]


def strike(folder: Path, pattern: str, field: tuple[str, ...], value) -> None:
    path = sorted(folder.glob(pattern))[-1]
    body = json.loads(path.read_bytes())
    name, *inner = field
    changed = {**body[name], inner[0]: value} if inner else value
    if path.name == "run.json":
        forged.edited(folder, **{name: changed})
    else:
        forged.resealed(path, **{name: changed})


def cases(once) -> list[tuple]:
    found = []
    for kind, patterns in FILES.items():
        for pattern in patterns:
            path = sorted(made(once, kind).glob(pattern))[-1]
            names = fields(json.loads(path.read_bytes()))
            found += itertools.product([kind], [pattern], names, VALUES)
    return found


def try_all(once, tmp_path, capsys, chosen) -> None:
    for number, (kind, pattern, field, value) in enumerate(chosen):
        folder = shutil.copytree(made(once, kind), tmp_path / str(number))
        strike(folder, pattern, field, VALUES[value])
        for command in (["report"], ["status"], ["compare", str(folder)]):
            capsys.readouterr()
            status = main([*command, str(folder)])
            lines = seen(capsys).splitlines()
            assert status in (0, 2), (kind, pattern, field, value)
            assert status == 0 or len(lines) == 1, (kind, pattern, field, value, lines)
            assert all(len(line) < 2000 for line in lines)  # all studies' names
        shutil.rmtree(folder)


def test_some_fields_of_a_stranger_are_no_traceback(once, tmp_path, capsys, in_time):
    every = cases(once)
    try_all(once, tmp_path, capsys, random.Random(15).sample(every, 40))


@pytest.mark.exhaustive
def test_no_field_of_a_stranger_is_a_traceback(once, tmp_path, capsys):
    try_all(once, tmp_path, capsys, cases(once))
