"""Does the first update move a deep Transformer's output more than a shallow one's?

Source: Wang et al. 2022, DeepNet: Scaling Transformers to 1,000 Layers,
arXiv:2203.00555. They ask that a step of SGD at rate η move the outputs F by ‖ΔF‖ of the
order of η at any number of layers N, as η → 0. The bound for Post-LN grows with N; α
and β of DeepNorm are chosen so that it does not. The theory speaks of the layers'
weights and leaves out biases and the normalisers' scales and shifts.

Here ‖ΔF‖/η is the derivative of the outputs along the step, which is its limit.
"""

import functools

from depthbench.experiments.propagation import transformers
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Figure, Headline, Measured, Study
from depthbench.research.study.estimates import Allowed, above, below, mean_of
from depthbench.research.study.headlines import listed, measured

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.architectures import contract, walk

WITHIN = 0.1  # over the fit's factor of 256 in depth, a factor of 1.7
LEAST = 4  # bounds are asymptotic: shallower stacks are drawn but not fitted
NAMES = ("transformer_post_ln", "transformer_deepnorm", "transformer_pre_ln")
STEPS = {
    "weights": "SGD, the layers' weights",
    "all": "SGD, all of the layers' parameters",
    "adam": "Adam, the layers' weights",
}


def steps(gradient):
    """The directions of STEPS, from a layer's gradient: leaves [3, …].

    Adam's first step is the gradient's sign.
    """

    def directions(path, leaf):
        weights = leaf if path[-1].key == "kernel" else jnp.zeros_like(leaf)
        return jnp.stack([weights, leaf, jnp.sign(weights)])

    return jax.tree_util.tree_map_with_path(directions, gradient)


def moved(net, variables, x, y, depth):
    """log10 of the mean ‖ΔF‖/η over examples [3], for each of STEPS.

    depth: how many layers are run; may be traced. The gradient is never held for more
    than one layer: the way back keeps cotangents, and the way forth makes steps of them.
    """
    layers, last, before, head = transformers.walked(net, variables, x, depth)

    def back(index, carry):
        cotangent, cotangents = carry
        _, pull = jax.vjp(walk.at(layers, index), before[index])
        return pull(cotangent)[0], cotangents.at[index].set(cotangent)

    loss = transformers.labelled(y)
    start = jax.grad(lambda h: loss(head(h)))(last), jnp.zeros_like(before)
    _, cotangents = walk.loop(layers, back, start, back=True)

    def forth(index, tangents):
        layer, h = walk.at(layers, index), before[index]
        _, pull = jax.vjp(lambda p: layer.at(p, h), layer.params)
        (gradient,) = pull(cotangents[index])
        _, push = jax.linearize(layer.at, layer.params, h)
        return jax.vmap(push)(steps(gradient), tangents)

    still = jnp.zeros((len(STEPS), *last.shape), last.dtype)
    tangents = walk.loop(layers, forth, still)
    _, push = jax.linearize(head, last)
    change = jax.vmap(push)(tangents)  # [3, batch, outputs]
    return jnp.log10(jnp.mean(jnp.linalg.norm(change, axis=-1), axis=-1))


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [updates(cell) for cell in cells]


def updates(cell):
    """The exponents of N, fitted to every seed; one program serves all depths."""
    depths = transformers.depths_to(cell["depth"], 4)

    deepest = transformers.build(cell, cell["depth"])

    @jax.jit
    def run(variables, x, y, depths):
        def at(depth):
            net = transformers.build(cell, depth)
            ratio = transformers.beta(net) / transformers.beta(deepest)
            return moved(net, transformers.brought(variables, ratio), x, y, depth)

        with jax.default_matmul_precision("highest"):
            return jax.lax.map(at, depths)

    log10 = []  # [seeds, depths, 3]
    for key, x, y in zip(*transformers.batches(cell), strict=True):
        # Not compiled as a whole: nets then share what is compiled for each kernel.
        variables = contract.init(key, deepest, x)
        log10.append(run(variables, x, y, depths))
    log10 = np.stack(log10)
    arrays = {name: log10[:, :, place] for place, name in enumerate(STEPS)}
    arrays["depths"] = depths
    if not np.all(np.isfinite(log10)):
        return Measured("lost", "an update is zero or not finite", {}, arrays)
    values = {}
    for name in STEPS:
        power = transformers.exponent(arrays[name], depths, min(LEAST, depths[-2]))
        values |= {f"{name}_exponent": power.mean, f"{name}_exponent_se": power.error}
    return Measured("ok", "", values, arrays)


