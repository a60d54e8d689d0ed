"""Entries of a plugin that cannot be used: a line before anything is made."""

import pytest

import depthbench
from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.cli.main import main
from tests.plugged import restored


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    with restored():
        monkeypatch.chdir(tmp_path)
        yield tmp_path


UNFIT = """
import math

from depthbench.research.catalogues.activations import Activation
from depthbench.research.catalogues.optimizers import Optimizer

ENTRIES = [
    Activation("own_sine", lambda x: math.sin(x), "a test"),
    Activation("own_norm", lambda x: x / abs(x).sum(), "a test"),
    Optimizer("own_rule", lambda hyper, tied: hyper.beta, "a test", learning_rate=0.1),
    Optimizer("own_none", lambda hyper, tied: None, "a test", learning_rate=0.1),
]
"""


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("theory own_sine", "own_sine: TypeError"),
        ("train --activation own_sine", "own_sine: TypeError"),
        ("run gradient_flow --size smoke --activation own_sine", "own_sine: TypeError"),
        ("theory own_norm", "own_norm: is not elementwise"),
        ("train --optimizer own_rule", "own_rule: AttributeError"),
        ("train --optimizer own_none", "own_none: its direction is a NoneType"),
    ],
)
def test_an_entry_that_fails_is_a_line_and_leaves_no_folder(
    words, line, folder, capsys
):
    (folder / "unfit.py").write_text(UNFIT)
    status = main([*words.split(), "--plugin", "unfit.py"])
    out, err = capsys.readouterr()
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith(f"depthbench: {line}") and not (folder / "runs").exists()
    assert ("Error" in line) == ("unfit.py, line" in err)


def test_an_entry_that_fails_is_a_mistake_of_the_function_too(folder):
    (folder / "unfit.py").write_text(UNFIT + "\nSINE = ENTRIES[0]\n")
    with pytest.raises(Mistake, match=r"unfit:SINE: TypeError: .*unfit.py, line \d+\)"):
        depthbench.theory("unfit:SINE")
