"""The two forms of ResNet-20 that are timed beside PyTorch's are one net."""

import jax
import numpy as np

from benchmarks.peers import resnet20
from benchmarks.peers.case import Shape
from research.architectures import contract

SHAPE = Shape(batch=2, length=8, width=4, depth=20)


def test_the_unrolled_net_is_the_scanned_one():
    task = resnet20.unrolled(SHAPE)
    assert task.apply is not contract.apply
    found, expected = (
        jax.jit(lambda v, a=apply: a(task.net, v, task.x))(task.variables)
        for apply in (task.apply, contract.apply)
    )
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    # One order of float32 sums or another, twenty layers deep.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        found,
        expected,
    )
