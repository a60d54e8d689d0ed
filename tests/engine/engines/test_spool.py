"""Spools: what a job says lies there whole, and a job ends once nobody reads it."""

import os

import numpy as np

from depthbench.research.engine.engines import jobs, spool
from depthbench.research.engine.engines.jobs import Began, Raised
from depthbench.research.engine.engines.seam import Done
from depthbench.research.study.declaration import Measured

SAID = [
    Began(7),
    Raised(75, "later"),
    Done(
        3,
        [
            Measured("ok", "", {"a": 0.1, "n": 3, "b": None, "c": "x", "d": True}),
            Measured(
                "oom", "large", {}, {"p": np.arange(3.0), "k": np.ones((2, 1), "<i4")}
            ),
        ],
        {"jax": "0.12", "cores": 2, "driver": None},
        {"tracing": 0.5},
    ),
]


def test_what_is_written_is_what_was_said():
    for said in SAID[:2]:
        assert spool.opened(spool.packed(said)) == said
    back = spool.opened(spool.packed(SAID[2]))
    for mine, other in zip(SAID[2].measured, back.measured, strict=True):
        assert mine[:3] == other[:3] and mine.profiles.keys() == other.profiles.keys()
        for name, array in mine.profiles.items():
            np.testing.assert_array_equal(array, other.profiles[name], strict=True)
    assert back[2:] == SAID[2][2:]


def told(monkeypatch, count=3):
    """Jobs say that so many units are done."""
    said = [one for n in range(count) for one in (Began(n), Done(n, []))]
    monkeypatch.setattr(jobs, "perform", lambda job: iter(said))
    return said


def test_what_is_said_is_read_in_order_and_from_any_place(tmp_path, monkeypatch):
    said = told(monkeypatch)
    (tmp_path / spool.ALIVE).touch()
    folder = tmp_path / "00000"
    folder.mkdir()
    spool.perform(None, folder)
    assert list(spool.said(folder, 0)) == said
    assert list(spool.said(folder, 4)) == said[4:]
    assert list(spool.said(folder, 6)) == []


def test_a_job_ends_after_its_unit_once_the_driver_is_gone(tmp_path, monkeypatch):
    said = told(monkeypatch)
    folder = tmp_path / "00000"
    folder.mkdir()
    spool.perform(None, folder)  # no file of a driver that is there
    assert list(spool.said(folder, 0)) == said[:2]


def test_a_driver_is_there_as_long_as_it_touches_its_file(tmp_path):
    alive, written = tmp_path / spool.ALIVE, tmp_path / "written"
    for path in (alive, written):
        path.touch()
    assert spool.attended(alive, written)
    os.utime(alive, (0, written.stat().st_mtime - spool.SILENT - 1))
    assert not spool.attended(alive, written)


def test_half_a_file_is_never_read(tmp_path):
    folder = tmp_path
    whole = spool.packed(Began(0))
    (folder / "000000.said").write_bytes(whole)
    (folder / ".000001.said.77.tmp").write_bytes(whole[:3])  # as a kill leaves it
    assert list(spool.said(folder, 0)) == [Began(0)]
