"""Where does half precision lose the gradient that float32 keeps?

Plain backpropagation as in mixed precision, parameters cast and activations and
gradients in the dtype, state by state beside the exact gradient, which is known at any
size. float16 has 11 bits and nothing between 0 and 2^-24; bfloat16 8 bits and float32's
exponents. Nets vanish, keep or explode at rates that infinite-width theory knows (χ₁), so
that theory says at which layer a gradient leaves a dtype. Loss scaling multiplies the
loss by 2^k, which moves that layer, until the largest gradient overflows. All nets are
fresh: what a scale rescues in training is in docs/training.md. It is a loss, no accuracy:
float16 alone trained every small net that float32 did.

Sources: Micikevicius et al. 2018, arXiv:1710.03740; Kalamkar et al. 2019,
arXiv:1905.12322; Schoenholz et al. 2017, arXiv:1611.01232.
"""

from typing import NamedTuple

from depthbench.experiments.propagation import half_shown as shown
from depthbench.experiments.propagation import nets
from depthbench.experiments.propagation.half_claims import (
    BFLOAT,
    CLAIMS,
    SCALING,
    overflow,
    underflow,
)
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.catalogues.dtypes import ACTIVE
from depthbench.research.lazy import lazily
from depthbench.research.study import dtypes
from depthbench.research.study.axes import Axis
from depthbench.research.study.declaration import Measured, Study
from depthbench.research.study.errors import Refusal

with lazily():
    import numpy as np

    from depthbench.research.signal import profiles

SLOPES = "Schoenholz et al. 2017, arXiv:1611.01232"
HE = "He et al. 2015, arXiv:1502.01852"
ISOMETRY = "Pennington, Schoenholz & Ganguli 2017, arXiv:1711.04735"


class HalfNet(NamedTuple):
    """A plain net: its weights, and what its gradient does.

    does: what its gradient does, or its states. sigma_w2, sigma_b2: instead of the
    initialiser's.
    """

    name: str
    source: str
    activation: str
    initializer: str
    does: str
    sigma_w2: float | None = None
    sigma_b2: float | None = None


NETS: Catalogue[HalfNet] = Catalogue(
    "net",
    [
        HalfNet("sigmoid_he", HE, "sigmoid", "he_normal", "vanishes"),
        HalfNet("tanh_biased", SLOPES, "tanh", "he_normal", "vanishes", 1.2, 0.3),
        HalfNet("tanh_ordered", SLOPES, "tanh", "he_normal", "vanishes", 0.64),
        HalfNet("tanh_orthogonal", ISOMETRY, "tanh", "orthogonal", "keeps"),
        HalfNet("relu_he", HE, "relu", "he_normal", "keeps"),
        HalfNet("tanh_chaotic", SLOPES, "tanh", "he_normal", "explodes", 6.0),
        HalfNet("relu_glorot", HE, "relu", "glorot_normal", "states vanish"),
        HalfNet("relu_large", HE, "relu", "he_normal", "states explode", 6.0),
    ],
)


def settings(cell):
    """The net of a cell, as theory and variances are asked for it."""
    net = NETS[cell["net"]]
    return {
        "activation": net.activation,
        "initializer": net.initializer,
        "sigma_w2": net.sigma_w2,
        "sigma_b2": net.sigma_b2,
        "batch": 16,
        "log2_scale": None if ACTIVE[cell["dtype"]].scaled else cell["scale"],
    }


def fit(cells, typed):
    """Scales of the loss are float16's: other cells have none. Raises Refusal."""
    scaled = [c for c in cells if c["dtype"] == "float16" or not c["scale"]]
    if not scaled:
        raise Refusal("--scale: is of float16 alone; --dtype float16 has it")
    left_out = len(cells) - len(scaled)
    line = (
        f"left out {left_out} of {len(cells)} cells: a fixed scale is float16's alone"
    )
    return scaled, [line] * (left_out > 0 and "scale" in typed)


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return nets.measure(cells, shared, memory, settings, finish)


