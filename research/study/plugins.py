"""Plugins: a file or a module whose ENTRIES join the catalogues they belong to.

Entries are those that CONTRIBUTING.md shows, in any order. They are in `list`, in `all`
and by name everywhere; what a study runs without being asked stays what is published.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.family import Family
from depthbench.research.catalogues import modules, origins
from depthbench.research.catalogues.activations import ACTIVATIONS, Activation
from depthbench.research.catalogues.catalogue import OURS, Catalogue, Mistake
from depthbench.research.catalogues.initializers import INITIALIZERS, Initializer
from depthbench.research.catalogues.losses import LOSSES, Loss
from depthbench.research.catalogues.normalizers import NORMALIZERS, Normalizer
from depthbench.research.catalogues.optimizers import OPTIMIZERS, Optimizer
from depthbench.research.catalogues.origins import Located, Origin
from depthbench.research.catalogues.schedules import SCHEDULES, Schedule
from depthbench.research.datasets import DATASETS, Dataset
from depthbench.research.study import entry_trials, studies
from depthbench.research.study.declaration import Cell, Study, flaw
from depthbench.research.study.errors import Refusal

LIST = "ENTRIES"
CATALOGUES: dict[type, Catalogue] = {
    Activation: ACTIVATIONS,
    Initializer: INITIALIZERS,
    Normalizer: NORMALIZERS,
    Optimizer: OPTIMIZERS,
    Schedule: SCHEDULES,
    Loss: LOSSES,
    Dataset: DATASETS,
    Family: ARCHITECTURES,
}
NAME = re.compile(r"[A-Za-z_][\w-]*")  # may stand in a list, and in a file's name
RESERVED = ("all", "default", "none")


class Plugin(NamedTuple):
    """A plugin that is loaded. entries: their names. module: its name in `sys.modules`."""

    origin: Origin
    entries: tuple[str, ...]
    module: str

    @property
    def files(self) -> dict[str, str]:
        """Hashes of its files; none of an installed package."""
        return self.origin.files


PLUGINS: dict[str, Plugin] = {}  # by place, in the order they were loaded


def load(text: str) -> Plugin:
    """The plugin of a file, or of a module by its name, its entries in their catalogues.

    Raises Mistake, of which nothing is left in a catalogue; one that is loaded already
    stays as it is.
    """
    if text.endswith(".py") or "/" in text:
        return _joined(modules.file(file_of(text)))
    if not modules.MODULE.fullmatch(text):
        raise Mistake(f"{text}: must be a file that ends in .py, or a module's name")
    return _joined(modules.module(text))


def file_of(text: str) -> Path:
    """The file that a path names, ~ at its beginning being home. Raises Mistake."""
    path = Path(text).expanduser() if text.startswith("~/") else Path(text)
    try:
        if not path.is_file():
            what = "is no file" if path.exists() else "no such file"
            raise Mistake(f"{text}: {what}; must be a Python file, or a module's name")
    except OSError as error:
        raise Mistake(f"{text}: {error.strerror}") from None
    if path.suffix != ".py":
        raise Mistake(f"{text}: must be a Python file, of a name that ends in .py")
    return path


def _joined(module: ModuleType) -> Plugin:
    origin = modules.IMPORTED[module.__name__]
    if origin.place in PLUGINS:
        return PLUGINS[origin.place]
    entries = [
        _sound(value, module, f"{origin.place}: {LIST}[{number}]")
        for number, value in enumerate(_listed(module, origin.place))
    ]
    targets = [_catalogue(entry) for entry in entries]
    _check_free(entries, targets, origin.place)
    for entry, catalogue in zip(entries, targets, strict=True):
        if isinstance(entry, Study):
            entry = entry._replace(module=module.__name__)
            studies.claims.cache_clear()
        catalogue.add(entry, origin.place)
    names = tuple(entry.name for entry in entries)
    return PLUGINS.setdefault(origin.place, Plugin(origin, names, module.__name__))


def _listed(module: ModuleType, place: str) -> Iterable[Any]:
    entries = getattr(module, LIST, None)
    if not isinstance(entries, list | tuple):
        is_now = "has no" if entries is None else f"is a {type(entries).__name__} as"
        raise Mistake(
            f"{place}: {is_now} {LIST}; a plugin says {LIST} = (entry, …), a tuple of "
            f"{', '.join(_kinds())}"
        )
    return entries


def _kinds() -> list[str]:
    return [kind.__name__ for kind in (*CATALOGUES, Study)]


def _sound(value: Any, module: ModuleType, where: str) -> Any:
    """An entry whose declaration can be used, from anywhere. Raises Mistake."""
    if not isinstance(value, (*CATALOGUES, Study)):
        kinds = ", ".join(_kinds())
        raise Mistake(f"{where} is a {type(value).__name__}; must be one of {kinds}")
    try:
        value = modules.entry(value, module)
    except Mistake as error:
        raise Mistake(f"{where}: {error}") from None
    if isinstance(value, Study) and (why := flaw(value)):
        raise Mistake(f"{where}: {why}")
    name, source = value.name, value.source
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED:
        raise Mistake(
            f"{where}: its name is {name!r}; must be of letters, digits, _ and -, and "
            f"none of {', '.join(RESERVED)}"
        )
    if not isinstance(source, str) or not source.strip():
        raise Mistake(f"{where}: {name} has no source; say where it comes from")
    return value


def _catalogue(entry: Any) -> Catalogue:
    if isinstance(entry, Study):
        return studies.studies()
    return next(CATALOGUES[kind] for kind in CATALOGUES if isinstance(entry, kind))


def _check_free(entries: list[Any], targets: list[Catalogue], place: str) -> None:
    """Raises Mistake for a name that is taken, with both places."""
    taken: set[tuple[str, str]] = set()
    for entry, catalogue in zip(entries, targets, strict=True):
        key = catalogue.noun, entry.name
        if key in taken or entry.name in catalogue:
            other = place if key in taken else catalogue.place(entry.name)
            raise Mistake(
                f"{place}: {catalogue.noun} {entry.name!r} is one of {other} already; "
                "give it another name"
            )
        taken.add(key)


def load_installed(points: Iterable[Any]) -> list[str]:
    """Lines on the entry points whose plugins cannot be loaded; the others are."""
    lines = []
    for point in points:
        try:
            load(point.value.partition(":")[0].strip())
        except (Mistake, Refusal) as error:
            package = point.dist.name if point.dist else "a package"
            lines.append(
                f"plugin {point.name} of {package} is left out: {error}; mend or uninstall "
                f"{package}"
            )
    return lines


def used(names: Iterable[Any]) -> dict[str, Plugin]:
    """What is not depthbench's of names in cells or settings, by place.

    Plugins, with those of their entries; and modules that were named "module:name".
    """
    names = list(dict.fromkeys(names))
    found = {
        place: plugin._replace(entries=entries)
        for place, plugin in PLUGINS.items()
        if (entries := tuple(name for name in names if name in plugin.entries))
    }
    for text, origin in modules.imported(names).items():
        module = text.partition(":")[0]
        before = found.get(origin.place, Plugin(origin, (), module))
        found[origin.place] = before._replace(entries=(*before.entries, text))
    return found


def again(origin: Origin, entries: Iterable[str], folder: Path) -> None:
    """Loads what results in a folder were made with, unless it is here by other means.

    Raises Refusal where it is missing or has changed, before any of it is run; and for
    what lies in the folder, which may be a stranger's.
    """
    wanted = list(entries)
    if not _here(wanted):
        _check_same(origin, folder)
        _load(origin.place, wanted)
    if why := _another(origin, wanted):
        raise Refusal(f"{folder}: made with another plugin than is here: {why}")


def joined(other: Plugin) -> str:
    """Why what another process has is not here as well; "" where it is, and is loaded.

    Nothing of it is run before it is compared. Raises Mistake, OSError.
    """
    origin, wanted = other.origin, list(other.entries)
    if not _here(wanted):
        now = _located(origin.place)
        if now is None:
            return f"{origin.place}: no such module, here or installed"
        if why := origin.difference(now.origin):
            return why
        _load(origin.place, wanted)
    return _another(origin, wanted)


def _here(wanted: list[str]) -> bool:
    """Whether all of these entries are loaded."""
    return sorted(name for one in used(wanted).values() for name in one.entries) == (
        sorted(wanted)
    )


def _load(place: str, wanted: list[str]) -> None:
    if all(map(modules.is_name, wanted)):
        modules.module(place)
    else:
        load(place)


def _another(origin: Origin, wanted: list[str]) -> str:
    """What of the entries that are loaded is not as an origin's; "" where nothing is."""
    here = used(wanted)
    for one in here.values():
        if why := origin.difference(one.origin):
            return why
    lost = set(wanted) - {name for one in here.values() for name in one.entries}
    return f"{origin.place} has no {', '.join(sorted(lost))}" if lost else ""


