"""Catalogues: ordered, duplicate-free collections of named entries."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from depthbench.research.catalogues import modules
from depthbench.research.catalogues.mistakes import DataError as DataError
from depthbench.research.catalogues.mistakes import Mistake as Mistake
from depthbench.research.catalogues.mistakes import UnknownName as UnknownName
from depthbench.research.catalogues.mistakes import nearest as nearest


class Named(Protocol):
    """What a catalogue asks of an entry: a name, and where it comes from."""

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...


Entry = TypeVar("Entry", bound=Named)
OURS = "depthbench"


class Own(NamedTuple):
    """What "module:name" may be in a catalogue.

    kind: the type of its entries. plain: what else it may be, in words; and `wrapped`
    makes an entry of that, from its name and itself. Raises Mistake.
    """

    kind: type
    plain: str = ""
    wrapped: Callable[[str, Any], Any] | None = None


class Catalogue(Mapping[str, Entry], Generic[Entry]):
    """Entries by name, in the order they were written.

    `noun` is what one entry is called in messages ("activation"). With `own`, a name
    "module:name" is looked for in the user's modules.
    Raises ValueError when two entries share a name, UnknownName for an unknown one.
    """

    def __init__(self, noun: str, entries: Iterable[Entry], own: Own | None = None):
        self.noun, self.own = noun, own
        self._entries: dict[str, Entry] = {}
        self._places: dict[str, str] = {}  # of entries that are not depthbench's
        self._wrapped: dict[str, Entry] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry, place: str = OURS) -> Entry:
        """The entry, now in the catalogue under its own name. place: where it is from.

        >>> list(Catalogue("fruit", [Choice("fig", "a tree")]))
        ['fig']
        """
        if entry.name in self._entries:
            raise ValueError(f"two {self.noun}s are named {entry.name!r}")
        self._entries[entry.name] = entry
        if place != OURS:
            self._places[entry.name] = place
        return entry

    def place(self, name: str) -> str:
        """Where an entry is from: depthbench, or a plugin.

        >>> choices("fruit", fig="a tree").place("fig")
        'depthbench'
        """
        return self._places.get(name, OURS)

    @property
    def published(self) -> tuple[str, ...]:
        """The names of depthbench's own entries: no plugin changes them."""
        return tuple(name for name in self if name not in self._places)

    def only(
        self, keeps: Callable[[Entry], bool], why: Callable[[Entry], str]
    ) -> "Catalogue[Entry]":
        """The entries that are kept; asking for another raises UnknownName with why.

        >>> fruit = choices("fruit", fig="a tree", date="a palm")
        >>> list(fruit.only(lambda entry: entry.name == "fig", lambda entry: "is no fig"))
        ['fig']
        """
        return Selection(self, keeps, why)

    def written(self, text: str) -> str:
        """The name by which an entry is recorded, of one that is typed.

        Raises UnknownName, or Mistake for a "module:name" that is not there. What it
        names is looked at when it is asked for: that needs jax.

        >>> choices("fruit", fig="a tree").written("fig")
        'fig'
        """
        name = modules.spelled(text) if self.own else text
        if name in self or not (self.own and modules.is_name(name)):
            return self[name if name in self else text].name
        self._named(name)
        return name

    def may_have(self, name: Any) -> bool:
        """Whether a name is an entry's, or of a form that may be one: nothing is run.

        >>> choices("fruit", fig="a tree").may_have("my.module:fig")
        False
        """
        form = self.own and isinstance(name, str) and modules.is_name(name)
        return name in self or bool(form)

    def __getitem__(self, name: str) -> Entry:
        if name in self._entries:
            return self._entries[name]
        if self.own and isinstance(name, str) and modules.is_name(name):
            if name not in self._wrapped:
                self._wrapped.setdefault(name, self._wrap(name))
            return self._wrapped[name]
        hint = nearest(str(name), self._entries)
        raise UnknownName(f"unknown {self.noun} {name!r}: {hint}")

    def _named(self, name: str) -> Any:
        """What "module:name" names, if it may be one of these. Raises Mistake."""
        assert self.own
        value = modules.named(name)
        if isinstance(value, self.own.kind) or (self.own.wrapped and callable(value)):
            return value
        wanted = " or ".join(filter(None, (self.own.kind.__name__, self.own.plain)))
        raise Mistake(
            f"{self.noun} {name}: is a {type(value).__name__}; must be {wanted}"
        )

    def _wrap(self, name: str) -> Entry:
        assert self.own
        value = self._named(name)
        if isinstance(value, self.own.kind):
            home = modules.module(name.partition(":")[0])
            return modules.entry(value, home)._replace(name=name)
        assert self.own.wrapped
        return self.own.wrapped(name, value)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Catalogue({self.noun!r}, {list(self._entries)})"


class Selection(Catalogue[Entry]):
    """Those entries of a catalogue that pass, whenever they were added to it."""

    def __init__(
        self,
        whole: Catalogue[Entry],
        passes: Callable[[Entry], bool],
        why: Callable[[Entry], str],
    ):
        super().__init__(whole.noun, (), whole.own)
        self._whole, self._passes, self._why = whole, passes, why
        self._places = whole._places

    def __getitem__(self, name: str) -> Entry:
        if name not in self and not self._whole.may_have(name):
            hint = nearest(str(name), self)
            raise UnknownName(f"unknown {self.noun} {name!r}: {hint}")
        entry = self._whole[name]
        if not self._passes(entry):
            allowed = ", ".join(self)
            raise UnknownName(
                f"{self.noun} {name!r} {self._why(entry)} (allowed: {allowed})"
            )
        return entry

    def __contains__(self, name: object) -> bool:
        return name in self._whole and self._passes(self._whole[str(name)])

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._whole if self._passes(self._whole[name]))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Catalogue({self.noun!r}, {list(self)})"


class Choice(NamedTuple):
    """An entry that is a name alone."""

    name: str
    source: str


def choices(noun: str, **sources: str) -> Catalogue[Choice]:
    """A catalogue of names, each with what it is.

    >>> choices("fruit", apple="of a tree", berry="of a bush")
    Catalogue('fruit', ['apple', 'berry'])
    """
    return Catalogue(noun, [Choice(*entry) for entry in sources.items()])
