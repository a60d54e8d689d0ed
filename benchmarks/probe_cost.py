"""What does it cost to measure the signal at every state of a function?

Beside the gradient that training takes anyway: jax.value_and_grad of the same function,
jitted, written out or as a scan, whichever is faster.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.lazy import lazily
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
from depthbench.research.study.headlines import measured
from depthbench.research.study.tables import Mark, Table, number, ranged

with lazily():
    import jax
    import jax.numpy as jnp

    from depthbench.research.machine import timing
    from depthbench.research.signal import segments, states

BOUND = 2.0  # times jax.value_and_grad
ROUNDS, SECONDS = 15, 0.5  # at least, for each set of step times
TIMED = (
    "grad_ms grad_ms_low grad_ms_high measured_ms measured_ratio measured_ratio_low "
    "measured_ratio_high arrays_ms arrays_ratio arrays_ratio_low arrays_ratio_high "
    "grad_compile_s measured_compile_s arrays_compile_s"
).split()


class Net(NamedTuple):
    """A net of equal blocks: of one layer's parameters, and h [batch, …, width]."""

    name: str
    source: str
    draw: Callable[[Any, int], Any]
    block: Callable[[Any, Any], Any]
    tokens: int


def plain(p: Any, h: Any) -> Any:
    """A layer of a tanh net."""
    return jnp.tanh(h @ p["w"] + p["b"][None])


def residual(p: Any, h: Any) -> Any:
    """A pre-norm residual block, with a hidden layer of the width."""
    return h + jax.nn.gelu(_normed(h) @ p["up"] + p["b"][None]) @ p["down"]


def attention(p: Any, h: Any) -> Any:
    """A pre-norm Transformer block of one head."""
    z = _normed(h)
    logits = (z @ p["query"]) @ jnp.swapaxes(z @ p["key"], 1, 2)
    weights = jax.nn.softmax(logits * h.shape[-1] ** -0.5)
    h = h + weights @ (z @ p["value"])
    return h + jax.nn.gelu(_normed(h) @ p["up"]) @ p["down"]


def _normed(h: Any) -> Any:
    apart = h - jnp.mean(h, -1, keepdims=True)
    return apart * jax.lax.rsqrt(jnp.mean(jnp.square(apart), -1, keepdims=True) + 1e-5)


def _drawn(names: Sequence[str], gain: float, biases: Sequence[str] = ()) -> Callable:
    def draw(key: Any, width: int) -> Any:
        keys = jax.random.split(key, len(names))
        drawn = {
            name: jax.random.normal(k, (width, width)) * gain * width**-0.5
            for name, k in zip(names, keys, strict=True)
        }
        return drawn | {name: jnp.zeros(width) for name in biases}

    return draw


NETS = Catalogue(
    "net",
    [
        Net("plain", "Schoenholz et al. 2017", _drawn("w", 1.0, "b"), plain, 0),
        Net(
            *("residual", "Xiong et al. 2020, arXiv:2002.04745"),
            *(_drawn(("up", "down"), 0.5, "b"), residual, 0),
        ),
        Net(
            *("transformer", "Xiong et al. 2020, arXiv:2002.04745"),
            *(_drawn(("query", "key", "value", "up", "down"), 0.5), attention, 16),
        ),
    ],
)
AXES = {
    "net": Axis("what is repeated", ("plain", "residual", "transformer"), NETS),
    "depth": Axis("blocks", (24,), kind="integer", low=2, high=10**4),
    "width": Axis("units", (64, 256), kind="integer", low=2, high=10**5),
    "batch": Axis("examples", (16, 128), kind="integer", low=2, high=10**5),
}
SIZES = {
    "smoke": {"net": ("residual",), "depth": (6,), "width": (16,), "batch": (8,)},
    "full": {"depth": (24, 96), "width": (64, 256, 512), "batch": (16, 128, 512)},
}


def cost(cells: Sequence[Cell], shared: Shared) -> Cost:
    cell = max(cells, key=lambda cell: cell["depth"] * cell["width"])
    tokens = max(1, NETS[cell["net"]].tokens)
    layer = 5 * cell["width"] ** 2 + 20 * tokens * cell["batch"] * cell["width"]
    memory = 4 * 6 * layer * cell["depth"] + 2**28
    flops = 60 * tokens * cell["batch"] * cell["width"] ** 2 * cell["depth"]
    seconds = len(cells) * (20 + 4 * (ROUNDS + 1) * (flops * 1e-10 + 0.02))
    return Cost(memory, memory, seconds)


def measure(cells: Sequence[Cell], shared: Shared, memory: int) -> list[Measured]:
    """One Measured for each cell."""
    return [Measured("ok", "", _measured(cell)) for cell in cells]


