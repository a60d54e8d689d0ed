"""Plugins: entries of a file, of a module and of a package, in one process."""

import contextlib
import json
import re
import shlex
import sys
from importlib import metadata

import pytest

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.catalogues.schedules import SCHEDULES
from depthbench.research.cli.main import main
from depthbench.research.report import figures
from depthbench.research.study import plugins
from depthbench.research.study.axes import Axis
from depthbench.research.study.studies import studies
from tests.conftest import ROOT
from tests.plugged import ACTS, restored, written

# A plugin of every kind: what is in it is CONTRIBUTING's, in one file.
STUDY = """
from depthbench.research.catalogues.activations import ACTIVATIONS, Activation
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Headline, Measured, Study

def measure(cells, shared, memory):
    return [Measured("ok", "", {"doubled": 2.0 * cell["width"]}) for cell in cells]

ENTRIES = [
    Activation("own_cubed", lambda x: x**3, "a test"),
    Study(
        name="own_study",
        kind="experiment",
        question="What is doubled?",
        source="a test",
        axes={
            "activation": Axis("the nonlinearity", ("own_cubed",), ACTIVATIONS),
            "width": Axis("units", (3, 4), kind="integer", low=1),
        },
        sizes={"smoke": {"width": (3,)}},
        measure="own:measure",
        columns=("activation", "width", "status", "reason", "doubled"),
        headline=lambda rows: Headline("All is doubled."),
    ),
]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    with restored():
        monkeypatch.chdir(tmp_path)
        yield written(tmp_path, {"my/acts": ACTS}, acts=ACTS, own=STUDY)


def run(capsys, *words):
    """(status, standard output, standard error) of a command."""
    status = main(list(words))
    return status, *capsys.readouterr()


def listed(capsys, what, *words):
    status, out, err = run(capsys, "list", what, "--format", "json", *words)
    assert (status, err) == (0, "")
    return [entry["name"] for entry in json.loads(out)[what]]


@pytest.mark.parametrize("value", ["acts.py", "./acts.py", "my.acts", "{}/acts.py"])
def test_a_plugins_entries_are_as_depthbenchs_own(value, folder, capsys):
    ours = list(ACTIVATIONS)
    value = value.format(folder)
    assert listed(capsys, "activations", "--plugin", value) == [*ours, "bent_own"]
    assert list(SCHEDULES)[-1] == "flat_own" and list(ACTIVATIONS.published) == ours
    status, out, _ = run(capsys, "theory", "bent_own", f"--plugin={value}")
    assert status == 0 and "q_star" in out
    status, _, err = run(capsys, "theory", "bent_won")
    assert status == 2 and "did you mean bent_own?" in err


def test_what_a_study_runs_unasked_stays_what_is_published():
    """Of every study, and whether a plugin is loaded before it is declared or after."""
    before = {
        (study.name, name): (axis.values, [*(axis.choices or ())])
        for study in studies().values()
        for name, axis in study.axes.items()
    }
    studies.cache_clear()
    with fresh_declarations():
        plugins.load("acts.py")
        grown = 0
        for study in studies().values():
            for name, axis in study.axes.items():
                values, names = before[study.name, name]
                assert axis.values == values, f"{study.name}: {name}"
                grown += len([*(axis.choices or ())]) > len(names)
        assert grown > 5  # in `all`, and by name
    studies.cache_clear()


@contextlib.contextmanager
def fresh_declarations():
    """Declarations are imported again, as in a process that has loaded a plugin first."""
    apart = {
        name: module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in ("benchmarks", "experiments")
    }
    for name in apart:
        del sys.modules[name]
    try:
        yield
    finally:
        sys.modules.update(apart)


BAD = {
    "none": ("x = 1", "has no ENTRIES; a plugin says ENTRIES = "),
    "text": ("ENTRIES = 'relu'", "is a str as ENTRIES"),
    "other": ("ENTRIES = [1]", r"ENTRIES\[0\] is a int; must be one of Activation"),
    "class_": (
        "from depthbench.research.theory.activation import Activation\n"
        "ENTRIES = [Activation]",
        r"ENTRIES\[0\] is a type; must be one of",
    ),
    "taken": (
        ACTS + "\nENTRIES = [BENT, BENT._replace(name='relu')]",
        "activation 'relu' is one of depthbench already",
    ),
    "twice": (ACTS + "\nENTRIES = [BENT, BENT]", "'bent_own' is one of .*twice.py alr"),
    "listed": (ACTS + "\nENTRIES = [BENT._replace(name='a,b')]", "its name is 'a,b'"),
    "all_": (ACTS + "\nENTRIES = [BENT._replace(name='all')]", "its name is 'all'"),
    "sourceless": (ACTS + "\nENTRIES = [BENT._replace(source=' ')]", "has no source"),
    "unsound": (STUDY.replace('"own_study"', '"Own"'), "the study's name is 'Own'"),
    "lost": (
        STUDY.replace("own:measure", ":lost"),
        r"ENTRIES\[1\]: :lost: lost has no lost",
    ),
    "raising": ("raise ValueError('two\\nlines')", "ValueError: two lines"),
    "leaving": ("raise SystemExit", "SystemExit"),
    "wrong": ("x = (", "SyntaxError"),
}


def test_a_builder_that_fails_is_a_line_and_leaves_no_folder(folder, capsys):
    (folder / "nets.py").write_text(
        "from depthbench.research.architectures.family import Family\n"
        "def build(settings):\n    return settings.no_such\n"
        "ENTRIES = [Family('own_net', ':build', 'a test')]\n"
    )
    words = ("--plugin", "nets.py", "--architecture", "own_net", "--depth", "4")
    for command in (("run", "gradient_flow", "--activation", "tanh"), ("train",)):
        status, out, err = run(capsys, *command, *words, "--out", "out")
        assert (status, out) == (2, "") and err.count("\n") == 1, err
        assert err.startswith("depthbench: own_net: AttributeError")
        assert "nets.py, line 3)" in err and not (folder / "out").exists()


@pytest.mark.parametrize("name", BAD)
def test_a_plugin_that_is_none_is_one_line_and_adds_nothing(name, folder, capsys):
    source, line = BAD[name]
    before = [
        list(catalogue) for catalogue in (*plugins.CATALOGUES.values(), studies())
    ]
    written(folder, **{name: source})
    status, out, err = run(capsys, "list", "--plugin", f"{name}.py")
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert err.startswith("depthbench: --plugin ") and f"{name}.py" in err
    with pytest.raises(Mistake, match=line):
        plugins.load(f"{name}.py")
    after = [list(catalogue) for catalogue in (*plugins.CATALOGUES.values(), studies())]
    assert after == before


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--plugin"], "argument --plugin: expected one argument"),
        (["--plugin", "--size"], "argument --plugin: expected one argument"),
        (["--plugin="], "--plugin '': is empty"),
        (["--plugin", "nothing.py"], "--plugin nothing.py: no such file"),
        (["--plugin", "my/"], "--plugin my/: is no file"),
        (["--plugin", "/dev/null"], "--plugin /dev/null: is no file"),
        (
            ["--plugin", "no.such"],
            "--plugin no.such: no such module, here or installed",
        ),
        (
            ["--plugin", "a b"],
            "--plugin a b: must be a file that ends in .py, or a mod",
        ),
        (["--plugin", "acts.py", "--plugin", "my.acts"], "is one of "),
        (["--plugins", "acts.py"], "unknown flag --plugins: did you mean --plugin"),
    ],
)
@pytest.mark.parametrize("command", ["list", "theory relu", "run gradient_flow"])
def test_a_wrong_plugin_is_one_line(words, line, command, capsys):
    status, out, err = run(capsys, *command.split(), *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert line in err


class Point:
    """An entry point, as `importlib.metadata` gives them."""

    class dist:
        name = "broken-package"

    name = "acts"

    def __init__(self, value):
        self.value = value


def test_an_installed_plugin_that_is_broken_stops_nothing(monkeypatch, capsys):
    points = [Point("no.such"), Point("my.acts:ENTRIES")]
    monkeypatch.setattr(metadata, "entry_points", lambda group: points)
    status, out, err = run(capsys, "list", "activations", "--format", "json")
    assert status == 0 and json.loads(out)["activations"][-1]["name"] == "bent_own"
    assert err == (
        "depthbench: plugin acts of broken-package is left out: no.such: no such module, "
        "here or installed; mend or uninstall broken-package\n"
    )


def test_a_plugins_study_is_run_reported_verified_and_compared(folder, capsys):
    words = ("run", "own_study", "--plugin", "own.py", "--out", "a", "--format", "json")
    status, out, err = run(capsys, *words)
    assert status == 0, err
    assert [row["doubled"] for row in json.loads(out)] == [6.0, 8.0]
    manifest = json.loads((folder / "a" / "run.json").read_text())
    (place,) = manifest["plugins"]
    assert place == str(folder / "own.py")
    assert manifest["plugins"][place]["entries"] == ["own_cubed", "own_study"]
    assert list(manifest["plugins"][place]["files"]) == ["own.py"]
    with restored():
        forget()
        status, out, err = run(capsys, "compare", "a", "a")
        assert status == 0 and "own_study" not in studies(), err
        status, out, err = run(capsys, "verify", "a")
        assert status == 0 and "2 of 2 cells are identical" in out, err
        forget()
        status, out, err = run(capsys, "report", "a")
        assert status == 0 and "All is doubled." in out, err
    forget()
    (folder / "own.py").write_text(STUDY.replace("2.0 *", "3.0 *"))
    for command in ("verify", "report"):
        status, out, err = run(capsys, command, "a")
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert f"{place}: own.py has changed" in err
    assert "own_study" not in studies()  # it was not run
    status, _, err = run(capsys, *words, "--width", "5")
    assert status == 2 and f"{place}: own.py has changed; use a new --out" in err
    forget()
    (folder / "own.py").unlink()
    for command in ("verify", "report"):
        status, _, err = run(capsys, command, "a")
        assert status == 2 and f"{place}: no such file" in err


def forget():
    """As in a process that has loaded no plugin yet."""
    for plugin in plugins.PLUGINS.values():
        for name in plugin.entries:
            for catalogue in (*plugins.CATALOGUES.values(), studies()):
                catalogue._entries.pop(name, None)
                catalogue._places.pop(name, None)
        plugins.modules.IMPORTED.pop(plugin.module, None)
    plugins.PLUGINS.clear()


def test_a_moved_plugin_is_named_where_it_is(folder, capsys):
    words = "run own_study --plugin own.py --out a --size smoke --format json".split()
    assert run(capsys, *words)[0] == 0
    forget()
    (folder / "elsewhere").mkdir()
    (folder / "own.py").rename(folder / "elsewhere" / "own.py")
    assert run(capsys, "verify", "a")[0] == 2
    status, _, err = run(capsys, "verify", "a", "--plugin", "elsewhere/own.py")
    assert status == 0, err


def test_a_report_runs_no_plugin_that_it_does_not_need(folder, capsys, monkeypatch):
    undrawn(monkeypatch)
    mark = "import pathlib\npathlib.Path(__file__).with_suffix('.mark').touch()\n"
    written(folder, seen=mark + ACTS, named=mark + ACTS)
    words = (
        "run gradient_flow --plugin seen.py --activation bent_own,named:bent --depth 3 "
    )
    words += (
        "--size smoke --initializer he_normal --architecture mlp --normalizer none "
    )
    words += "--out a"
    assert run(capsys, *words.split())[0] == 0
    before = {name: (folder / "a" / name).read_bytes() for name in REPORTS}
    marks = [folder / "seen.mark", folder / "named.mark"]
    for path in marks:
        path.unlink()
    forget()
    plugins.modules.IMPORTED.pop("named")
    ACTIVATIONS._wrapped.clear()
    for words in ("report a", "compare a a"):
        assert run(capsys, *words.split())[0] == 0
    assert {name: (folder / "a" / name).read_bytes() for name in REPORTS} == before
    assert not any(path.exists() for path in marks)
    # In the folder it is never run, whoever names it there.
    (folder / "named.py").rename(folder / "a" / "named.py")
    for words in ("verify .", "theory named:bent", "list --plugin named.py"):
        with contextlib.chdir(folder / "a"):
            status, out, err = run(capsys, *words.split())
        assert (status, out) == (2, "")
        assert "nothing of a results folder is run" in err or "nothing is run" in err
    assert not (folder / "a" / "named.mark").exists()


REPORTS = ("report.html", "report.md", "rows.csv")


def test_a_row_that_names_what_the_manifest_does_not_is_none():
    """A stranger's folder runs nothing that it does not say it does."""
    axis = Axis("the nonlinearity", ("relu",), ACTIVATIONS)
    assert axis.wrong("acts:bent") == "'acts:bent': is not known"
    assert not axis.wrong("relu")


