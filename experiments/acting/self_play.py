"""Does a deeper net play Connect-4 better, after search has taught it by playing itself?

Source: Silver et al. 2017, Nature 550:354, and 2018, Science 362:1140: a policy and value
net that learns from the moves that search makes of its own, from no game but those against
itself. Danihelka et al. 2022 (ICLR): the Gumbel form of that search, which improves with
few simulations. What differs here: a dense net on a small board, and minutes of play; the
real game of 6 × 7 is `--size full`.

Games begin with some random moves, of which nothing is learned: without them all games
of a net that is sure of its moves are alike.

The strong baseline is search with as many simulations, by the same rules, that plays eight
random games from each new position for its value: it has learned nothing. A share of ½ is
its own. Openings are of four moves, each played by both sides; rates are chosen by others
than those that judge, mirror images aside (`research/learning/openings.py`). All nets play
the same 64, and points have the error of so many openings. Games of equal simulations are
not of equal time: rows have the milliseconds of a move of both, of many positions at once,
and what pure search of four times the simulations scores against it.

Such nets score some half against pure search, and see fewer forced wins: 104 positions of
random games, where one exists in three plies and none in one. How many of them pure search
finds is one number, which claims take with the error of so many positions.
"""

import functools

from depthbench.experiments import comparisons, scores
from depthbench.experiments.acting import self_play_games as played
from depthbench.experiments.acting import self_play_rivals as rivals
from depthbench.experiments.acting import self_play_shown as shown
from depthbench.experiments.acting.self_play_claims import CLAIMS, SILVER
from depthbench.experiments.acting.self_play_rivals import AGAINST, GAMES, SEEDS
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import nets
from depthbench.experiments.training.pairs import whole
from depthbench.research.catalogues import packages
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.lazy import lazily
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.selection import Outcome, half
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Cost, Measured, Plan, Study

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.environments import connect4
    from depthbench.research.learning import (
        feed,
        fits,
        positions,
        self_play,
        sweeps,
        tree_search,
    )
    from depthbench.research.machine import timing

SKIPS = ("mlp", "residual_mlp_scaled")
BOARDS = choices(
    "board",
    **{
        "4x4": "4 rows, 4 columns, lines of 3",
        "4x5": "4 rows, 5 columns, lines of 4",
        "6x7": "6 rows, 7 columns, lines of 4: the real game",
    },
)
SIZES = {"4x4": (4, 4, 3), "4x5": (4, 5, 4), "6x7": (6, 7, 4)}
SCORING = Scoring(
    system="net that learns Connect-4 by playing itself",
    noun="share of points",
    trivial="random moves",
    strong="pure search",
    naming=lambda row, net: f"{net}, {row['board'].replace('x', ' × ')}",
    within=scores.share,
)
MORE = ("elo", "wins_named", "wins_found", "wins_pure", "pure_more")
ERRORS = ("wins_named_se", "more_named", "more_named_test_se")
TIMINGS = ("move_ms", "pure_ms")
ROUNDS = 5  # that a move is timed in, by turns


def game_of(cell):
    return connect4.Game(*SIZES[cell["board"]])


def net_of(cell):
    """The cell's net: policy and value by one head."""
    recipe = Recipe(
        architecture=cell["architecture"],
        activation=cell["activation"],
        depth=cell["depth"],
        width=cell["width"],
        batch=cell["batch"],
        schedule="cosine",
    )
    return self_play.net_of(recipe, game_of(cell))


def playing_of(cell):
    names = ("games", "simulations", "updates", "batch")
    return self_play.Playing(game_of(cell), **{name: cell[name] for name in names})


def trained(cell, steps, rates):
    """The ends of runs at each rate, one for each seed."""
    net, seeds = net_of(cell), range(cell["seeds"])
    updates = steps * cell["updates"]  # of the net, which schedules count
    runs = [
        sweeps.Run(seed, fits.numbers(net, rate, updates))
        for rate in rates
        for seed in seeds
    ]
    playing = playing_of(cell)
    problem = sweeps.Problem(self_play.system(net, playing), feed.nothing, (), {}, {})
    # By the program that `fits.beforehand` asks too: drawing a net takes a second to
    # compile.
    init = sweeps.programs(net.system, feed.drawn(net.recipe.batch), 1).init
    fresh = [init(*sweeps.arguments([run])).tree for run in runs]
    starts = [self_play.begun(playing, learner) for learner in fresh]
    ends = sweeps.ended(problem, runs, steps, starts, capacity=cell["steps"])
    return [ends[n : n + len(seeds)] for n in range(0, len(ends), len(seeds))]


