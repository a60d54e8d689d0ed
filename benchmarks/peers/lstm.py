"""An LSTM over 200 steps: our `stacked_lstm` beside torch.nn.LSTM."""

from typing import Any

import numpy as np

from benchmarks.peers.case import (
    Case,
    Model,
    Shape,
    Task,
    Tie,
    drawn,
    gaussian,
    linear,
    settings,
)
from research.architectures import ARCHITECTURES
from research.lazy import lazy

torch = lazy("torch")
cells = lazy("research.architectures.cells")


def task(shape: Shape) -> Task:
    """Layers of long short-term memory; the head reads the last step."""
    net = ARCHITECTURES["stacked_lstm"].build(settings(shape, "tanh", "glorot_normal"))
    return drawn(net, gaussian(shape.batch, shape.length, shape.width))


def model(task: Task) -> Model:
    """Linear, torch.nn.LSTM, Linear; its fused kernel likes time first."""
    (stage,) = task.variables.stages
    layers, width, _ = stage["params"]["Recurrent_0"]["kernel"].shape
    stem = torch.nn.Linear(task.x.shape[2], width)
    body = torch.nn.LSTM(width, width, layers)
    head = torch.nn.Linear(width, task.net.head.outputs)
    ties = [*linear(stem, lambda own: own.stem["params"]["Dense_0"])]
    for layer in range(layers):
        ties += _layer(body, layer, width)
    ties += linear(head, lambda own: own.head["params"]["Head_0"]["Dense_0"])

    def forward(x):
        h, _ = body(stem(x))
        return head(h[-1])

    x = torch.from_numpy(np.ascontiguousarray(np.swapaxes(task.x, 0, 1)))
    return Model(forward, tuple(ties), x)


def _layer(body: Any, layer: int, width: int) -> list[Tie]:
    """Ties of one layer. Its second bias is what opens the forget gate, and stays."""
    with torch.no_grad():
        fixed = getattr(body, f"bias_hh_l{layer}").requires_grad_(False)
        fixed.zero_()
        fixed[width : 2 * width] = cells.FORGET_BIAS

    def of(own):
        return own.stages[0]["params"]

    def projection(own, name):
        return of(own)["Projection_0"]["Dense_0"][name][layer]

    kernel = getattr(body, f"weight_ih_l{layer}")
    recurrent = getattr(body, f"weight_hh_l{layer}")
    bias = getattr(body, f"bias_ih_l{layer}")
    return [
        Tie(kernel, lambda own: projection(own, "kernel").T),
        Tie(recurrent, lambda own: of(own)["Recurrent_0"]["kernel"][layer].T),
        Tie(bias, lambda own: projection(own, "bias")),
    ]


CASE = Case(
    "lstm",
    "stacked_lstm",
    "Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000",
    Shape(batch=64, length=200, width=128, depth=1),
    task,
    model,
)
