"""Where the user's modules come from: their files, hashes, and what may be imported.

A module of the user's own runs files beside it: those that its source imports, and those
that theirs do. They are read here, never run. They alone can be imported from the folder,
and they are looked for last: nothing in it hides a package that is installed.
"""

import ast
import hashlib
import importlib
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ModuleSpec,
    PathFinder,
)
from pathlib import Path
from typing import NamedTuple

from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.files import regular

HANDLE = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_]\w*")
INSTALLED = {"site-packages", "dist-packages"}
DIGITS = 16  # of a hash
SUFFIXES = [
    *EXTENSION_SUFFIXES,
    *SOURCE_SUFFIXES,
    *BYTECODE_SUFFIXES,
]  # as Python looks


class Origin(NamedTuple):
    """A module of the user's own, as a folder records it.

    place: a file's path, in which ~ is home; or a module's name.
    files: hashes of the files that it runs, by their paths below the folder of the first.
    version: of an installed package, whose files are not hashed.
    """

    place: str
    files: dict[str, str]
    version: str = ""

    def difference(self, other: "Origin") -> str:
        """What of it is another there, in words; "" if nothing is.

        >>> before = Origin("my.acts", {"my/acts.py": "0a"})
        >>> before.difference(Origin("my.acts", {"my/acts.py": "1b"}))
        'my.acts: my/acts.py has changed'
        """
        if self.version != other.version:
            was, now = self.version or "no package", other.version or "no package"
            return f"{self.place} was {was}, is {now}"
        for name in sorted({*self.files, *other.files}):
            if name not in other.files:
                return f"{self.place}: {name} is not imported any more"
            if name not in self.files:
                return f"{self.place}: {name} was not imported then"
            if self.files[name] != other.files[name]:
                return f"{self.place}: {name} has changed"
        return ""


class _Finder:
    """Finds modules of a few names in a user's folder, where Python finds them nowhere."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}

    def find_spec(self, name: str, path=None, target=None) -> ModuleSpec | None:
        """The module's place, where the name is one that may be imported."""
        if path is not None or name not in self.folders:
            return None
        return PathFinder.find_spec(name, [str(self.folders[name])])


FINDER = _Finder()


class Located(NamedTuple):
    """A module that is named, before it is imported. files: those that it will run, by
    their paths below the folder; none of a package that is installed."""

    origin: Origin
    folder: Path | None = None
    files: Mapping[str, Path] = {}


def serve(module: Located, apart: str = "") -> None:
    """Lets a module's files be imported, under the names that their source uses.

    apart: a file that is imported in another way, under a name of its own.
    Raises Mistake where another folder's are imported under one of these names, and for
    files in a folder of results, which may be a stranger's.

    >>> serve(Located(Origin("json", {}, "Python 3.11")))  # found without
    """
    if FINDER not in sys.meta_path:
        sys.meta_path.append(FINDER)
    importlib.invalidate_caches()
    for name, path in module.files.items():
        if results := next(filter(_has_results, path.resolve().parents), None):
            raise Mistake(
                f"{module.origin.place}: {path.name} is in {shown(results)}, a folder of "
                "results, of which nothing is run; move it out"
            )
        if name == apart:
            continue
        root = name.partition("/")[0].removesuffix(".py")
        folder = FINDER.folders.setdefault(root, Path(str(module.folder)))
        if folder != module.folder:
            raise Mistake(
                f"{module.origin.place}: its {name} has the name of another module, of "
                f"{shown(folder)}; rename one"
            )


def of_file(path: Path) -> Located:
    """A file, and what it imports from its folder. Raises OSError.

    >>> list(of_file(Path(__file__)).files)[:1]
    ['origins.py']
    """
    path = path.resolve()
    files = _reached(path.parent, [path])
    return Located(Origin(shown(path), _hashed(files)), path.parent, files)


def of_module(name: str) -> Located | None:
    """A module by its name; None where there is none. Nothing is imported.

    >>> of_module("json").origin.version.partition(" ")[0]
    'Python'
    """
    root = name.partition(".")[0]
    spec = _found(root)
    if spec is None:
        return None
    places = [spec.origin or "", *(spec.submodule_search_locations or ())]
    if spec.origin in ("built-in", "frozen") or _standard(places[-1]):
        return Located(Origin(name, {}, f"Python {sys.version.partition(' ')[0]}"))
    if INSTALLED & set(Path(places[-1]).parts):
        return Located(Origin(name, {}, _version(root)))
    folder = _folder_of(spec)
    files = _reached(folder, list(_files(folder, name)))
    return Located(Origin(name, _hashed(files)), folder, files)


