"""The shape of the source: imports go one way, files and functions stay small."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("research", "benchmarks", "experiments", "depthbench")
FILES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
# A room may import from the rooms before it, and from its own without a cycle.
ORDER = (
    ("research.lazy", "research.files"),
    ("research.theory",),
    ("research.catalogues",),
    ("research.machine", "research.datasets", "research.environments"),
    ("research.architectures", "research.models"),
    ("research.signal",),
    ("research.learning",),
    ("research.study",),
    ("research.store",),
    ("research.engine",),
    ("research.report",),
    ("research.cli",),
    ("benchmarks", "experiments"),
    ("depthbench",),
)
LAYER = {name: number for number, names in enumerate(ORDER) for name in names}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in FILES}
each = pytest.mark.parametrize("path", FILES, ids=name_of)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def inside(module: str) -> str:
    """A module's name as its file has it: those of ours are imported below depthbench."""
    inner = module.removeprefix("depthbench.")
    return inner if inner.partition(".")[0] in PACKAGES else module


def imports(tree: ast.Module) -> set[str]:
    """Every module imported anywhere in a file."""
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            # `from package import x` may name a module or what is in the package.
            each = {f"{node.module}.{alias.name}" for alias in node.names}
            imported = {name for name in each if inside(name) in NAMES}
            modules |= imported | ({node.module} if imported != each else set())
    bare = {name for name in modules if name.partition(".")[0] in PACKAGES[:3]}
    assert not bare, f"another's may have that name: import depthbench.{min(bare)}"
    return set(map(inside, modules))


IMPORTS = {name: imports(tree_of(path)) for name, path in NAMES.items()}


def layer(module: str) -> int:
    """The number of a module's layer."""
    while module:
        if module in LAYER:
            return LAYER[module]
        module = module.rpartition(".")[0]
    return -1  # the package `research` itself


def ours(modules: set[str]) -> set[str]:
    return {m for m in modules if m.partition(".")[0] in PACKAGES}


def test_every_module_has_its_place():
    lost = [name for name in NAMES if layer(name) < 0 and name != "research"]
    assert not lost, f"give {', '.join(lost)} a place in ORDER, above"
    assert not [name for names in ORDER for name in names if name not in NAMES]


@each
def test_imports_go_one_way(path):
    name = name_of(path)
    if name == "research":
        assert not ours(IMPORTS[name])
    for other in ours(IMPORTS[name]):
        assert other in NAMES, f"{name} imports {other}, which is not there"
        assert layer(other) <= layer(name), f"{name} must not import {other}"


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Some cycle of a graph, or nothing."""
    done: set[str] = set()

    def visit(node: str, trail: list[str]) -> list[str]:
        if node in trail:
            return [*trail[trail.index(node) :], node]
        if node in done:
            return []
        for following in sorted(graph.get(node, ())):
            loop = visit(following, [*trail, node])
            if loop:
                return loop
        done.add(node)
        return []

    return next((loop for node in sorted(graph) if (loop := visit(node, []))), [])


def test_there_are_no_cycles():
    assert not cycle({name: ours(modules) for name, modules in IMPORTS.items()})
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def room(module: str) -> str:
    """The entry of ORDER that a module is in; "" for `research` itself."""
    while module and module not in LAYER:
        module = module.rpartition(".")[0]
    return module


def rooms(imported: dict[str, set[str]]) -> dict[str, set[str]]:
    """Which rooms each room imports from, itself apart."""
    graph: dict[str, set[str]] = {}
    for name, others in imported.items():
        inner = graph.setdefault(room(name), set())
        inner |= {room(other) for other in others} - {room(name)}
    return graph


def test_rooms_import_each_other_in_no_circle():
    """Those of one row too, where ORDER allows either direction."""
    imported = {name: ours(modules) for name, modules in IMPORTS.items()}
    assert not cycle(rooms(imported))
    # Two files of each room, so that no module is in a circle, and yet the rooms are.
    machine, datasets = "research.machine", "research.datasets"
    circular = {
        f"{machine}.host": {f"{datasets}.points"},
        f"{datasets}.digits": {f"{machine}.timing"},
    }
    assert not cycle(circular) and cycle(rooms(circular))


def test_imports_are_found_wherever_they_are():
    source = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import depthbench.research.theory.quadrature
with lazily():
    from depthbench.research.signal import probes, profiles
    import depthbench.research.machine.timing as clock
def later():
    from depthbench.research.store.rows import Record
    class Inner:
        import flax.linen
"""
    assert imports(ast.parse(source)) == {
        "typing",
        "research.theory.quadrature",
        "research.signal.probes",
        "research.signal.profiles",
        "research.machine.timing",
        "research.store.rows",
        "flax.linen",
    }


# The second is Flax NNX as a peer, which shares nothing with our nets; the third
# takes a user's model, whatever it is written in.
FLAX = ("research.architectures", "benchmarks.peers.in_nnx", "research.models")


@each
def test_only_architectures_import_flax(path):
    if not name_of(path).startswith(FLAX):
        roots = {module.partition(".")[0] for module in IMPORTS[name_of(path)]}
        assert "flax" not in roots


@each
def test_nothing_is_pickled(path):
    roots = {module.partition(".")[0] for module in IMPORTS[name_of(path)]}
    assert not roots & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve"}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant) and node.value.value is False


@each
def test_files_and_functions_stay_small(path):
    length = len(path.read_text(encoding="utf-8").splitlines())
    assert length <= 400, f"{length} lines: usually two things in one file"
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= 60, f"{node.name} has {lines} lines: usually two things"


# Modules of flax that play one part, each in its own net.
PARTS = {"Block", "Head", "Layer", "Stem"}


def test_a_class_has_its_name_to_itself():
    """In the library: a study may call its own things what it likes."""
    where: dict[str, list[str]] = {}
    for name, path in NAMES.items():
        if name.partition(".")[0] == "research":
            for node in tree_of(path).body:
                if isinstance(node, ast.ClassDef):
                    where.setdefault(node.name, []).append(name)
    for name, modules in where.items():
        assert len(modules) == 1 or name in PARTS, f"{name}: {modules}"


@each
def test_every_file_says_what_it_is_for(path):
    text = ast.get_docstring(tree_of(path))
    assert text or not path.read_text().strip()


def test_declaring_studies_imports_nothing_large(clean_environment, root):
    program = (
        "import sys\n"
        "import depthbench.research.cli.main\n"
        "from depthbench.research.study.studies import studies\n"
        "assert 'gradient_flow' in studies()\n"
        "print(*(m for m in ('jax', 'jaxlib', 'flax', 'optax', 'orbax', 'scipy', 'sklearn',"
        " 'matplotlib', 'torch', 'keras', 'equinox') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [], "")
