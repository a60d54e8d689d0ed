"""Openings: legal, nobody's win, and no position in both parts, mirrored or not."""

import jax
import numpy as np
import pytest

from depthbench.research.environments import connect4
from depthbench.research.environments.connect4 import Game
from depthbench.research.learning import openings


@pytest.mark.parametrize("game", [Game(4, 4, 3), Game(4, 5, 4)], ids=str)
def test_no_position_is_in_both_parts(game):
    """Boards are played by the rules; a board and its mirror image count as one."""
    step, seen = jax.jit(connect4.step, static_argnums=0), [set(), set()]
    for part, boards in zip(openings.parts(game), seen, strict=True):
        for columns in part:
            at = connect4.begin(game)
            for column in columns:
                assert connect4.legal(at)[column]
                at, won, over = step(game, at, column)
                assert won == 0 and not over
            board = np.asarray(at.board)
            boards.add(min(board.tobytes(), board[:, ::-1].tobytes()))
        assert len(boards) == len(part)  # each once
    one, other = seen
    assert not one & other and abs(len(one) - len(other)) <= 1
