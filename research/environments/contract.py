"""What an environment is: pure functions of a state, of one world, to be vmapped."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Environment(NamedTuple):
    """A world that is acted in, one action after the other, until an episode ends.

    begin: key -> a state to begin with. step: (state, action) -> (the next state, the
    step's reward, whether the episode has ended there). observe: state -> what is seen
    of it [observed]. actions: how many there are. length: steps, after which an episode
    is cut off. returns: the least and the largest sum of rewards. solved: the mean return
    at which it counts as solved.
    """

    name: str
    source: str
    begin: Callable[[Any], Any]
    step: Callable[[Any, Any], tuple[Any, Any, Any]]
    observe: Callable[[Any], Any]
    observed: int
    actions: int
    length: int
    returns: tuple[float, float]
    solved: float

    def __hash__(self) -> int:
        return hash(self.name)
