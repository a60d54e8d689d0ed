"""A training run's report, from reports that are made up: what is shown, and marked."""

import numpy as np
import pytest

from depthbench.research.catalogues.axes import flag_of
from depthbench.research.cli.main import Parser
from depthbench.research.cli.train import arguments, check
from depthbench.research.learning.recipe import FIELDS, NUMBERS
from depthbench.research.report import trained, training_report
from depthbench.research.report.rendering import text_of
from depthbench.research.study.tables import Mark, number


def settings_of(*words):
    parser = Parser()
    arguments(parser)
    return check(parser.parse(["--width", "32", *words]))


def history_of(settings, **measures):
    """One report at step 24; each measure and `diverged` [runs], given or the same."""
    runs = len(trained.members(settings))
    arrays = {f"{part}_{name}": 0.5 for part in ("train", "test") for name in MEASURES}
    arrays = {name: np.full(runs, value) for name, value in arrays.items()}
    arrays |= {"diverged": np.full(runs, -1), "log10_gradient_net": np.zeros((runs, 3))}
    return [(24, arrays | {name: np.array(value) for name, value in measures.items()})]


MEASURES = ("loss", "accuracy")


def table_of(settings, **measures):
    history = history_of(settings, **measures)
    points = training_report.curves(settings, history)
    return training_report.table(settings, training_report.results(settings, points))


def column(table, name):
    place = table.headers.index(name)
    return [text_of(row[place]) for row in table.rows]


def marked(table):
    """The lines whose measures stand out as the best."""
    of = lambda row: any(isinstance(e, Mark) and e.tone == "good" for e in row)
    return [place for place, row in enumerate(table.rows) if of(row)]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_typed_zero_is_a_zero_and_a_default_its_number(name):
    words = {"decay": "adam", "epsilon": "adam"}.get(name, "momentum")
    optimizer = ("--optimizer", words)
    zero = "0.125" if name == "clip" else "0"  # there is no clipping to nothing
    settings = settings_of(*optimizer, flag_of(name), f"default,{zero},0.25")
    shown = column(table_of(settings), name)
    standing = FIELDS[name].unset(settings)
    assert shown[1:] == [zero, "0.25"]
    assert shown[0] == ("none" if standing is None else number(standing))


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("--momentum default,0 --optimizer nesterov", ["0.9", "0"]),
        ("--learning-rate default,0 --optimizer muon", ["0.02", "0"]),
        ("--decay default,0 --optimizer lion", ["0.99", "0"]),
        ("--warmup default,0", ["0", "0"]),
        ("--weight-decay 0,default", ["0", "0"]),
        ("--clip 1,default", ["1", "none"]),
        ("--sigma-w2 default,0 --initializer lecun_normal", ["1", "0"]),
        ("--sigma-b2 default,0 --initializer pytorch", ["0.0104", "0"]),  # 1 / (3 × 32)
    ],
)
def test_the_number_is_what_the_entry_is_published_with(words, shown):
    name = words.split()[0].removeprefix("--").replace("-", "_")
    assert column(table_of(settings_of(*words.split())), name) == shown


def test_the_answer_names_defaults_by_their_numbers():
    settings = settings_of("--learning-rate", "default,0.1", "--clip", "default,1")
    history = history_of(settings, train_accuracy=[0.9, 0.5, 0.2, 0.1])
    points = training_report.curves(settings, history)
    ended = training_report.results(settings, points)
    answer, worst = training_report.answered(settings, ended)
    assert " with learning rate 0.001, clip none, which is the best" in answer
    assert worst.endswith(" with learning rate 0.1, clip 1.")


def test_the_figure_names_rates_by_their_numbers():
    from depthbench.research.report import figures

    settings = settings_of("--learning-rate", "default,0,0.1")
    history = history_of(settings)
    points = training_report.curves(settings, history)
    axes = figures.new(3, 3).subplots()
    training_report._lines(axes, settings, points, "train_loss")
    labels = [line.get_label() for line in axes.get_lines()]
    assert labels == ["0.001", "0", "0.1"]


def test_the_figure_has_each_report_at_its_step():
    """Every 900 steps of 1,000: the second is a hundred later, and begins between both."""
    settings = settings_of("--learning-rate", "0.1")
    ((_, arrays),) = history_of(settings)
    history = [(900, arrays), (1000, arrays)]
    points = training_report.curves(settings, history)
    right = training_report.figure(settings, points, history).axes[2]
    (drawn,) = right.collections
    corners = drawn.get_coordinates()
    assert corners[0, :, 0].tolist() == [850, 950, 1050]
    assert corners[:, 0, 1].tolist() == [-0.5, 0.5, 1.5, 2.5]
    assert right.yaxis_inverted()  # the first state is above


def test_the_best_is_best_in_training_whatever_the_test_says():
    settings = settings_of("--learning-rate", "0.1,0.2,0.3")
    test = {"test_accuracy": [0.1, 0.2, 0.9], "test_loss": [3.0, 2.0, 0.1]}
    train = {"train_accuracy": [0.6, 0.9, 0.5], "train_loss": [0.9, 0.2, 1.5]}
    assert marked(table_of(settings, **train, **test)) == [1]
    worse = {name: value[::-1] for name, value in test.items()}
    assert marked(table_of(settings, **train, **worse)) == [1]
    numbers = settings_of("--dataset", "teacher_student", "--learning-rate", "0.1,0.2")
    losses = {"train_loss": [0.4, 0.3], "test_loss": [0.1, 0.9]}
    assert marked(table_of(numbers, **losses)) == [1]


def test_the_best_is_one_that_ended():
    settings = settings_of("--learning-rate", "0.1,0.2", "--seeds", "2")
    runs = {"train_accuracy": [0.3, 0.3, 0.9, 0.9], "diverged": [-1, -1, 5, 0]}
    assert marked(table_of(settings, **runs)) == [0]
    assert marked(table_of(settings, diverged=[3, 0, 5, 0])) == []


@pytest.mark.parametrize("step", [0, 1, 23])
def test_a_run_that_diverged_at_any_step_is_diverged(step):
    settings = settings_of("--learning-rate", "0.1,0.2")
    history = history_of(settings, diverged=[step, -1])
    first, second = training_report.curves(settings, history)
    assert (first["status"], first["diverged_at"]) == ("diverged", step)
    assert first["train_accuracy"] is None
    assert (second["status"], second["diverged_at"]) == ("ok", None)
    table = table_of(settings, diverged=[step, -1])
    assert column(table, "diverged") == [f"1 of 1, first at {step}", "ok"]