def _check_same(origin: Origin, folder: Path) -> None:
    """Raises Refusal unless the files of an origin are there as they were: only read."""
    try:
        now = _located(origin.place)
    except (Mistake, OSError) as error:
        raise Refusal(
            f"{folder}: made with a plugin that is not here: {error}; --plugin says where "
            "it is now"
        ) from None
    if now is None:
        raise Refusal(
            f"{folder}: made with {origin.place}: no such module, here or installed"
        )
    within = folder.resolve()
    if any(path.resolve().is_relative_to(within) for path in now.files.values()):
        raise Refusal(
            f"{folder}: made with {origin.place}, which is in that folder: nothing of a "
            "results folder is run; move it out, and name it with --plugin"
        )
    if why := origin.difference(now.origin):
        raise Refusal(f"{folder}: made with another plugin than is here: {why}")


def _located(place: str) -> Located | None:
    """What is at a place now, of which nothing is run; None for no such module.

    Raises Mistake, OSError.
    """
    if place.endswith(".py") or "/" in place:
        return origins.of_file(file_of(place))
    return origins.of_module(place)


def looked_at(axes: Mapping[str, Any], cells: Iterable[Cell]) -> None:
    """Looks at what the user's own names stand for: what is wrong is said before work.

    axes: with the catalogues of the cells' names. Raises Mistake.
    """
    pairs = {(name, cell[name]) for cell in cells for name in axes if name in cell}
    for name, value in sorted(pairs, key=str):
        if axes[name].choices is not None:
            look(axes[name].choices, value)


def look(choices: Catalogue, name: Any) -> None:
    """Looks at what a user's own name stands for, and tries it: nothing of ours is.

    Raises Mistake.
    """
    named = choices.own is not None and modules.is_name(str(name))
    if not named and choices.place(str(name)) == OURS:
        return
    if not (named and choices is ARCHITECTURES):  # those have been
        entry_trials.tried(choices[name])
