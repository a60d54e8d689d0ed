"""Training steps of one task, on our side and on PyTorch's: loss, gradient, update.

Each side keeps its state, so that a step begins where the last one ended. PyTorch gets
its best case: fused SGD, gradients set to None between steps, inputs laid out as it
likes and on its side before the clock starts.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers.case import MOMENTUM, RATE, Case, Task
from research.lazy import lazy

jax = lazy("jax")
jnp = lazy("jax.numpy")
optax = lazy("optax")
torch = lazy("torch")


class Side(NamedTuple):
    """One way of training a net.

    step: one training step; returns (loss, outputs) of before the update.
    gradients: those of the first step, to be asked for before the second.
    """

    step: Callable[[], tuple[Any, Any]]
    gradients: Callable[[], Any]


def ours(task: Task) -> Side:
    """One jitted program a step; weights, statistics and momentum are donated.

    gradients: Variables of parameters alone.
    """
    optimizer = optax.sgd(RATE, momentum=MOMENTUM)

    def cost(parameters, statistics, x, y):
        variables = _joined(parameters, statistics)
        outputs, statistics = task.apply(task.net, variables, x)
        losses = optax.softmax_cross_entropy_with_integer_labels(outputs, y)
        return jnp.mean(losses), (outputs, statistics)

    def step(parameters, statistics, momentum, x, y):
        gradient = jax.value_and_grad(cost, has_aux=True)
        (loss, (outputs, statistics)), slope = gradient(parameters, statistics, x, y)
        updates, momentum = optimizer.update(slope, momentum)
        parameters = optax.apply_updates(parameters, updates)
        return (parameters, statistics, momentum), (loss, outputs)

    program = jax.jit(step, donate_argnums=(0, 1, 2))
    x, y = jax.device_put((task.x, task.y))
    parameters, statistics = (jax.device_put(part) for part in _parted(task.variables))
    state = [(parameters, statistics, optimizer.init(parameters))]

    def train():
        state[0], seen = program(*state[0], x, y)
        return seen

    def gradients():
        """SGD's momentum, which starts at zero, is the gradient after one step."""
        return jax.device_get(state[0][2][0].trace)

    return Side(train, gradients)


def _parted(variables: Any) -> tuple[Any, Any]:
    """(parameters, what else there is), both shaped like the variables."""

    def only(wanted):
        keep = lambda module: {n: v for n, v in module.items() if wanted(n)}
        return type(variables)(
            keep(variables.stem),
            tuple(map(keep, variables.stages)),
            keep(variables.head),
        )

    return only(lambda name: name == "params"), only(lambda name: name != "params")


def _joined(parameters: Any, statistics: Any) -> Any:
    return type(parameters)(
        {**parameters.stem, **statistics.stem},
        tuple(
            {**one, **other}
            for one, other in zip(parameters.stages, statistics.stages, strict=True)
        ),
        {**parameters.head, **statistics.head},
    )


def torches(task: Task, case: Case, compiled: bool) -> tuple[Side, Callable]:
    """PyTorch's side, and what our gradients are in its order of parameters.

    gradients: a list of arrays, one for each tie.
    """
    model = case.torch(task)
    with torch.no_grad():
        for tie in model.ties:
            own = np.array(tie.read(task.variables))  # jax lends what is read-only
            tie.parameter.copy_(torch.from_numpy(own))
    parameters = [tie.parameter for tie in model.ties]
    optimizer = torch.optim.SGD(parameters, lr=RATE, momentum=MOMENTUM, fused=True)
    y = torch.from_numpy(task.y).long()

    def cost(x, y):
        outputs = model.forward(x)
        return torch.nn.functional.cross_entropy(outputs, y), outputs

    run = torch.compile(cost) if compiled else cost

    def train():
        optimizer.zero_grad(set_to_none=True)
        loss, outputs = run(model.x, y)
        loss.backward()
        optimizer.step()
        return loss.detach(), outputs.detach()

    def gradients():
        return [parameter.grad.numpy().copy() for parameter in parameters]

    def tied(variables):
        return [tie.read(variables) for tie in model.ties]

    return Side(train, gradients), tied
