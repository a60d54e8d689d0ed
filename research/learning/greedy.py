"""Pretraining layer by layer: each layer learns to model what the layers below give it.

Hinton, Osindero & Teh 2006, Neural Computation 18:1527 (restricted Boltzmann machines);
Bengio, Lamblin, Popovici & Larochelle 2007, NIPS 19 (autoencoders). The stack is then put
into a net, whose outputs are still fresh, and all of it is trained as usual.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from depthbench.research.architectures.contract import Variables
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.catalogues.optimizers import Hyper
from depthbench.research.learning import denoising, feed, fits, rbm, sweeps
from depthbench.research.learning.fits import FittedNet
from depthbench.research.learning.rbm import RULE, Boltzmann
from depthbench.research.learning.sweeps import Problem, Run
from depthbench.research.learning.system import System


class LayerModel(NamedTuple):
    """What a layer learns to be, by itself.

    system: (visible, hidden, kind of visible units) -> what is trained. rates: of its
    learning, by the kind of visible units; those with which a net of 9 layers is best on
    held-out digits of the training part, of few that were tried.
    """

    name: str
    system: Callable[[int, int, str], System]
    rates: dict[str, float]
    source: str


LAYERS: Catalogue[LayerModel] = Catalogue(
    "layer model",
    [
        LayerModel(
            "rbm",
            rbm.system,
            {"gaussian": 0.01, "binary": 0.05},
            "Hinton, Osindero & Teh 2006, Neural Computation 18:1527",
        ),
        LayerModel(
            "autoencoder",
            denoising.system,
            {"gaussian": 0.003, "binary": 0.01},
            "Vincent et al. 2010, JMLR 11:3371",
        ),
    ],
)


def hyper(rate: float) -> Hyper:
    """The numbers of a layer's learning."""
    return RULE.hyper(learning_rate=rate)


class Learned(NamedTuple):
    """A layer that was learned, and what a step of it took, in millions of operations."""

    machine: Boltzmann
    step_mflop: float


def layer(
    model: str, x: np.ndarray, hidden: int, steps: int, seed: int, batch: int = 64
) -> Learned:
    """A layer of so many hidden units that has learned x [examples, inputs].

    Inputs that are all in [0, 1] are taken for probabilities of binary units, others for
    Gaussian ones.
    """
    entry = LAYERS[model]
    kind = "binary" if x.min() >= 0 and x.max() <= 1 else "gaussian"
    system = entry.system(x.shape[1], hidden, kind)
    data, numbers = {"inputs": x}, hyper(entry.rates[kind])
    problem = Problem(system, feed.drawn(batch), data, {}, {})
    (ended,) = sweeps.ended(problem, [Run(seed, numbers)], steps)
    cost = fits.step_mflop(system, batch, ended.state, numbers, data)
    return Learned(ended.state.tree.params, cost)


def hidden_of(machine: Boltzmann, x: np.ndarray) -> np.ndarray:
    """What the layer above learns: hidden probabilities [examples, hidden]."""
    return np.asarray(machine.up(jnp.asarray(x)))


def placed(
    net: FittedNet, machines: Sequence[Boltzmann], outputs: bool = False
) -> FittedNet:
    """The net with these as its first layers, from the stem on; others stay as they are.

    outputs: the last machine's place is the head, which is linear. Kernels and biases
    [hidden] have to be of the layers' shapes, and a stage's layers are all replaced or
    none of them. Raises ValueError where they do not fit.
    """
    variables, stack = net.variables, list(machines)
    head = variables.head
    if outputs:
        head = _replaced(head, _only(stack.pop()))
    stem = _replaced(variables.stem, _only(stack.pop(0)))
    stages = []
    for stage, tree in zip(net.net.parts.net.stages, variables.stages, strict=True):
        own, stack = stack[: stage.depth], stack[stage.depth :]
        stages.append(_replaced(tree, _stacked(own)) if own else tree)
    if stack:
        raise ValueError(f"the net has {len(stack)} layers too few")
    return net._replace(variables=Variables(stem, tuple(stages), head))


def _only(machine: Boltzmann) -> dict[str, Any]:
    return {"kernel": machine.kernel, "bias": machine.hidden}


def _stacked(machines: Sequence[Boltzmann]) -> dict[str, Any]:
    each = [_only(machine) for machine in machines]
    return {name: jnp.stack([one[name] for one in each]) for name in each[0]}


def _replaced(tree: Any, layer: dict[str, Any]) -> Any:
    """A module's variables, whose one dense layer has another kernel and bias."""
    ((name, old),) = tree["params"].items()
    shapes = [{n: np.shape(a) for n, a in sorted(d.items())} for d in (old, layer)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"a layer is {shapes[0]}, and what it is to be {shapes[1]}")
    return {**tree, "params": {name: layer}}


def unrolled(machines: Sequence[Boltzmann]) -> list[Boltzmann]:
    """The way down through the machines and back up, by their transposes.

    Hinton & Salakhutdinov 2006, Science 313:504: the start of a deep autoencoder.
    """
    back = [
        Boltzmann(one.kernel.T, one.hidden, one.visible) for one in reversed(machines)
    ]
    return [*machines, *back]