def tone(row, name):
    return "bad" if row[name] > WITHIN else "good"


def headline(rows):
    """How each net's first update changes with depth, and the steepest of all steps."""
    done = measured(rows)
    powers = [f"N^{r['weights_exponent']:+.2f} in {short(r)}" for r in done]
    every = [
        (row[f"{name}_exponent"], short(row), name) for row in done for name in STEPS
    ]
    exponent, net, name = max(every)
    return Headline(
        f"With N layers the first SGD update of the weights changes a Transformer's "
        f"outputs as {listed(powers)}.",
        f"Worst: {net}, N^{exponent:+.2f} by {STEP_NAMES.get(name, name)}.",
    )


STEP_NAMES = {
    "weights": "SGD of the weights",
    "all": "SGD of all parameters",
    "adam": "Adam",
}


def short(row):
    return row["architecture"].removeprefix("transformer_")


def tables(rows):
    names = tuple(f"{name}_exponent" for name in STEPS)
    headers = ("SGD, weights", "SGD, all parameters", "Adam, weights")
    title = "‖ΔF‖ ∝ N^exponent, the first update of the layers"
    return [transformers.table(rows, title, headers, names, tone)]


def draw_figures(rows, profiles):
    caption = (
        "Change of an example's outputs by the first update, over the learning rate, "
        "against depth; dots are seeds. Left: what the theory speaks of. Middle: with "
        "biases and the normalisers' scales and shifts. Right: by Adam."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    figure = figures.new(10, 3.4)
    panels = figure.subplots(1, len(STEPS))
    panels[1].sharey(panels[0])  # the same learning rate
    for axes, (name, title) in zip(panels, STEPS.items(), strict=True):
        transformers.draw_power(axes, rows, profiles, name, "")
        axes.set_title(title, loc="left")
    panels[0].set_ylabel("‖ΔF‖ / η")
    return figure


def claim(key: str, says: str, name: str, published: str, allows: Allowed) -> Claim:
    return Claim(
        key,
        says,
        "Wang et al. 2022, arXiv:2203.00555, section 4",
        tag="S16",
        protocol="tokens, 4 to 1,024 layers of 64 units, the limit of a small rate, "
        "layers' weights alone",
        differs="a bound, and translation at up to 1,000 layers trained by Adam",
        estimate=mean_of("weights_exponent"),
        published=published,
        allows=allows,
        # Three depths at least, the deepest no shallower than the paper's own nets.
        scope=lambda row: row["architecture"] == name and row["depth"] >= 64,
        label=("architecture", "depth", "width"),
    )


STUDY = Study(
    name="deepnorm_update",
    kind="experiment",
    question="Does the first update move a deep Transformer more than a shallow one?",
    source="Wang et al. 2022, arXiv:2203.00555",
    axes=transformers.axes(NAMES, depth=1024, batch=8, seeds=3),
    sizes={
        "smoke": {"depth": (4,), "width": (16,), "batch": (4,), "seeds": (3,)},
        "full": {"width": (64, 256), "batch": (64,), "seeds": (16,)},
    },
    plan=transformers.plan(layer_seconds=6.5e-3),
    measure="depthbench.experiments.propagation.deepnorm_update:measure",
    columns=tuple(
        "architecture depth width batch seeds status reason weights_exponent "
        "weights_exponent_se all_exponent all_exponent_se adam_exponent "
        "adam_exponent_se".split()
    ),
    claims=(
        claim(
            "wang2022.deepnorm-update-stays",
            "DeepNorm's first SGD update of the weights does not grow with depth",
            "transformer_deepnorm",
            "exponent at most 0",
            below(WITHIN),
        ),
        claim(
            "wang2022.post-ln-update-grows",
            "Post-LN's first SGD update of the weights grows with depth",
            "transformer_post_ln",
            "grows: exponent above 0",
            above(WITHIN),  # by more than what counts as flat
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=5.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
