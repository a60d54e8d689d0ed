"""Several nets that play against or with each other, as one system.

Each player descends a loss of its own, which sees the others' nets as they are. They
step in the order they are named, each after those before it (Goodfellow et al. 2014,
arXiv:1406.2661, algorithm 1: the discriminator first); neighbours that descend the same
loss step together, by one gradient. A generator and a discriminator, an actor and a
critic, an encoder and a decoder are players.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from depthbench.research.architectures.contract import Variables, apply, divide, unite
from depthbench.research.architectures.contract import init as draw
from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.catalogues.optimizers import length
from depthbench.research.catalogues.optimizers import rate as rate_of
from depthbench.research.learning import descent, feed, fits, supervised, sweeps
from depthbench.research.learning.fits import FittedNet, Net
from depthbench.research.learning.sweeps import Ended, Problem, Run
from depthbench.research.learning.system import Batch, Moment, Probed, System

Function = Callable[[Any], jax.Array]  # a player's net: inputs [batch, …] -> outputs
Nets = Mapping[str, Function]  # by player


def as_it_is(variables: Variables) -> Variables:
    """The variables themselves."""
    return variables


class Player(NamedTuple):
    """A net and what it is for. Plain data and functions: equal ones share programs.

    net: as of `fits`; its task's loss is not looked at. loss: (nets, batch, key) -> its
    measures of each example [batch], `loss` the descended one. probed: (nets, batch) ->
    (the inputs that its gradient is probed with, the loss of its outputs for them).
    every: it steps at each of so many steps of the system. seen: what its net is applied
    with, made of the variables that are learned, such as kernels of norm 1.
    """

    net: Net
    loss: Callable[[Nets, Batch, Any], dict[str, jax.Array]]
    probed: Callable[[Nets, Batch], tuple[jax.Array, Function]]
    every: int = 1
    seen: Callable[[Variables], Variables] = as_it_is


Players = tuple[tuple[str, Player], ...]  # by name, in the order in which they step


@functools.lru_cache(maxsize=64)
def system(players: Players) -> System:
    """The system of all players; the first one's loss says whether a run has diverged.

    Its tree and its hyper (`supervised.Numbers`) are dictionaries by player; a step's
    measures are named "player loss". Nets with normalisers' statistics are refused:
    what a player sees of another would depend on who looked last.
    """
    groups = together(players)

    def init(key, hyper):
        keys = jax.random.split(key, len(players))
        return {
            name: _fresh(one, player.net, hyper[name])
            for one, (name, player) in zip(keys, players, strict=True)
        }

    def step(tree, hyper, batch, moment):
        measures = {}
        for number, group in groups:
            key = jax.random.fold_in(moment.key, number)
            tree, one = _stepped(players, group, tree, hyper, batch, moment, key)
            for name in group:
                measures |= {f"{name} {measure}": v for measure, v in one.items()}
        return tree, measures

    def measure(tree, batch):
        nets, key = functions(players, tree), jax.random.key(0)
        return {
            f"{name} {measure}": value
            for name, player in players
            for measure, value in player.loss(nets, batch, key).items()
        }

    def probed(tree, batch):
        nets = functions(players, tree)
        found = {}
        for name, player in players:
            x, loss = player.probed(nets, batch)
            own = tree[name]
            variables = player.seen(unite(own.params, own.stats))
            found[name] = Probed(player.net.parts.net, variables, x, loss)
        return found

    return System(init, step, measure, probed, watch=f"{players[0][0]} loss")


def _fresh(key: jax.Array, net: Net, hyper: supervised.Numbers) -> descent.Learner:
    recipe, task = net.recipe.program, net.task
    parts = supervised.parts(recipe, hyper.weights, task)
    variables = draw(key, parts.net, jnp.zeros((2, *task.shape)))
    if jax.tree.leaves(divide(variables)[1]):
        raise DataError(f"{recipe.normalizer}: a player's net can have no statistics")
    return supervised.learner(parts, variables, hyper.rule)


def function(net: Net, own: descent.Learner) -> Function:
    """A net as a function of its inputs. own: what a player of it has learned."""
    return applied(net, unite(own.params, own.stats))


def applied(net: Net, variables: Variables) -> Function:
    """A net with such variables as a function of its inputs."""
    return lambda x: apply(net.parts.net, variables, x, True)[0]


def _function(player: Player, params: Variables, stats: Variables) -> Function:
    return applied(player.net, player.seen(unite(params, stats)))


def functions(players: Players, tree: Any) -> dict[str, Function]:
    """Each player's net as a function of its inputs. tree: of the system."""
    return {
        name: _function(player, tree[name].params, tree[name].stats)
        for name, player in players
    }


