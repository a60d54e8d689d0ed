"""What nets of `self_play` are judged beside: pure search, random moves, forced wins."""

from depthbench.experiments.once import once
from depthbench.research.lazy import lazily

with lazily():
    import jax
    import numpy as np

    from depthbench.research.learning import openings, positions, tree_search

PLAYOUTS = 8  # random games from each new position of pure search
MORE = 4  # times as many simulations has the pure search that is stronger
ENOUGH = 16  # simulations: of fewer, as a trial has, no stronger search is compiled
AGAINST = {"pure": 64, "random": 16}  # openings, each played by both sides
BESIDE = 128  # the same, of pure search against random moves
GAMES = sum(AGAINST.values())
SEEDS = {"valid": 10**6, "test": 10**6 + 1}


def opened(game, part, count):
    """So many openings of a part, from the first again where it has fewer."""
    return np.resize(openings.parts(game)[part == "test"], (count, openings.PLIES))


@once
def pure_search(game, simulations):
    """The strong baseline: one program for matches and puzzles."""
    opinion = tree_search.by_playouts(game, PLAYOUTS)
    mover = tree_search.searching(game, opinion, simulations)
    # An accelerator takes as long for more; small blocks leave out what is over sooner.
    return tree_search.in_blocks(mover, 64 if jax.default_backend() == "cpu" else 256)


def share(game, one, other, count):
    """A player's share of points against another, from so many openings of the test."""
    opening = opened(game, "test", count)
    found = tree_search.match(game, one, other, SEEDS["test"], opening)
    return float(found.points.mean())


@once
def by_pure(game, simulations):
    """Pure search's share of points against random moves."""
    return share(game, pure_search(game, simulations), tree_search.drawing, BESIDE)


@once
def by_more(game, simulations):
    """The share against pure search of one that has MORE times the simulations, or None."""
    if simulations < ENOUGH:
        return None
    more, pure = (pure_search(game, n * simulations) for n in (MORE, 1))
    return share(game, more, pure, AGAINST["pure"])


@once
def puzzles(game, simulations):
    """(Puzzles of a forced win, which of them pure search finds)."""
    asked = positions.forced_wins(game, jax.random.key(SEEDS["test"]))
    moves = asking_pure(game, simulations, asked.positions)()
    return asked, positions.solved(asked, moves[0])


OF_THE_GAME = (by_pure, puzzles, by_more)  # of a game, whatever net plays it


def asking_pure(game, simulations, asked):
    """() -> pure search's moves in positions [1, positions]."""
    one_run, pure = (
        jax.tree.map(lambda a: a[None], asked),
        pure_search(game, simulations),
    )
    return lambda: pure(one_run, np.random.RandomState(0))