def finish(cell, result):
    """What the dtype keeps, beside the depth at which theory has it lost."""
    names = ("log10_slope_theory", *dtypes.COLUMNS)
    values = {name: result.values.get(name) for name in names}
    arrays = result.profiles
    exact = arrays["log10_entry_of_dtype"].astype(np.float64)
    zeros, cosine = arrays["zeros_of_dtype"], arrays["cosine_of_dtype"]
    half = profiles.over_seeds(halved(exact, zeros))
    values["log10_entry_half"] = none_if_nan(half.mean)
    values["log10_entry_half_se"] = none_if_nan(half.error)
    most = profiles.over_seeds(np.max(exact, axis=1) - halved(exact, zeros))
    values["range"], values["range_se"] = map(none_if_nan, most)
    angle = profiles.over_seeds(np.sqrt(np.maximum(1 - cosine[:, 0] ** 2.0, 0)))
    values["angle"], values["angle_se"] = map(none_if_nan, angle)
    line = arrays.get("log10_gradient_theory")
    if line is not None:
        values["theory_layers"] = lost_by_theory(
            cell["dtype"], values["log2_scale"], exact, line
        )
    kept = {
        "exact": exact,
        "plain": arrays["log10_plain_of_dtype"]
        - arrays["log10_exact_of_dtype"]
        + exact,
        "zeros": zeros,
        "cosine": cosine,
    }
    with np.errstate(invalid="ignore"):
        means = {n: np.mean(a, 0, dtype=np.float64) for n, a in kept.items()}
    profiled = {name: a.astype(np.float32) for name, a in means.items()}
    return Measured("ok", "", values, profiled)


def none_if_nan(value):
    return float(value) if np.isfinite(value) else None


def halved(exact, zeros):
    """log10 of the exact entries' size where half of the plain ones are 0: [seeds].

    exact, zeros: [seeds, states]. Between two states, by a straight line; nan of a seed
    where no more than half are at any state, or more at the last.
    """
    sizes = []
    for size, share in zip(exact[:, ::-1], zeros[:, ::-1], strict=True):
        over = np.flatnonzero(~(share <= 0.5))
        if not over.size or over[0] == 0:
            sizes.append(np.nan)
            continue
        at = over[0]
        ends = share[at - 1], share[at]
        part = (0.5 - ends[0]) / (ends[1] - ends[0])
        sizes.append(size[at - 1] + part * (size[at] - size[at - 1]))
    return np.array(sizes)


def lost_by_theory(dtype, log2_scale, exact, line):
    """Through how many layers at most half the entries are 0 and none is inf: by
    theory's rates, from the measured size at the last state.

    line: theory's log10 of the gradient's norm [states] beside the last one's.
    """
    size = np.mean(exact[:, -1]) + line[::-1].astype(np.float64)
    size += log2_scale * np.log10(2)
    lost = np.flatnonzero((size < underflow(dtype)) | (size > overflow(dtype)))
    return float(lost[0] - 1 if lost.size else len(line) - 1)


STUDY = Study(
    name="half_precision",
    kind="experiment",
    question="Where does half precision lose the gradient that float32 keeps?",
    source=f"{SCALING}; {BFLOAT}",
    axes={
        "net": Axis("a plain net and its weights", tuple(NETS), NETS),
        "dtype": Axis(
            "what activations and gradients are computed in", tuple(ACTIVE), ACTIVE
        ),
        "scale": Axis(
            "log2 of what the loss is multiplied by, in float16",
            (0, 8, 16),
            kind="integer",
            low=0,
            high=60,
        ),
        "depth": Axis("layers", (8, 32, 128), kind="integer", low=2, high=10**5),
        "width": Axis("units", (128,), kind="integer", low=2, high=10**5),
        "seeds": Axis(
            "networks per cell", (8,), kind="integer", low=1, high=999, single=True
        ),
    },
    sizes={
        "smoke": {
            "net": ("sigmoid_he", "relu_he"),
            "dtype": ("float16", "float16_scaled"),
            "scale": (0,),
            "depth": (4, 16),
            "width": (16,),
            "seeds": (2,),
        },
        "full": {
            "width": (128, 1024),
            "depth": (8, 16, 32, 64, 128, 512),
            "seeds": (16,),
        },
    },
    fit=fit,
    plan=nets.plan(settings),
    measure="depthbench.experiments.propagation.half_precision:measure",
    columns=(
        *("net", "dtype", "scale", "depth", "width", "seeds", "status", "reason"),
        *("kept_layers", "kept_layers_se", "lost_how", "half_layers", "half_layers_se"),
        *("theory_layers", "log10_slope_theory", "log10_entry_half"),
        *(
            "log10_entry_half_se",
            "log10_entry",
            "log10_entry_se",
            "zero_share",
            "cosine",
        ),
        *("cosine_se", "angle", "angle_se", "range", "range_se", "log2_scale"),
    ),
    claims=CLAIMS,
    headline=shown.headline,
    tables=shown.tables,
    figures=shown.draw_figures,
    compile_seconds=40.0,  # exact, and each dtype's, with two passes of both nets
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
