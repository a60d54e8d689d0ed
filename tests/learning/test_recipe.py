"""A field of a recipe is declared once: everything that knows of fields follows."""

import json
import shutil
import subprocess
import sys
from typing import get_args

import pytest

from depthbench.research.cli.main import Parser
from depthbench.research.cli.train import arguments, check
from depthbench.research.learning import recipe
from depthbench.research.learning.recipe import DEFAULTS, FIELDS, NUMBERS, Recipe
from depthbench.research.report import trained

# What somebody would add: a setting that compiles another step, one that draws another
# net, and a number.
ADDED = """
    mixing: int = field(_count("examples that are mixed", 1, 99), "step")
    gates: str = field(_name("what is gated", "none", choices("gate", none="-", all="-")))
    smoothing: float | None = field(_number("taken off the label", 1.0), "number")
"""
PROGRAM = """
import json
from depthbench.research.cli import train
from depthbench.research.cli.main import Parser
from depthbench.research.learning import recipe, supervised, training
from depthbench.research.report import trained

parser = Parser()
train.arguments(parser)
typed = "--mixing 4 --gates all --smoothing 0.1,0.2 --depth 2 --width 8"
settings = train.check(parser.parse(typed.split()))
members = trained.members(settings)
run = training.run_of({**settings, **members[1]}, 0)
plain = recipe.of({"depth": 2, "width": 8})
systems = [
    supervised.system(recipe.of({"depth": 2, "width": 8, **more}))
    for more in ({}, {"mixing": 4}, {"gates": "all"}, {"smoothing": 0.1})
]
print(json.dumps({
    "help": parser.format_help(),
    "defaults": {n: recipe.DEFAULTS[n] for n in ("mixing", "gates", "smoothing")},
    "settings": {n: settings[n] for n in ("mixing", "gates", "smoothing")},
    "runs": [one["smoothing"] for one in members],
    "hyper": run.hyper.others,
    "same_step": [one is systems[0] for one in systems],
    "same_init": [one.init is systems[0].init for one in systems],
    "same_key": [
        recipe.compiled({**recipe.DEFAULTS, **more}) == recipe.compiled(recipe.DEFAULTS)
        for more in ({"mixing": 4}, {"gates": "all"}, {"smoothing": 0.1})
    ],
}))
"""


@pytest.fixture(scope="module")
def added(tmp_path_factory, root, clean_environment):
    """What a source tree knows whose recipe has three lines more."""
    tree = tmp_path_factory.mktemp("tree")
    leave = shutil.ignore_patterns("__pycache__")
    for name in ("depthbench", "research"):
        shutil.copytree(root / name, tree / name, symlinks=True, ignore=leave)
    path = tree / "research" / "learning" / "recipe.py"
    before, mark, after = path.read_text().partition("    learning_rate: ")
    path.write_text(before + ADDED.lstrip("\n") + mark + after)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tree,
        env={**clean_environment, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_field_that_is_added_is_a_flag_a_default_and_a_setting(added):
    for words in ("--mixing N", "--gates NAME", "--smoothing X,Y", "default: none"):
        assert words in added["help"]
    assert added["defaults"] == {"mixing": 1, "gates": "none", "smoothing": None}
    assert added["settings"] == {"mixing": 4, "gates": "all", "smoothing": [0.1, 0.2]}


def test_a_number_that_is_added_is_runs_of_one_program(added):
    assert added["runs"] == [0.1, 0.2]
    assert added["hyper"] == {"smoothing": 0.2}
    assert added["same_step"] == [True, False, False, True]
    assert added["same_key"] == [False, False, True]


def test_a_field_that_is_added_shares_fresh_states_unless_they_depend_on_it(added):
    assert added["same_init"] == [True, True, False, True]


def typed(*words):
    parser = Parser()
    arguments(parser)
    return check(parser.parse(words))


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_is_a_flag_with_its_help(name):
    """What is typed is what a run's folder records; a number may have several values."""
    parser = Parser()
    arguments(parser)
    declared = FIELDS[name]
    flag = f"--{name.replace('_', '-')}"
    (action,) = [a for a in parser._actions if flag in a.option_strings]
    assert declared.axis.help in action.help
    assert declared.role in get_args(recipe.Role)
    if declared.role == "number":
        assert typed(flag, "0.25,0.5")[name] == (0.25, 0.5)
        assert Recipe(**{name: 0.25}).program == Recipe().program


def test_the_command_line_has_every_field_and_records_it():
    settings = typed("--architecture", "resnet", "--augment", "crop,flip")
    assert set(settings) == {*FIELDS, "judged"}
    assert settings["augment"] == ("crop", "flip")
    assert settings["judged"] == ("highest", "accuracy")
    assert (settings["depth"], settings["normalizer"]) == (8, "batch")  # as published
    assert (settings["seeds"], DEFAULTS["seeds"]) == (1, 3)
    assert all(settings[name] == (None,) for name in NUMBERS)
    assert len(trained.members(settings)) == 1


def test_initialisers_of_one_draw_share_a_program():
    one, other = Recipe(initializer="he_normal"), Recipe(initializer="glorot_normal")
    assert one != other and one.program == other.program
    assert Recipe(initializer="he_uniform").program != one.program


def test_what_a_program_does_not_depend_on_does_not_tell_recipes_apart():
    base = Recipe(depth=3)
    assert recipe.of({"depth": 3, "learning_rate": (0.1, 0.2), "rates": 5}) != base
    for same in ({"learning_rate": 0.1}, {"seeds": 7}, {"steps": 5}):
        assert recipe.of({"depth": 3, **same}).program == base.program
    longer = {**DEFAULTS, "steps": 5}
    assert recipe.compiled(longer) != recipe.compiled(DEFAULTS)  # room for its log
    wider = Recipe(depth=3, batch=8, activation="tanh", accumulate=2)
    assert wider.program != base.program and wider.drawn == base.drawn
    assert Recipe(depth=4).drawn != base.drawn
