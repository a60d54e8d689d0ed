"""Training steps of ours: `system.step`, and nothing else."""

import functools
from typing import Any

from depthbench.benchmarks.peers.case import (
    MOMENTUM,
    RATE,
    Peer,
    Problem,
    Side,
    program_of,
)
from depthbench.research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp
    import optax

    from depthbench.research.architectures import contract
    from depthbench.research.catalogues import losses, optimizers, schedules
    from depthbench.research.learning import supervised
    from depthbench.research.learning import system as systems


def side(task: Problem) -> Side:
    """One jitted step; the state is donated. gradients: Variables of parameters."""
    rule = optimizers.OPTIMIZERS["momentum"]
    parts = supervised.Components(
        task.net,
        losses.LOSSES["classes"],
        rule,
        schedules.SCHEDULES["constant"],
        dtype=jnp.dtype(task.dtype),
    )
    numbers = rule.hyper(learning_rate=RATE, momentum=MOMENTUM)
    numbers = supervised.Numbers(supervised.UNIT, numbers)
    hyper = jax.device_put(jax.tree.map(jnp.float32, numbers))
    variables = jax.tree.map(jnp.array, task.variables)
    learner = supervised.learner(parts, variables, hyper.rule)
    current = [systems.start(learner, jax.random.key(0))]
    batch = jax.device_put({"inputs": task.x, "targets": task.y})
    step_of = functools.partial(systems.step, supervised.system_of(parts))
    program = program_of(task, jax.jit(step_of, donate_argnums=0))

    def step():
        current[0], means = program(current[0], hyper, batch)
        return means["loss"], None

    def gradients():
        """SGD's momentum, which starts at zero, is the gradient after one step."""
        return optax.tree_utils.tree_get(current[0].tree.opt, "trace")

    return Side(step, gradients, getattr(program, "peak", lambda: None))


def outputs(task: Problem) -> Any:
    """The net's outputs on the batch, which a step of ours does not return."""
    run = jax.jit(lambda variables, x: contract.apply(task.net, variables, x)[0])
    return run(task.variables, task.x)


PEERS = [Peer("depthbench", "ours: the others' times are divided by its")]
