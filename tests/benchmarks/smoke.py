"""Studies at smoke size: their rows, and whether their tables can be read."""

import json

from depthbench.research.cli.main import main
from depthbench.research.report.rendering import as_markdown


def run(capsys, *arguments: str) -> list[dict]:
    """The rows that a smoke run prints."""
    assert main(["run", *arguments, "--size", "smoke", "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def assert_readable(shown) -> None:
    for table in shown:
        lines = as_markdown(table).splitlines()
        assert all(len(line) <= 110 for line in lines)  # bars and spaces included