@functools.lru_cache(maxsize=16)
def asking(net, game, simulations):
    """(learners [runs], positions [runs, GAMES], seed) -> (moves named by the policy, moves
    found by search, the policy, the value), [runs, GAMES] each: one program for matches,
    puzzles and what is shown."""

    @jax.jit
    def ask(learners, asked, seed):
        runs = asked.over.shape[0]

        def outputs(x):
            """[runs × GAMES, …]: each run's net reads its own."""
            own = jax.vmap(lambda learner, x: self_play.outputs_of(net, learner)(x))
            return own(learners, x.reshape(runs, -1, x.shape[-1])).reshape(len(x), -1)

        flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), asked)
        opinion, key = tree_search.of_net(outputs), jax.random.key(seed)
        found = tree_search.searched(game, opinion, flat, key, simulations, 0.0)
        logits, value = found.opinion
        told = jnp.argmax(logits, axis=1), found.moves, jax.nn.softmax(logits), value
        return jax.tree.map(lambda a: a.reshape(runs, -1, *a.shape[1:]), told)

    return ask


def learned(runs):
    """What nets of runs have learned, stacked [runs] on the device."""
    learners = jax.device_get([run.state.tree["net"] for run in runs])
    return jax.device_put(jax.tree.map(lambda *leaves: np.stack(leaves), *learners))


def games(cell, runs, part):
    """The `Games` of each run, of a part's openings."""
    game, simulations = game_of(cell), cell["simulations"]
    ask, learners = asking(net_of(cell), game, simulations), learned(runs)

    def one(asked, random):
        return jax.device_get(ask(learners, asked, tree_search.seed_of(random))[1])

    pure = rivals.pure_search(game, simulations)
    other = tree_search.mixed(pure, AGAINST["pure"], tree_search.drawing)
    opened = rivals.opened(game, part, GAMES)
    found = tree_search.match(game, one, other, SEEDS[part], opened, len(runs))
    return [played.by_opening(*each) for each in zip(*found, strict=True)]


def answers(cell, learners, asked):
    """What nets [runs] say of positions, as `asking` gives it, [runs, positions] each."""
    ask = asking(net_of(cell), game_of(cell), cell["simulations"])
    count, runs = len(asked.over), len(jax.tree.leaves(learners)[0])
    told = []
    for first in range(0, count, GAMES):
        some = jax.tree.map(lambda a, n=first: a[n : n + GAMES], asked)
        some = jax.tree.map(
            lambda a: np.broadcast_to(a, (runs, *a.shape)),
            positions.padded(some, GAMES),
        )
        told.append(ask(learners, some, np.uint32(first)))
    return jax.tree.map(
        lambda *parts: np.concatenate(parts, axis=1)[:, :count], *jax.device_get(told)
    )


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [of_cell(cell) for cell in cells]


def of_cell(cell):
    """Points against pure search at the best rate, and forced wins that are seen."""
    game, net, simulations = game_of(cell), net_of(cell), cell["simulations"]

    # None needs the net, and all are done before a move is timed.
    beside = [one.begin(game, simulations) for one in rivals.OF_THE_GAME]

    def held(runs):
        each = [found.pure.mean() for found in games(cell, runs, "valid")]
        lost = [run.diverged is not None for run in runs]
        return Outcome(ended=1 - float(np.mean(lost)), accuracy=float(np.mean(each)))

    grid, steps, most = nets.rates(cell), cell["steps"], cell["further_rates"]
    by_rate = functools.partial(trained, cell, steps)
    sooner = lambda rate: trained(cell, half(steps), [rate])[0]
    tuned = fits.tuned(by_rate, grid, "accuracy", held, most=most, sooner=sooner)
    tests = games(cell, tuned.runs, "test")
    random_share, (asked, by_search), by_more = (one() for one in beside)
    data = positions.examples(game, jax.random.key(SEEDS["test"]))
    values = scores.values(
        score=[float(each.pure.mean()) for each in tests],
        valid=tuned.tried[tuned.setting].accuracy,
        trivial=1 - random_share,
        strong=0.5,
        before=fits.beforehand(net, data, cell["seeds"]),
        tuned=tuned,
        examples=2 * AGAINST["pure"],
        anew=True,
    )
    values |= played.of_openings(game, tests)
    learners = learned(tuned.runs)
    by_policy, by_net = answers(cell, learners, asked.positions)[:2]
    named, found = (
        [positions.solved(asked, moves) for moves in each]
        for each in (by_policy, by_net)
    )
    rated = [played.rating(each, random_share) for each in tests]
    values |= {
        **scores.spread("elo", rated),
        **scores.spread("wins_named", np.mean(named, axis=1)),
        **scores.spread("wins_found", np.mean(found, axis=1)),
        "wins_pure": float(np.mean(by_search)),
        "more_named": float(np.mean(named) - np.mean(by_search)),
        "more_named_test_se": comparisons.of_answers(named, by_search),
        "wins_by_chance": positions.chance(asked),
        "pure_more": by_more,
        **move_ms(cell, learners, asked.positions),
    }
    profiles = {
        **shown_of(cell, learners, tests[0].moves),
        "loss": np.mean([run.log["loss"] for run in tuned.runs], axis=0),
    }
    return Measured("ok", "", values, profiles)


