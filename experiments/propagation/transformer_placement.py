"""Does the last layer's gradient shrink with depth, by where the normaliser stands?

Source: Xiong et al. 2020, On Layer Normalization in the Transformer Architecture,
arXiv:2002.04745, theorem 1: at initialisation the gradient of the last feed-forward
net's second matrix is of order 1 in the depth L for Post-LN, and 1/√L for Pre-LN.
"""

import functools

from depthbench.experiments.propagation import transformers
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.estimates import about, mean_of
from depthbench.research.study.headlines import counted, listed, measured

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.architectures import contract, walk
    from depthbench.research.signal import probes

WITHIN = 0.1  # as of DeepNorm: over the fit's factor of 32 in depth, a factor of 1.4
LEAST = 8  # the law is asymptotic: shallower stacks are drawn but not fitted
EXPONENTS = {"transformer_post_ln": 0.0, "transformer_pre_ln": -0.5}


def last_gradient(net, variables, x, y, depth):
    """log10 of the gradient norm [] of the last layer's second feed-forward kernel.

    depth: how many layers of the net are run; may be traced.
    """
    layers, h, _, head = transformers.walked(net, variables, x, depth - 1)
    last, loss = walk.at(layers, depth - 1), transformers.labelled(y)
    params = last.params

    def of_kernel(kernel):
        narrow = {**params["narrow"], "kernel": kernel}
        return loss(head(last.at({**params, "narrow": narrow}, h)))

    gradient = jax.grad(of_kernel)(params["narrow"]["kernel"])
    return jnp.log10(jnp.linalg.norm(gradient))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [gradients(cell) for cell in cells]


def gradients(cell):
    """The exponent of L, fitted to every seed; one program serves all depths."""
    depths = transformers.depths_to(cell["depth"], 2)
    net = transformers.build(cell, cell["depth"])

    @jax.jit
    def run(variables, x, y, depths):
        with jax.default_matmul_precision("highest"):
            last = functools.partial(last_gradient, net, variables, x, y)
            loss = transformers.labelled(y)
            _, by_layer = probes.log_gradients(net, variables, x, loss)
            return jax.lax.map(last, depths), by_layer

    outputs = []
    for key, x, y in zip(*transformers.batches(cell), strict=True):
        # Not compiled as a whole: nets then share what is compiled for each kernel.
        outputs.append(run(contract.init(key, net, x), x, y, depths))
    log10, by_layer = (np.stack(each) for each in zip(*outputs, strict=True))
    arrays = {"depths": depths, "gradient": log10, "by_layer": by_layer}
    if not (np.all(np.isfinite(log10)) and np.all(np.isfinite(by_layer))):
        return Measured("lost", "a gradient is zero or not finite", {}, arrays)
    power = transformers.exponent(log10, depths, min(LEAST, depths[-2]))
    values = {"gradient_exponent": power.mean, "gradient_exponent_se": power.error}
    values["log10_last"] = float(np.mean(log10[:, -1]))
    values["log10_first_over_last"] = float(np.mean(by_layer[:, 0] - by_layer[:, -1]))
    return Measured("ok", "", values, arrays)


def tone(row, name):
    off = abs(row[name] - EXPONENTS[row["architecture"]])
    return "bad" if off - 3 * (row[f"{name}_se"] or 0) > WITHIN else "good"


def headline(rows):
    """How each placement's gradient changes with depth, and which is off theory most."""
    done = measured(rows)
    powers = listed(f"L^{row['gradient_exponent']:+.2f} in {net(row)}" for row in done)
    worst = max(done, key=off)
    return Headline(
        f"With L layers the last layer's gradient changes as {powers}; theory says "
        f"{listed(f'{EXPONENTS[name]:g} in {short(name)}' for name in EXPONENTS)}.",
        f"Farthest from theory: {net(worst)}, by {off(worst):.2f} in the exponent "
        f"(standard error {worst['gradient_exponent_se'] or 0:.2g}).",
    )


