"""Modules of the user's own: imported where they are named, and by no other way.

The working folder is the last that is then looked in, for the named module and what its
source imports: nothing in it hides a package that is installed, and nothing else of it is
imported. What a module prints as it is imported goes to standard error.
"""

import contextlib
import importlib
import importlib.util
import re
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from depthbench.research.catalogues import origins
from depthbench.research.catalogues.mistakes import Mistake, nearest
from depthbench.research.catalogues.origins import Origin
from depthbench.research.files.source import ROOT
from depthbench.research.files.text import one_line

NAME = re.compile(
    r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
)
MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
LIBRARIES = ("jax", "flax", "optax")  # whose names may be written with dots alone
LIBRARY = sysconfig.get_path("stdlib")
OURS = [ROOT / name for name in ("depthbench", "research", "benchmarks", "experiments")]
HANDLES = ("builder", "loader", "measure", "draw")  # entries' fields "module:function"

_ONE_IMPORT = threading.RLock()
IMPORTED: dict[str, Origin] = {}  # by module's name, of those that were named


def is_name(text: str) -> bool:
    """Whether a text has the form "module:name".

    >>> is_name("my.module:make"), is_name("tfds:mnist:3.0.1"), is_name("tanh")
    (True, False, False)
    """
    return NAME.fullmatch(text) is not None


def spelled(text: str) -> str:
    """The same name as "module:name", of a library that all know as dotted.

    >>> spelled("optax.adabelief"), spelled("my.acts"), spelled("my.acts:f")
    ('optax:adabelief', 'my.acts', 'my.acts:f')
    """
    module, _, name = text.rpartition(".")
    known = module.partition(".")[0] in LIBRARIES and MODULE.fullmatch(text)
    return f"{module}:{name}" if known else text


def named(text: str) -> Any:
    """What "module:name" names, or "optax.name". Raises Mistake.

    >>> named("math:sqrt")(4.0)
    2.0
    """
    match = NAME.fullmatch(spelled(text))
    if match is None:
        raise Mistake(f"{text}: must be module:name, such as my.module:make")
    value: Any = module(match[1])
    for name in match[2].split("."):
        with guarded(text):
            names = dir(value)
            there = hasattr(value, name)
        if not there:
            public = [each for each in names if not each.startswith("_")]
            listing = "" if len(public) < 40 else f"{len(public)} names"
            hint = nearest(name, public, listing)
            raise Mistake(f"{text}: {match[1]} has no {name}: {hint}")
        value = getattr(value, name)
    return value


def module(name: str) -> ModuleType:
    """The module of a dotted name, the working folder's too. Raises Mistake.

    >>> module("email.message").__name__
    'email.message'
    """
    if name in IMPORTED and name in sys.modules:
        return sys.modules[name]
    with guarded(name):
        there = origins.of_module(name)
    if there is None:
        raise Mistake(_no_module(name))
    origins.serve(there)
    with _importing(name):
        imported = importlib.import_module(name)
    IMPORTED[name] = there.origin
    return imported


def file(path: Path) -> ModuleType:
    """The module that a file is, always the same of one path. Raises Mistake.

    >>> file(Path("nothing.py"))
    Traceback (most recent call last):
    depthbench.research.catalogues.mistakes.Mistake: nothing.py: No such file or directory
    """
    with guarded(str(path)):
        there = origins.of_file(path)
    place = there.origin.place
    name = module_of(path)
    if name in IMPORTED and name in sys.modules:
        return sys.modules[name]
    origins.serve(there, path.resolve().name)
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise Mistake(f"{place}: must be a Python file, of a name that ends in .py")
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = (
        made  # before it is run: other threads, and itself, find it there
    )
    try:
        with _importing(place):
            spec.loader.exec_module(made)
    except BaseException:
        del sys.modules[name]
        raise
    IMPORTED[name] = there.origin
    return made


def module_of(path: Path) -> str:
    """The name that a file's module has in `sys.modules`.

    >>> module_of(Path("/x/my-acts.py"))
    'plugin_my_acts_54d747c4'
    """
    path = path.resolve()
    stem = re.sub(r"\W", "_", path.stem)
    return f"plugin_{stem}_{origins.digest(path.as_posix().encode())[:8]}"