def _measured(cell: Cell) -> dict[str, Any]:
    net = NETS[cell["net"]]
    key_x, *keys = jax.random.split(jax.random.key(0), cell["depth"] + 1)
    params = [net.draw(key, cell["width"]) for key in keys]
    tokens = (net.tokens,) if net.tokens else ()
    x = jax.random.normal(key_x, (cell["batch"], *tokens, cell["width"]))
    loss = lambda h: jnp.mean(jnp.square(h - 0.3))

    def written_out(params, h):
        for p in params:
            h = net.block(p, h)
        return h

    def scanned(stack, h):
        return jax.lax.scan(lambda h, p: (net.block(p, h), None), h, stack)[0]

    def gradient(f):
        return jax.value_and_grad(lambda params, x: loss(f(params, x)))

    stack = jax.tree.map(lambda *a: jnp.stack(a), *params)
    given = jax.block_until_ready((params, stack, x))
    forms = {
        "written out": (timing.stages(gradient(written_out), params, x), params),
        "scan": (timing.stages(gradient(scanned), stack, x), stack),
    }
    network = segments.network(written_out, params, x, loss)
    first = timing.first(lambda: states.measured(network, params, x).log10_gradient)
    arrays = timing.stages(lambda p, x: states.arrays(network, p, x), params, x)
    calls = {
        name: lambda stages=stages, own=own: stages.compiled(own, x)
        for name, (stages, own) in forms.items()
    }
    calls["measured"] = lambda: states.measured(network, params, x).log10_gradient
    calls["arrays"] = lambda: arrays.compiled(params, x)
    seconds = timing.interleaved(calls, ROUNDS, SECONDS)
    del given
    best = min(forms, key=lambda name: timing.times(seconds[name]).median_ms)
    return _columns(seconds, best) | {
        "gradient": best,
        "states": len(network.states()),
        "programs": len({segment.program for segment in network.segments}),
        "states_mib": network.memory() / 2**20,
        "grad_compile_s": forms[best][0].total_s,
        "measured_compile_s": first.total_s,
        "arrays_compile_s": arrays.total_s,
    }


def _columns(seconds: dict[str, Any], best: str) -> dict[str, Any]:
    """Times of the faster gradient, and how many times as long the others take."""
    step = timing.times(seconds[best])
    columns: dict[str, Any] = {
        "grad_ms": step.median_ms,
        "grad_ms_low": step.low_ms,
        "grad_ms_high": step.high_ms,
        "n": step.n,
    }
    for name in ("measured", "arrays"):
        ratio = timing.ratio(seconds[name], seconds[best])
        columns[f"{name}_ms"] = timing.times(seconds[name]).median_ms
        columns[f"{name}_ratio"] = ratio.median
        columns[f"{name}_ratio_low"] = ratio.low
        columns[f"{name}_ratio_high"] = ratio.high
    return columns


def headline(rows: Sequence[Row]) -> Headline:
    """How many times a gradient the two ways cost, and the worst case."""
    done = measured(rows)
    within = sum(row["measured_ratio"] <= BOUND for row in done)
    dear = max(done, key=lambda row: row["measured_ratio"])
    most = max(row["arrays_ratio"] for row in done)
    return Headline(
        f"Within a compiled program the signal at every state costs up to {most:.2f} "
        f"times the loss's gradient alone; segment by segment, with what float32 loses, "
        f"at most {BOUND:g} times in {within} of {len(done)} cases.",
        f"Worst: {dear['measured_ratio']:.2f} times, {dear['net']} of width "
        f"{dear['width']} at batch {dear['batch']} ({dear['measured_ms']:.2g} ms).",
    )


def tables(rows: Sequence[Row]) -> list[Table]:
    """Times and ratios by net, and what is compiled."""
    rows = [row for row in rows if row["status"] == "ok"]
    if not rows:
        return []
    label = ("net", "depth", "width", "batch")
    ratios = [
        (
            *(number(row[name]) for name in (*label, "grad_ms")),
            _ratio(row, "measured"),
            _ratio(row, "arrays"),
            number(row["n"]),
        )
        for row in rows
    ]
    compiled = ("grad_compile_s", "measured_compile_s", "arrays_compile_s")
    columns = ("states", "programs", "states_mib", *compiled)
    others = [
        tuple(number(row[name], 2) for name in (*label, *columns)) for row in rows
    ]
    return [
        Table(
            "Times the gradient's own time (quartiles)",
            (*label, "grad_ms", "measured", "arrays", "n"),
            tuple(ratios),
        ),
        Table(
            "Programs, MiB that are held, and seconds to compile each",
            (*label, "states", "programs", "MiB", "gradient", "measured", "arrays"),
            tuple(others),
        ),
    ]


def _ratio(row: Row, name: str) -> Mark:
    name = f"{name}_ratio"
    text = ranged(
        row[name], row[f"{name}_low"], row[f"{name}_high"], digits=2, form="f"
    )
    return Mark(text, "good" if row[name] <= BOUND else "bad")


def _estimate(row: Seen, name: str) -> Estimate:
    """A median ratio of times; its error from its quartiles, as if it were normal."""
    if row[name] is None:
        return mean(None, None, row["n"] or 0)
    quartiles = row[f"{name}_high"] - row[f"{name}_low"]
    return mean(row[name], 0.93 * quartiles / row["n"] ** 0.5, row["n"])


def _claim(key: str, column: str, how: str) -> Claim:
    """Our own bar for one way of measuring."""
    return Claim(
        f"depthbench.{key}",
        f"the signal at every state of repeated blocks costs at most {BOUND:g} × the "
        f"gradient, {how}",
        "depthbench's own bar",
        estimate=lambda row: _estimate(row, column),
        allows=below(BOUND),
        scope=lambda row: True,
        label=("net", "depth", "width", "batch"),
    )


CLAIMS = (
    _claim("states-cost-two-gradients", "measured_ratio", "segment by segment"),
    _claim("probe-in-jit-costs-twice", "arrays_ratio", "within a compiled program"),
)

STUDY = Study(
    name="probe_cost",
    kind="benchmark",
    question="What does it cost to measure the signal at every state of a function?",
    source="measured here",
    axes=AXES,
    sizes=SIZES,
    plan=Plan(cost=cost),
    measure="depthbench.benchmarks.probe_cost:measure",
    columns=tuple(
        "net depth width batch status reason gradient n states programs states_mib".split()
    )
    + tuple(TIMED),
    claims=CLAIMS,
    headline=headline,
    tables=tables,
    compile_seconds=0.0,
    timings=("gradient", *TIMED),
    threads=1,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
