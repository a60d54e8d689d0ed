"""Catalogues: ordered, duplicate-free collections of named entries."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar


class Named(Protocol):
    """What a catalogue asks of an entry: a name, and where it comes from."""

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...


Entry = TypeVar("Entry", bound=Named)


class Mistake(ValueError):
    """What the person at the keyboard can mend; the message is the one line to print."""


class DataError(Mistake):
    """Data that are missing, damaged or not what they should be; says what to do."""


class UnknownName(Mistake):
    """A name that is not in a catalogue; says what is, nearest first."""


def nearest(name: str, allowed: Iterable[str], listing: str = "") -> str:
    """A sentence's end: the nearest allowed names, and all of them.

    listing: what is allowed, in words, where the names are too many for a line.

    >>> nearest("rleu", ["tanh", "relu"])
    'did you mean relu? (allowed: tanh, relu)'
    """
    allowed = [str(a) for a in allowed]
    lower = {a.lower(): a for a in allowed}
    near = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
    listing = f"allowed: {listing or ', '.join(allowed)}"
    if not near:
        return listing
    return f"did you mean {' or '.join(lower[n] for n in near)}? ({listing})"


class Catalogue(Mapping[str, Entry], Generic[Entry]):
    """Entries by name, in the order they were written.

    `noun` is what one entry is called in messages ("activation").
    Raises ValueError when two entries share a name, UnknownName for an unknown one.
    """

    def __init__(self, noun: str, entries: Iterable[Entry]):
        self.noun = noun
        self._entries: dict[str, Entry] = {}
        self._left_out: dict[str, str] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> Entry:
        """The entry, now in the catalogue under its own name.

        >>> list(Catalogue("fruit", [Choice("fig", "a tree")]))
        ['fig']
        """
        if entry.name in self._entries:
            raise ValueError(f"two {self.noun}s are named {entry.name!r}")
        self._entries[entry.name] = entry
        return entry

    def only(
        self, keeps: Callable[[Entry], bool], why: Callable[[Entry], str]
    ) -> "Catalogue[Entry]":
        """The entries that are kept; asking for another raises UnknownName with why.

        >>> fruit = choices("fruit", fig="a tree", date="a palm")
        >>> list(fruit.only(lambda entry: entry.name == "fig", lambda entry: "is no fig"))
        ['fig']
        """
        entries = [entry for entry in self.values() if keeps(entry)]
        smaller = Catalogue(self.noun, entries)
        allowed = ", ".join(smaller)
        smaller._left_out = {
            name: f"{name!r} {why(entry)} (allowed: {allowed})"
            for name, entry in self.items()
            if name not in smaller
        }
        return smaller

    def __getitem__(self, name: str) -> Entry:
        try:
            return self._entries[name]
        except KeyError:
            if name in self._left_out:
                raise UnknownName(f"{self.noun} {self._left_out[name]}") from None
            hint = nearest(str(name), self._entries)
            raise UnknownName(f"unknown {self.noun} {name!r}: {hint}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Catalogue({self.noun!r}, {list(self._entries)})"


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
