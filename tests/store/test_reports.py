"""Reports of a training: what is none is said to be, and the others are read."""

import numpy as np

from depthbench.research.store import reports, rows
from depthbench.research.store.folder import Folder
from depthbench.research.store.manifest import Manifest
from depthbench.research.study.declaration import Measured

SETTINGS = {"steps": 4, "report_every": 2}


def test_a_studys_cell_among_reports_is_none(tmp_path):
    """A file that was copied there; it is whole, and its name is no step."""
    folder = Folder(tmp_path)
    folder.reports.mkdir()
    for step in (2, 4):
        reports.save(folder, reports.run_id(SETTINGS), step, {"loss": np.ones(1)})
    record, packed = rows.record_of(
        "s", {"width": 3}, Measured("ok", "", {}), {"data": ""}
    )
    rows.save(folder.reports, record, packed)
    manifest = Manifest(
        schema=1, study=reports.STUDY, code={}, environment={}, settings=SETTINGS
    )
    have, lines = reports.read(folder, manifest)
    assert [reports.step_of(each) for each in have] == [2, 4]
    assert lines == [f"{record.id}.json: is of another training"]
    reports.read(folder, manifest, quarantine=True)
    assert not (folder.reports / f"{record.id}.json").exists()
    assert (tmp_path / "quarantine" / f"{record.id}.json").exists()
