"""Training steps of ours: `training.step`, and nothing else."""

from typing import Any

from benchmarks.peers.case import MOMENTUM, RATE, Problem, Side
from research.lazy import lazily

with lazily():
    import jax
    import jax.numpy as jnp
    import optax

    from research.architectures import contract
    from research.catalogues import losses, optimizers, schedules
    from research.learning import training


def side(task: Problem) -> Side:
    """One jitted step; the state is donated. gradients: Variables of parameters."""
    rule = optimizers.OPTIMIZERS["momentum"]
    job = training.Job(
        task.net,
        losses.TASKS["classes"],
        rule,
        schedules.SCHEDULES["constant"],
        len(task.x),
    )
    numbers = rule.hyper(learning_rate=RATE, momentum=MOMENTUM)
    hyper = jax.device_put(jax.tree.map(jnp.float32, numbers))
    kept = [_start(job, hyper, jax.tree.map(jnp.array, task.variables))]
    batch = jax.device_put(training.Batch(task.x, task.y))
    program = jax.jit(
        lambda state, hyper, batch: training.step(job, state, hyper, batch),
        donate_argnums=0,
    )

    def step():
        kept[0], means = program(kept[0], hyper, batch)
        return means.loss, None

    def gradients():
        """SGD's momentum, which starts at zero, is the gradient after one step."""
        return optax.tree_utils.tree_get(kept[0].opt, "trace")

    return Side(step, gradients)


def _start(job: Any, hyper: Any, variables: Any) -> Any:
    """The state of a run that starts at these variables."""
    params, stats = contract.divide(variables)
    rule = optimizers.transformation(job.optimizer, hyper, training.tied(job.net))
    zero = jnp.zeros((), jnp.int32)
    none = zero + training.ONGOING
    return training.State(
        zero, params, rule.init(params), stats, jax.random.key(0), none
    )


def outputs(task: Problem) -> Any:
    """The net's outputs on the batch, which a step of ours does not return."""
    run = jax.jit(lambda variables, x: contract.apply(task.net, variables, x)[0])
    return run(task.variables, task.x)
