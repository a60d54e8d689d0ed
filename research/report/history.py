"""What probes at several steps of a training came to: [steps, states] arrays."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.engine.trackers import tensorboard
from depthbench.research.report import figures, notebook
from depthbench.research.signal import profiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TAG = "depthbench/log10_gradient"


class History(NamedTuple):
    """Columns of reports, [steps, states], by name; names are of the states."""

    names: tuple[str, ...]
    steps: tuple[int, ...]
    columns: Mapping[str, np.ndarray]

    @property
    def log10_gradient(self) -> np.ndarray:
        """[steps, states] log10 of the gradient's norm."""
        return self.columns.get("log10_gradient", np.empty((0, len(self.names))))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A dictionary of each step and state."""
        return [
            {
                "step": step,
                "state": name,
                **{key: float(a[i, j]) for key, a in self.columns.items()},
            }
            for i, step in enumerate(self.steps)
            for j, name in enumerate(self.names)
        ]

    @property
    def answer(self) -> str:
        """Decades between the first and the last state, at the first and the last step."""
        if not self.steps:
            return "No step was probed yet."
        decades = profiles.ratio(self.log10_gradient)
        worst = int(np.nanargmax(np.abs(decades))) if np.isfinite(decades).any() else 0
        at = [
            f"{notebook.decades(float(decades[i]), '+')} at step {self.steps[i]}"
            for i in dict.fromkeys((0, worst, len(self.steps) - 1))
        ]
        return (
            f"Decades that the gradient gains from `{self.names[-1]}` to "
            f"`{self.names[0]}`: {', '.join(at)}."
        )

    def figure(self) -> "Figure":
        """A matplotlib Figure: one heat map, step × state. Raises Mistake if empty."""
        if not self.steps:
            raise Mistake("figure: no step was probed yet")
        return notebook.drawn(6.4, 3.6, lambda figure: _draw(figure, self))

    def write(self, target: Any, tag: str = TAG) -> None:
        """Writes the heat map to TensorBoard, at the last step.

        target: a writer with `add_figure`, or the folder that one is to write to, of
        tensorboardX or torch. Raises Mistake where neither is installed.
        """
        figure = self.figure()
        if not isinstance(target, str | PathLike):
            if not hasattr(target, "add_figure"):
                raise Mistake(
                    f"write: a {type(target).__name__} is no folder, and no writer with "
                    "add_figure"
                )
            target.add_figure(tag, figure, self.steps[-1], close=False)
            return
        events = tensorboard.EventFiles(Path(target))
        events.picture(self.steps[-1], tag, figures.as_pixels(figure))
        events.close()

    def to_pandas(self) -> Any:
        """The rows as a DataFrame. Raises Mistake where there is no pandas."""
        return notebook.frame(self.rows)

    def _repr_html_(self) -> str:
        if not self.steps:
            return f"<p>{self.answer}</p>"
        return notebook.part(self.answer, (), figure=self.figure())

    def __repr__(self) -> str:
        return f"{self.answer}\n{len(self.steps)} steps × {len(self.names)} states"


def _draw(figure: Any, history: History) -> None:
    axes = figure.subplots()
    image = figures.over_steps(
        axes, history.steps, history.log10_gradient, least=2 * profiles.SURVIVES
    )
    places = figures.labelled(len(history.names), 12)
    axes.set_yticks(places, [figures.literal(history.names[p]) for p in places])
    axes.tick_params(length=0, labelsize=7)
    steps = [history.steps[p] for p in figures.labelled(len(history.steps), 9)]
    axes.set_xticks(steps, [f"{step:,}" for step in steps])
    axes.set_title(
        "log10 ‖gradient‖ beside the last state's: red vanishes, blue explodes",
        loc="left",
    )
    figure.colorbar(image, ax=axes, shrink=0.9)
