"""Environments and games by name: pure functions, which run in the compiled loop."""

from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.environments import acrobot, cartpole
from depthbench.research.environments.contract import Environment

__all__ = ["ENVIRONMENTS", "Environment"]

ENVIRONMENTS: Catalogue[Environment] = Catalogue(
    "environment",
    [
        Environment(
            "cartpole",
            "Barto, Sutton & Anderson 1983, IEEE Trans. SMC 13:834; CartPole-v1",
            cartpole.begin,
            cartpole.step,
            cartpole.observe,
            observed=4,
            actions=2,
            length=500,
            returns=(1.0, 500.0),
            solved=475.0,
        ),
        Environment(
            "acrobot",
            "Sutton 1996, NIPS 8; Acrobot-v1",
            acrobot.begin,
            acrobot.step,
            acrobot.observe,
            observed=6,
            actions=3,
            length=500,
            returns=(-500.0, 0.0),
            solved=-100.0,
        ),
    ],
)
