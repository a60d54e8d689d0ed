"""Does a deeper net take longer to compile, and what does a gradient profile cost?

Depth is a scan, so 10,000 layers should compile like 10. Every layer's gradient norm
should cost no more than the gradient itself.
"""

import math
import tempfile
from collections.abc import Sequence
from typing import Any, NamedTuple

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.initializers import DRAWS, INITIALIZERS
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.lazy import lazily
from depthbench.research.study import families
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim, Seen
from depthbench.research.study.declaration import (
    Cell,
    Cost,
    Headline,
    Measured,
    Plan,
    Row,
    Shared,
    Study,
)
from depthbench.research.study.estimates import Estimate, below, mean
from depthbench.research.study.headlines import counted, measured, of_deepest
from depthbench.research.study.plan import all_but
from depthbench.research.study.tables import Mark, Table, number, ranged

with lazily():
    import jax
    import jax.numpy as jnp
    import optax

    from depthbench.research.architectures import contract
    from depthbench.research.machine import compiled, timing
    from depthbench.research.signal import probes

COMPILE_BOUND = 1.3  # depth 10,000 over depth 10
PROFILE_BOUND = 1.2  # a profile over jax.value_and_grad
CLASSES = 10
DENSE = ("mlp", "residual_mlp", "residual_mlp_scaled", "rezero_mlp", "highway_mlp")
SHAPE = (8, 8, 1)  # an example: a vector, an image or a sequence, as it is read
STEP_ROUNDS, STEP_SECONDS = 11, 0.5  # at least, for each pair of step times

AXES = {
    "architecture": Axis("how layers are connected", DENSE, ARCHITECTURES),
    "activation": Axis("the nonlinearity", ("relu",), ACTIVATIONS, single=True),
    "depth": Axis(
        "number of layers", (10, 100, 1000, 10_000), kind="integer", low=1, high=10**6
    ),
    "width": Axis("units per layer", (64,), kind="integer", low=2, high=10**5),
    "batch": Axis("examples per batch", (16,), kind="integer", low=2, high=10**5),
    "repeats": Axis(
        "times each net is compiled", (3,), kind="integer", low=1, high=100, single=True
    ),
}
SIZES = {
    "smoke": {"depth": (10, 100), "width": (16,), "batch": (4,), "repeats": (1,)},
    "full": {"depth": (10, 100, 1000, 10_000), "width": (64, 256), "repeats": (9,)},
}


class Prepared(NamedTuple):
    """A net of one depth, what is compiled of it, and the arguments it takes."""

    gradient: Any  # loss and gradients of all parameters
    profile: Any  # loss and log10 gradient norms by layer
    arguments: tuple


def cost(cells: Sequence[Cell], shared: Shared) -> Cost:
    widest = max(cells, key=lambda cell: cell["depth"])
    width, batch = widest["width"], widest["batch"]
    family = ARCHITECTURES[widest["architecture"]]
    states = batch * width * math.prod(SHAPE[: family.space])
    layer = family.kernels * (width * width + width) + 4 * states
    memory = 4 * 4 * layer * widest["depth"] + 2**27  # weights, gradients, room to draw
    steps = 2 * (STEP_ROUNDS + 1) * widest["depth"] * layer * 1e-8
    seconds = len(cells) * (widest["repeats"] * 0.6 + 2.0) + steps
    return Cost(memory, memory, seconds)


def prepare(cell: Cell) -> Prepared:
    """He-normal weights in the standard parametrisation, and Gaussian examples."""
    he = INITIALIZERS["he_normal"]

    def gains(fan_in: int, fan_out: int) -> tuple[float, float]:
        variances = he.hidden(ACTIVATIONS[cell["activation"]])(fan_in, fan_out)
        return variances.sigma_w2**0.5, variances.sigma_b2**0.5

    family = ARCHITECTURES[cell["architecture"]]
    settings = contract.Settings(
        width=cell["width"],
        depth=cell["depth"],
        activation=ACTIVATIONS[cell["activation"]].phi,
        weights=contract.Weights(DRAWS[he.draw], gains, ntk=False),
        normalizer=NORMALIZERS[family.published_normalizer],
        outputs=CLASSES,
        active_depth=cell["depth"],
    )
    net = family.build(settings)
    key_x, key_y, key_net = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(key_x, (cell["batch"], *SHAPE))
    y = jax.random.randint(key_y, (cell["batch"],), 0, CLASSES)
    variables = contract.init(key_net, net, x)

    def cost(logits, y):
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        return jnp.mean(losses)

    def gradient(variables, x, y):
        def loss(variables):
            return cost(contract.apply(net, variables, x)[0], y)

        return jax.value_and_grad(loss)(variables)

    def profile(variables, x, y):
        def loss(logits):
            return cost(logits, y)

        return probes.value_and_log_gradients(net, variables, x, loss)

    return Prepared(gradient, profile, jax.block_until_ready((variables, x, y)))


