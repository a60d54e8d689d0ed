"""Kernels of a compiled program, and the bytes that each reads and writes.

From the text that XLA has of it after all of its passes: fusions, calls of a library and
copies, with loops' bodies counted as often as they run. What a compiler makes of a net is
seen so without its device.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

FREE = frozenset(
    "parameter constant get-tuple-element tuple bitcast after-all iota".split()
)
SLICES = ("dynamic-slice", "slice")
MOVES = frozenset("dynamic-slice dynamic-update-slice copy broadcast".split())
PRODUCTS = ("dot", "convolution")
LIBRARIES = {
    "__cublas": "product",
    "__cudnn$conv": "product",
    "__cudnn$fmha": "attention",
}

_ARRAY = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\]")
_HEAD = re.compile(r"^(ENTRY )?%([\w.\-]+) \(.*\) -> .* \{$")
_LINE = re.compile(r"^\s*(ROOT )?%([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)$")


class Instruction(NamedTuple):
    name: str
    shape: str
    operation: str
    operands: tuple[str, ...]
    rest: str
    root: bool


class Kernel(NamedTuple):
    """What a device runs at once.

    kind: "product", "attention" (a fused one), "move" (nothing is computed) or "loop".
    times: it runs in a call. read, written: bytes each time. source: the name that the
    program's operation had, with the functions that it came from.
    """

    kind: str
    name: str
    times: int
    read: int
    written: int
    source: str

    @property
    def moved(self) -> int:
        """Bytes in a call of the program."""
        return self.times * (self.read + self.written)


def size(shape: str) -> int:
    """Bytes of an HLO shape, of a tuple's parts together.

    >>> size("(bf16[2,3]{1,0}, pred[4], f32[])")
    20
    """
    return sum(
        math.prod(int(n) for n in sides.split(",") if n) * _item(kind)
        for kind, sides in _ARRAY.findall(shape)
    )


def _item(kind: str) -> int:
    """Bytes of a number of an HLO dtype."""
    bits = re.search(r"\d+", kind)
    return 1 if bits is None else int(bits[0]) // 8


def kernels(text: str) -> list[Kernel]:
    """All of them, in no order. text: `as_text()` of a compiled program.

    Raises ValueError for a loop whose number of rounds the text does not have.
    """
    computations, entry = _parsed(text)
    return list(_of(computations, entry, 1))


def _parsed(text: str) -> tuple[dict[str, dict[str, Instruction]], str]:
    """(instructions by name of every computation, the entry's name)."""
    computations: dict[str, dict[str, Instruction]] = {}
    current, entry = None, ""
    for line in text.splitlines():
        if head := _HEAD.match(line):
            current = computations.setdefault(head[2], {})
            entry = head[2] if head[1] else entry
        elif line.startswith("}"):
            current = None
        elif current is not None and (found := _LINE.match(line)):
            root, name, shape, operation, rest = found.groups()
            end = _closing(rest)
            operands = tuple(re.findall(r"%([\w.\-]+)", rest[:end]))
            current[name] = Instruction(
                name, shape, operation, operands, rest[end:], bool(root)
            )
    return computations, entry


def _closing(text: str) -> int:
    """Where the bracket closes that is open at the start."""
    depth = np.cumsum([(c == "(") - (c == ")") for c in text])
    return int(np.argmax(depth < 0)) if (depth < 0).any() else len(text)


def _of(computations: Any, name: str, times: int) -> Iterator[Kernel]:
    body = computations[name]
    for line in body.values():
        if line.operation == "while":
            often = re.search(r'known_trip_count":\{"n":"(\d+)"', line.rest)
            if often is None:
                raise ValueError(f"{line.name}: how often it runs is not known")
            body_times = times * int(often[1])
            yield from _of(computations, _called(line, "body"), body_times)
        elif line.operation == "call":
            yield from _of(computations, _called(line, "to_apply"), times)
        elif line.operation not in FREE and not line.operation.endswith("-done"):
            yield _kernel(computations, body, line, times)


def _called(line: Instruction, by: str) -> str:
    found = re.search(rf"{by}=%([\w.\-]+)", line.rest)
    assert found, f"{line.name} calls nothing"
    return found[1]


def _kernel(computations: Any, body: Any, line: Instruction, times: int) -> Kernel:
    source = re.search(r'op_name="([^"]*)"', line.rest)
    inside = {line.operation}
    if line.operation == "fusion":
        fused = computations[_called(line, "calls")]
        read, written = _fused(fused)
        inside = {each.operation for each in fused.values()} - FREE
    else:
        written = size(line.shape)
        read = sum(size(body[name].shape) for name in line.operands if name in body)
        read = written if line.operation in SLICES else read
    kind = _kind(line, inside)
    return Kernel(kind, line.name, times, read, written, source[1] if source else "")


def _kind(line: Instruction, inside: set[str]) -> str:
    target = re.search(r'custom_call_target="([^"]+)"', line.rest)
    for start, kind in LIBRARIES.items():
        if target and target[1].startswith(start):
            return kind
    if inside.intersection(PRODUCTS):
        return "product"
    index = frozenset("subtract add compare select".split())  # of a slice's place
    moves = inside <= MOVES or (inside <= MOVES | index and "_dynamic_" in line.name)
    return "move" if moves else "loop"


def _fused(body: dict[str, Instruction]) -> tuple[int, int]:
    """(bytes read, bytes written) by a fusion: of arrays that it takes a slice of, or
    writes one into, those of the slice."""
    root = next(line for line in body.values() if line.root)
    outputs = root.operands if root.operation == "tuple" else (root.name,)
    written, places = 0, set()
    for name in outputs:
        line = body[_behind(body, name)]
        if line.operation == "dynamic-update-slice":
            written += size(body[line.operands[1]].shape)
            places.add(_behind(body, line.operands[0]))
        else:
            written += size(line.shape)
    users: dict[str, list[Instruction]] = {}
    for line in body.values():
        for name in line.operands:
            users.setdefault(name, []).append(line)
    parameters = (line for line in body.values() if line.operation == "parameter")
    read = sum(
        _read(users, line.name, size(line.shape), line.name in places)
        for line in parameters
    )
    return read, written


def _behind(body: dict[str, Instruction], name: str) -> str:
    """What an array is a view of."""
    while body[name].operation == "bitcast":
        (name,) = body[name].operands
    return name


def _read(users: Any, name: str, whole: int, place: bool) -> int:
    """Bytes of an array that its users read. place: that an update is written to it."""
    most = 0
    for line in users.get(name, ()):
        if line.operation in SLICES:
            most = max(most, size(line.shape))
        elif line.operation == "bitcast":
            most = max(most, _read(users, line.name, whole, place))
        elif not (place and line.operation == "dynamic-update-slice"):
            return whole
    return min(most, whole)


def total(found: Sequence[Kernel], kind: str | None = None) -> int:
    """Bytes that kernels of a kind, or all, move in a call."""
    return sum(each.moved for each in found if kind in (None, each.kind))
