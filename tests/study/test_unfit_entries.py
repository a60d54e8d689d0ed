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

import jax.numpy as jnp
import optax
from depthbench.research.catalogues.activations import Activation
from depthbench.research.catalogues.initializers import Initializer, Rule
from depthbench.research.catalogues.normalizers import Normalizer
from depthbench.research.catalogues.optimizers import Optimizer
from depthbench.research.catalogues.schedules import Schedule
from depthbench.research.datasets.contract import Dataset
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Headline, Study


def fail(*_):
    raise RuntimeError("no such thing")


def rule(name, direction):
    return Optimizer(name, direction, "a test", learning_rate=0.1)


def stepping(init, update):
    return lambda hyper, tied: optax.GradientTransformation(init, update)


ENTRIES = [
    Activation("own_sine", lambda x: math.sin(x), "a test"),
    Activation("own_norm", lambda x: x / abs(x).sum(), "a test"),
    rule("own_rule", lambda hyper, tied: hyper.beta),
    rule("own_none", lambda hyper, tied: None),
    rule("own_init", stepping(fail, fail)),
    rule("own_update", stepping(lambda params: (), fail)),
    rule("own_shape", stepping(lambda params: (), lambda g, s, p: ((), s))),
    Initializer("own_draw", "nromal", Rule(2.0), "a test"),
    Initializer("own_gain", "normal", 2.0, "a test"),
    Initializer("own_inf", "normal", Rule(math.inf), "a test"),
    Normalizer("own_fail", fail, "a test"),
    Normalizer("own_single", lambda h: jnp.mean(h, -1, keepdims=True), "a test"),
    Normalizer("own_flat", lambda h: (h.mean(-1), h.var(-1)), "a test"),
    Normalizer("own_less", lambda h: (0 * h, 0 * h - 1), "a test"),
    Schedule("own_cosine", lambda done: math.cos(done), "a test"),
    Schedule("own_vector", lambda done: jnp.ones(3) * done, "a test"),
    Schedule("own_inverse", lambda done: 1 / done, "a test"),
    Dataset("own_data", ":fail", (31,), 2, "a test", sizes=(90, 10)),
    Study(
        "own_study",
        kind="experiment",
        question="What is it?",
        source="a test",
        axes={"depth": Axis("layers", (1, 2))},
        sizes={},
        measure=":fail",
        columns=("depth", "status"),
        headline=lambda rows: Headline("It is."),
    ),
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
        ("train --optimizer own_init", "own_init: RuntimeError: no such thing"),
        ("train --optimizer own_update", "own_update: RuntimeError: no such thing"),
        ("train --optimizer own_shape", "own_shape: its direction has other shapes"),
        ("train --initializer own_draw", "own_draw: unknown draw 'nromal': did you"),
        ("train --initializer own_gain", "own_gain: its rule is 2.0; must be a Rule"),
        ("train --initializer own_inf", "own_inf: a kernel that it draws is not"),
        ("train --normalizer own_fail", "own_fail: RuntimeError: no such thing"),
        ("train --normalizer own_single", "own_single: its statistics are"),
        ("train --normalizer own_flat", "own_flat: its mean of h [4, 3, 6] is [4, 3]"),
        ("train --normalizer own_less", "own_less: its variance is -1; must be ≥ 0"),
        ("train --schedule own_cosine", "own_cosine: ConcretizationTypeError"),
        ("train --schedule own_vector", "own_vector: its factor is an array [3]"),
        ("train --schedule own_inverse", "own_inverse: its factor is inf at 0"),
        ("train --dataset own_data", "RuntimeError: no such thing"),
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


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_what_a_study_raises_is_a_line(workers, folder, capsys):
    (folder / "unfit.py").write_text(UNFIT)
    status = main(["run", "own_study", "--plugin", "unfit.py", *workers])
    err = capsys.readouterr().err
    assert status == 2, err
    assert "depthbench: RuntimeError: no such thing (" in err
    assert "unfit.py, line" in err and "Traceback" not in err


def test_our_own_mistakes_have_a_traceback(monkeypatch, folder):
    from depthbench.research.cli import theory

    monkeypatch.setattr(theory, "main", None)
    with pytest.raises(TypeError):
        main(["theory", "relu"])


def test_an_entry_that_fails_is_a_mistake_of_the_function_too(folder):
    (folder / "unfit.py").write_text(UNFIT + "\nSINE = ENTRIES[0]\n")
    with pytest.raises(Mistake, match=r"unfit:SINE: TypeError: .*unfit.py, line \d+\)"):
        depthbench.theory("unfit:SINE")
