"""What code a measurement runs: the definitions that are reached from where it starts.

Read from the source; nothing is imported. A definition is a top-level statement that
binds a name. Reached are all definitions that its names and attributes of modules lead
to: through imports anywhere in a file, and through strings "module:function". What binds
no name is reached with its module.

A catalogue's entries (calls in a list whose first argument is a name) are definitions of
their own. Each is reached where its name is a string in the code that was reached. So are
those of the lists that a string "folder.files_*:LIST" names.
Comments, docstrings and layout do not count.
"""

import ast
import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

PACKAGE, PARTS = "depthbench", ("research", "experiments", "benchmarks")
WHOLE = "*"  # in place of a name: all of the module
LOOSE = ""  # in place of a name: what binds none
HANDLE = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")
LISTED = re.compile(r"([A-Za-z_][\w.]*\*):([A-Za-z_]\w*)")


class Place(NamedTuple):
    """Where a definition is: a module's name, and the name that it binds there.

    entry: of a catalogue's entry, its name there.
    """

    module: str
    name: str
    entry: str = ""


Reached = dict[Place, list[ast.AST]]  # the syntax of each definition that is reached


class Module(NamedTuple):
    """A source file, taken apart.

    package: what its handles "file:function" are relative to.
    definitions: by the name they bind; what binds none is under LOOSE.
    imports: what names stand for: (module, a name in it or WHOLE).
    entries: of each definition that lists some, by their names.
    listed: the strings "folder.files_*:LIST" in each definition.
    """

    package: str
    definitions: dict[str, list[ast.AST]]
    imports: dict[str, tuple[str, str]]
    entries: dict[str, dict[str, ast.AST]]
    listed: dict[str, list[str]]


class Sources:
    """The source files below a folder, each read at its first use.

    changed: texts to take instead of files', by their paths below the folder.
    others: files of modules that are elsewhere, by their names; they import from there.
    """

    def __init__(
        self,
        root: Path,
        changed: Mapping[str, str] | None = None,
        others: Mapping[str, Path] | None = None,
    ):
        self.root, self.changed, self.others = root, changed or {}, others or {}
        self.folders = [_folder(name, path) for name, path in self.others.items()]
        self.module = functools.cache(self._module)
        self.file = functools.cache(self._file)

    def _file(self, name: str) -> str | None:
        """The path of a module of ours below the folder; None for any other name.

        Of the others the whole path.
        """
        if name in self.others:
            return str(self.others[name])
        package, _, inner = name.partition(".")
        ours = package == PACKAGE and inner.partition(".")[0] in PARTS
        base = (inner if ours else name).replace(".", "/")
        paths = (f"{base}.py", f"{base}/__init__.py")
        if ours:
            return next((p for p in paths if (self.root / p).is_file()), None)
        beside = (folder / path for folder in self.folders for path in paths)
        return next((str(file) for file in beside if file.is_file()), None)

    def _module(self, name: str) -> Module | None:
        path = self.file(name)
        if path is None:
            return None
        text = self.changed.get(path)
        if text is None:
            text = (self.root / path).read_text(encoding="utf-8")
        package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
        return taken_apart(package, text)

    def leads(self, module: str, names: tuple[str, ...]) -> Place | None:
        """The definition that a name, or a chain of attributes, leads to from a module.

        None where that is none of ours.
        """
        passed: set[tuple[str, tuple[str, ...]]] = set()
        while (module, names) not in passed:
            passed.add((module, names))
            apart = self.module(module)
            if apart is None:
                return None
            if not names or names[0] == WHOLE:
                return Place(module, WHOLE)
            first, *rest = names
            if first in apart.definitions:
                return Place(module, first)
            if first in apart.imports:
                module, name = apart.imports[first]
                if self.file(f"{module}.{name}"):
                    module, name = f"{module}.{name}", WHOLE
                names = (name, *rest) if name != WHOLE else tuple(rest)
            elif self.file(f"{module}.{first}"):
                module, names = f"{module}.{first}", tuple(rest)
        return None

    def handle(self, module: str, text: str) -> Place | None:
        """The definition that a string "module:function" names, if it names one."""
        match, apart = HANDLE.fullmatch(text), self.module(module)
        if not match or apart is None:
            return None
        names = (match[1], f"{apart.package}.{match[1]}")
        return next((Place(n, match[2]) for n in names if self.file(n)), None)

    def lists(self, place: Place) -> Iterator[Place]:
        """A definition, and the lists in other files that a string in it names."""
        yield place
        apart = self.module(place.module)
        for text in apart.listed.get(place.name, ()) if apart else ():
            pattern, _, name = text.partition(":")
            inner = pattern.removeprefix(f"{PACKAGE}.").replace(".", "/")
            for path in sorted(self.root.glob(f"{inner}.py")):
                parts = path.relative_to(self.root).with_suffix("").parts
                yield Place(".".join((PACKAGE, *parts)), name)


def _folder(module: str, file: Path) -> Path:
    """The folder that a module of this name is imported from."""
    above = module.count(".") + (file.name == "__init__.py")
    return file.parents[above]


