"""What a fresh net's gradient does, and how deep theory lets it train: columns that
stand beside what training does."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.lazy import lazily
from depthbench.research.study import dtypes
from depthbench.research.study.declaration import Cell, Shared

with lazily():
    from depthbench.research.signal import measurement
    from depthbench.research.theory import trajectories

COLUMNS = (
    "gradient",
    "log10_ratio",
    "log10_ratio_se",
    "log10_slope",
    "log10_slope_se",
    "log10_slope_theory",
    "xi_c",
    "theory_depth",
)


class Fresh(NamedTuple):
    """columns: COLUMNS, and those of a dtype where one is named. decades: log10
    ‖∂loss/∂h_0‖ − log10 ‖∂loss/∂h_l‖, the mean over seeds, for every state l [states];
    empty where there is none."""

    columns: dict[str, Any]
    decades: np.ndarray


def shared(cells: Sequence[Cell], deepest: int) -> dict[str, Any]:
    """What a study's cells share, so that few programs serve them all."""
    activations = dict.fromkeys(str(c["activation"]) for c in cells)
    return {"activations": list(activations), "deepest": deepest}


def measure(cell: Mapping[str, Any], depth: int, shared: Shared) -> Fresh:
    """The cell's nets at a depth, before training: the mean of its seeds."""
    repeats = ARCHITECTURES[cell["architecture"]].repeats
    capacity = max(shared["deepest"], depth) if repeats else depth
    settings = {**cell, "depth": depth}
    program = measurement.program_of(settings, tuple(shared["activations"]), capacity)
    (measured,) = measurement.measure([settings], program, cell["seeds"])
    values = {**dict.fromkeys(COLUMNS), **measured.values}
    columns: dict[str, Any] = {name: values[name] for name in COLUMNS}
    columns |= {name: values[name] for name in dtypes.COLUMNS if name in values}
    columns["gradient"] = values.get("verdict")
    columns["theory_depth"] = theory_depth(cell, values)
    profile = measured.profiles.get("log10_gradient")
    if profile is None:
        return Fresh(columns, np.empty(0))
    with np.errstate(invalid="ignore"):
        decades = np.mean(profile[:, :1] - profile, axis=0, dtype=np.float64)
    return Fresh(columns, decades)


def theory_depth(cell: Mapping[str, Any], values: Mapping[str, Any]) -> float | None:
    """How many layers train, by theory; None where there is none.

    6 ξ_c of plain nets (Schoenholz et al. 2017, arXiv:1611.01232); 16 / ln(rate) with
    batch norm, whose squared gradient grows by that rate (Yang et al. 2019,
    arXiv:1902.08129).
    """
    if cell["normalizer"] == "batch":
        if values.get("log10_slope_theory") is None:
            return None
        rate = trajectories.batch_norm_rate(ACTIVATIONS[cell["activation"]])
        return 16 / math.log(rate) if rate > 1 else math.inf
    depth = values.get("trainable_depth")
    return None if depth is None or math.isnan(depth) else depth


def survives_to(architecture: str, deepest: Fresh, depth: int, most: float) -> int:
    """The deepest net whose gradient stays within `most` decades from last to first.

    deepest: what was measured at `depth`. Where layers repeat its first layers are the
    shallower nets; otherwise decades are taken to grow in proportion to the depth. What
    is no number has been lost.
    """
    if ARCHITECTURES[architecture].repeats:
        with np.errstate(invalid="ignore"):
            beyond = np.flatnonzero(~(np.abs(deepest.decades) <= most))
        return int(beyond[0]) - 1 if beyond.size else len(deepest.decades) - 1
    ratio = deepest.columns["log10_ratio"]
    if ratio is None:
        return 0
    return depth if abs(ratio) <= most else int(depth * most / abs(ratio))
