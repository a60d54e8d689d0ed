"""Openings of Connect-4, in two parts: to choose players by, and to judge them by."""

import functools
import itertools
from collections.abc import Sequence

import numpy as np

from depthbench.research.environments.connect4 import Game

PLIES = 4  # too few for a line of either side


def position(columns: Sequence[int], count: int) -> tuple:
    """The position after some moves: of each column whose stones, from the lowest up.

    The same of a position and its mirror image.
    """
    stones = [
        [ply % 2 for ply, at in enumerate(columns) if at == c] for c in range(count)
    ]
    return min(tuple(map(tuple, stones)), tuple(map(tuple, stones[::-1])))


@functools.cache
def parts(game: Game) -> tuple[np.ndarray, np.ndarray]:
    """Columns [openings, PLIES] of either part, in random order, the same always.

    Each position is there once: in one of the parts, and there as itself or mirrored.
    """
    moves = itertools.product(range(game.columns), repeat=PLIES)
    every = np.array([columns for columns in moves if _fits(game, columns)])
    found: dict[tuple, np.ndarray] = {}
    for columns in np.random.RandomState(0).permutation(every):
        found.setdefault(position(columns, game.columns), columns)
    openings = np.array(list(found.values()))
    # In turns: a position that more orders of moves lead to is found sooner.
    return openings[::2], openings[1::2]


def _fits(game: Game, columns: Sequence[int]) -> bool:
    return max(map(columns.count, columns)) <= game.rows