def measure(cells: Sequence[Cell], shared: Shared, memory: int) -> list[Measured]:
    """One Measured for each depth; depths are compiled in turn, round by round."""
    prepared = [prepare(cell) for cell in cells]
    rounds = [
        [  # without their results: gradients of 10,000 layers, many times over
            timing.stages(net.gradient, *net.arguments)._replace(result=None)
            for net in prepared
        ]
        for _ in range(cells[0]["repeats"])
    ]
    smallest = min(range(len(cells)), key=lambda place: cells[place]["depth"])
    return [
        Measured(
            "ok",
            "",
            {
                "over_depth": cells[smallest]["depth"],
                **_compiling([r[place] for r in rounds], [r[smallest] for r in rounds]),
                "read_s": _reading(net),
                **_stepping(net, rounds[-1][place].compiled),
            },
        )
        for place, net in enumerate(prepared)
    ]


def _compiling(stages: Sequence[Any], smallest: Sequence[Any]) -> dict[str, Any]:
    """Median seconds by stage, and the ratio to the smallest depth's, paired."""
    names = ("trace_s", "lower_s", "compile_s", "first_step_s")
    medians = {n: timing.spread([getattr(s, n) for s in stages]).median for n in names}
    pairs = zip(stages, smallest, strict=True)
    ratio = timing.spread([s.total_s / under.total_s for s, under in pairs])
    return {
        **medians,
        "compile_ratio": ratio.median,
        "compile_ratio_low": ratio.low,
        "compile_ratio_high": ratio.high,
    }


def _reading(net: Prepared) -> float:
    """Seconds that compiling the gradient takes where an earlier run has kept it."""
    with tempfile.TemporaryDirectory() as folder, compiled.kept_in(folder):
        timing.stages(net.gradient, *net.arguments)
        return timing.stages(net.gradient, *net.arguments).compile_s


def _stepping(net: Prepared, gradient: Any) -> dict[str, Any]:
    """Step times of the gradient and of the profile, taken in turn."""
    profile = timing.stages(net.profile, *net.arguments).compiled
    calls = {
        "gradient": lambda: gradient(*net.arguments),
        "profile": lambda: profile(*net.arguments),
    }
    seconds = timing.interleaved(calls, STEP_ROUNDS, STEP_SECONDS)
    step, profiled = timing.times(seconds["gradient"]), timing.times(seconds["profile"])
    ratio = timing.ratio(seconds["profile"], seconds["gradient"])
    return {
        "step_ms": step.median_ms,
        "step_ms_low": step.low_ms,
        "step_ms_high": step.high_ms,
        "n": step.n,
        "profile_ms": profiled.median_ms,
        "profile_ratio": ratio.median,
        "profile_ratio_low": ratio.low,
        "profile_ratio_high": ratio.high,
    }


def headline(rows: Sequence[Row]) -> Headline:
    """How much longer the deepest nets compile, what a profile costs, and the worst."""
    done = measured(rows)
    deep = of_deepest(done)
    slow = max(deep, key=lambda row: row["compile_ratio"])
    dear = max(done, key=lambda row: row["profile_ratio"])
    times = sorted(row["compile_ratio"] for row in deep)
    return Headline(
        f"A net of {counted(slow['depth'], 'layer')} takes {times[0]:.2f} to "
        f"{times[-1]:.2f} times as long to compile as one of {slow['over_depth']}; a "
        f"profile of every layer's gradient takes up to {dear['profile_ratio']:.2f} times "
        "as long as the gradient alone.",
        f"Worst: {slow['architecture']} to compile ({slow['compile_s']:.2g} s), "
        f"{dear['architecture']} with {counted(dear['depth'], 'layer')} for a profile.",
    )


