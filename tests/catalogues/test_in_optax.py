"""Rules of optax by their names: as plain optax, layer by layer, to tight tolerance."""

import inspect
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax._src import alias

from depthbench.research.catalogues import in_optax
from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.catalogues.optimizers import (
    OPTIMIZERS,
    Hyper,
    length,
    rate,
    transformation,
)
from depthbench.research.catalogues.schedules import SCHEDULES
from tests.plugged import restored, written

REFUSED = {
    "lbfgs": "missing 3 required keyword-only arguments: 'value', 'grad'",
    "noisy_sgd": "key",
    "polyak_sgd": "has no parameter learning_rate",
    "rprop": "no schedule would have effect",
}
ALIASES = [
    name
    for name, thing in vars(alias).items()
    if inspect.isfunction(thing) and not name.startswith("_")
    if thing.__module__ == alias.__name__
]
# One that is elementwise, one not linear in the rate, one of whole arrays.
SOME = ("adabelief", "fromage", "lars")
RATES, STEPS = (0.02, 0.005), 4


class Net(NamedTuple):
    stem: dict
    stages: tuple
    head: dict


def numbers(seed):
    draw = np.random.RandomState(seed)
    normal = lambda *shape: draw.standard_normal(shape).astype(np.float32)
    stages = (
        {"kernel": normal(3, 5, 5), "bias": normal(3, 5)},
        {"kernel": normal(5, 5)},
    )
    return Net({"kernel": normal(2, 5)}, stages, {"kernel": normal(5, 2)})


def apart(net):
    """The same with an array for each layer."""
    first, tied = net.stages
    layers = [{n: a[layer] for n, a in first.items()} for layer in range(3)]
    return net.stem, layers, tied, net.head


def ours(optimizer, learning_rate, schedule):
    """Parameters after steps, as `supervised` takes them; the rate is traced."""
    numbers_of = optimizer.hyper(learning_rate=learning_rate, steps=STEPS)
    tied = (False, True)
    params = jax.tree.map(jnp.asarray, numbers(0))
    state = transformation(optimizer, numbers_of, tied).init(params)
    for step in range(STEPS):
        now = rate(SCHEDULES[schedule], numbers_of, step)
        rule = transformation(optimizer, numbers_of._replace(learning_rate=now), tied)
        direction, state = rule.update(numbers(step + 1), state, params)
        by = length(optimizer, now)
        params = jax.tree.map(lambda p, d, by=by: p - by * d, params, direction)
    return params


def theirs(factory, learning_rate, schedule):
    """The same by optax alone, with a schedule that it calls."""
    numbers_of = Hyper(learning_rate, steps=STEPS)
    rule = factory(lambda count: rate(SCHEDULES[schedule], numbers_of, count))
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        params = jax.tree.map(jnp.asarray, apart(numbers(0)))
        state = rule.init(params)
        for step in range(STEPS):
            updates, state = rule.update(apart(numbers(step + 1)), state, params)
            params = optax.apply_updates(params, updates)
    return params


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    "names",
    [SOME, pytest.param(tuple(ALIASES), marks=pytest.mark.exhaustive)],
    ids=["some", "all"],
)
def test_aliases_are_as_plain_optax(names):
    trained = 0
    for name in names:
        if name in REFUSED:
            continue
        trained += 1
        optimizer = OPTIMIZERS[OPTIMIZERS.written(f"optax.{name}")]
        optimizer.direction(optimizer.hyper(), ())  # looked at, outside of vmap
        together = jax.jit(jax.vmap(lambda r, one=optimizer: ours(one, r, "cosine")))(
            jnp.array(RATES)
        )
        for number, learning_rate in enumerate(RATES):
            mine = apart(jax.tree.map(lambda a, n=number: a[n], together))
            plain = plainly(getattr(optax, name), learning_rate)
            pairs = zip(jax.tree.leaves(mine), jax.tree.leaves(plain), strict=True)
            for a, b in pairs:
                np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6, err_msg=name)
    assert trained == len(set(names) - set(REFUSED))


def plainly(factory, learning_rate):
    """Plain optax at a schedule; where its rule takes a number alone, at each step's."""
    try:
        return theirs(factory, learning_rate, "cosine")
    except (TypeError, ValueError):  # it takes a number alone
        return theirs(
            lambda schedule: optax.inject_hyperparams(factory)(learning_rate=schedule),
            learning_rate,
            "cosine",
        )


@pytest.mark.parametrize(
    "name",
    ["polyak_sgd", *(pytest.param(n, marks=pytest.mark.exhaustive) for n in REFUSED)],
)
def test_what_cannot_be_is_refused_with_its_reason(name):
    with pytest.raises(Mistake, match=REFUSED[name]) as refused:
        optimizer = OPTIMIZERS[f"optax:{name}"]
        optimizer.direction(optimizer.hyper(), ())
    assert "\n" not in str(refused.value)


OWN = """
import optax

def clipped(learning_rate, b1=0.8):
    return optax.chain(optax.clip_by_global_norm(0.1), optax.sgd(learning_rate, b1))

def trusted(learning_rate):
    return optax.chain(optax.clip_by_global_norm(0.1), optax.lamb(learning_rate))

def needy(learning_rate, target):
    return optax.sgd(learning_rate)
"""


def test_a_rule_of_all_arrays_together_is_taken_as_a_whole(tmp_path, monkeypatch):
    with restored():
        monkeypatch.chdir(written(tmp_path, own_rules=OWN))
        own = OPTIMIZERS["own_rules:clipped"]
        assert own.momentum == 0.8 and own.takes == {"learning_rate", "momentum"}
        mine = apart(ours(own, 0.02, "constant"))
        import own_rules

        plain = theirs(own_rules.clipped, 0.02, "constant")
        for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(plain), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)
        assert in_optax.way("own_rules:clipped", own_rules.clipped) == "whole"
        with pytest.raises(Mistake, match="needs target, for which there is no flag"):
            OPTIMIZERS["own_rules:needy"]
        both = OPTIMIZERS["own_rules:trusted"]
        with pytest.raises(Mistake, match="other steps than each by itself"):
            both.direction(both.hyper(), ())


def test_numbers_are_its_own_or_refused_by_name():
    adamw, sgd = OPTIMIZERS["optax:adamw"], OPTIMIZERS["optax:sgd"]
    assert adamw.hyper().weight_decay == 1e-4 and adamw.hyper(decay=0.9).decay == 0.9
    assert sgd.hyper(momentum=0.5).momentum == 0.5 and sgd.hyper().momentum is None
    for number in ("decay", "epsilon", "weight_decay"):
        with pytest.raises(Mistake, match="it takes learning_rate, momentum, clip"):
            sgd.hyper(**{number: 0.5})
    spellings = map(OPTIMIZERS.written, ("optax.adamw", "optax:adamw"))
    assert set(spellings) == {"optax:adamw"}


def test_a_number_that_is_typed_is_the_rules():
    sgd = OPTIMIZERS["optax:sgd"]
    hyper = sgd.hyper(learning_rate=0.1, momentum=0.5)
    rule = transformation(sgd, hyper, (False, True))
    state, steps = rule.init(numbers(0)), []
    for _ in range(2):
        direction, state = rule.update(numbers(1), state, numbers(0))
        steps.append(direction)
    for first, second in itertools.zip_longest(*map(jax.tree.leaves, steps)):
        np.testing.assert_allclose(second, 1.5 * first, rtol=1e-6)
