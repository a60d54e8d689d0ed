"""Training as a PyTorch user would write it: net by net, step by step, Adam.

PyTorch gets the same weights and the same examples, drawn beforehand; its fused Adam;
and denormals flushed, as XLA does.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from depthbench.research.lazy import lazily

with lazily():
    import torch


def trainer(
    variables: Any, x: np.ndarray, y: np.ndarray, rate: float
) -> Callable[[np.ndarray], list[float]]:
    """From example numbers [steps, batch] to each step's loss, of a tanh MLP.

    variables: ours, NumPy: stem, a stage stacked as [depth, …], head. Each call begins
    from them anew.
    """
    x, y = (
        torch.from_numpy(np.array(x.reshape(len(x), -1))),
        torch.from_numpy(np.array(y)),
    )
    y = y.long()

    def train(places: np.ndarray) -> list[float]:
        net = mlp(variables)
        rule = torch.optim.Adam(net.parameters(), lr=rate, fused=True)
        losses = []
        for chosen in torch.from_numpy(np.array(places)).long():
            loss = torch.nn.functional.cross_entropy(net(x[chosen]), y[chosen])
            rule.zero_grad()
            loss.backward()
            rule.step()
            losses.append(loss.detach())
        return [float(loss) for loss in losses]

    return train


def mlp(variables: Any) -> Any:
    """torch.nn.Sequential of Linear and Tanh, with these weights."""
    (stage,) = variables.stages
    hidden = stage["params"]["Dense_0"]
    depth = len(hidden["kernel"])
    layers = [linear(variables.stem["params"]["Dense_0"])]
    for index in range(depth):
        params = {name: array[index] for name, array in hidden.items()}
        layers += [torch.nn.Tanh(), linear(params)]
    layers += [torch.nn.Tanh(), linear(variables.head["params"]["Dense_0"])]
    return torch.nn.Sequential(*layers)


def linear(dense: Any) -> Any:
    """torch.nn.Linear with our kernel [in, out] and bias."""
    # Without PyTorch's own weights, which take seconds to draw where they are many.
    module = torch.nn.utils.skip_init(torch.nn.Linear, *dense["kernel"].shape)
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(np.array(dense["kernel"].T)))
        module.bias.copy_(torch.from_numpy(np.array(dense["bias"])))
    return module


def all_of(trainers: Sequence[Callable], places: Sequence[np.ndarray]) -> np.ndarray:
    """Losses [runs, steps]: one run after the other."""
    pairs = zip(trainers, places, strict=True)
    return np.array([train(batches) for train, batches in pairs])