@functools.lru_cache(maxsize=512)  # half a second for the files of one study
def taken_apart(package: str, text: str) -> Module:
    """A source text as a Module, which nobody changes: several runs share it."""
    tree = ast.parse(text)
    imports: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        imports |= _imported(node)
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [s for s in body if not _docstring(s)]  # type: ignore[attr-defined]
    definitions: dict[str, list[ast.AST]] = {}
    entries: dict[str, dict[str, ast.AST]] = {}
    listed: dict[str, list[str]] = {}
    for statement in tree.body:
        if not (_imports_alone(statement) or _for_scripts(statement)):
            names = _bound(statement) or [LOOSE]
            # Of several names the first has them: each one's statement leads to it.
            entries.setdefault(names[0], {}).update(_entries(statement))
            strings = [used for used in uses(statement) if isinstance(used, str)]
            lists = [text for text in strings if LISTED.fullmatch(text)]
            for name in names:
                definitions.setdefault(name, []).append(statement)
                listed.setdefault(name, []).extend(lists)
    return Module(package, definitions, imports, entries, listed)


def _imported(node: ast.AST) -> dict[str, tuple[str, str]]:
    """The names that an import binds, and what they stand for."""
    if isinstance(node, ast.ImportFrom) and node.module:
        return {a.asname or a.name: (node.module, a.name) for a in node.names}
    if isinstance(node, ast.Import):
        names = [(a.asname, a.name) for a in node.names]
        whole = {short: (name, WHOLE) for short, name in names if short}
        roots = (name.partition(".")[0] for short, name in names if not short)
        return {**whole, **{root: (root, WHOLE) for root in roots}}
    return {}


def _docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _imports_alone(statement: ast.stmt) -> bool:
    blocks = isinstance(statement, ast.With | ast.If)
    inner = statement.body if blocks else [statement]
    return all(isinstance(one, ast.Import | ast.ImportFrom) for one in inner)


def _for_scripts(statement: ast.stmt) -> bool:
    """Whether a statement is run only where the file is a script."""
    return isinstance(statement, ast.If) and "__main__" in ast.unparse(statement.test)


def _bound(statement: ast.stmt) -> list[str]:
    """The names that a statement binds, imports apart.

    A function below `@name.defjvp` and the like is a part of `name` too.
    """
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        owners = (
            d.value for d in statement.decorator_list if isinstance(d, ast.Attribute)
        )
        return [statement.name, *(o.id for o in owners if isinstance(o, ast.Name))]
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    nodes = (node for target in targets if target for node in ast.walk(target))
    return [node.id for node in nodes if isinstance(node, ast.Name)]


def _entries(statement: ast.stmt) -> dict[str, ast.AST]:
    """The entries of a statement's lists, by name; the statement is left without them."""
    entries: dict[str, ast.AST] = {}
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        return entries
    for node in ast.walk(statement):
        if isinstance(node, ast.List | ast.Tuple):
            named = {name: e for e in node.elts if (name := _entry_name(e))}
            node.elts = [e for e in node.elts if not _entry_name(e)]
            entries |= named
    return entries


def _entry_name(node: ast.expr) -> str | None:
    first = node.args[0] if isinstance(node, ast.Call) and node.args else None
    value = first.value if isinstance(first, ast.Constant) else None
    return value if isinstance(value, str) else None


def uses(node: ast.AST) -> Iterator[str | tuple[str, ...]]:
    """The strings in a piece of syntax, and the names and chains of attributes."""
    chain: list[str] = []
    inner = node
    while isinstance(inner, ast.Attribute):
        chain.insert(0, inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        yield (inner.id, *chain)
    elif isinstance(inner, ast.Constant):
        if isinstance(inner.value, str):
            yield inner.value
    else:
        for child in ast.iter_child_nodes(inner):
            yield from uses(child)


def reached(
    sources: Sources,
    module: str,
    starts: Iterable[ast.AST],
    before: Reached | None = None,
) -> Reached:
    """The definitions that are reached from syntax that stands in a module.

    before: what is reached already, and neither traversed nor returned again.
    """
    passed: Reached = dict(before or {})
    fresh: Reached = {}
    strings: set[str] = set()
    todo = [(module, node) for node in starts]

    def reach(place: Place, nodes: list[ast.AST]) -> None:
        if place not in passed:
            passed[place] = fresh[place] = nodes
            todo.extend((place.module, node) for node in nodes)

    def open_(place: Place | None) -> None:
        apart = place and sources.module(place.module)
        if not place or not apart:
            return
        names = list(apart.definitions) if place.name == WHOLE else [place.name, LOOSE]
        for name in names:
            reach(Place(place.module, name), apart.definitions.get(name, []))

    while todo:
        where, node = todo.pop()
        for used in uses(node):
            if isinstance(used, tuple):
                open_(sources.leads(where, used))
            else:
                strings.add(used)
                open_(sources.handle(where, used))
        if not todo:
            for place, entry in named(sources, passed, strings):
                reach(place, [entry])
    return fresh


def named(
    sources: Sources, definitions: Reached, names: set[str]
) -> list[tuple[Place, ast.AST]]:
    """The entries of these names, not yet reached, in lists of what was reached."""
    entries = []
    reached = [place for place in definitions if not place.entry]
    for place in itertools.chain.from_iterable(map(sources.lists, reached)):
        if apart := sources.module(place.module):
            listed = apart.entries.get(place.name, {})
            entries += [
                (place._replace(entry=n), listed[n]) for n in names & set(listed)
            ]
    return [(place, entry) for place, entry in entries if place not in definitions]
