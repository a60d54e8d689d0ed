"""An actor and a critic that learn from worlds they act in, as one system.

The policy gradient with a baseline (Williams 1992, REINFORCE, Machine Learning 8:229), of
which the critic estimates what is still to come, as Mnih et al. 2016 have it
(arXiv:1602.01783): worlds side by side, a short segment of each at a step. Advantages are
generalised (Schulman et al. 2016, arXiv:1506.02438). All worlds are in the system's tree:
a run that is resumed goes on in the midst of its episodes.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthbench.research.environments import Environment, play
from depthbench.research.environments.play import Experience
from depthbench.research.learning import players
from depthbench.research.learning.fits import Net
from depthbench.research.learning.players import Player
from depthbench.research.learning.system import System


class Acting(NamedTuple):
    """How experience is collected and weighed.

    worlds: side by side. steps: of each, between two updates. discount: of rewards a step
    later. spread: λ, how far advantages look. entropy: what the policy's is worth, in
    units of the advantages' standard deviation.
    """

    worlds: int = 32
    steps: int = 16
    discount: float = 0.99
    spread: float = 0.95
    entropy: float = 0.01


def advantages(
    acting: Acting, seen: Experience, values: Any, following: Any
) -> jax.Array:
    """Generalised advantages [steps, worlds].

    values, following: what the critic expects before and after each step, the latter
    where the episode is not over by its own rules. A reward counts 1 − discount, so that
    values stay in the range of a step's rewards.
    """
    rewards = (1 - acting.discount) * seen.rewards
    expected = jnp.where(seen.ended, 0.0, following)
    surprise = rewards + acting.discount * expected - values
    on = jnp.where(seen.ended | seen.cut, 0.0, acting.discount * acting.spread)

    def back(later, now):
        surprise, on = now
        advantage = surprise + on * later
        return advantage, advantage

    zero = jnp.zeros_like(surprise[0])
    return jax.lax.scan(back, zero, (surprise, on), reverse=True)[1]


def actor_loss(entropy: float, nets: Any, batch: Any, key: Any) -> dict[str, jax.Array]:
    """Of each step: −log π(action) × advantage, less what entropy is worth."""
    log = jax.nn.log_softmax(nets["actor"](batch["inputs"]))
    chosen = jnp.take_along_axis(log, batch["actions"][:, None], axis=1)[:, 0]
    spread = -jnp.sum(jnp.exp(log) * log, axis=1)
    loss = -batch["advantages"] * chosen - entropy * spread
    return {"loss": loss, "entropy": spread}


def critic_loss(nets: Any, batch: Any, key: Any) -> dict[str, jax.Array]:
    """Of each step: half the squared error of what was expected."""
    expected = nets["critic"](batch["inputs"])[:, 0]
    return {"loss": 0.5 * jnp.square(expected - batch["targets"])}


def _probed_actor(entropy: float, nets: Any, batch: Any) -> Any:
    def loss(outputs):
        given = {**nets, "actor": lambda x: outputs}
        return jnp.mean(actor_loss(entropy, given, batch, None)["loss"])

    return batch["inputs"], loss


def _probed_critic(nets: Any, batch: Any) -> Any:
    def loss(outputs):
        given = {**nets, "critic": lambda x: outputs}
        return jnp.mean(critic_loss(given, batch, None)["loss"])

    return batch["inputs"], loss


@functools.lru_cache(maxsize=64)
def both(actor: Net, critic: Net, acting: Acting) -> players.Players:
    """The players: the critic steps after the actor, whose advantages it has given."""
    entropy = acting.entropy
    return (
        (
            "actor",
            Player(
                actor,
                functools.partial(actor_loss, entropy),
                functools.partial(_probed_actor, entropy),
            ),
        ),
        ("critic", Player(critic, critic_loss, _probed_critic)),
    )


@functools.lru_cache(maxsize=64)
def system(environment: Environment, actor: Net, critic: Net, acting: Acting) -> System:
    """The system of both; its hyper is that of the players, and its batches are empty.

    Its tree is {"nets": the players', "worlds": the episodes under way}. A step's
    measures have, beside the players', `ended`: the episodes over in it, and `returns`:
    the sum of their returns.
    """
    two = both(actor, critic, acting)
    inner = players.system(two)

    def init(key, hyper):
        key_nets, key_worlds = jax.random.split(key)
        worlds = play.begun(environment, key_worlds, acting.worlds)
        return {"nets": inner.init(key_nets, hyper), "worlds": worlds}

    def collected(tree, key):
        nets = players.functions(two, tree["nets"])
        worlds, seen = play.segment(
            environment, sampled(nets["actor"]), tree["worlds"], key, acting.steps
        )
        return worlds, seen, batch_of(acting, nets["critic"], seen)

    def step(tree, hyper, batch, moment):
        key_act, key_learn = jax.random.split(moment.key)
        worlds, seen, batch = collected(tree, key_act)
        moment = moment._replace(key=key_learn)
        nets, measures = inner.step(tree["nets"], hyper, batch, moment)
        over = jnp.sum(seen.ended | seen.cut).astype(jnp.float32)
        measures |= {"ended": over, "returns": jnp.sum(seen.total)}
        return {"nets": nets, "worlds": worlds}, measures

    def measure(tree, batch):
        return inner.measure(tree["nets"], collected(tree, jax.random.key(0))[2])

    def probed(tree, batch):
        return inner.nets(tree["nets"], collected(tree, jax.random.key(0))[2])

    return System(init, step, measure, probed, watch="actor loss")


def sampled(actor: Any) -> play.Policy:
    """The policy that draws its actions, from what gives their log odds."""
    return lambda seen, key: jax.random.categorical(key, actor(seen))


def greedy(actor: Any) -> play.Policy:
    """The policy that takes the likeliest action."""
    return lambda seen, key: jnp.argmax(actor(seen), axis=-1)


def batch_of(acting: Acting, critic: Any, seen: Experience) -> dict[str, jax.Array]:
    """What both learn from, [steps × worlds, …]; advantages have mean 0 and deviation 1."""
    flat = lambda a: a.reshape(-1, *a.shape[2:])
    expect = lambda x: critic(flat(x))[:, 0].reshape(x.shape[:2])
    values = expect(seen.before)
    gained = advantages(acting, seen, values, expect(seen.after))
    targets, gained = flat(gained + values), flat(gained)
    deviation = jnp.std(gained) + 1e-8
    return {
        "inputs": flat(seen.before),
        "actions": flat(seen.actions),
        "advantages": (gained - jnp.mean(gained)) / deviation,
        "targets": targets,
    }
