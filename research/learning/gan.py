"""Generative adversarial nets: a generator and a discriminator, as players.

The discriminator scores examples, high where it takes them for real; the generator makes
them from Gaussian noise. Variants differ in the losses, in what is asked of the
discriminator besides, and in whose turn it is.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.architectures.contract import Tree, Variables
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.learning import feed, fits, players, sweeps
from depthbench.research.learning.fits import FittedNet, Net
from depthbench.research.learning.players import Nets, Player, Players
from depthbench.research.learning.sweeps import Problem, Run
from depthbench.research.learning.system import Batch

GENERATOR, DISCRIMINATOR = "generator", "discriminator"
SQUARINGS = 6  # of WᵀW, which is 64 rounds of power iteration

Scores = jax.Array  # of examples [batch]


class Variant(NamedTuple):
    """How the two are trained against each other.

    told: (scores of real, of made examples) -> the discriminator's loss. fooled: scores of
    made ones -> the generator's. penalty: the weight of (‖∂score/∂x‖ − 1)² at points
    between real and made ones. normed: each of the discriminator's maps is divided by its
    largest singular value. turns: the discriminator's steps for one of the generator's.
    """

    name: str
    told: Callable[[Scores, Scores], Scores]
    fooled: Callable[[Scores], Scores]
    source: str
    penalty: float = 0.0
    normed: bool = False
    turns: int = 1


def _entropy(real: Scores, made: Scores) -> Scores:
    """−log D(real) − log(1 − D(made)), of D = sigmoid of the score."""
    return jax.nn.softplus(-real) + jax.nn.softplus(made)


def _low(made: Scores) -> Scores:
    """log(1 − D(made)): its gradient vanishes where the discriminator is sure."""
    return -jax.nn.softplus(made)


def _high(made: Scores) -> Scores:
    """−log D(made): its gradient does not."""
    return jax.nn.softplus(-made)


VARIANTS: Catalogue[Variant] = Catalogue(
    "variant",
    [
        Variant(
            "saturating",
            _entropy,
            _low,
            "Goodfellow et al. 2014, arXiv:1406.2661, algorithm 1",
        ),
        Variant(
            "non_saturating",
            _entropy,
            _high,
            "Goodfellow et al. 2014, arXiv:1406.2661, section 3",
        ),
        Variant(
            "wasserstein",
            lambda real, made: made - real,
            lambda made: -made,
            "Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1",
            penalty=10.0,
            turns=5,
        ),
        Variant(
            "spectral",
            _entropy,
            _high,
            "Miyato et al. 2018, arXiv:1802.05957",
            normed=True,
        ),
    ],
)


# ------------------------------------------------------------------------- the game


@functools.lru_cache(maxsize=64)
def game(variant: Variant, generator: Net, discriminator: Net) -> Players:
    """The two players, the discriminator first; equal arguments give equal ones.

    generator: from noise, a vector, to as many numbers as an example has.
    discriminator: from an example to one number. Batches have `inputs`, real examples.
    """
    (size,) = generator.task.shape

    def made(nets: Nets, real: jax.Array, key: Any) -> jax.Array:
        noise = jax.random.normal(key, (len(real), size), real.dtype)
        return nets[GENERATOR](noise).reshape(real.shape)

    def tells(nets: Nets, batch: Batch, key: Any) -> dict[str, jax.Array]:
        real, (key_noise, key_between) = batch["inputs"], jax.random.split(key)
        false = made(nets, real, key_noise)
        score = lambda x: nets[DISCRIMINATOR](x)[:, 0]
        both = score(jnp.concatenate([real, false]))
        of_real, of_made = jnp.split(both, 2)
        loss = variant.told(of_real, of_made)
        if variant.penalty:
            loss = loss + variant.penalty * steepness(key_between, score, real, false)
        right = (jnp.sign(of_real) - jnp.sign(of_made)) / 4 + 0.5
        return {"loss": loss, "right": right}

    def fools(nets: Nets, batch: Batch, key: Any) -> dict[str, jax.Array]:
        score = nets[DISCRIMINATOR](made(nets, batch["inputs"], key))[:, 0]
        return {"loss": variant.fooled(score)}

    def tells_probed(nets: Nets, batch: Batch):
        real = batch["inputs"]
        false = made(nets, real, jax.random.key(0))

        def loss(outputs):
            return jnp.mean(variant.told(*jnp.split(outputs[:, 0], 2)))

        return jnp.concatenate([real, false]), loss

    def fools_probed(nets: Nets, batch: Batch):
        real = batch["inputs"]
        noise = jax.random.normal(jax.random.key(0), (len(real), size), real.dtype)

        def loss(outputs):
            score = nets[DISCRIMINATOR](outputs.reshape(real.shape))[:, 0]
            return jnp.mean(variant.fooled(score))

        return noise, loss

    seen = spectral if variant.normed else players.as_it_is
    return (
        (DISCRIMINATOR, Player(discriminator, tells, tells_probed, 1, seen)),
        (GENERATOR, Player(generator, fools, fools_probed, variant.turns)),
    )


def steepness(
    key: Any, score: Callable[[jax.Array], Scores], real: jax.Array, made: jax.Array
) -> Scores:
    """(‖∂score/∂x‖ − 1)² at a point x between each real and made example, [batch].

    Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1, lines 6 and 7.
    """
    shape = (len(real),) + (1,) * (real.ndim - 1)
    share = jax.random.uniform(key, shape, real.dtype)
    x = share * real + (1 - share) * made
    slope = jax.grad(lambda x: jnp.sum(score(x)))(x).reshape(len(x), -1)
    length = jnp.sqrt(jnp.sum(jnp.square(slope), axis=1) + 1e-12)  # smooth at 0
    return jnp.square(length - 1)


def spectral(variables: Variables) -> Variables:
    """The variables with each kernel divided by its largest singular value.

    Of a convolution that of the matrix [kernel size × channels, features]. Its singular
    vectors count as constants (Miyato et al. 2018, arXiv:1802.05957, equation 12). There
    one round of power iteration a step goes on from the last; here many are made anew, by
    squaring, so that there is nothing to carry along.
    """

    def part(tree: Tree, one: Callable[[jax.Array], jax.Array]) -> Tree:
        def kernel(path, leaf):
            return one(leaf) if getattr(path[-1], "key", "") == "kernel" else leaf

        return jax.tree_util.tree_map_with_path(kernel, tree)

    stem, stages, head = variables
    stacked = tuple(part(stage, jax.vmap(_of_norm_one)) for stage in stages)
    return Variables(part(stem, _of_norm_one), stacked, part(head, _of_norm_one))


def _of_norm_one(kernel: jax.Array) -> jax.Array:
    matrix = kernel.reshape(-1, kernel.shape[-1])
    return kernel / largest_singular_value(matrix)


def largest_singular_value(matrix: jax.Array) -> jax.Array:
    """[] of a matrix [in, out], from below; nearly exact unless the next one is as large.

    >>> round(float(largest_singular_value(jnp.array([[3.0, 0.0], [0.0, 2.0]]))), 4)
    3.0
    """
    power = jax.lax.stop_gradient(matrix.T @ matrix)
    for _ in range(SQUARINGS):
        power = power / jnp.trace(power)
        power = power @ power
    start = jnp.cos(jnp.arange(len(power), dtype=matrix.dtype))  # no special direction
    right = power @ start
    right = right / jnp.linalg.norm(right)
    left = jax.lax.stop_gradient(matrix @ right)
    return (left / jnp.linalg.norm(left)) @ (matrix @ right)


# ----------------------------------------------------------------------- trained ones


class Adversaries(NamedTuple):
    """Both nets after their training, and its log by "player measure" [steps]."""

    generator: FittedNet
    discriminator: FittedNet
    log: Mapping[str, Any]

    @property
    def diverged(self) -> int | None:
        """The step since which the discriminator's loss is beyond all bounds, or None."""
        return self.discriminator.diverged

    def samples(self, count: int, shape: Sequence[int], seed: int = 0) -> np.ndarray:
        """Made examples [count, *shape], always the same of a seed."""
        return samples(self.generator, count, shape, seed)