def together(players: Players) -> list[tuple[int, dict[str, Player]]]:
    """Those that step together, in order: (the first one's number, the players)."""
    groups: list[tuple[int, dict[str, Player]]] = []
    for number, (name, player) in enumerate(players):
        if number and player.loss == players[number - 1][1].loss:
            groups[-1][1][name] = player
        else:
            groups.append((number, {name: player}))
    return groups


def _stepped(
    players: Players,
    group: Mapping[str, Player],
    tree: Any,
    hyper: Any,
    batch: Batch,
    moment: Moment,
    key: jax.Array,
) -> tuple[Any, dict[str, jax.Array]]:
    """(the tree after a step of players with one loss, that loss's measures)."""
    others, loss = functions(players, tree), next(iter(group.values())).loss

    def objective(params, stats, batch, key):
        own = {n: _function(one, params[n], stats[n]) for n, one in group.items()}
        return loss({**others, **own}, batch, key), stats

    params = {name: tree[name].params for name in group}
    stats = {name: tree[name].stats for name in group}
    gradient, (means, _) = descent.gradients(objective, params, stats, batch, key)
    after = {
        name: _after(player, tree[name], gradient[name], hyper[name], moment)
        for name, player in group.items()
    }
    return {**tree, **after}, means


def _after(
    player: Player, own: Any, gradient: Any, numbers: Any, moment: Moment
) -> Any:
    """What a player has learned after a step by its gradient, if one is due."""
    parts = player.net.parts
    rate = rate_of(parts.schedule, numbers.rule, moment.step)
    rule = supervised.rule_of(parts, numbers.rule._replace(learning_rate=rate))
    after = descent.descended(
        own, gradient, own.stats, rule, length(parts.optimizer, rate)
    )
    if player.every > 1:
        due = moment.step % player.every == player.every - 1
        after = jax.tree.map(lambda new, old: jnp.where(due, new, old), after, own)
    return after


def fitted(player: Player, own: descent.Learner, **more: Any) -> FittedNet:
    """A player's net as a value. own: its part of a state's tree. more: as of FittedNet."""
    return FittedNet(player.net, player.seen(unite(own.params, own.stats)), **more)


def ended(
    players: Players, run: Ended, loss: str
) -> tuple[dict[str, FittedNet], dict[str, Any]]:
    """(each player's net as a value, the run's log). loss: which of its measures is the
    log's `loss`, as in "reader loss"."""
    nets = {name: fitted(one, run.state.tree[name]) for name, one in players}
    return nets, {**run.log, "loss": run.log[loss]}


def hyper(players: Players, rate: float, steps: int) -> dict[str, supervised.Numbers]:
    """The numbers of a run in which all learn at one rate."""
    return {name: fits.numbers(one.net, rate, steps) for name, one in players}


def feeds(players: Players) -> feed.Feeds:
    """Batches as large as the last player's recipe says."""
    return feed.drawn(players[-1][1].net.recipe.batch)


def train(
    players: Players,
    data: Batch,
    steps: int,
    rates: Sequence[float],
    seeds: Sequence[int],
    capacity: int = 0,
) -> list[list[Ended]]:
    """How runs of so many steps ended: of each rate its seeds.

    capacity: as of `sweeps.ended`.
    """
    runs = [Run(n, hyper(players, rate, steps)) for rate in rates for n in seeds]
    problem = Problem(system(players), feeds(players), data, {}, {})
    # One at a time: one program then serves any number of rates and seeds, and
    # convolutions of several nets at once are grouped ones, which are slow.
    done = sweeps.ended(problem, runs, steps, at_a_time=1, capacity=capacity)
    count = len(seeds)
    return [done[n * count : (n + 1) * count] for n in range(len(rates))]


def beforehand(players: Players, name: str, data: Batch, seeds: int) -> fits.Beforehand:
    """The fresh gradient of a player, and what a step of all costs."""
    programs = sweeps.programs(system(players), feeds(players), 1)
    numbers, size = hyper(players, 0.0, 1), dict(players)[name].net.recipe.batch
    probe = {key: array[: feed.PROBED] for key, array in data.items()}
    found = []
    for seed in range(seeds):
        state = programs.init(*sweeps.arguments([Run(seed, numbers)]))
        found.append(programs.profile(state, probe)[name])
    firsts = [float(layers[0]) for _, layers in found]
    decades = [float(states[0]) - float(states[-1]) for states, _ in found]
    batch = {key: array[:size] for key, array in data.items()}
    cost = fits.step_mflop(system(players), size, state, numbers, batch)
    return fits.Beforehand(
        fits.finite_mean(firsts), fits.finite_mean(decades), cost, firsts
    )
