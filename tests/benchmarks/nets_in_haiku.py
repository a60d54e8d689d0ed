"""A net in Haiku, as a user has it."""

import haiku as hk


def make(depth):
    return hk.without_apply_rng(hk.transform(lambda x: hk.nets.MLP([6] * depth)(x)))
