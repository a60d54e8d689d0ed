"""Do the steps of a sequence become equal with depth, where attention stands alone?

Source: Dong, Cordonnier & Loukas 2021, Attention is not all you need, arXiv:2103.03404.
The residual of a state X is R = X − 1xᵀ, what is left of it when the mean x over steps is
taken away. Theorem 2.2: in a net of attention alone its norm is bounded by a constant
power of its cube at every layer, so that it falls doubly exponentially, 3^L in the
exponent. With skips there are paths past all layers, which do not fall (section 3).

The cube is exact algebra, not float arithmetic: scores of a step i beyond what all steps
have in common are R_i W Rᵀ, of second order, and multiply R again. `deviation` adds up
these alone, so that a residual of 10^-250 is a number like any other; computed as X minus
its mean, a residual is lost in rounding after three layers.
"""

import functools

from depthbench.experiments.propagation import transformers
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.doubts import certain
from depthbench.research.study.estimates import above, mean
from depthbench.research.study.headlines import listed, measured, of_deepest
from depthbench.research.study.tables import Mark, Table

with lazily():
    import jax
    import numpy as np

    from depthbench.research.architectures import attention, contract, walk
    from depthbench.research.signal import profiles as profiles_of

SOURCE = "Dong, Cordonnier & Loukas 2021, arXiv:2103.03404"
FLOOR = 1e-5  # of the state's norm: below, float32's rounding is a part of a residual
SMALL = 0.1  # of the state's norm: from there on, third order is what is left
LEAST = 1e-90  # whose cube is a float64
CUBIC = 2.75  # log-log slope, of 3 as the residual goes to 0
STOPPED = -0.05  # decades a layer: a tenth of what is left after 20 layers

NETS = {
    "attention": ("attention", "none"),
    "attention, normalised": ("attention", "layer"),
    "attention, feed-forward": ("attention_feed", "none"),
    "attention, feed-forward, normalised": ("attention_feed", "layer"),
    "attention, skips": ("attention_skip", "none"),
    "attention, skips, normalised": ("attention_skip", "layer"),
    "Pre-LN": ("transformer_pre_ln", "layer"),
    "Post-LN": ("transformer_post_ln", "layer"),
}


def residual(h):
    """(R, the mean x over steps) of states [..., time, width]."""
    x = np.mean(h, axis=-2, keepdims=True)
    return h - x, x


def deviation(params, heads, r, x):
    """(R', x'): an attention layer's output as its residual and mean, in float64.

    params: of `attention.Attention`. r: [time, width], of mean 0 over steps; x: [width].
    """
    query, key, value, output = (
        {name: np.asarray(a, np.float64) for name, a in params[part].items()}
        for part in ("query", "key", "value", "output")
    )
    size = len(x) // heads
    rest = np.zeros_like(r)  # what is added to the mean's output
    common = np.zeros_like(x)
    for head in range(heads):
        units = slice(head * size, (head + 1) * size)
        keys = r @ key["kernel"][:, units]
        same = (x @ query["kernel"] + query["bias"])[units] @ keys.T * size**-0.5
        other = (r @ query["kernel"][:, units]) @ keys.T * size**-0.5
        shares = np.exp(same - np.max(same))
        shares /= np.sum(shares)  # [time], of a step like the mean
        beyond = np.expm1(other)  # [time, time]: e^(same + other) = e^same (1 + beyond)
        drift = beyond @ shares
        change = shares * (beyond - drift[:, None]) / (1 + drift[:, None])
        outward = value["kernel"][:, units] @ output["kernel"][units]
        rest += change @ r @ outward
        common += (shares @ r) @ outward
    shift = np.mean(rest, axis=0)
    bias = value["bias"] @ output["kernel"] + output["bias"]
    through = x @ value["kernel"] @ output["kernel"] + bias
    return rest - shift, through + common + shift


def exact_residuals(stacked, heads, h):
    """log10 ‖R‖/‖X‖ [layers + 1] of attention alone; h: [time, width], the first state."""
    r, x = residual(np.asarray(h, np.float64))
    x = x[0]
    sizes = [relative(r, x)]
    for layer in range(len(jax.tree.leaves(stacked)[0])):
        r, x = deviation(jax.tree.map(lambda a, n=layer: a[n], stacked), heads, r, x)
        sizes.append(relative(r, x))
        if sizes[-1] < np.log10(LEAST):
            break
    return np.array(sizes)


def relative(r, x):
    """log10 ‖R‖/‖X‖ of a residual [time, width] and the mean of steps [width]."""
    largest = np.max(np.abs(r))  # whose square may be no float64
    small = largest * np.linalg.norm(r / largest)
    return np.log10(small / np.hypot(small, len(r) ** 0.5 * np.linalg.norm(x)))


