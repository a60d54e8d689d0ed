"""Every number of a recipe changes what is computed, or is refused with who uses it."""

import jax
import numpy as np
import pytest

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.axes import flag_of
from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.catalogues.initializers import INITIALIZERS
from depthbench.research.catalogues.optimizers import OPTIMIZERS, rate
from depthbench.research.catalogues.schedules import SCHEDULES
from depthbench.research.cli.main import Parser, main
from depthbench.research.cli.train import arguments, check
from depthbench.research.datasets import DATASETS, DataError, find
from depthbench.research.learning import recipe, supervised, training
from depthbench.research.learning.recipe import DEFAULTS, FIELDS, NUMBERS
from depthbench.research.study import families
from depthbench.research.study.errors import Refusal

RULE = ("learning_rate", "momentum", "decay", "epsilon", "weight_decay", "clip")


def typed(*words):
    parser = Parser()
    arguments(parser)
    return check(parser.parse(words))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_that_the_optimizer_does_not_use_is_refused(name, number):
    """That it changes the steps of one that uses it is in tests/catalogues."""
    words = ("--optimizer", name, flag_of(number), "0.25,0.5")
    if OPTIMIZERS[name].uses(number):
        run = {**typed(*words), number: 0.25, "seeds": 1}
        run |= {other: None for other in NUMBERS if other != number}
        numbers = training.numbers_of(run)
        plain = training.numbers_of(run | {number: None})
        assert numbers != plain
        return
    with pytest.raises(Refusal) as refusal:
        typed(*words)
    line = str(refusal.value)
    assert line.startswith(f"{flag_of(number)} 0.25,0.5: optimizer {name} does not use")
    users = [n for n, one in OPTIMIZERS.items() if getattr(one, number) is not None]
    assert line.endswith("used by " + ", ".join(users)) and "\n" not in line


def test_what_was_three_equal_rows_is_one_line(tmp_path, capsys):
    for words in (
        "--optimizer sgd --momentum 0,0.9,0.99",
        "--optimizer muon --decay 0.1,0.9",
        "--optimizer lion --epsilon 1e-3",
        "--architecture resnet --sigma-b2 0,0.5",
        "--architecture resnet_fixup --sigma-b2 0.5",
    ):
        out = tmp_path / "run"
        assert main(["train", *words.split(), "--out", str(out)]) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1 and words.split()[2] in line
        assert not out.exists()


def net_settings(name, normalizer):
    """A net's settings on the first data set that it can be trained on."""
    family = ARCHITECTURES[name]
    for dataset in ("digits", "digits_32", "digits_64", "copy_memory_20", "grammar"):
        fixed = {"architecture": name, "dataset": dataset, "normalizer": normalizer}
        settings = {**DEFAULTS, **fixed, "depth": None, "width": None}
        for field in ("depth", "width", "activation"):
            settings[field] = FIELDS[field].published(family, DATASETS[dataset])
        side = families.side(family, DATASETS[dataset].shape)
        fits = side >= family.smallest
        if fits and not families.untrainable(family, DATASETS[dataset]):
            return settings
    raise AssertionError(f"no data set for {name}")


def reached(jaxpr, start):
    """Which outputs of a jaxpr depend on the inputs where `start` is True."""
    depends = dict(zip(jaxpr.invars, start, strict=True))
    of = lambda variable: not hasattr(variable, "val") and depends.get(variable, False)
    for equation in jaxpr.eqns:
        inner, inputs = equation.params.get("jaxpr"), list(map(of, equation.invars))
        if inner is not None and equation.primitive.name in ("jit", "pjit"):
            outputs = reached(inner.jaxpr, inputs)
        else:
            outputs = [any(inputs)] * len(equation.outvars)
        depends |= dict(zip(equation.outvars, outputs, strict=True))
    return list(map(of, jaxpr.outvars))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_variances_are_of_something_that_is_drawn(name):
    """A net that draws no biases says so, with each normaliser, and no other does."""
    family = ARCHITECTURES[name]
    for normalizer in family.normalizers or ("none", "batch"):
        settings = net_settings(name, normalizer)
        system = supervised.system(recipe.of(settings))

        def drawn(w, b, settings=settings, init=system.init):
            given = {**settings, "sigma_w2": w, "sigma_b2": b}
            numbers = training.numbers_of(given)
            return jax.tree.leaves(init(jax.random.key(0), numbers))

        jaxpr = jax.make_jaxpr(drawn)(1.0, 0.5).jaxpr
        assert any(reached(jaxpr, [True, False])), f"σ_w² with {normalizer}"
        biased = any(reached(jaxpr, [False, True]))
        assert biased == (normalizer not in family.unbiased), f"σ_b² with {normalizer}"
        why = families.unbiased(family, normalizer, (None, 0.5))
        assert (why is None) == biased
        assert families.unbiased(family, normalizer, (None,)) is None


