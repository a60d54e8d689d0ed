"""Supervised learning on examples that are attacked first: min over nets, max over inputs.

Madry et al. 2018, arXiv:1706.06083, equation 2.1. Every example of a batch is replaced by
what an attack makes of it for the net as it is at that step; the step's measures are
those of the attacked batch.
"""

import functools

import jax

from depthbench.research.architectures.contract import unite
from depthbench.research.learning import attacks, supervised
from depthbench.research.learning.attacks import Perturb
from depthbench.research.learning.fits import Net
from depthbench.research.learning.system import System


@functools.lru_cache(maxsize=64)
def system(net: Net, perturb: Perturb, epsilon: float) -> System:
    """Training of a net that is given arrays, on attacked examples; equal ones are one.

    epsilon: what each number of an input is changed by, at most.
    """
    parts = net.parts

    def objective(params, stats, batch, key):
        key_attack, key = jax.random.split(key)
        logits = attacks.of_net(parts.net, unite(params, stats))
        x, y = parts.read(batch["inputs"]), batch["targets"]
        attacked = perturb(logits, x, y, epsilon, key_attack)
        # The gradient at the worst point is the gradient of the maximum (Danskin).
        batch = {**batch, "inputs": jax.lax.stop_gradient(attacked)}
        return supervised.measures(parts, params, stats, batch, True, key)

    init = supervised.init_of(net.recipe, net.task)
    return supervised.system_of(parts, init, objective=objective)
