"""Does a deeper policy act better, and better than a linear one that was only drawn?

Source: Mania, Guy & Recht 2018, arXiv:1803.07055: linear policies found by random search,
without any gradient, keep up with what policy gradients find. Bjorck, Gomes & Weinberger
2021, arXiv:2106.01151: nets with more layers, with skips too, taken for the small ones as
they are, make actor–critic learning unstable. What differs here: an actor–critic with a
net each, of equal depth; and the search is a draw of linear policies, one episode each,
until they have played as many steps as the net in its training, or are 4,096; the best
ten play more.

CartPole is balanced by one in some tens of linear policies drawn; a task that a drawn
linear policy solves says nothing of depth. Acrobot stands beside it: there a random policy
hardly ever reaches the goal. It turns out that drawn linear policies swing it up as well.

A net that never reaches Acrobot's goal in its training has nothing to learn from: all
returns are −500, as of four of the nine seeds of three ReLU nets, whose gradient is whole.
Rates and policies are chosen by episodes of other seeds than those of the test. Nets are
judged by their likeliest action.
"""

import functools

from depthbench.experiments import comparisons, scores
from depthbench.experiments.acting import policy_gradient_shown as shown
from depthbench.experiments.acting.policy_gradient_claims import CLAIMS, MANIA
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.environments import ENVIRONMENTS
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import Outcome, half
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Cost, Measured, Plan, Study

with lazily():
    import jax
    import numpy as np

    from depthbench.research.environments import linear_search, play
    from depthbench.research.learning import (
        actor_critic,
        feed,
        fits,
        players,
        supervised,
        sweeps,
    )

SKIPS = ("mlp", "residual_mlp_scaled")
EPISODES = 200  # that rates and policies are chosen by, and others that judge them
SEEDS = {"valid": 10**6, "test": 10**6 + 1}  # of no training run
MOST = 4096  # policies that the search may draw
POINTS = 40  # of a learning curve
ENTROPY = 0.05
SCORING = Scoring(
    system="net that learns to act by policy gradients",
    noun="test return",
    trivial="random actions",
    strong="best drawn linear policy",
    by=("environment", "architecture", "activation"),
    form=".1f",
    naming=lambda row, net: f"{net}, {shown.CALLED[row['environment']]}",
    within=lambda row: ENVIRONMENTS[row["environment"]].returns,
)
MORE = ("episodes", "drawn", "solved")


def pair_of(cell):
    """(actor, critic): nets of one recipe, and the environment that they act in."""
    environment = ENVIRONMENTS[cell["environment"]]
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
        initializer="he_normal" if cell["activation"] == "relu" else "glorot_normal",
        schedule="cosine",
    )
    actor = supervised.Task((environment.observed,), environment.actions)
    critic = supervised.Task((environment.observed,), 1, "numbers")
    return fits.Net(recipe, actor), fits.Net(recipe, critic), environment


def acting_of(cell):
    return actor_critic.Acting(worlds=cell["worlds"], entropy=ENTROPY)


def system_of(cell):
    actor, critic, environment = pair_of(cell)
    return actor_critic.system(environment, actor, critic, acting_of(cell))


def hyper(cell, rate):
    numbers = fits.numbers(pair_of(cell)[0], rate, cell["steps"])
    return {"actor": numbers, "critic": numbers}


def trained(cell, rates, steps=None):
    """The ends of runs at each rate, one for each seed; after so many of its steps."""
    seeds, system = range(cell["seeds"]), system_of(cell)
    most, steps = cell["steps"], steps or cell["steps"]
    numbers = [hyper({**cell, "steps": steps}, rate) for rate in rates]
    runs = [sweeps.Run(seed, one) for one in numbers for seed in seeds]
    problem = sweeps.Problem(system, feed.nothing, (), {}, {})
    ends = sweeps.ended(problem, runs, steps, capacity=most)
    return [ends[n : n + len(seeds)] for n in range(0, len(ends), len(seeds))]


@functools.lru_cache(maxsize=64)
def player_of(environment, actor):
    """(actor's part of a tree, seed) -> EPISODES of its likeliest actions, compiled."""

    @jax.jit
    def played(own, seed):
        policy = actor_critic.greedy(players.function(actor, own))
        return play.episodes(environment, policy, jax.random.key(seed), EPISODES)

    return played


