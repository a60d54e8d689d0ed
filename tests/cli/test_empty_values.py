"""Every flag and argument of every command, given nothing: one line that names it."""

import argparse
import importlib

import pytest

from depthbench.research.cli import run
from depthbench.research.cli.main import COMMANDS, Parser, main
from depthbench.research.learning.recipe import FIELDS
from depthbench.research.study.axes import flag_of
from depthbench.research.study.studies import studies

BEFORE = {
    "theory": ["tanh"],
    "probe": ["my.module:make"],
    "compare": ["a", "b"],
    "verify": ["a"],
    "status": ["a"],
    "export": ["a"],
    "merge": ["a", "--out=b"],
    "reproduce": ["README"],
}
LINES = [[command.name] for command in COMMANDS if command.name != "run"]
LINES += [["run", name] for name in studies()]
LINES = [line + BEFORE.get(line[0], []) for line in LINES]


def parser_of(line):
    parser = Parser()
    if line[0] == "run":
        run.arguments(parser, studies()[line[1]])
    else:
        importlib.import_module(f"depthbench.research.cli.{line[0]}").arguments(parser)
    return parser


def flags(line):
    """The flags of a command that take a value."""
    taking = (argparse._StoreAction, argparse._AppendAction)
    actions = [a for a in parser_of(line)._actions if isinstance(a, taking)]
    return [action.option_strings[0] for action in actions if action.option_strings]


def refused(arguments, word, capsys):
    assert main(arguments) == 2
    line = capsys.readouterr().err
    assert line.startswith("depthbench: ") and line.count("\n") == 1
    assert word in line, line


@pytest.mark.parametrize("line", LINES, ids="-".join)
def test_an_empty_value_is_refused(line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for flag in flags(line):
        for given in ([flag, ""], [f"{flag}="], [flag, "  "]):
            refused([*line, *given], f"{flag} '", capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", LINES, ids="-".join)
def test_an_empty_argument_is_refused(line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in (n for n in range(1, len(line)) if not line[n].startswith("--")):
        refused([*line[:place], "", *line[place + 1 :]], "''", capsys)
    if line[0] == "report":
        refused(["report", ""], "DIR ''", capsys)


def test_every_command_has_flags_that_are_tried():
    assert {line[0] for line in LINES if flags(line)} == {c.name for c in COMMANDS}


@pytest.mark.parametrize("name", FIELDS)
def test_an_empty_entry_of_a_list_is_refused(name, capsys, tmp_path, monkeypatch):
    """It would be the default beside a value, or nothing."""
    monkeypatch.chdir(tmp_path)
    flag = flag_of(name)
    for text in (",", "1,,2", "1,"):
        word = text if FIELDS[name].axis.kind == "text" else flag  # no list: one name
        refused(["train", flag, text], word, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", studies())
def test_an_empty_entry_of_a_studys_axis_is_refused(name, capsys):
    for axis in studies()[name].axes:
        flag = flag_of(axis)
        refused(["run", name, "--dry-run", flag, ","], flag, capsys)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (["run", "gradient_flow", "--dry-run", "--retry", "oom,"], "--retry"),
        (["claims", "--only", "S3,"], "--only"),
        (["train", "--mesh", "data=2,"], "--mesh"),
    ],
)
def test_an_empty_entry_of_other_lists_is_refused(line, word, capsys):
    refused(line, word, capsys)
