"""What code a measurement runs, read from the source."""

import ast
import functools
import os
import sys
import textwrap
import threading

import pytest

from depthbench.research.engine import runner
from depthbench.research.store import provenance
from depthbench.research.store.closure import PARTS, Sources, named, reached
from depthbench.research.study import plan
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.studies import studies

TREE = {
    "research/__init__.py": "",
    "research/catalogue.py": """
        class Entry: ...
        def unused(): ...
        ENTRIES = [
            Entry("one", "sums:of_one"),
            Entry("two", "sums:of_two"),
            Entry("three", "sums:through"),
            *listed("depthbench.research.more_*:ENTRIES"),
        ]
    """,
    "research/sums.py": """
        import math
        from depthbench.research.deep import inner as core, whole
        LIMIT = 3
        print("when imported")
        def of_one(x):
            '''Adds.'''
            return x + LIMIT  # a comment
        def of_two(x):
            from depthbench.research import late
            return late.doubled(math.sqrt(x)) + core.value
        def beside():
            return whole
        def through():
            from depthbench.research.deep import deepest
            return deepest
    """,
    "research/deep/__init__.py": """
        from depthbench.research.deep import inner as below
        from depthbench.research.deep.inner import value as whole
        deepest = below
    """,
    "research/deep/inner.py": """
        value = other = 1
        spare = 2
    """,
    "research/late.py": """
        def rule(f): return f
        @rule
        def doubled(x): return 2 * x
        @doubled.backwards
        def slope(x): return 2
        if __name__ == "__main__":
            doubled(unseen)
        def unseen(): ...
    """,
    "research/more_sums.py": """
        FACTOR = 7
        ENTRIES = [Entry("seven", by_seven), Entry("eight", by_eight)]
        def by_seven(x): return FACTOR * x
        def by_eight(x): return 8 * x
    """,
    "experiments/__init__.py": "",
    "experiments/asked.py": """
        from depthbench.research.lazy import lazily
        with lazily():
            from depthbench.research import catalogue
        def measure(cell):
            return catalogue.ENTRIES[cell["entry"]]
        def shown(rows):
            return rows
        STUDY = Study(name="asked", measure="asked:measure", tables=shown)
    """,
}


@pytest.fixture
def tree(tmp_path):
    """A folder of small modules, and what gives their hashes once texts are replaced."""
    for name, text in TREE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def code(names=(), module="depthbench.experiments.asked", **replaced):
        changed = {}
        for name, (old, new) in replaced.items():
            path = next(p for p in TREE if p.endswith(f"{name}.py"))
            text = (tmp_path / path).read_text()
            assert old in text
            changed[path] = text.replace(old, new)
        return provenance.code(module, names, Sources(tmp_path, changed))

    return code


def changes(before, after):
    assert before.keys() == after.keys()
    return [name for name in before if before[name] != after[name]]


STUDY = ["experiments/asked.py"]
ONE, TWO = ["research/catalogue.py: one"], ["research/catalogue.py: two"]
NOTHING = []


def test_files_and_entries_are_named(tree):
    assert list(tree()) == ["experiments/asked.py", "research/catalogue.py"]
    entries = [name for name in tree({"one", "two", "four"}) if ":" in name]
    assert entries == ["research/catalogue.py: one", "research/catalogue.py: two"]


@pytest.mark.parametrize(
    ("replaced", "moved"),
    [
        ({"asked": ("return catalogue", "return 2 * catalogue")}, STUDY),
        ({"asked": ("    return rows", "    return []")}, NOTHING),  # only shows
        ({"catalogue": ("class Entry: ...", "class Entry: x = 1")}, [*ONE, *TWO]),
        ({"catalogue": ("def unused(): ...", "def unused(): return 1")}, NOTHING),
        ({"catalogue": ('"sums:of_two"),', '"sums:of_two"), Entry("new", "x"),')}, NOTHING),
        ({"sums": ("LIMIT = 3", "LIMIT = 4")}, ONE),
        ({"sums": ("# a comment", "# another")}, NOTHING),
        ({"sums": ("'''Adds.'''", "'''Sums.'''")}, NOTHING),
        ({"sums": ("x + LIMIT", "(x +\n        LIMIT)")}, NOTHING),  # layout
        ({"sums": ("return whole", "return 0")}, NOTHING),  # beside it
        ({"inner": ("value = other = 1", "value = other = 5")}, TWO),
        ({"inner": ("spare = 2", "spare = 5")}, NOTHING),
        ({"late": ("return 2 * x", "return 3 * x")}, TWO),
        ({"late": ("return 2\n", "return 3\n")}, TWO),
        ({"late": ("return f", "return g")}, TWO),
        ({"late": ("doubled(unseen)", "doubled(0)")}, NOTHING),
    ],
)  # fmt: skip
def test_a_change_is_seen_where_it_counts_alone(tree, replaced, moved):
    both = {"one", "two"}
    assert changes(tree(both), tree(both, **replaced)) == moved


def test_what_a_module_does_when_imported_counts(tree):
    both = {"one", "two"}
    after = tree(both, sums=('print("when imported")', 'print("again")'))
    assert changes(tree(both), after) == [*ONE, *TWO]


def test_a_module_that_is_handed_on_counts_whole(tree):
    three = ["research/catalogue.py: three"]
    after = tree({"three"}, inner=("spare = 2", "spare = 5"))
    assert changes(tree({"three"}), after) == three