def played(cell, run, part):
    """Episodes of a part, by what a run has learned."""
    actor, _, environment = pair_of(cell)
    own = run.state.tree["nets"]["actor"]
    return jax.device_get(player_of(environment, actor)(own, np.uint32(SEEDS[part])))


def returned(episodes):
    return float(np.mean(episodes.returns, dtype=np.float64))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [acted(cell) for cell in cells]


def acted(cell):
    """Test return at the best rate, beside the best linear policy that is drawn in as many
    steps."""
    environment = ENVIRONMENTS[cell["environment"]]
    low, high = environment.returns

    def held(runs):
        lost = [run.diverged is not None for run in runs]
        value = np.mean([returned(played(cell, run, "valid")) for run in runs])
        return Outcome(ended=1 - np.mean(lost), accuracy=(value - low) / (high - low))

    grid, most = nets.rates(cell), cell["further_rates"]
    tuned = fits.tuned(
        functools.partial(trained, cell),
        grid,
        "accuracy",
        held,
        most=most,
        sooner=lambda rate: trained(cell, [rate], half(cell["steps"]))[0],
    )
    episodes = [max(1, int(np.nansum(run.log["ended"]))) for run in tuned.runs]
    found = [
        search(environment, seed, played_steps(cell), room(cell))
        for seed in range(cell["seeds"])
    ]
    searched = [one for one, _ in found]
    tests = [played(cell, run, "test") for run in tuned.runs]
    got = [returned(one) for one in tests]
    curves = [curve(run, environment) for run in tuned.runs]
    values = scores.values(
        score=got,
        valid=low + (high - low) * tuned.tried[tuned.setting].accuracy,
        trivial=by_chance(environment),
        strong=[returned(one) for one in searched],
        independent=True,
        before=beforehand(cell),
        tuned=tuned,
        test_error=comparisons.of_means(
            *([one.returns for one in played] for played in (tests, searched))
        ),
    )
    values |= {
        "episodes": float(np.mean(episodes)),
        "drawn": float(np.mean([count for _, count in found])),
        "solved": float(np.mean([one >= environment.solved for one in got])),
    }
    profiles = {
        "episodes": np.mean([one[0] for one in curves], axis=0),
        "returns": np.mean([one[1] for one in curves], axis=0),
        "net": first_of(tests[0]),
        "search": first_of(searched[0]),
    }
    return Measured("ok", "", values, profiles)


def played_steps(cell):
    """Steps that a net plays in its training, in all worlds."""
    return cell["steps"] * cell["worlds"] * actor_critic.Acting().steps