def tables(rows: Sequence[Row]) -> list[Table]:
    """Seconds to compile, and step times, by architecture and depth."""
    rows = [row for row in rows if row["status"] == "ok"]
    if not rows:
        return []
    names = ("architecture", *(n for n in ("width", "batch") if _varies(rows, n)))
    compiling = ("trace_s", "lower_s", "compile_s", "read_s")
    compile_rows, step_rows = [], []
    for row in rows:
        label = tuple(number(row[name]) for name in (*names, "depth"))
        seconds = (number(row[name], 2) for name in compiling)
        ratio = _ratio(row, "compile_ratio", COMPILE_BOUND)
        compile_rows.append((*label, *seconds, ratio, number(row["repeats"])))
        milliseconds = (number(row[name]) for name in ("step_ms", "profile_ms"))
        ratio = _ratio(row, "profile_ratio", PROFILE_BOUND)
        step_rows.append((*label, *milliseconds, ratio, number(row["n"])))
    over = rows[0]["over_depth"]
    return [
        Table(
            f"Seconds to compile loss and gradient, or to read them where they are kept; "
            f"ratio to depth {over} (quartiles)",
            (*names, "depth", *compiling, "ratio", "n"),
            tuple(compile_rows),
        ),
        Table(
            "A step, the profile of every layer's gradient, and their ratio (quartiles)",
            (*names, "depth", "step_ms", "profile_ms", "ratio", "n"),
            tuple(step_rows),
        ),
    ]


def _varies(rows: Sequence[Row], name: str) -> bool:
    return len({row[name] for row in rows}) > 1


def _ratio(row: Row, name: str, bound: float) -> Mark:
    quartiles = row[f"{name}_low"], row[f"{name}_high"]
    text = ranged(row[name], *quartiles, digits=2, form="f")
    return Mark(text, "good" if row[name] <= bound else "bad")


def _estimate(row: Seen, name: str, count: str) -> Estimate:
    """A median ratio of times; its error from its quartiles, as if it were normal."""
    if row[name] is None:
        return mean(None, None, row[count] or 0)
    quartiles = row[f"{name}_high"] - row[f"{name}_low"]
    return mean(row[name], 0.93 * quartiles / row[count] ** 0.5, row[count])


LABEL = ("architecture", "width", "depth")
CLAIMS = (
    Claim(
        "depthbench.compile-time-flat-in-depth",
        f"compile time does not grow with depth: 10,000 over 10 at most {COMPILE_BOUND}",
        "depthbench's own bar: depth is a scan",
        tag="C1",
        estimate=lambda row: _estimate(row, "compile_ratio", "repeats"),
        allows=below(COMPILE_BOUND),
        scope=lambda row: row["depth"] >= 10_000,
        doubt=lambda row: (
            "" if row["over_depth"] == 10 else f"over depth {row['over_depth']}, not 10"
        ),
        label=LABEL,
    ),
    Claim(
        "depthbench.profile-costs-one-gradient",
        f"a full log-gradient profile costs at most {PROFILE_BOUND} × value_and_grad",
        "depthbench's own bar",
        tag="C2",
        estimate=lambda row: _estimate(row, "profile_ratio", "n"),
        allows=below(PROFILE_BOUND),
        scope=lambda row: True,
        label=LABEL,
    ),
)

STUDY = Study(
    name="compile_time",
    kind="benchmark",
    question="Does depth cost compile time, and a gradient profile step time?",
    source="measured here; jax.lax.scan compiles its body once",
    axes=AXES,
    sizes=SIZES,
    fit=families.fit,
    plan=Plan(group=all_but("depth"), cost=cost),  # depths are compared in one run
    measure="depthbench.benchmarks.compile_time:measure",
    columns=tuple(
        "architecture activation depth width batch repeats status reason trace_s "
        "lower_s compile_s read_s first_step_s compile_ratio compile_ratio_low "
        "compile_ratio_high over_depth step_ms step_ms_low step_ms_high n profile_ms "
        "profile_ratio profile_ratio_low profile_ratio_high".split()
    ),
    claims=CLAIMS,
    headline=headline,
    tables=tables,
    compile_seconds=0.0,
    timings=tuple(
        "trace_s lower_s compile_s read_s first_step_s compile_ratio compile_ratio_low "
        "compile_ratio_high step_ms step_ms_low step_ms_high n profile_ms profile_ratio "
        "profile_ratio_low profile_ratio_high".split()
    ),
    threads=1,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
