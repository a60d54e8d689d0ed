"""The games that nets of `self_play` play, by opening: points, their errors, ratings."""

from typing import Any, NamedTuple

from depthbench.experiments import comparisons
from depthbench.experiments.acting import self_play_rivals as rivals
from depthbench.experiments.acting.self_play_rivals import AGAINST, GAMES
from depthbench.research.lazy import lazily

with lazily():
    import numpy as np

    from depthbench.research.learning import elo


class Games(NamedTuple):
    """A run's share of points from each opening, over both sides: against pure search and
    against random moves [openings] each; and its first game's moves."""

    pure: Any
    random: Any
    moves: Any


def by_opening(points, moves):
    """`Games` of a run's points [2 × openings], by either side."""
    both = np.reshape(points, (2, -1)).mean(axis=0)
    return Games(both[: AGAINST["pure"]], both[AGAINST["pure"] :], moves)


def of_openings(game, tests):
    """What is known of points against pure search from the openings of the test, which all
    nets play: as of `comparisons.of_groups`, whose groups have the same ones whole."""
    opened = rivals.opened(game, "test", GAMES)[: AGAINST["pure"]]
    _, which = np.unique(opened, axis=0, return_inverse=True)
    each = [
        lambda times, own=one.pure: float(np.average(own, weights=times))
        for one in tests
    ]
    groups = comparisons.in_groups(which.max() + 1)[which]
    return comparisons.of_groups("score", each, lambda times: 0.5, groups)


def rating(played, random_share):
    """The net's rating, pure search's being 0: of all games of the three players."""
    pure, random = (2 * AGAINST[name] for name in ("pure", "random"))
    net_pure, net_random = played.pure.mean(), played.random.mean()
    won = np.zeros((3, 3))  # pure search, the net, random moves
    won[1, 0], won[0, 1] = net_pure * pure, (1 - net_pure) * pure
    won[1, 2], won[2, 1] = net_random * random, (1 - net_random) * random
    beside = 2 * rivals.BESIDE
    won[0, 2], won[2, 0] = random_share * beside, (1 - random_share) * beside
    return float(elo.ratings(won)[1])