def room(cell):
    """Policies that are drawn at most: a power of two, so that one program serves all."""
    return min(MOST, 2 ** max(4, (played_steps(cell) // 64).bit_length()))


@once
def search(environment, seed, steps, most):
    """(test episodes of the best linear policy drawn in so many steps, how many were)."""
    valid, test = (jax.random.key(SEEDS[part]) for part in ("valid", "test"))
    asked = (environment, seed, steps, valid, EPISODES, most)
    weights, drawn = linear_search.best(*asked)
    return linear_search.played(environment, weights, test, EPISODES), drawn


@once
def by_chance(environment):
    """The test return of actions drawn at random."""

    def chance(seen, key):
        return jax.random.randint(key, (len(seen),), 0, environment.actions)

    test = jax.random.key(SEEDS["test"])
    return returned(jax.device_get(play.episodes(environment, chance, test, EPISODES)))


def first_of(episodes):
    """The states of the first of some episodes, to its end."""
    return np.asarray(episodes.first, np.float32)[: int(episodes.taken[0])]


def beforehand(cell):
    """The fresh actor's gradient on the first segment it plays, and a step's cost."""
    system = system_of(cell)
    runs = sweeps.programs(system, feed.nothing, 1)
    states = [
        runs.init(*sweeps.arguments([sweeps.Run(seed, hyper(cell, 0.0))]))
        for seed in range(cell["seeds"])
    ]
    found = [runs.profile(state, {})["actor"] for state in states]
    firsts = [float(layers[0]) for _, layers in found]
    decades = [float(through[0]) - float(through[-1]) for through, _ in found]
    step_mflop = fits.step_mflop(system, 1, states[0], hyper(cell, 0.0), {})
    return fits.Beforehand(
        *(fits.finite_mean(each) for each in (firsts, decades)), step_mflop, firsts
    )


def curve(run, environment):
    """(episodes that were over, their mean return) in each of POINTS stretches.

    Where none was over in a stretch, the return of the one before.
    """
    parts = [np.array_split(run.log[name], POINTS) for name in ("ended", "returns")]
    over = np.array([np.nansum(part) for part in parts[0]])
    total = np.array([np.nansum(part) for part in parts[1]])
    means, last = [], environment.returns[0]
    for count, sum_of in zip(over, total, strict=True):
        last = sum_of / count if count else last
        means.append(last)
    return np.cumsum(over), np.array(means)


# ---------------------------------------------------------------------- the study


def fit(cells, typed):
    """Every depth of plain ReLU nets in Acrobot, of others the ends, unless asked for."""
    cells, said = nets.fit(cells, typed)
    if typed & {"environment", "architecture", "activation", "depth"}:
        return cells, said
    ends = [f(cell["depth"] for cell in cells) for f in (min, max)]
    kept = [cell for cell in cells if told(cell, ends)]
    left = len(cells) - len(kept)
    words = (
        f"left out: {left} nets of middle depths that are no plain ReLU nets in Acrobot, "
        "or with skips in CartPole or of sigmoids"
    )
    return kept, said + [words] * (left > 0)


def told(cell, ends):
    """Whether a net is one of those that three minutes are spent on."""
    relu_in_acrobot = (cell["environment"], cell["activation"]) == ("acrobot", "relu")
    if cell["architecture"] != "mlp":
        return relu_in_acrobot and cell["depth"] in ends
    return relu_in_acrobot or cell["depth"] in ends


def cost(cells, shared):
    """Of an update by its layers; each run is at a rate and of a seed."""
    seconds = 0.0
    for cell in cells:
        runs = cell["seeds"] * (cell["rates"] + 0.5 * min(1, cell["further_rates"]))
        size = max(1.0, cell["worlds"] / 32) * max(1.0, cell["width"] / 32)
        update = 1.2e-3 + 2.6e-4 * cell["depth"] * size
        seconds += runs * cell["steps"] * update + 12.0  # most of it compiling
    return Cost(2**28, 2**28, seconds)


STUDY = Study(
    name="policy_gradient",
    kind="experiment",
    question="Does a deeper policy act better, and better than a drawn linear one?",
    source=MANIA,
    axes={
        "environment": Axis("what is acted in", ("cartpole", "acrobot"), ENVIRONMENTS),
        **scores.axes((1, 4, 16), SKIPS, ("relu", "sigmoid"), SKIPS),
        "width": whole("units of a layer", (32,)),
        "worlds": whole("episodes side by side", (32,)),
        "steps": whole("updates, of 16 steps in each world", (350,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(2e-3, 6e-3, 2),
    },
    sizes={
        "smoke": {
            "environment": ("cartpole",),
            "architecture": ("mlp",),
            "activation": ("relu",),
            "depth": (2,),
            "width": (8,),
            "steps": (20,),
            "rates": (1,),
            "further_rates": (0,),
            "seeds": (2,),
        },
        "full": {
            "depth": (1, 4, 16, 32),
            "width": (256,),
            "worlds": (256,),
            "steps": (2000,),
        },
    },
    plan=Plan(cost=cost, priority=nets.longest_first),
    fit=fit,
    measure="depthbench.experiments.acting.policy_gradient:measure",
    columns=(
        *("environment", "architecture", "activation", "depth", "width"),
        *(*scores.COLUMNS, *MORE),
    ),
    claims=CLAIMS,
    headline=functools.partial(shown.headline, SCORING),
    tables=lambda rows: [SCORING.table(rows, more=MORE)],
    figures=functools.partial(shown.figures_of, SCORING),
    shows=("an agent that learns to act from rewards",),
    summary=lambda rows: SCORING.summary(shown.hardest(rows)),
    compile_seconds=6.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