def move_ms(cell, learners, asked):
    """Milliseconds of a move of search by the net and of pure search, of many at once."""
    some = jax.tree.map(lambda a: a[:GAMES], asked)
    pure = rivals.asking_pure(game_of(cell), cell["simulations"], asked)
    calls = {"move_ms": lambda: answers(cell, learners, some), "pure_ms": pure}
    counts = {"move_ms": cell["seeds"] * GAMES, "pure_ms": len(asked.over)}
    taken = timing.interleaved(calls, ROUNDS, moves="allow")
    return {n: 1e3 * float(np.median(s)) / counts[n] for n, s in taken.items()}


def shown_of(cell, learners, moves):
    """The first game's moves, and what its net thinks at each of its positions."""
    seen = positions.of_moves(game_of(cell), moves)
    _, _, policy, value = answers(cell, learners, seen)
    return {
        "moves": np.asarray(moves[: len(seen.board)], np.int8),
        "board": np.asarray(seen.board, np.int8),
        "policy": np.asarray(policy[0], np.float32),
        "value": np.asarray(value[0], np.float32),
    }


# ---------------------------------------------------------------------- the study


def fit(cells, typed):
    """The cells, where mctx is installed."""
    packages.need("self_play", "mctx")
    return nets.fit(cells, typed)


def cost(cells, shared):
    """Of a simulation by its layers, and of an update; on two cores."""
    seconds = 0.0
    for cell in cells:
        rows, columns, _ = SIZES[cell["board"]]
        runs = cell["seeds"] * (cell["rates"] + 0.5 * min(1, cell["further_rates"]))
        size = max(1.0, cell["games"] / 64) * max(1.0, cell["width"] / 64)
        plies = rows * columns * cell["simulations"]
        moved = plies * 2e-4 * (1 + 0.05 * cell["depth"]) * size
        batch = max(1.0, cell["batch"] / 128) * max(1.0, cell["width"] / 64)
        learned = cell["updates"] * 1e-3 * (1 + 0.15 * cell["depth"]) * batch
        judging = plies * 1.5e-3 * (runs + cell["seeds"])
        seconds += runs * cell["steps"] * (moved + learned) + judging
    memory = 2**28 + 40 * max(
        cell["games"] * cell["width"] * cell["depth"] for cell in cells
    )
    return Cost(memory, memory, seconds)


STUDY = Study(
    name="self_play",
    kind="experiment",
    question="Does a deeper net play Connect-4 better after playing itself?",
    source=SILVER,
    axes={
        "board": Axis("rows and columns", ("4x5",), BOARDS),
        **scores.axes((1, 4, 16), SKIPS, ("relu",), SKIPS),
        "width": whole("units of a layer", (64,)),
        "games": whole("games side by side, of a step", (64,)),
        "simulations": whole("simulations of a move", (16,), low=2),
        "updates": whole("updates of the net, of a step", (24,)),
        "batch": whole("positions of an update", (128,)),
        "steps": whole("steps: games, then updates", (32,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(3e-3, 1e-2, 2),
    },
    sizes={
        "smoke": {
            "board": ("4x4",),
            "architecture": ("mlp",),
            "depth": (2,),
            "width": (16,),
            "games": (4,),
            "simulations": (4,),
            "updates": (2,),
            "steps": (3,),
            "rates": (1,),
            "further_rates": (0,),
            "seeds": (2,),
        },
        "full": {
            "board": ("6x7",),
            "depth": (1, 4, 16),
            "width": (512,),
            "games": (1024,),
            "updates": (32,),
            "batch": (1024,),
            "steps": (24,),
            # At once, where further rates would be one after the other.
            "lowest_rate": (3e-4,),
            "highest_rate": (3e-3,),
            "rates": (3,),
            "further_rates": (0,),
        },
    },
    plan=Plan(cost=cost, priority=nets.longest_first),
    fit=fit,
    measure="depthbench.experiments.acting.self_play:measure",
    columns=(
        *("board", "architecture", "activation", "depth", "width", "simulations"),
        *(*scores.COLUMNS, *MORE, *ERRORS, *comparisons.OF_GROUPS, *TIMINGS),
    ),
    claims=CLAIMS,
    headline=functools.partial(shown.headline, SCORING),
    tables=lambda rows: [SCORING.table(rows, more=(*MORE, *TIMINGS))],
    figures=functools.partial(shown.figures_of, SCORING, SIZES),
    shows=("a player that learns from games against itself",),
    summary=SCORING.summary,
    compile_seconds=10.0,
    timings=TIMINGS,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