def power(log10):
    """The slope of a residual's logarithm on that of the layer before it.

    From the first that is below SMALL of its state on; nan where there are not three.
    """
    later = np.asarray(log10)[np.flatnonzero(np.asarray(log10) < np.log10(SMALL))]
    if len(later) < 3:
        return float("nan")
    return float(np.polyfit(later[:-1], later[1:], 1)[0])


def fall(log10):
    """Decades a layer over the later half of the layers before FLOOR is reached."""
    below = np.flatnonzero(np.asarray(log10) < np.log10(FLOOR))
    last = below[0] if below.size else len(log10) - 1
    half = last // 2
    return float((log10[last] - log10[half]) / (last - half))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [residuals(cell) for cell in cells]


@functools.cache
def program(net, width, depth):
    """(architecture, from variables and x to all states): compiled once for all seeds."""
    name, normalizer = NETS[net]
    built = transformers.build(
        {"architecture": name, "width": width, "depth": depth}, depth, normalizer
    )

    @jax.jit
    def states(variables, x):
        (layers,), h, _ = walk.begin(contract.links(built, variables), x)
        with jax.default_matmul_precision("highest"):
            last, before = walk.through(layers, h)
        return jax.numpy.concatenate([before, last[None]])

    return built, states


def residuals(cell):
    """How fast the residual falls: of float32's states, and exactly for attention alone."""
    built, states = program(cell["net"], cell["width"], cell["depth"])
    falls, powers, curves, exact = [], [], [], []
    for key, x, _ in zip(*transformers.batches(cell), strict=True):
        variables = contract.init(key, built, x)
        h = np.asarray(states(variables, x), np.float64)
        if not np.all(np.isfinite(h)):
            return Measured("overflow", "a state is not finite in float32", {})
        curve = sizes(h)
        curves.append(np.maximum(curve, np.log10(FLOOR)))
        falls.append(fall(curve))
        if NETS[cell["net"]] == ("attention", "none"):
            stacked = variables.stages[0]["params"]["attention"]
            heads = attention.heads_of(cell["width"])
            each = [exact_residuals(stacked, heads, start) for start in h[0]]
            powers.append(np.mean([power(one) for one in each]))
            exact.append(each[0])
    rate = profiles_of.over_seeds(np.array(falls))
    values = {"decades_per_layer": rate.mean, "decades_per_layer_se": rate.error}
    values["log10_residual"] = float(np.mean([curve[-1] for curve in curves]))
    arrays = {"log10_residual": np.stack(curves)}
    if powers and np.all(np.isfinite(powers)):
        slope = profiles_of.over_seeds(np.array(powers))
        values |= {"power": slope.mean, "power_se": slope.error}
        arrays["exact"] = exact[0]
    return Measured("ok", "", values, arrays)


def sizes(h):
    """Mean over the batch of log10 ‖R‖/‖X‖ [states], of h [states, batch, time, width].

    A residual of 0 is as large as the rounding of its state.
    """
    r, _ = residual(h)
    share = np.linalg.norm(r, axis=(2, 3)) / np.linalg.norm(h, axis=(2, 3))
    return np.mean(np.log10(np.maximum(share, np.finfo(np.float32).eps)), axis=1)


def headline(rows):
    """In which nets steps become equal, by layers, and where they do so soonest."""
    deep = of_deepest(measured(rows))
    falling = [row for row in deep if row["decades_per_layer"] < STOPPED]
    standing = [row for row in deep if row not in falling]
    worst = min(deep, key=lambda row: row["decades_per_layer"])
    rate, power = worst["decades_per_layer"], worst.get("power")
    cubic = (
        "" if power is None else f", each residual the one before to the {power:.2f}"
    )
    return Headline(
        f"Through {deep[0]['depth']:,} layers the steps of a sequence become equal, by "
        f"{-STOPPED:g} decades a layer or more, in "
        f"{listed(map(quoted, falling), 8)}; not in {listed(map(quoted, standing), 8)}.",
        f"Worst: {quoted(worst)}, {rate:+.2f} decades a layer{cubic}.",
    )


def quoted(row):
    return f"“{row['net']}”"  # there are commas in it


def tables(rows):
    title = "How fast the steps of a sequence become equal"

    def line(row):
        if row["status"] != "ok":
            return (row["net"], str(row["depth"]), Mark(row["status"], "bad"), "-", "-")
        error, slope = row["decades_per_layer_se"], row.get("power")
        tone = "good" if row["decades_per_layer"] >= STOPPED else "bad"
        return (
            row["net"],
            str(row["depth"]),
            Mark(f"{row['decades_per_layer']:+.3f} ± {error or 0:.3f}", tone),
            f"{row['log10_residual']:.2f}",
            "-" if slope is None else f"{slope:.3f} ± {row['power_se'] or 0:.3f}",
        )

    headers = (
        *("net", "layers", "decades a layer", "log10 of the share left at the end"),
        "log-log slope (theory: 3)",
    )
    return [Table(title, headers, tuple(line(row) for row in rows))]


