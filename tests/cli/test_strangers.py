"""Folders and files of a user's that are named as ours, or as what we import."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from depthbench.command import IMPORTS
from depthbench.research.study import studies
from depthbench.research.study.errors import Refusal

WITNESS = "import pathlib\npathlib.Path(__file__).with_name('imported').touch()\n"
SCRIPT = ["-P", "-c", "from depthbench.command import entry; entry()"]
LIST = ["list", "studies", "--format", "json"]


@pytest.fixture
def strange(tmp_path):
    """A folder with packages of our names, each of which says when it is imported."""

    def make(*names: str) -> Path:
        for name in names:
            file = tmp_path / name
            if not name.endswith(".py"):
                file.mkdir()
                (file / "study.py").write_text(f"{WITNESS}\nSTUDY = 1\n")
                file /= "__init__.py"
            file.write_text(WITNESS)
        return tmp_path

    return make


def command(words, folder, environment, *paths):
    done = subprocess.run(
        [sys.executable, *words, *LIST],
        cwd=folder,
        env={**environment, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
    )
    assert not list(folder.rglob("imported")), "a stranger was imported"
    return done


OURS = ("research", "experiments", "benchmarks", "tests")


def test_what_is_in_the_current_folder_is_not_ours(strange, clean_environment, root):
    folder = strange(*OURS, "numpy.py", "argparse.py", "rich")
    done = command(["-m", "depthbench"], folder, clean_environment, root)
    assert (done.returncode, done.stderr) == (0, "")
    listed = [study["name"] for study in json.loads(done.stdout)["studies"]]
    assert listed == list(studies.studies())


def test_folders_named_as_ours_hide_nothing(strange, clean_environment, root):
    folder = strange(*OURS)
    done = command(SCRIPT, folder, clean_environment, folder, root)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["numpy.py", "rich"])
def test_what_hides_ours_is_named(name, strange, clean_environment, root):
    folder = strange(name)
    done = command(SCRIPT, folder, clean_environment, folder, root)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"depthbench: {folder}") and "hides" in done.stderr
    assert done.stderr.count("\n") == 1 and "PYTHONPATH" in done.stderr
    assert name.removesuffix(".py") in done.stderr.replace(str(folder), "")


def test_a_current_folder_that_is_gone_is_none(clean_environment, tmp_path):
    gone = (
        "import os, sys; os.rmdir(os.getcwd()); os.execv(sys.executable, sys.argv[1:])"
    )
    words = [sys.executable, "-c", gone, sys.executable, "-m", "depthbench", *LIST]
    (tmp_path / "gone").mkdir()
    done = subprocess.run(
        words,
        cwd=tmp_path / "gone",
        env=clean_environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "") and "gradient_flow" in done.stdout


def test_all_that_a_command_needs_is_looked_for(root):
    """Of every package that the project depends on, none is taken from a user's folder."""
    declared = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    names = [re.match(r"[\w-]+", line)[0] for line in declared["dependencies"]]
    modules = {"scikit-learn": "sklearn", "orbax-checkpoint": "orbax", "pillow": "PIL"}
    assert {modules.get(name, name) for name in names} <= set(IMPORTS)


SOUND = (
    "from depthbench.research.study.declaration import Study\n"
    "from depthbench.research.study.axes import Axis\n"
    "STUDY = Study('one', 'benchmark', '?', '', {'n': Axis('', (1,))}, {}, 'a:b', ())"
)
BROKEN = {
    "import nothing_of_this_name": ["ModuleNotFoundError", "nothing_of_this_name"],
    "STUDY = (": ["SyntaxError", "never closed"],
    "STUDY = caf\udce9": ["SyntaxError"],
    "STUDY: int = 5": ["STUDY is a int, not a Study"],
    "if True:\n    STUDY = 5\nSTUDY\nraise SystemExit(3)": ["SystemExit: 3"],
    "import sys\nsys.exit('one\\ntwo')": ["one two"],
    f"{SOUND[:-1]}": ["SyntaxError"],
    SOUND.replace("'one'", "'One'"): ["the study's name is 'One'"],
    SOUND.replace("'one'", "None"): ["the study's name is None"],
    SOUND.replace("benchmark", "bench"): ["kind is 'bench'"],
    SOUND.replace("'n'", "'a n'"): ["its axis 'a n'"],
    SOUND.replace("{},", "{'small': {}},"): ["its size 'small'"],
    SOUND.replace("{},", "{'smoke': {'m': (1,)}},"): ["its size 'smoke' is of m"],
    SOUND.replace("'a:b'", "'a.b'"): ["its measure is 'a.b'"],
    SOUND.replace("{'n'", "5 or {'n'"): ["AttributeError"],
}


@pytest.mark.parametrize("text", BROKEN, ids=lambda text: ascii(text[-20:]))
def test_a_broken_study_is_one_line_with_its_file(text, tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / f"broken_{abs(hash(text))}.py"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(Refusal) as refusal:
        studies.declared(file.stem, file)
    line = str(refusal.value)
    assert line.startswith(f"{file.name}: ") and "\n" not in line
    assert all(words in line for words in BROKEN[text]), line


def test_a_sound_study_is_taken(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "sound_study.py").write_text(SOUND)
    study = studies.declared("sound_study", tmp_path / "sound_study.py")
    assert (study.name, study.module) == ("one", "sound_study")


def test_two_files_of_one_study_are_named(tmp_path, monkeypatch):
    files = {
        "depthbench.benchmarks.one": tmp_path,
        "depthbench.experiments.copy": tmp_path,
    }
    study = studies.studies()["rezero"]
    monkeypatch.setattr(studies, "declaring", lambda: files)
    monkeypatch.setattr(
        studies, "declared", lambda name, _: study._replace(module=name)
    )
    with pytest.raises(
        Refusal, match=r"experiments\.copy and depthbench\.benchmarks\.one are both"
    ):
        studies.studies.__wrapped__()


def test_files_of_editors_are_no_studies(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    (tmp_path / "benchmarks" / "inner").mkdir(parents=True)
    (tmp_path / "benchmarks" / ".#one.py").symlink_to("nobody@nowhere")
    (tmp_path / "benchmarks" / "inner" / "one.py").write_text(SOUND)
    assert list(studies.declaring()) == ["depthbench.benchmarks.inner.one"]
