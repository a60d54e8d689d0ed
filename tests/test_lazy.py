"""`with lazily():` puts off its own imports, and changes nothing else."""

import ast
import builtins
import concurrent.futures as futures
import importlib
import importlib.util
import subprocess
import sys
import threading

import pytest

from depthbench.research.lazy import Lazy, lazily

CALLS = {
    "import shelf.book\n": "shelf.book.pages()",
    "import shelf.book as b\n": "b.pages()",
    "from shelf import book\n": "book.pages()",
    "from shelf import book as b\n": "b.pages()",
    "import shelf\n": "shelf.LENGTH",
}


@pytest.fixture
def declare(tmp_path, monkeypatch):
    """A maker of a module beside the package `shelf`, of which nothing is imported."""
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf/__init__.py").write_text("LENGTH = 3\n")
    (tmp_path / "shelf/book.py").write_text("def pages():\n    return 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()

    def module(text, name="declaration"):
        (tmp_path / f"{name}.py").write_text(text)
        return importlib.import_module(name)

    yield module
    ours = ("shelf", "declaration", "another")
    for name in [name for name in sys.modules if name.partition(".")[0] in ours]:
        del sys.modules[name]


def block(imports, more=""):
    inside = "".join(f"    {line}\n" for line in imports.splitlines())
    return (
        f"from depthbench.research.lazy import lazily\nwith lazily():\n{inside}{more}"
    )


@pytest.mark.parametrize("imports", CALLS)
def test_a_module_is_imported_when_something_of_it_is_asked_for(declare, imports):
    use = f"def use():\n    return {CALLS[imports]}\n"
    module = declare(block(imports, use))
    assert not [name for name in sys.modules if name.startswith("shelf")]
    assert module.use() == 3
    assert "shelf" in sys.modules
    assert ("shelf.book" in sys.modules) == ("book" in imports)


def test_several_modules_of_one_package(declare):
    imports = "import shelf\nimport shelf.book\nfrom shelf import book\n"
    module = declare(block(imports))
    assert (module.shelf.LENGTH, module.shelf.book.pages()) == (3, 3)
    assert module.book.pages is sys.modules["shelf.book"].pages


def test_imports_after_the_block_are_made_at_once(declare):
    module = declare(block("import shelf.book as later\n", "import shelf as now\n"))
    assert module.now is sys.modules["shelf"]
    assert isinstance(module.later, Lazy) and "shelf.book" not in sys.modules


def test_imports_of_other_files_are_made_at_once_within_the_block(declare):
    another = "def imported():\n    import shelf\n    return shelf\n"
    declare(another, "another")
    text = "import another\n" + block("import shelf\nreal = another.imported()\n")
    module = declare(text)
    assert module.real is sys.modules["shelf"]
    assert isinstance(module.shelf, Lazy)


def test_a_file_that_is_imported_within_the_block_imports_at_once(declare, tmp_path):
    (tmp_path / "another.py").write_text("import shelf\n")
    inside = "real = importlib.import_module('another')\n"
    module = declare("import importlib\n" + block(inside))
    assert module.real.shelf is sys.modules["shelf"]


def test_imports_of_other_threads_are_made_at_once_within_the_block(declare):
    text = (
        "import threading\n"
        "from depthbench.research.lazy import lazily\n"
        "seen = []\n"
        "def work():\n"
        "    import shelf\n"
        "    seen.append(shelf)\n"
        "with lazily():\n"
        "    import shelf\n"
        "    thread = threading.Thread(target=work)\n"
        "    thread.start()\n"
        "    thread.join()\n"
    )
    module = declare(text)
    assert module.seen == [sys.modules["shelf"]]
    assert isinstance(module.shelf, Lazy)


def test_blocks_of_two_threads_do_not_end_each_other(declare):
    """The first to enter leaves last: the other's block must not end with its own."""
    entered, before = threading.Event(), builtins.__import__
    shelves = []

    def second():
        entered.wait(10)
        shelves.append(declare(block("import shelf\n")))

    thread = threading.Thread(target=second)
    thread.start()
    with lazily():
        entered.set()
        thread.join(0.3)
        assert not shelves, "the second block did not wait for the first"
    thread.join(10)
    assert isinstance(shelves[0].shelf, Lazy) and "shelf" not in sys.modules
    assert builtins.__import__ is before


def test_an_error_within_the_block_ends_it(declare):
    before = builtins.__import__
    with pytest.raises(ZeroDivisionError):
        declare(block("import shelf\n1 / 0\n"))
    assert builtins.__import__ is before


@pytest.mark.parametrize(
    "imports", ["import shelf.lost as x", "from shelf import lost as x"]
)
def test_a_module_that_is_missing_is_said_when_it_is_used(declare, imports):
    module = declare(block(imports))
    with pytest.raises(ModuleNotFoundError) as error:
        assert module.x.anything
    assert error.value.name == "shelf.lost"


def test_what_a_module_does_not_have_is_said_as_by_the_module(declare):
    module = declare(block("from shelf import book"))
    with pytest.raises(AttributeError, match=r"module 'shelf.book' has no attribute"):
        assert module.book.chapters


def test_a_type_checker_sees_the_modules(tmp_path, root):
    pytest.importorskip("pyright")
    imports = "import math\nfrom research.theory import mean_field\n"
    use = "math.floor(0.5)\nmean_field.theory\nmath.flor\nmean_field.theroy\n"
    path = tmp_path / "declaration.py"
    path.write_text(block(imports, use))
    (tmp_path / "pyrightconfig.json").write_text(f'{{"extraPaths": ["{root}"]}}')
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pyright",
            "-p",
            tmp_path,
            "--pythonpath",
            sys.executable,
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    lines = [line for line in done.stdout.splitlines() if " error: " in line]
    assert len(lines) == 2, done.stdout
    assert "flor" in lines[0] and "theroy" in lines[1]


def test_threads_may_begin_with_modules_that_import_each_other(declare, tmp_path):
    """As two cells do that ask for two parts of a library whose parts are lazy too."""
    for name, other in (("here", "there"), ("there", "here")):
        (tmp_path / f"shelf/{name}.py").write_text(
            "import importlib, time\nDONE = True\ntime.sleep(0.2)\n"
            f"importlib.import_module('shelf.{other}')\n"
        )
    module = declare(block("import shelf.here as here\nimport shelf.there as there\n"))
    with futures.ThreadPoolExecutor(2) as threads:
        first = threads.submit(lambda: module.here.DONE)
        second = threads.submit(lambda: module.there.DONE)
        assert first.result(30) and second.result(30)


def put_off(tree):
    """(package, name) of what is imported by `from package import name` in a block."""
    return [
        (line.module, alias.name)
        for block in ast.walk(tree)
        if isinstance(block, ast.With)
        and "lazily" in ast.unparse(block.items[0].context_expr)
        for line in block.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    ]


@pytest.mark.parametrize("folder", ["research", "experiments", "benchmarks"])
def test_what_is_put_off_is_a_module(folder, root):
    """A function would be no function until it is called, and then an error."""
    found = {
        (package, name)
        for path in (root / folder).rglob("*.py")
        for package, name in put_off(ast.parse(path.read_text()))
    }
    assert len(found) > 20
    for package, name in sorted(found):
        assert importlib.util.find_spec(f"{package}.{name}"), (package, name)