def undrawn(monkeypatch):
    """Figures are made, but not laid out and coloured in: that takes longest."""
    monkeypatch.setattr(figures, "lay_out", lambda drawn: None)
    for name in ("as_png", "as_svg"):
        monkeypatch.setattr(figures, name, lambda drawn: b"")


PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
FENCE = re.compile(r"(?:`(\S+\.py)`:\n\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)
SMALL = {
    "run": "--size smoke --format json",
    "gradient_flow": "--architecture mlp --initializer he_normal --width 8 --seeds 2",
    "train": "--steps 3 --depth 2 --width 8 --batch 8 --format json",
}


def test_the_page_keeps_its_word(folder, capsys, monkeypatch):
    """Its file as it is written, and its commands at the size of a test."""
    undrawn(monkeypatch)
    lines = []
    for name, language, text in FENCE.findall(PAGE):
        if language == "python":
            (folder / name).write_text(text)
        elif not language:
            lines += [shlex.split(line) for line in text.splitlines()]
    assert len(lines) == 8
    plugged = [words for words in lines if "--plugin" in words]
    assert {words[1] for words in plugged} == {"list", "theory", "run", "train"}
    for number, (_, *words) in enumerate(lines):
        more = [SMALL[kind].split() for kind in words[:2] if kind in SMALL]
        flags = [
            pair for each in more for pair in zip(each[::2], each[1::2], strict=True)
        ]
        words += [word for pair in flags if pair[0] not in words for word in pair]
        words += ["--out", f"runs/{number}"] if words[0] in SMALL else []
        status, out, err = run(capsys, *words)
        assert status == 0 and out, f"{words}: {err}"
        if words[0] in SMALL:
            assert any(row["status"] == "ok" for row in json.loads(out)), words