def test_a_study_leaves_out_what_a_bias_variance_would_not_change(capsys):
    command = "run gradient_flow --architecture resnet --sigma-b2 0,0.5 --dry-run"
    assert main(command.split()) == 2
    line = capsys.readouterr().err
    assert "draws no biases" in line and "with none it does" in line
    assert main([*command.split(), "--normalizer", "none,batch"]) == 0
    assert "skipped" in capsys.readouterr().err


@pytest.mark.parametrize("name", SCHEDULES)
def test_warm_up_counts_with_every_schedule(name):
    def rates(warmup):
        hyper = OPTIMIZERS["adam"].hyper(warmup=warmup, steps=20.0)
        return [float(rate(SCHEDULES[name], hyper, step)) for step in range(20)]

    assert rates(None) != rates(5.0) != rates(20.0)
    assert max(rates(20.0)) == pytest.approx(1e-3)  # its last step gets there


def test_warm_up_is_no_longer_than_the_run():
    assert typed("--steps", "50", "--warmup", "50,0")["warmup"] == (50.0, 0.0)
    with pytest.raises(
        Refusal, match=r"--warmup 10,51: is longer than the run.* 50 st"
    ):
        typed("--steps", "50", "--warmup", "10,51")


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        ("--momentum 1", "from 0 to below 1"),
        ("--decay 0.9,1", "from 0 to below 1"),
        ("--optimizer lion --momentum 1.0", "from 0 to below 1"),
        ("--clip 0", "above 0"),
        ("--clip -1", "above 0"),
        ("--momentum -0.1", "from 0 to below 1"),
    ],
)
def test_averages_of_no_end_and_a_norm_of_nothing_are_refused(words, allowed):
    with pytest.raises(Mistake, match=f"must be a number {allowed}"):
        typed(*words.split())
    assert typed("--momentum", "0,0.999999")["momentum"] == (0.0, 0.999999)


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_of_data_that_are_in_none_is_refused(name, tmp_path):
    if name == "fashion_mnist":
        assert find(name, tmp_path).arguments == (str(tmp_path),)
        return
    with pytest.raises(
        DataError, match=r"not read from a folder.*fashion_mnist and tf"
    ):
        find(name, tmp_path)


# -------------------------------------------------------------- what stands for no number


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_stands_for_no_number_is_what_is_computed_with(name):
    settings = {**DEFAULTS, "optimizer": name}
    hyper = training.numbers_of(settings).rule
    for number in RULE:
        shown = FIELDS[number].unset(settings)
        assert shown == (getattr(hyper, number) or (0 if "weight" in number else None))
    assert FIELDS["warmup"].unset(settings) == 0


@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_variances_that_stand_for_none_are_those_that_are_drawn(name):
    settings = {**DEFAULTS, "initializer": name, "activation": "tanh", "width": 40}
    hidden = training.numbers_of(settings).weights.hidden(40, 40)
    for number in ("sigma_w2", "sigma_b2"):
        given = settings | {number: FIELDS[number].unset(settings)}
        again = training.numbers_of(given).weights.hidden(40, 40)
        np.testing.assert_allclose(again, hidden, rtol=1e-12)