def draw_figures(rows, profiles):
    caption = (
        "Norm of the residual, as a share of the state's, by layer at initialisation. "
        f"Left: mean over seeds and their range; at 10^{np.log10(FLOOR):.0f} float32 "
        "ends. Right: attention alone, computed as what it deviates by: one digit, with "
        "three times the decades a layer dotted."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    import matplotlib

    figure = figures.new(9.5, 3.8)
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    colours = matplotlib.color_sequences["tab10"]
    for row in rows:
        if row["status"] != "ok":
            continue
        curves = profiles(row)
        place = list(NETS).index(row["net"])
        values, layers = curves["log10_residual"], np.arange(row["depth"] + 1)
        left.plot(
            layers, values.mean(0), color=colours[place], label=row["net"], lw=1.5
        )
        left.fill_between(
            layers, values.min(0), values.max(0), color=colours[place], alpha=0.15, lw=0
        )
        if "exact" in curves:
            exact = curves["exact"]
            right.plot(exact, "o-", color=colours[place], ms=4, lw=1.2)
            law = exact[-1] * 3.0 ** (np.arange(len(exact)) - len(exact) + 1)
            right.plot(law, ":", color="black", lw=1)
    left.set_ylabel("log10 ‖R‖ / ‖X‖")
    right.set_title("attention alone, exact", loc="left", fontsize=9)
    for axes in (left, right):
        axes.set_xlabel("layer")
        axes.grid(alpha=0.25, lw=0.5)
    left.legend(fontsize=6.5, frameon=False, loc="center right")
    return figure


PROTOCOL = (
    "random nets at Xavier's variance, read at initialisation: digits as "
    "sequences of eight steps, residual as a share of the state's norm"
)


def claim(key, says, section, nets, **more):
    return Claim(
        f"dong2021.{key}",
        says,
        f"{SOURCE}, {section}",
        scope=lambda row: row["net"] in nets,
        protocol=PROTOCOL,
        label=("net", "depth", "width"),
        doubt=certain,
        tag="S30",
        **more,
    )


def fall_of(row):
    return mean(row["decades_per_layer"], row["decades_per_layer_se"], row["seeds"])


STOPS = (
    "BERT, ALBERT and XLNet with text; its theorems are about absolute norms, which a "
    "skip keeps while the state grows around them"
)

STUDY = Study(
    name="rank_collapse",
    kind="experiment",
    question="Do the steps of a sequence become equal where attention stands alone?",
    source=SOURCE,
    axes={
        "net": Axis(
            "what is left of a Transformer",
            tuple(NETS),
            Catalogue(
                "net",
                [
                    ARCHITECTURES[name]._replace(name=net)
                    for net, (name, _) in NETS.items()
                ],
            ),
        ),
        **{
            name: axis
            for name, axis in transformers.axes(
                ("transformer_pre_ln",), depth=48, batch=16, seeds=5
            ).items()
            if name != "architecture"
        },
    },
    sizes={
        "smoke": {"depth": (8,), "width": (16,), "batch": (4,), "seeds": (3,)},
        "full": {
            "depth": (192,),
            "width": (64, 512),
            "batch": (64,),
            "seeds": (16,),
        },
    },
    plan=transformers.plan(layer_seconds=3e-3),
    measure="depthbench.experiments.propagation.rank_collapse:measure",
    columns=tuple(
        "net depth width batch seeds status reason decades_per_layer "
        "decades_per_layer_se log10_residual power power_se".split()
    ),
    claims=(
        claim(
            "attention-alone-is-cubic",
            "attention alone goes to rank 1 doubly exponentially with depth, each "
            "layer's residual at least as the cube of the one before",
            "theorem 2.2",
            ("attention",),
            estimate=lambda row: mean(
                row.get("power"), row.get("power_se"), row["seeds"]
            ),
            allows=above(CUBIC),
            published="3^L in the exponent of a bound",
            differs="a bound for weights of bounded norm, in a norm between ‖·‖₁ and ‖·‖∞",
        ),
        claim(
            "skips-stop-collapse",
            "with skips the residual of deep stacks of attention no longer falls "
            f"exponentially (by {-STOPPED:g} decades a layer or less)",
            "abstract, section 3, figure 2",
            tuple(net for net in NETS if "skips" in net or net.endswith("-LN")),
            estimate=fall_of,
            allows=above(STOPPED),
            published="skips stop the degeneration",
            differs=STOPS,
        ),
        claim(
            "feed-forward-stops-collapse",
            "feed-forward nets between layers of attention without skips stop the "
            f"residual's fall (to {-STOPPED:g} decades a layer or less)",
            "abstract, section 3, figure 2",
            tuple(net for net in NETS if "feed-forward" in net),
            estimate=fall_of,
            allows=above(STOPPED),
            published="MLPs stop the degeneration",
            differs=STOPS,
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=8.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