def entry(value: Any, home: ModuleType) -> Any:
    """A catalogue's entry that stands in a module, where any other finds its functions.

    "module:function" in it is seen from there: the module itself, by its name, its file's
    or none; one beside it; or any other. Raises Mistake.

    >>> from depthbench.research.architectures.family import Family
    >>> entry(Family("a", ":sqrt", "a paper"), module("math")).builder
    'math:sqrt'
    """
    changed = {}
    for field in HANDLES:
        text = getattr(value, field, "")
        if isinstance(text, str) and ":" in text:
            changed[field] = handle(text, home)
    if "loader" in changed:
        changed["package"] = ""
    return value._replace(**changed) if changed else value


def handle(text: str, home: ModuleType) -> str:
    """ "module:function" as it stands in a module, with the module's whole name.

    >>> handle("decoder:JSONDecoder", module("json"))
    'json.decoder:JSONDecoder'
    """
    name, _, function = text.rpartition(":")
    place = getattr(home, "__file__", None)
    stem = Path(place).stem if place else ""
    if name in ("", home.__name__, home.__name__.rpartition(".")[2], stem):
        if not hasattr(home, function):
            raise Mistake(f"{text}: {stem or home.__name__} has no {function}")
        return f"{home.__name__}:{function}"
    inner = f"{home.__package__}.{name}"
    with guarded(text):
        beside = home.__package__ and importlib.util.find_spec(inner) is not None
    return f"{inner}:{function}" if beside else text


def imported(texts: Iterable[Any]) -> dict[str, Origin]:
    """The origins of the modules of those texts "module:name" that were imported.

    >>> named("math:sqrt") and list(imported(["math:sqrt", "tanh", "no:module", 3]))
    ['math:sqrt']
    """
    texts = [text for text in texts if isinstance(text, str)]
    matches = {text: NAME.fullmatch(spelled(text)) for text in texts}
    return {
        text: IMPORTED[match[1]]
        for text, match in matches.items()
        if match is not None and match[1] in IMPORTED
    }


@contextlib.contextmanager
def guarded(name: str) -> Iterator[None]:
    """Runs a user's code, of which what it raises is one line. Raises Mistake.

    >>> with guarded("my.acts:f"):
    ...     1 / 0
    Traceback (most recent call last):
    depthbench.research.catalogues.mistakes.Mistake: my.acts:f: ZeroDivisionError: ...
    """
    try:
        yield
    except Mistake:
        raise
    except ModuleNotFoundError as error:
        if name == error.name or name.startswith(f"{error.name}."):
            raise Mistake(_no_module(name)) from None
        raise Mistake(f"{name}: {error}") from error
    except OSError as error:
        raise Mistake(f"{name}: {error.strerror or error}") from error
    except (Exception, SystemExit) as error:
        raise Mistake(f"{name}: {told(error)}") from error


def _no_module(name: str) -> str:
    """
    >>> _no_module("my.nets.py")
    'my.nets.py: no such module, here or installed; the file my/nets.py is module my.nets'
    """
    stem = name.removesuffix(".py")
    file = f"{stem.replace('.', '/')}.py"
    hint = f"; the file {file} is module {stem}" if stem != name else ""
    return f"{name}: no such module, here or installed{hint}"


def told(error: BaseException) -> str:
    """An error in a line: its type, what it says, and where in the user's code it is.

    >>> told(ValueError("no such shape"))
    'ValueError: no such shape'
    """
    text = one_line(str(error), 300)
    return f"{type(error).__name__}{': ' if text else ''}{text}{place(error)}"


def place(error: BaseException) -> str:
    """Where an error is in the user's code, " (FILE, line N)": the last line that is
    neither ours nor a package's; "" where there is none.

    >>> place(ValueError("raised by nobody"))
    ''
    """
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename
        and not frame.filename.startswith(LIBRARY)
        and not any(Path(frame.filename).resolve().is_relative_to(p) for p in OURS)
        and Path(frame.filename).is_file()
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


@contextlib.contextmanager
def _importing(name: str) -> Iterator[None]:
    """The same, and what it prints is no result. One at a time: all threads' output."""
    with _ONE_IMPORT, guarded(name), contextlib.redirect_stdout(sys.stderr):
        yield