def samples(
    generator: FittedNet, count: int, shape: Sequence[int], seed: int = 0
) -> np.ndarray:
    """What a generator makes of noise, [count, *shape]."""
    size = generator.net.task.shape[0]
    noise = np.random.RandomState(seed).standard_normal((count, size))
    return generator.outputs(noise.astype(np.float32)).reshape(count, *shape)


def hyper(pair: Players, rates: Mapping[str, float], steps: int) -> dict[str, Any]:
    """The numbers of a run. rates: by player; one whose rate is 0 stays as it is."""
    return {name: fits.numbers(one.net, rates[name], steps) for name, one in pair}


def alike(rate: float) -> dict[str, float]:
    """The same rate for both."""
    return dict.fromkeys((GENERATOR, DISCRIMINATOR), rate)


def adversaries(
    pair: Players, state: Any, log: Mapping[str, Any], **more: Any
) -> Adversaries:
    """Both nets of a run's state. more: as of `FittedNet`."""
    nets = {
        name: players.fitted(player, state.tree[name], **more) for name, player in pair
    }
    return Adversaries(nets[GENERATOR], nets[DISCRIMINATOR], log)


def train(
    pair: Players,
    x: Any,
    steps: int,
    rates: Sequence[float],
    seeds: int | Sequence[int],
    capacity: int = 0,
) -> list[Adversaries]:
    """The pair after so many steps, for each rate its seeds, in order.

    x: real examples [examples, …]. rates: of both players alike. capacity: as of
    `sweeps.ended`.
    """
    numbered = range(seeds) if isinstance(seeds, int) else seeds
    asked = [(rate, seed) for rate in rates for seed in numbered]
    runs = [Run(seed, hyper(pair, alike(rate), steps)) for rate, seed in asked]
    batch = pair[0][1].net.recipe.batch
    data = {"inputs": np.asarray(x)}
    problem = Problem(players.system(pair), feed.drawn(batch), data, {}, {})
    done = sweeps.ended(problem, runs, steps, capacity=capacity)
    return [
        adversaries(
            pair, one.state, one.log, diverged=one.diverged, seed=seed, rate=rate
        )
        for one, (rate, seed) in zip(done, asked, strict=True)
    ]
