"""Jobs as another process has them: what is the user's own is there, or it is said."""

import pickle
import subprocess
import sys

import pytest

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.engine.engines import jobs
from depthbench.research.engine.engines.jobs import Raised
from depthbench.research.engine.engines.seam import Done, Workload
from depthbench.research.study import plan, plugins
from depthbench.research.study.errors import Refusal
from depthbench.research.study.studies import studies
from tests.plugged import ACTS, restored, written

STUDY = """
from pathlib import Path

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Headline, Measured, Study

def measure(cells, shared, memory):
    given = lambda cell: float(ACTIVATIONS[cell["activation"]].phi(-8.0))
    return [Measured("ok", "", {"given": given(cell)}) for cell in cells]

ENTRIES = [
    Study(
        name="own_study",
        kind="experiment",
        question="What does an activation give at -8?",
        source="a test",
        axes={"activation": Axis("the nonlinearity", ("relu",), ACTIVATIONS)},
        sizes={},
        measure=":measure",
        columns=("activation", "status", "reason", "given"),
        headline=lambda rows: Headline("Something."),
    ),
]
"""
NAMES = ("bent_own", "lone:bent", "jax.nn:relu")  # of a plugin, a file, a package
WORKER = """
import pickle, sys
from depthbench.research.engine.engines import jobs
said = list(jobs.perform(pickle.load(sys.stdin.buffer)))
pickle.dump(said, sys.stdout.buffer)
"""


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Of a study and an activation that are plugins', and of others by module:name."""
    written(tmp_path, {"my/acts": ACTS}, own=STUDY, lone=ACTS)
    monkeypatch.chdir(tmp_path)
    with restored():
        plugins.load("own.py")
        plugins.load("my.acts")
        study = studies()["own_study"]
        cells = [{"activation": ACTIVATIONS.written(name)} for name in NAMES]
        (job,) = jobs.of(Workload(study, plan.units(study, cells), 2**30, 1))
    return job


def test_a_process_that_has_loaded_nothing_has_all_that_a_job_names(job, tmp_path):
    (tmp_path / "elsewhere").mkdir()  # that it is begun in
    done = subprocess.run(
        [sys.executable, "-c", WORKER],
        input=pickle.dumps(job),
        cwd=tmp_path / "elsewhere",
        capture_output=True,
        check=True,
    )
    said = pickle.loads(done.stdout)
    assert not [one.text for one in said if isinstance(one, Raised)]
    given = [one.measured[0].values["given"] for one in said if isinstance(one, Done)]
    assert given == [-2.0, -2.0, 0.0]


@pytest.mark.parametrize("name", ["own", "my/acts", "lone"])
def test_a_worker_with_another_plugin_is_refused_before_that_is_run(
    name, job, tmp_path
):
    path = tmp_path / f"{name}.py"
    mark = "from pathlib import Path\nPath('mark').touch()\n"
    path.write_text(path.read_text() + mark)
    with restored():
        (said,) = jobs.perform(job)
    assert not (tmp_path / "mark").exists()
    with pytest.raises(Refusal, match=rf"a worker .* {name}\.py has changed"):
        raise jobs.error_of(said)


@pytest.mark.parametrize("name", ["own", "lone"])
def test_a_worker_without_a_plugin_says_which(name, job, tmp_path):
    (tmp_path / f"{name}.py").unlink()
    with restored():
        (said,) = jobs.perform(job)
    with pytest.raises(Refusal, match=rf"a worker .*{name}.*: no such"):
        raise jobs.error_of(said)


def test_a_worker_with_another_version_of_a_package_is_refused(job):
    older = [
        one._replace(origin=one.origin._replace(version="jax 0.1"))
        if one.origin.version
        else one
        for one in job.plugins
    ]
    with restored():
        (said,) = jobs.perform(job._replace(plugins=tuple(older)))
    with pytest.raises(Refusal, match=r"jax\.nn was jax 0\.1, is jax "):
        raise jobs.error_of(said)
