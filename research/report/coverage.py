"""How much of its plan a folder has: "54 of 108 cells", and which cells those are not.

A run that was stopped, or was one share of several, has a part of its plan. Cells that are
missing are rows that say so, as those are that did not end well: so no claim holds before
all of its points have been run.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from depthbench.research.store.manifest import Manifest
from depthbench.research.store.rows import cell_id
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
    as their settings are known: those of an earlier version's folder are not."""

    here: int
    planned: int
    missing: tuple[Row, ...] = ()

    @property
    def whole(self) -> bool:
        return self.here == self.planned

    def __str__(self) -> str:
        return f"{self.here:,} of {self.planned:,} cells"

    def headline(self, of_rows: Headline) -> Headline:
        """The headline of the rows that are here, which begins with how many these are."""
        if self.whole:
            return of_rows
        return of_rows._replace(answer=f"{self} so far. {of_rows.answer}")

    def title(self, title: str) -> str:
        """The title of a table of verdicts on the rows that are here."""
        return title if self.whole else f"{title} ({self} so far)"


WHOLE = Coverage(0, 0)


def of_folder(study: Study, manifest: Manifest, there: Collection[str]) -> Coverage:
    """Of a folder's plan. there: the ids of its rows."""
    lacking = set(manifest.cells).difference(there)
    planned = len(manifest.cells)
    cells = named(study, manifest, lacking) if lacking else []
    return Coverage(planned - len(lacking), planned, rows(study, cells))


def of_cells(study: Study, ids: Mapping[str, Cell], there: Collection[str]):
    """Of these cells, by their ids. there: the ids of rows."""
    lacking = [cell for identity, cell in ids.items() if identity not in there]
    return Coverage(len(ids) - len(lacking), len(ids), rows(study, lacking))


def rows(study: Study, cells: Sequence[Cell]) -> tuple[Row, ...]:
    """The rows of cells that have not been run, in order."""
    bare = ({**study.named(c), "status": NOT_RUN, "reason": ""} for c in cells)
    return tuple(sorted(bare, key=study.order))


def named(study: Study, manifest: Manifest, ids: Collection[str]) -> list[Cell]:
    """The settings of these of a manifest's cells, found among all combinations of what
    its cells have; none where there are too many of those, or none are recorded."""
    digests = set(manifest.data.values()) or {"none"}
    return [
        cell
        for cell in combinations(study, manifest.grid)
        if any(cell_id(study.name, cell, digest) in ids for digest in digests)
    ]
