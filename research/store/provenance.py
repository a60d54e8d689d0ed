"""Provenance: the code that made a row, without host or user names."""

import ast
import contextlib
import functools
import hashlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from depthbench.research.files import regular, source
from depthbench.research.files.source import ROOT
from depthbench.research.store.closure import (
    PACKAGE,
    Reached,
    Sources,
    named,
    reached,
)

# Of a study's declaration, what no row depends on: cells say what was chosen of it.
SHOWN = frozenset(
    "name kind question source axes sizes columns fit claims headline tables figures "
    "recordings compile_seconds timings summary shows threads inner".split()
)

UNKNOWN = "unknown"  # in place of a hash, where git does not say what is not committed
READ = 2**24  # bytes, at most, that are read of files that git does not know

EVERY_ROW: list[ast.AST] = [  # what rows are measured in
    ast.Constant("depthbench.research.machine.precision:exact"),
    ast.Constant("depthbench.research.machine.settings:pin"),
]


class Imported(Protocol):
    """A module that is not depthbench's, by its name in `sys.modules`."""

    @property
    def module(self) -> str: ...
    @property
    def files(self) -> Mapping[str, str]: ...


class Traced(NamedTuple):
    """The code that rows come from. hashes: as of `code`. imports: the modules of no dots
    that its files import."""

    hashes: dict[str, str]
    imports: set[str]


def code(
    module: str,
    names: Iterable[str] = (),
    sources: Sources | None = None,
    foreign: Mapping[str, Imported] | None = None,
) -> dict[str, str]:
    """Hashes of the code that rows come from, by file, and by catalogue entry.

    module: declares a study, or says with RUNS what is run. names: in cells, of entries:
    "research/catalogues/activations.py: relu" is the hash of what relu alone leads to.
    foreign: modules of others, by place; "PLACE: depthbench's" is the hash of what of ours
    they lead to beyond the rest. Their own files are hashed elsewhere.
    """
    return traced(module, names, sources, foreign).hashes


def traced(
    module: str,
    names: Iterable[str] = (),
    sources: Sources | None = None,
    foreign: Mapping[str, Imported] | None = None,
) -> Traced:
    """The same code, and what its files import."""
    others = {one.module: place for place, one in (foreign or {}).items() if one.files}
    sources = sources or Sources(ROOT, others=_sources(others))
    base = reached(sources, module, starts(sources, module))
    files = {place.module for place in base} | others.keys()
    hashes = {
        path: _short("\n".join(texts).encode())
        for path, texts in _texts(sources, base).items()
    }
    for place, entry in named(sources, base, set(names)):
        more = {place: [entry], **reached(sources, place.module, [entry], base)}
        files |= {place.module for place in more}
        texts = itertools.chain(*_texts(sources, more).values())
        key = f"{sources.file(place.module)}: {place.entry}"
        hashes[key] = _short("\n".join(texts).encode())
    for other, place in others.items():
        apart = sources.module(other)
        inner = itertools.chain(*apart.definitions.values()) if apart else ()
        more = reached(sources, other, inner, base)
        files |= {place.module for place in more}
        texts = list(itertools.chain(*_texts(sources, more).values()))
        if texts:
            hashes[f"{place}: depthbench's"] = _short("\n".join(texts).encode())
    return Traced(dict(sorted(hashes.items())), _imports(sources, files))


def _imports(sources: Sources, files: Iterable[str]) -> set[str]:
    """The modules of no dots that these modules import anywhere."""
    apart = filter(None, map(sources.module, files))
    named = itertools.chain(*(one.imports.values() for one in apart))
    return {name.partition(".")[0] for name, _ in named}


def digest(hashes: Mapping[str, str]) -> str:
    """One hash of those that `code` gives."""
    return _short("\n".join(f"{name} {one}" for name, one in hashes.items()).encode())


def _sources(modules: Iterable[str]) -> dict[str, Path]:
    """The source files of modules that are imported, as far as they have some."""
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in modules}
    return {n: Path(file) for n, file in files.items() if file and file.endswith(".py")}


def starts(sources: Sources, module: str) -> list[ast.AST]:
    """The syntax in a module that says how its rows are made."""
    apart = sources.module(module)
    if apart is None:
        raise ValueError(f"{module} is not in {sources.root}")
    if module in sources.others:
        return EVERY_ROW + list(itertools.chain(*apart.definitions.values()))
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
        if place.module.partition(".")[0] != PACKAGE:
            continue
        path = str(sources.file(place.module))
        texts.setdefault(path, []).extend(map(ast.unparse, definitions[place]))
    return texts


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@functools.cache
def commit() -> dict[str, str | None]:
    """The commit of the source tree, and a hash of what is not committed: UNKNOWN where
    git fails or takes too long, as on a disk that is slow.

    Neither where this is no checkout of its own: an installed copy may lie below another
    repository, whose commits say nothing of it.
    """
    top = _git("rev-parse", "--show-toplevel") if source.is_checkout() else None
    if top is None or Path(top).resolve() != ROOT:
        return {"commit": None, "uncommitted": None}
    return {"commit": _git("rev-parse", "HEAD"), "uncommitted": _uncommitted()}


def _uncommitted() -> str | None:
    """A hash of what is not committed; None where everything is."""
    changes = _git("diff", "HEAD")
    names = _git("ls-files", "--others", "--exclude-standard", "-z")
    if changes is None or names is None:
        return UNKNOWN
    if not changes and not names:
        return None
    untracked = _contents(sorted(filter(None, names.split("\0"))))
    return _short("\n".join([changes, *untracked]).encode(errors="surrogateescape"))


def _contents(names: Iterable[str]) -> Iterator[str]:
    """A line for each file below the root, that changes with what is in it; of those
    beyond READ, with their size and the time they were written: a data set beside the
    source would be read whole before every run."""
    left = READ
    for name in names:
        content = ""
        with contextlib.suppress(OSError):  # gone since, a link, or not to be read
            found = os.lstat(ROOT / name)
            content = f"{found.st_size} {found.st_mtime_ns}"
            if found.st_size <= left:
                content = _short(regular.read(ROOT / name))
                left -= found.st_size
        yield f"{name} {content}"


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            # Locks of its index are another's: killed, it would leave one behind.
            ["git", "--no-optional-locks", "-C", str(ROOT), *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # sources of any encoding, and names of any bytes
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.rstrip("\n") if done.returncode == 0 else None
