"""An axis that came later: rows that do not name it are what they were."""

import pytest

from depthbench.research.report import run_folder, study_report
from depthbench.research.store.rows import Record, cell_id
from depthbench.research.study import dtypes
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.studies import studies

LATER = [name for name, study in studies().items() if "dtype" in study.implied]


def test_the_studies_that_have_one():
    assert LATER == ["gradient_flow", "max_trainable_depth", "trainability"]


@pytest.mark.parametrize("name", LATER)
def test_a_cell_names_it_where_it_is_another(name):
    study = studies()[name]
    standard = grid(study, chosen_values(study, "standard", {}))
    typed = grid(study, chosen_values(study, "standard", {"dtype": ("float32",)}))
    assert standard == typed and not any("dtype" in cell for cell in standard)
    both = {"dtype": ("float32", "bfloat16")}
    cells = grid(study, chosen_values(study, "standard", both))
    half = [cell for cell in cells if "dtype" in cell]
    assert len(cells) == 2 * len(standard) == 2 * len(half)
    ids = [{cell_id(name, cell, "none") for cell in some} for some in (standard, cells)]
    assert ids[0] < ids[1] and len(ids[1]) == len(cells)
    # As they are read back, whichever rows are beside them.
    rows = [{**cell, "status": "ok"} for cell in cells]
    assert [study.cell(row) for row in study.alike(rows)] == cells
    assert [study.cell({**row, "dtype": None}) for row in rows[:1]] == cells[:1]
    assert study.alike(rows[:1]) == rows[:1]
    assert {row["dtype"] for row in study.alike(rows)} == {"float32", "bfloat16"}
    alone = study_report.columns(study, study.alike(rows[:1]))
    added = set(study_report.columns(study, study.alike(rows))) - set(alone)
    assert added == {"dtype", *dtypes.COLUMNS}


@pytest.mark.parametrize("name", LATER)
def test_a_file_that_names_what_is_implied_is_no_row(name):
    study = studies()[name]
    (cell, *_) = grid(study, chosen_values(study, "smoke", {}))

    def wrong(**changed):
        settings = {**cell, **changed}
        record = Record("", name, settings, "ok", "", {}, {}, None)
        return run_folder.wrong(study, record)

    assert wrong() == "" and wrong(dtype="float16") == ""
    assert "is implied" in wrong(dtype="float32")
    assert wrong(dtype="float8") and wrong(other=1) == "settings.other"


def test_the_first_of_the_axis_is_what_is_implied():
    axis = dtypes.axis()
    assert axis.implied == axis.values[0] == dtypes.STANDARD
