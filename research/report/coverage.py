"""How much of its plan a folder has: "54 of 108 cells", and which cells those are not.

A run that was stopped, or was one share of several, has a part of its plan. Cells that are
missing are rows that say so, as those are that did not end well: so no claim holds before
all of its points have been run.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from depthbench.research.store.manifest import Manifest
from depthbench.research.store.rows import Record, cell_id, digests
from depthbench.research.study.claims import NOT_RUN
from depthbench.research.study.declaration import (
    Cell,
    Headline,
    Row,
    Study,
    combinations,
)


class Coverage(NamedTuple):
    """Of so many planned cells, how many are here, and rows of those that are not, as far
    as their settings are known: those of an earlier version's folder are not.

    apart: of those that are here, in a table of another kind of devices: of this one no
    rows, and no claim is decided without them.
    """

    here: int
    planned: int
    missing: tuple[Row, ...] = ()
    apart: tuple[Row, ...] = ()

    @property
    def whole(self) -> bool:
        return self.here == self.planned

    def __str__(self) -> str:
        count = len(self.apart)
        more = f", {count:,} of them of other kinds of devices" if count else ""
        return f"{self.here:,} of {self.planned:,} cells{more}"

    def headline(self, of_rows: Headline) -> Headline:
        """The headline of the rows that are here, which begins with how many these are."""
        if self.whole and not self.apart:
            return of_rows
        so_far = "" if self.whole else " so far"
        return of_rows._replace(answer=f"{self}{so_far}. {of_rows.answer}")

    def title(self, title: str) -> str:
        """The title of a table of verdicts on the rows that are here."""
        return title if self.whole else f"{title} ({self} so far)"


WHOLE = Coverage(0, 0)


def of_folder(
    study: Study,
    manifest: Manifest,
    there: Collection[str],
    elsewhere: Sequence[Record] = (),
) -> Coverage:
    """Of a folder's plan. there: the ids of its rows. elsewhere: rows of other kinds."""
    apart = _apart(manifest.cells, there, elsewhere)
    lacking = set(manifest.cells).difference(there, apart)
    planned = len(manifest.cells)
    cells = named(study, manifest, lacking) if lacking else []
    missing = rows(study, cells)
    return Coverage(
        planned - len(lacking), planned, missing, rows(study, list(apart.values()))
    )


def of_cells(
    study: Study,
    ids: Mapping[str, Cell],
    there: Collection[str],
    elsewhere: Sequence[Record] = (),
) -> Coverage:
    """Of these cells, by their ids. there, elsewhere: as of a folder."""
    apart = _apart(ids, there, elsewhere)
    here = {*there, *apart}
    lacking = [cell for identity, cell in ids.items() if identity not in here]
    count = len(ids) - len(lacking)
    missing = rows(study, lacking)
    return Coverage(count, len(ids), missing, rows(study, list(apart.values())))


def _apart(
    planned: Collection[str], there: Collection[str], elsewhere: Sequence[Record]
) -> dict[str, Cell]:
    """The planned cells that other kinds of devices alone have rows of, by their ids."""
    asked = set(planned).difference(there)
    return {r.id: dict(r.settings) for r in elsewhere if r.id in asked}


def rows(study: Study, cells: Sequence[Cell]) -> tuple[Row, ...]:
    """The rows of cells that have not been run, in order."""
    bare = ({**study.named(c), "status": NOT_RUN, "reason": ""} for c in cells)
    return tuple(sorted(bare, key=study.order))


def named(study: Study, manifest: Manifest, ids: Collection[str]) -> list[Cell]:
    """The settings of these of a manifest's cells, found among all combinations of what
    its cells have; none where there are too many of those, or none are recorded."""
    fed_with = digests(manifest.data)
    return [
        cell
        for cell in combinations(study, manifest.grid)
        if any(cell_id(study.name, cell, digest) in ids for digest in fed_with)
    ]
