"""Provenance: the code that made a row, without host or user names."""

import ast
import functools
import hashlib
import itertools
import subprocess
from collections.abc import Iterable
from pathlib import Path

from research.store.closure import Reached, Sources, named, reached

ROOT = Path(__file__).resolve().parents[2]


# Of a study's declaration, what no row depends on: cells say what was chosen of it.
SHOWN = frozenset(
    "name kind question source axes sizes columns fit claims headline tables figures "
    "compile_seconds timings threads".split()
)

EVERY_ROW: list[ast.AST] = [  # what rows are measured in
    ast.Constant("research.machine.precision:exact"),
    ast.Constant("research.machine.settings:pin"),
]


def code(
    module: str, names: Iterable[str] = (), sources: Sources | None = None
) -> dict[str, str]:
    """Hashes of the code that rows come from, by file, and by catalogue entry.

    module: declares a study, or says with RUNS what is run. names: in cells, of entries:
    "research/catalogues/activations.py: relu" is the hash of what relu alone leads to.
    """
    sources = sources or Sources(ROOT)
    base = reached(sources, module, starts(sources, module))
    hashes = {
        path: _short("\n".join(texts).encode())
        for path, texts in _texts(sources, base).items()
    }
    for place, entry in named(sources, base, set(names)):
        more = {place: [entry], **reached(sources, place.module, [entry], base)}
        texts = itertools.chain(*_texts(sources, more).values())
        key = f"{sources.file(place.module)}: {place.entry}"
        hashes[key] = _short("\n".join(texts).encode())
    return dict(sorted(hashes.items()))


def starts(sources: Sources, module: str) -> list[ast.AST]:
    """The syntax in a module that says how its rows are made."""
    apart = sources.module(module)
    if apart is None:
        raise ValueError(f"{module} is not in {sources.root}")
    if "RUNS" in apart.definitions:
        return EVERY_ROW + apart.definitions["RUNS"]
    return EVERY_ROW + [
        keyword.value
        for statement in apart.definitions["STUDY"]
        for call in ast.walk(statement)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Study"
        for keyword in call.keywords
        if keyword.arg not in SHOWN
    ]


def _texts(sources: Sources, definitions: Reached) -> dict[str, list[str]]:
    """The source of definitions, by file, in an order that the reading does not decide."""
    texts: dict[str, list[str]] = {}
    for place in sorted(definitions):
        path = str(sources.file(place.module))
        texts.setdefault(path, []).extend(map(ast.unparse, definitions[place]))
    return texts


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@functools.cache
def commit() -> dict[str, str | None]:
    """The commit of the source tree, and a hash of what is not committed."""
    head = _git("rev-parse", "HEAD")
    changes = (_git("diff", "HEAD") or "") + (
        _git("ls-files", "--others", "--exclude-standard") or ""
    )
    return {
        "commit": head,
        "uncommitted": _short(changes.encode()) if changes.strip() else None,
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            # Locks of its index are another's: killed, it would leave one behind.
            ["git", "--no-optional-locks", "-C", str(ROOT), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