def test_an_entry_that_another_file_lists_is_reached_by_its_name_alone(tree):
    assert "research/more_sums.py" not in "".join(tree({"one"}))
    (seven,) = ["research/more_sums.py: seven"]
    assert seven in tree({"one", "seven"})
    for old, new, moved in (
        ("FACTOR = 7", "FACTOR = 9", [seven]),
        ("return 8 * x", "return 9 * x", []),
        ('[Entry("seven"', '[Entry("nine", no), Entry("seven"', []),
    ):
        after = tree({"one", "seven"}, more_sums=(old, new))
        assert changes(tree({"one", "seven"}), after) == moved


def test_entries_that_code_names_itself_are_part_of_it(tree):
    after = tree(asked=('cell["entry"]', '"one"'))
    assert "research/sums.py" in after and "research/late.py" not in after


PAIR = """
    FIRST, SECOND = [Entry("one", "sums:of_one")], [Entry("two", "sums:of_two")]
"""
TWICE = """
    SECOND = [Entry("one", "sums:of_one"), Entry("two", "sums:of_two")]
    SECOND += more()
"""


@pytest.mark.parametrize("lists", [PAIR, TWICE])
def test_entries_are_found_whatever_their_statement_or_their_name_binds(tree, lists):
    """Once each, where the list that is reached is not the first, or is added to."""

    def code(lists):
        asked = "catalogue.ENTRIES", "catalogue.SECOND"
        catalogue = "def unused(): ...", textwrap.dedent(lists)
        return tree({"one", "two"}, asked=asked, catalogue=catalogue)

    before, after = code(lists), code(lists.replace("of_two", "through"))
    assert [name for name in before if ":" in name] == [*ONE, *TWO]
    assert changes(before, after) == TWO


def of_study(name, size="smoke", changed=None):
    """A study, the cells of a size, and the hashes of the code that measures them."""
    study = studies()[name]
    cells, _ = study.fit(grid(study, chosen_values(study, size, {})), set())
    sources = Sources(provenance.ROOT, changed)
    return study, cells, provenance.code(study.module, study.entries(cells), sources)


@pytest.mark.parametrize("name", studies())
def test_no_study_depends_on_what_only_shows_rows(name):
    study, _, code = of_study(name)
    path = study.module.removeprefix("depthbench.").replace(".", "/") + ".py"
    shows = ("research/report/", "research/cli/", "show.py")
    assert path in code
    shown = [file for file in code if any(part in file for part in shows)]
    # The benchmark of all systems measures what each one's summary is; a row of throughput
    # may be traced, into the folder that a flag of the command names.
    allowed = {
        "systems": {"research/report/systems.py"},
        "throughput": {"research/cli/profiling.py", "research/cli/options.py"},
    }
    assert set(shown) <= allowed.get(name, set())


def replaced(path, old, new):
    text = (provenance.ROOT / path).read_text()
    assert old in text
    return {path: text.replace(old, new, 1)}


def test_an_activation_more_changes_no_study_that_does_not_use_it():
    path = "research/catalogues/activations.py"
    entry = 'Activation("cube", lambda x: x**3, "nobody"),\n        Activation('
    changed = replaced(path, "Activation(\n", entry)
    for name in ("gradient_flow", "highway", "edge_of_chaos"):
        assert of_study(name, changed=changed)[2] == of_study(name)[2]


@pytest.mark.parametrize("name", ["gradient_flow", "rezero", "dynamical_isometry"])
def test_all_that_a_measurement_calls_is_in_its_closure(name):
    """Every function of ours that was called stands in a definition that was reached."""
    study, cells, _ = of_study(name)
    called = set()
    whole = functools.cache(os.path.realpath)  # ours are imported through links

    def note(frame, event, _):
        code = frame.f_code
        function = code.co_flags & 1  # CO_OPTIMIZED, which bodies of classes are not
        path = whole(code.co_filename).removeprefix(f"{provenance.ROOT}/")
        if event == "call" and function and path.partition("/")[0] in PARTS:
            called.add((path, code.co_qualname.split(".")[0]))

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        measured = runner.attempt(plan.units(study, cells)[0], 2**31)
    finally:
        sys.setprofile(before)
        threading.setprofile(None)
    assert measured[0].status == "ok"
    sources = Sources(provenance.ROOT)
    base = reached(sources, study.module, provenance.starts(sources, study.module))
    closure = dict(base)
    for place, entry in named(sources, base, study.entries(cells)):
        closure |= reached(sources, place.module, [entry], base)
    have = {
        (sources.file(place.module), node.name)
        for place, nodes in closure.items()
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    outside = (
        "research/engine/",
        "research/study/plan.py",
        "research/study/studies.py",
        "research/lazy.py",
        "research/catalogues/modules.py",  # the user's, whose files are hashed
        "tests/",
    )
    missing = {
        (path, name)
        for path, name in called - have
        if not name.startswith("<") and not path.startswith(outside)
    }
    assert len(called) > 50 and not missing


def test_nothing_of_ours_is_imported_by_a_name_that_is_put_together():
    """But by the few that resolve handles, which the closure reads."""
    allowed = {
        "research/lazy.py",
        "research/catalogues/modules.py",  # the user's, whose files are hashed
        "research/cli/main.py",
        "research/study/studies.py",
        "research/study/plan.py",
        "research/architectures/family.py",
        "research/datasets/contract.py",
        "research/datasets/tfds_examples.py",
        "experiments/training/digits.py",  # scikit-learn's modules
        "research/engine/tracking.py",  # trackers, by which nothing is measured
        *(f"research/engine/trackers/{n}.py" for n in ("wandb", "trackio", "mlflow")),
    }
    paths = set()
    for package in ("research", "benchmarks", "experiments"):
        for path in (provenance.ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and node.attr == "import_module":
                    paths.add(path.relative_to(provenance.ROOT).as_posix())
    assert paths <= allowed
