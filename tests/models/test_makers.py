"""What a user gives to make a model with: which argument is the depth, which draws."""

import functools

import jax
import pytest

from depthbench.research.models.makers import made, maker

KEY = jax.random.key(7)


def make(depth, key):
    return depth, key


class Called:
    def __call__(self, depth, key):
        return depth, key


class Model:
    def __call__(self, x):
        return x


def unwrapped(*args, **keywords):
    return make(*args, **keywords, key=KEY)


class Net:
    def __init__(self, width=3, depth=1, rngs=None):
        self.parts = width, depth, rngs


@pytest.mark.parametrize("target", [make, Called(), jax.jit(make, static_argnums=0)])
def test_a_depth_and_a_draw_are_given(target):
    assert made(maker(target), 4, 7) == (4, KEY)


def test_what_is_bound_already_stays_so():
    bound = maker(functools.partial(make, key=KEY), of_depth=True)
    assert bound.random == "" and made(bound, 4, seed=0) == (4, KEY)


def test_the_depth_is_the_argument_of_that_name_wherever_it_stands():
    assert made(maker(Net), 4, 0).parts[:2] == (3, 4)
    assert made(maker(lambda width=2, depth=1: (width, depth)), 4, 0) == (2, 4)


def test_a_depth_that_has_no_name_is_given_by_its_place():
    assert made(maker(unwrapped), 4, 0) == (4, KEY)
    assert made(maker(lambda depth, /: depth), 4, 0) == 4


def test_a_model_is_as_it_is():
    model = Model()
    assert not maker(model).calls and made(maker(model), None, 0) is model
    assert not maker((make, {})).calls


def test_what_nothing_is_known_of_is_said():
    assert maker(lambda depth, width, seed: ...).needs == ("width",)
