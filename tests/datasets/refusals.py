"""Small right files of a user's, from which wrong ones are made, and their refusals."""

import numpy as np
import pytest

from depthbench.research.datasets import DataError, find

X, Y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
PIXELS = np.arange(20 * 6 * 5, dtype=np.uint8).reshape(20, 6, 5)
ROWS = [f"{n},{n % 5},{'ab'[n % 2]}" for n in range(20)]


def table(*rows, head="u,v,kind", end="\n"):
    return end.join([head, *rows]) + end


def with_row(line, row):
    """The table with this row at a line, as an editor counts."""
    return table(*ROWS[: line - 2], row, *ROWS[line - 1 :])


def changed(array, place, value):
    array = np.array(array)
    array[place] = value
    return array


def line_of(text):
    assert text.startswith("depthbench: ") and text.count("\n") == 1, text
    return text


def refusal(name, **more):
    """The line with which the data are refused."""
    with pytest.raises(DataError) as error:
        find(name, **more).split()
    message = str(error.value)
    assert "\n" not in message and len(message) < 700
    if "data_dir" not in more:
        assert message.isprintable()
    assert "bad" not in message or "nothing was dropped or replaced" in message
    return message
