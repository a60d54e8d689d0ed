"""Modules of the user's: what is named is imported, nothing else, and is told by hash."""

import py_compile
import sys
from importlib.machinery import EXTENSION_SUFFIXES

import pytest

from depthbench.research.catalogues import modules, origins
from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.catalogues.origins import Origin
from tests.plugged import restored, written

# Each leaves a mark where it is imported.
TRAP = "import pathlib\npathlib.Path(__file__).with_suffix('.mark').touch()\n"
TRAPS = (
    *("numpy", "jax", "research/__init__", "conftest", "sitecustomize", "plugin"),
    *("usercustomize", "tensorflow", "json", "beside", "my/unasked", "colorama"),
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, full of traps."""
    with restored():
        monkeypatch.chdir(tmp_path)
        yield written(tmp_path, {name: TRAP for name in TRAPS})


def marks(folder):
    return sorted(path.stem for path in folder.rglob("*.mark"))


def test_only_what_is_named_is_imported_from_the_working_folder(folder):
    path = list(sys.path)
    source = "import json, numpy, helper\nfrom . import asked\nvalue = helper.two\n"
    own = {"my/acts": source, "my/asked": TRAP}
    written(folder, own, helper=f"{TRAP}two = 2")
    assert modules.named("my.acts:value") == 2
    assert marks(folder) == ["asked", "helper"]
    assert sys.path == path
    with pytest.raises(ModuleNotFoundError):
        __import__("beside")
    assert marks(folder) == ["asked", "helper"]


def test_a_file_imports_what_is_beside_it_and_nothing_else(folder, tmp_path_factory):
    elsewhere = written(
        tmp_path_factory.mktemp("plugins"),
        {"my-file": "import inner\nimport json\nvalue = inner.value", "json": TRAP},
        inner="from further import value",
        further="value = 3",
    )
    file = elsewhere / "my-file.py"
    made = modules.file(file)
    assert made.value == 3 and modules.file(file) is made
    assert sys.modules[modules.module_of(file)] is made
    assert not marks(folder) and not marks(elsewhere)
    origin = modules.IMPORTED[made.__name__]
    assert origin.place == str(file)
    assert list(origin.files) == ["further.py", "inner.py", "my-file.py"]


def test_an_installed_package_comes_before_the_working_folder(folder):
    import numpy

    assert modules.module("numpy") is numpy and not marks(folder)
    assert modules.IMPORTED["numpy"] == Origin(
        "numpy", {}, f"numpy {numpy.__version__}"
    )


BAD = {
    "raising": ("raise KeyError('lost')", "raising: KeyError: 'lost'"),
    "leaving": ("import sys; sys.exit(3)", "leaving: SystemExit: 3"),
    "endless": ("def f(): f()\nf()", "endless: RecursionError: maximum recursion"),
    "unwritten": ("def f(:", "unwritten: SyntaxError: "),
    "needy": ("import nothing_here", "needy: No module named 'nothing_here'"),
    "mistaken": ("import json\njson.loads('{')", "mistaken: JSONDecodeError: "),
    "unreadable": ("x = open('/nothing')", "unreadable: No such file"),
    "lazy": (
        "def __getattr__(name): raise ValueError(name)",
        "lazy:value: ValueError: value",
    ),
    "empty": ("valu = 1", "empty:value: empty has no value: did you mean valu?"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_module_that_cannot_be_had_is_one_line(name, folder):
    source, line = BAD[name]
    written(folder, **{name: source})
    with pytest.raises(Mistake) as refused:
        modules.named(f"{name}:value")
    text = str(refused.value)
    assert text.startswith(line) and "\n" not in text
    (folder / f"{name}.py").write_text("value = 1")
    if name not in sys.modules:  # what failed has left nothing: mended, it is there
        assert modules.named(f"{name}:value") == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("nothing.here:x", "nothing.here: no such module, here or installed"),
        ("json.nothing:x", "json.nothing: no such module, here or installed"),
        ("json", "json: must be module:name, such as my.module:make"),
        ("math:pi.real.x", "math:pi.real.x: math has no x: "),
    ],
)
def test_a_name_that_leads_nowhere_is_one_line(text, line, folder):
    with pytest.raises(Mistake) as refused:
        modules.named(text)
    assert str(refused.value).startswith(line)


def test_what_a_module_prints_is_no_result(folder, capsys):
    written(folder, loud="print('hello')\nvalue = 1")
    assert modules.named("loud:value") == 1
    assert capsys.readouterr() == ("", "hello\n")


def test_two_files_of_one_name_are_not_taken_for_one_another(folder, tmp_path_factory):
    paths = []
    for number in range(2):
        there = tmp_path_factory.mktemp("plugins")
        written(
            there, acts="from own_inner import value", own_inner=f"value = {number}"
        )
        paths.append(there / "acts.py")
    assert modules.file(paths[0]).value == 0
    with pytest.raises(Mistake, match=r"own_inner.py has the name of another module"):
        modules.file(paths[1])


def test_a_change_of_any_file_that_is_run_is_seen(folder):
    written(folder, {"my/acts": "from my import inner", "my/inner": "x = 1"})
    written(folder, {"my/__init__": ""})
    first = origins.of_module("my.acts")
    assert first is not None
    assert list(first.origin.files) == ["my/__init__.py", "my/acts.py", "my/inner.py"]
    (folder / "my/inner.py").write_text("x = 2")
    second = origins.of_module("my.acts")
    assert second is not None
    line = first.origin.difference(second.origin)
    assert line == "my.acts: my/inner.py has changed"
    assert not first.origin.difference(first.origin)


@pytest.mark.parametrize("part", ["cells", "reports"])
def test_nothing_of_a_results_folder_is_run(part, folder):
    (folder / part).mkdir()
    (folder / "run.json").write_text("{}")
    written(folder, inside=TRAP)
    for name in ("inside:x", "my.unasked:x"):
        with pytest.raises(Mistake, match="folder of results, of which nothing is run"):
            modules.named(name)
    with pytest.raises(Mistake, match="of which nothing is run"):
        modules.file(folder / "inside.py")
    assert not marks(folder)


def test_handles_are_seen_from_where_they_stand(folder):
    from depthbench.research.architectures.family import Family

    nets = "def build(s): ..."
    written(folder, {"my/__init__": "", "my/nets": nets, "my/other": ""})
    home = modules.module("my.nets")
    texts = {
        **dict.fromkeys((":build", "nets:build", "my.nets:build"), "my.nets:build"),
        "other:make": "my.other:make",
        "json:loads": "json:loads",
    }
    for text, whole in texts.items():
        assert modules.entry(Family("own", text, "a test"), home).builder == whole
    with pytest.raises(Mistake, match="nets has no lost"):
        modules.entry(Family("own", ":lost", "a test"), home)


def test_what_is_compiled_is_in_the_hash_or_refused(folder):
    written(folder, {"my/__init__": "", "my/acts": "from my import inner, fast"})
    (folder / "my" / f"fast{EXTENSION_SUFFIXES[0]}").write_bytes(b"no source")
    there = origins.of_module("my.acts")
    assert there is not None and f"my/fast{EXTENSION_SUFFIXES[0]}" in there.files
    written(folder, {"my/inner": "value = 1"})
    py_compile.compile(str(folder / "my/inner.py"), str(folder / "my/inner.pyc"))
    (folder / "my/inner.py").unlink()
    with pytest.raises(Mistake, match=r"my/inner.pyc: has no source"):
        modules.named("my.acts:inner")