def short(name):
    return name.removeprefix("transformer_")


def net(row):
    """The row's net, with its depth."""
    return f"{short(row['architecture'])} up to {counted(row['depth'], 'layer')}"


def off(row):
    return abs(row["gradient_exponent"] - EXPONENTS[row["architecture"]])


def tables(rows):
    title = "Last layer's gradient ∝ L^exponent"
    names = ("gradient_exponent",)
    headers = ("exponent (theory: 0 post, −0.5 pre)",)
    return [transformers.table(rows, title, headers, names, tone)]


def draw_figures(rows, profiles):
    caption = (
        "Left: gradient norm of the last feed-forward net's second matrix at "
        "initialisation, against depth; dots are seeds, dotted lines the theory's "
        "slopes. Right: gradient norm of each layer's parameters in the deepest stack."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    figure = figures.new(9, 3.6)
    left, right = figure.subplots(1, 2)
    transformers.draw_power(left, rows, profiles, "gradient", "‖∂loss/∂W₂‖, last layer")
    for row in rows:
        if row["status"] != "ok":
            continue
        curves, colour = profiles(row), transformers.COLOURS[row["architecture"]]
        depths, mean = curves["depths"].astype(float), curves["gradient"].mean(0)
        slope = EXPONENTS[row["architecture"]]
        line = mean[-1] + slope * np.log10(depths / depths[-1])
        left.plot(depths, 10**line, ":", color=colour, lw=1)
        text = (
            f"{row['architecture'].removeprefix('transformer_')}, {row['depth']} layers"
        )
        share = np.arange(1, row["depth"] + 1) / row["depth"]
        right.plot(share, curves["by_layer"].mean(0), color=colour, label=text)
    right.set_xlabel("layer / depth")
    right.set_ylabel("log10 ‖∂loss/∂θ‖ of a layer")
    right.grid(alpha=0.25, lw=0.5)
    right.legend(fontsize=6.5, frameon=False)
    return figure


def claim(key, says, name):
    return Claim(
        key,
        says,
        "Xiong et al. 2020, arXiv:2002.04745, theorem 1",
        tag="S15",
        protocol="tokens, 8 to 256 layers of 64 units, at initialisation",
        differs="6 to 14 layers on a translation task, beside the theorem",
        estimate=mean_of("gradient_exponent"),
        published=f"exponent {EXPONENTS[name]:g}",
        allows=about(EXPONENTS[name], within=WITHIN),
        # Three depths to fit at the least.
        scope=lambda row: row["architecture"] == name and row["depth"] >= 4 * LEAST,
        label=("architecture", "depth", "width"),
    )


STUDY = Study(
    name="transformer_placement",
    kind="experiment",
    question="Does the last layer's gradient shrink with a Transformer's depth?",
    source="Xiong et al. 2020, arXiv:2002.04745",
    axes=transformers.axes(tuple(EXPONENTS), depth=256, batch=16, seeds=16),
    sizes={
        "smoke": {"depth": (8,), "width": (16,), "batch": (4,), "seeds": (3,)},
        "full": {
            "depth": (1024,),
            "width": (64, 256),
            "batch": (64,),
            "seeds": (16,),
        },
    },
    plan=transformers.plan(layer_seconds=3e-3),
    measure="depthbench.experiments.propagation.transformer_placement:measure",
    columns=tuple(
        "architecture depth width batch seeds status reason gradient_exponent "
        "gradient_exponent_se log10_last log10_first_over_last".split()
    ),
    claims=(
        claim(
            "xiong2020.post-ln-gradient-stays",
            "Post-LN's last gradient does not shrink with depth",
            "transformer_post_ln",
        ),
        claim(
            "xiong2020.pre-ln-gradient-shrinks",
            "Pre-LN's last gradient shrinks as 1/√L",
            "transformer_pre_ln",
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=7.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