def _found(root: str) -> ModuleSpec | None:
    """Where Python finds a module of no dots: installed, or else in the working folder."""
    if root in sys.builtin_module_names:
        return ModuleSpec(root, None, origin="built-in")
    return PathFinder.find_spec(root) or PathFinder.find_spec(root, [str(Path.cwd())])


def _folder_of(spec: ModuleSpec) -> Path:
    """The folder that a module of no dots is found in."""
    packages = list(spec.submodule_search_locations or ())
    return Path(packages[0] if packages else str(spec.origin)).resolve().parent


def _reached(folder: Path, first: list[Path]) -> dict[str, Path]:
    """Files below a folder, by their paths there: the first, and all that they import.

    Raises Mistake, OSError.
    """
    files: dict[str, Path] = {}
    todo = list(first)
    while todo:
        path = todo.pop()
        name = path.relative_to(folder).as_posix()
        if name not in files:
            files[name] = path
            for module in _imports(folder, path):
                if not _elsewhere(module.partition(".")[0], folder):
                    todo += _files(folder, module)
    return files


def _elsewhere(root: str, folder: Path) -> bool:
    """Whether Python finds a module of no dots in another folder first."""
    if root in sys.stdlib_module_names:
        return True
    if not (folder / root).exists() and _first(folder / root) is None:
        return False
    spec = PathFinder.find_spec(root)
    return spec is not None and _folder_of(spec) != folder


def _hashed(files: dict[str, Path]) -> dict[str, str]:
    """Hashes of files, by their names. Raises OSError."""
    return {name: digest(regular.read(files[name].resolve())) for name in sorted(files)}


def digest(content: bytes) -> str:
    """A hash as folders record it.

    >>> digest(b"depth")
    'ded32129b05bfc16'
    """
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def shown(path: Path) -> str:
    """An absolute path, home as ~: a folder that is passed on names no user.

    >>> shown(Path.home() / "acts.py")
    '~/acts.py'
    """
    path = Path(path).resolve()
    home = Path.home().resolve()
    if path.is_relative_to(home):
        return f"~/{path.relative_to(home).as_posix()}"
    return path.as_posix()


def _files(folder: Path, module: str) -> Iterator[Path]:
    """The files that importing a module runs, as far as they are below the folder."""
    place = folder
    for part in module.split("."):
        package, file = (_first(place / name) for name in (f"{part}/__init__", part))
        if package is not None:
            yield package
        elif file is not None:
            yield file
            return
        place /= part


def _first(stem: Path) -> Path | None:
    """The file of a module that Python takes, of those with one stem: compiled ones too."""
    files = (stem.with_name(f"{stem.name}{suffix}") for suffix in SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def _imports(folder: Path, path: Path) -> Iterator[str]:
    """The modules that a file's source names: in imports, and in "module:function".

    Raises Mistake for bytecode: what that imports would be run, and in no hash.
    """
    if path.suffix in BYTECODE_SUFFIXES:
        raise Mistake(f"{shown(path)}: has no source, whose hash would be kept")
    try:
        tree = ast.parse(regular.read(path.resolve()))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # importing it says what is wrong
    inner = path.relative_to(folder).with_suffix("").parts
    package = list(inner[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from ([base] if base else [])
            yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names)
        elif match := HANDLE.fullmatch(str(getattr(node, "value", ""))):
            yield match[1]
            yield ".".join([*package, match[1]])


def _has_results(folder: Path) -> bool:
    parts = any((folder / part).is_dir() for part in ("cells", "reports"))
    return parts and (folder / "run.json").is_file()


def _standard(place: str) -> bool:
    paths = sysconfig.get_paths()
    within = any(Path(place).is_relative_to(paths[n]) for n in ("stdlib", "platstdlib"))
    return within and not INSTALLED & set(Path(place).parts)


def _version(root: str) -> str:
    """ "name version" of the package that installed a module of no dots."""
    from importlib import metadata

    try:
        return f"{root} {metadata.version(root)}"
    except metadata.PackageNotFoundError:
        names = metadata.packages_distributions().get(root, [])
        versions = (f"{name} {metadata.version(name)}" for name in sorted(set(names)))
        return ", ".join(versions) or f"{root}, of no version"
