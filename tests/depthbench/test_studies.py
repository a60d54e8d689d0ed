"""`run` and `load`: the command's rows, in a folder and as data."""

import threading

import jax
import numpy as np
import pytest

import depthbench as db
from depthbench import studies
from depthbench.research.study.studies import studies as declared

SMALL = {"size": "smoke", "depth": (2, 3), "activation": "tanh", "architecture": "mlp"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs") / "flow"


@pytest.fixture(scope="module")
def result(folder):
    return db.run("gradient_flow", out=folder, **SMALL)


def test_rows_are_those_asked_for(result, folder):
    assert {row["depth"] for row in result.rows} == {2, 3}
    assert {row["activation"] for row in result.rows} == {"tanh"}
    assert result.name == "gradient_flow" and result.folder == folder
    assert (folder / "report.html").is_file()
    arrays = result.arrays[0]["log10_gradient"]
    assert arrays.shape[1] == result.rows[0]["depth"] + 1
    frame = result.to_pandas()
    assert list(frame["depth"]) == [row["depth"] for row in result.rows]
    np.testing.assert_allclose(
        arrays[:, 0].mean() - arrays[:, -1].mean(), frame["log10_ratio"][0], atol=1e-6
    )


def test_it_shows_the_reports_answer_first(result):
    first = "keep their gradient"
    assert first in repr(result).splitlines()[0]
    assert first in " ".join(result.table(80).splitlines()[:2])
    assert max(map(len, result.table(80).splitlines())) <= 80
    assert result._repr_html_().index(first) < result._repr_html_().index("<table")


def test_a_folder_is_read_back_and_a_part_of_it_run_again(result, folder, capsys):
    loaded = db.load(folder)
    assert loaded.rows == result.rows and loaded.answer == result.answer
    before = {path: path.stat().st_mtime_ns for path in folder.glob("cells/*.json")}
    part = db.run("gradient_flow", out=str(folder), **{**SMALL, "depth": 3})
    assert part.rows == [row for row in result.rows if row["depth"] == 3]
    assert {p: p.stat().st_mtime_ns for p in folder.glob("cells/*.json")} == before
    assert capsys.readouterr().out == ""


def test_in_a_thread_and_with_other_settings_of_jax(tmp_path, folder, result):
    """As in a notebook; what rows pin is the user's again."""
    made = []

    def work():
        made.append(db.run("gradient_flow", out=folder, **{**SMALL, "depth": 2}))

    with jax.enable_x64(True):
        before = jax.config.jax_enable_x64
    jax.config.update("jax_threefry_partitionable", False)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert jax.config.jax_threefry_partitionable is False and before
    finally:
        jax.config.update("jax_threefry_partitionable", True)
    assert made[0].rows == [row for row in result.rows if row["depth"] == 2]


def test_committed_rows_are_loaded(root):
    loaded = db.load(root / "benchmarks" / "results" / "cpu" / "gradient_flow")
    assert loaded.rows and not any(loaded.arrays)


WRONG = {
    "study": (("gradient_flo",), {}, "mean gradient_flow"),
    "study of no name": ((3,), {}, "study: 3"),
    "dept": (("gradient_flow",), {"dept": 3}, "mean depth"),
    "depth": (("gradient_flow",), {"depth": "deep"}, "'deep'"),
    "depth of none": (("gradient_flow",), {"depth": ()}, "empty"),
    "depth below": (("gradient_flow",), {"depth": 0}, "from 1"),
    "activation": (("gradient_flow",), {"activation": ["relu", "tan"]}, "mean tanh"),
    "seeds": (("gradient_flow",), {"seeds": (1, 2)}, "one value"),
    "size": (("gradient_flow",), {"size": "large"}, "standard"),
    "out": (("gradient_flow",), {"out": 3}, "out: 3"),
    "out of a file": (("gradient_flow",), {"out": __file__}, "is a file"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_run_is_one_line(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given, more, words = WRONG[kind]
    with pytest.raises(db.Mistake) as caught:
        db.run(*given, **more)
    line = str(caught.value)
    assert line.startswith(kind.split()[0]) and words in line and "\n" not in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["nowhere", ".", __file__, 3])
def test_a_folder_without_a_run_is_one_line(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(db.Mistake) as caught:
        db.load(path)
    assert "\n" not in str(caught.value)


def test_no_axis_of_a_study_has_the_name_of_an_argument():
    names = set(studies.run.__kwdefaults__) | {"study"}
    for study in declared().values():
        assert not names & set(study.axes)


def test_theory_is_the_commands(capsys):
    import json

    from depthbench.research.cli.main import main

    main(
        [
            "theory",
            "tanh",
            "--sigma-w2",
            "1.7",
            "--sigma-b2",
            "0.05",
            "--format",
            "json",
        ]
    )
    command = json.loads(capsys.readouterr().out)
    theory = db.theory("tanh", 1.7, 0.05)
    assert {n: getattr(theory, n) for n in command} == command
