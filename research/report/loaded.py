"""A folder's results as plain data: the rows of a run, or the curves of a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.learning.recipe import NUMBERS
from depthbench.research.report import (
    notebook,
    run_folder,
    study_report,
    training_report,
)
from depthbench.research.report.notebook import Text
from depthbench.research.report.run_folder import Results
from depthbench.research.report.trained import TrainingRun
from depthbench.research.store import rows as stored
from depthbench.research.study import headlines
from depthbench.research.study.declaration import Row
from depthbench.research.study.tables import Table


class Loaded(NamedTuple):
    """What is in a folder of `runs/`.

    name: of the study, or "train". folder: where it is.
    rows: a dictionary of each cell, settings and values; of a training, of each run at
      each report.
    answer, worst: the sentences that its report begins with; tables: those of it.
    keys: the columns that say what a row is, and the kind of each, as of an axis.
    arrays: by name, beside each row: profiles over layers, empty where there are none;
      of a training, those of each report.
    """

    name: str
    folder: Path
    rows: list[Row]
    answer: str
    worst: str
    tables: tuple[Table, ...]
    arrays: list[Mapping[str, np.ndarray]]
    keys: Mapping[str, str]

    def table(self, width: int | None = None) -> Text:
        """The answer and the report's tables, in a width: the terminal's, or 80."""
        answer = "\n".join(filter(None, (self.answer, self.worst)))
        return notebook.text(answer, self.tables, (), width)

    def to_pandas(self) -> Any:
        """A DataFrame of `rows`: what a row is comes first, then its status and why.

        Raises Mistake where there is no pandas.
        """
        return notebook.frame(self.rows, self.keys)

    def _repr_html_(self) -> str:
        return notebook.part(self.answer, self.tables, [self.worst])

    def __repr__(self) -> str:
        return f"{self.answer}\n{self.name}: {len(self.rows)} rows of {self.folder}"


def opened(place: Path) -> Loaded:
    """What is in a folder. Raises Refusal where no run is."""
    if run_folder.is_training(place):
        return of_training(run_folder.training(place))
    results = run_folder.opened(place)
    return of_results(results, results.rows)


def of_results(results: Results, rows: Sequence[Row]) -> Loaded:
    """Rows of a run, with the arrays beside them."""
    study, cells = results.study, results.folder.cells
    there = {record.id for record in results.records if record.profiles}
    known = [str(row.get("id")) for row in rows]
    judged = study_report.judgement(study, rows, results.cover)
    tables = [*study.tables(rows), *judged] if rows else []
    answer, worst = results.cover.headline(headlines.of(study, rows))
    return Loaded(
        name=study.name,
        folder=results.folder.path,
        rows=list(rows),
        answer=answer,
        worst=worst,
        tables=tuple(tables),
        arrays=[stored.profiles(cells, n) if n in there else {} for n in known],
        keys={name: axis.kind for name, axis in study.axes.items()},
    )


def of_training(training: TrainingRun) -> Loaded:
    """The points of a training's curves."""
    settings, history = training.settings, training.history
    points = training_report.curves(settings, history)
    ended = training_report.results(settings, points)
    answer, worst = training_report.answered(settings, ended)
    return Loaded(
        name="train",
        folder=training.folder.path,
        rows=training_report.curves(settings, history, exact=True),
        answer=answer,
        worst=worst,
        tables=(training_report.table(settings, ended),),
        arrays=[dict(arrays) for _, arrays in history],
        keys={
            **dict.fromkeys(("run", "seed", "step"), "integer"),
            **dict.fromkeys(NUMBERS, "number"),
        },
    )
