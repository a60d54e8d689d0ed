"""A watch on a user's own training loop: the states at every k-th step."""

import operator
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from depthbench import measuring
from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.models.functional import Functional
from depthbench.research.report.history import History
from depthbench.research.signal import readings, states
from depthbench.research.signal.segments import Network
from depthbench.research.signal.states import StatesArrays

Tree = Any
COLUMNS = ("log10_gradient", *readings.COLUMNS)


class Watch:
    """Called as `watch(step, params)`, it probes at every k-th step.

    names: of the states. history: what it has collected.
    """

    def __init__(self, k: int, fn: Functional, network: Network):
        self._k, self._fn, self._network = k, fn, network
        self._collected: dict[int, dict[str, np.ndarray]] = {}
        self.names = tuple(state.name for state in network.states())

    def __call__(self, step: int, params: Tree) -> None:
        """Probes with these parameters if it is the turn of this step.

        A step that comes again, as after a restart, takes the place of the earlier one.
        Raises Mistake where the parameters are not of the model's form, and within jit.
        """
        try:
            step = operator.index(step)
        except TypeError:
            traced = True
        else:
            traced = any(isinstance(a, Tracer) for a in jax.tree.leaves(params))
        if traced:
            raise Mistake(
                f"step: {step!r:.60}: must be a whole number, and the watch be called "
                "outside of jit; inside there is watch.arrays(params)"
            ) from None
        if step % self._k == 0:
            placed = self._placed(params)
            with measuring.undisturbed():
                measured = states.measured(self._network, placed, self._fn.x)
            self._collected[step] = {n: getattr(measured, n) for n in COLUMNS}

    def arrays(self, params: Tree) -> StatesArrays:
        """The same as arrays [states], of these parameters: log10_gradient, log10_length,
        decorrelation, saturated, dead, and more.

        A pure function of arrays: for jit, scan, and vmap over seeds. What a call on the
        host would find in float64 is nan, and marked in `lost`.
        """
        return states.arrays(self._network, self._placed(params), self._fn.x)

    def _placed(self, params: Tree) -> dict[str, Any]:
        """The parameters in their places. Raises Mistake."""
        placed = self._fn.placed(params)
        for name, array in placed.items():
            own = self._fn.params[name].dtype
            if array.dtype != own:
                raise Mistake(
                    f"params: {name} is of {array.dtype}, and {own} when the watch was "
                    "made: give it such, every(…, params=…)"
                )
        return placed

    @property
    def history(self) -> History:
        """What was collected until now, in the order of steps."""
        steps = sorted(self._collected)
        names = self._collected[steps[0]] if steps else ()
        columns = {n: np.stack([self._collected[s][n] for s in steps]) for n in names}
        return History(self.names, tuple(steps), columns)

    def __repr__(self) -> str:
        return f"Watch: every {self._k} steps; {self.history!r}"
