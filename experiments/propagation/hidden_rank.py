"""Does batch norm keep the states of a batch from becoming all alike?

The rank of a matrix of random numbers is full but for chance, so it is measured softly:
r = (Σ s²)² / Σ s⁴ of the singular values s, by which the source bounds the number of
those that are not small. It is 1 where all examples are multiples of one.

Source: Daneshmand, Kohler, Bach, Hofmann & Lucchi 2020, arXiv:2003.01652.
"""

import functools
import math

from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.initializers import INITIALIZERS, Rule
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import (
    Cost,
    Figure,
    Headline,
    Measured,
    Plan,
    Study,
)
from depthbench.research.study.doubts import certain
from depthbench.research.study.estimates import above, below, mean, mean_of
from depthbench.research.study.headlines import counted, listed, measured, of_deepest
from depthbench.research.study.tables import Mark, Table, number, with_error

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.architectures import contract, walk
    from depthbench.research.signal import ensembles, profiles

SOURCE = "Daneshmand et al. 2020, arXiv:2003.01652"
LATE = 4  # the last quarter of the states is averaged


@functools.cache
def _program(activation, normalizer, width, depth):
    """A compiled (seed, σ_w²) -> soft rank of every state [depth + 1]: batch = width."""
    program = ensembles.Program(
        "mlp", normalizer, (activation,), width, depth, width, "noise"
    )

    def run(seed, sigma_w2):
        member = ensembles.Member(Rule(1.0), Rule(sigma_w2))
        phi = ACTIVATIONS[activation].phi
        net = ensembles.build(program, phi, "normal", member, depth)
        key_x, key_net = jax.random.split(jax.random.key(seed))
        x = jax.random.normal(key_x, (width, width))
        variables = contract.init(key_net, net, x)
        with jax.default_matmul_precision("highest"):
            links = contract.links(net, variables)
            return soft_ranks(links, x, NORMALIZERS[normalizer])

    return jax.jit(run)


def soft_ranks(links, x, normalizer):
    """(Σ s²)² / Σ s⁴ of every state [batch, width] of a net of one stage, [depth + 1].

    Of what each layer reads: its state less its mean and over its deviation, where the
    normaliser takes those.
    """
    stem, (layers,), _ = walk.parts(links)

    def step(h, layer):
        after = layer(h)
        if normalizer.statistics is None:  # no scale: it would leave float32
            after = after / jnp.max(jnp.abs(after))
        return after, soft_rank(normalized(after, normalizer))

    start = walk.fold(stem, x)[0]
    _, later = walk.scan(layers, step, start)
    return jnp.concatenate([soft_rank(normalized(start, normalizer))[None], later])


def normalized(h, normalizer):
    """The state as a normaliser gives it to φ."""
    if normalizer.statistics is None:
        return h
    center, variance = normalizer.statistics(h)
    return (h - center) * jax.lax.rsqrt(variance + 1e-12)


def soft_rank(h):
    """(Σ s²)² / Σ s⁴ of the singular values s of h [batch, width]: (tr M)² / tr M²."""
    h = h / jnp.max(jnp.abs(h))
    return jnp.sum(jnp.square(h)) ** 2 / jnp.sum(jnp.square(h.T @ h))


def measure(cells, shared, memory):
    """One Measured for each cell of a unit."""
    return [_measured(cell) for cell in cells]


def _measured(cell):
    depth, width = cell["depth"], cell["width"]
    activation = ACTIVATIONS[cell["activation"]]
    rule = INITIALIZERS[cell["initializer"]].hidden(activation)
    run = _program(cell["activation"], cell["normalizer"], width, depth)
    sigma_w2 = np.float32(rule(width, width).sigma_w2)
    ranks = np.stack(
        jax.device_get(
            [run(np.uint32(seed), sigma_w2) for seed in range(cell["seeds"])]
        )
    ).astype(np.float64)
    if not np.all(np.isfinite(ranks)):
        dead = np.sum(~np.all(np.isfinite(ranks), axis=1))
        return Measured("lost", f"the state is exactly 0 in {dead} nets", {})
    first = profiles.over_seeds(ranks[:, 0])
    late = profiles.over_seeds(np.mean(ranks[:, -max(depth // LATE, 1) :], axis=1))
    values = {
        "rank_first": first.mean,
        "rank": late.mean,
        "rank_se": late.error if cell["seeds"] > 1 else None,
        "rank_over_root": late.mean / math.sqrt(width),
        "rank_random": width / 2,
    }
    return Measured("ok", "", values, {"rank": np.mean(ranks, axis=0)})


def powers(rows):
    """Of nets alike but for width: the power of width with which the late rank grows."""
    alike = {}
    for row in rows:
        if row["status"] == "ok":
            key = tuple(row[n] for n in ("activation", "normalizer", "depth"))
            alike.setdefault(key, []).append(row)
    fitted = []
    for of in alike.values():
        if len(of) < 2 or any(not row["rank_se"] for row in of):
            continue
        x = np.log([row["width"] for row in of])
        y = np.log([row["rank"] for row in of])
        errors = np.array([row["rank_se"] / row["rank"] for row in of])
        lever = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
        power = {
            "power": float(lever @ y),
            "power_se": float(np.linalg.norm(lever * errors)),
        }
        fitted.append({**of[-1], **power})
    return fitted


def headline(rows):
    """The late rank of the widest nets, and the net that keeps the least of its width."""
    done = measured(rows)
    wide = of_deepest(done, "width")
    ranks = [f"{row['rank']:.3g} in {net(row)}" for row in wide]
    worst = min(done, key=lambda row: row["rank"] / row["width"])
    return Headline(
        f"After {counted(wide[0]['depth'], 'layer')} the states of {wide[0]['width']:,} "
        f"examples have a soft rank of {listed(ranks, 8)}; 1 would be all alike, random "
        f"ones have {wide[0]['rank_random']:g}.",
        f"Worst: {net(worst)} with {counted(worst['width'], 'unit')}, "
        f"{worst['rank']:.3g} from {worst['rank_first']:.3g}.",
    )


def net(row):
    norm = "no norm" if row["normalizer"] == "none" else f"{row['normalizer']} norm"
    return f"{row['activation']} nets with {norm}"


def tables(rows):
    """Soft ranks of the first and the late states; then the power of width."""
    body = tuple(
        (
            row["activation"],
            row["normalizer"],
            number(row["width"]),
            number(row["rank_first"]),
            with_error(row["rank"], row["rank_se"], ".2f"),
            number(row["rank_over_root"]),
        )
        if row["status"] == "ok"
        else (row["activation"], row["normalizer"], number(row["width"]))
        + (Mark(row["status"], "bad"), "", "")
        for row in rows
    )
    headers = ("activation", "normalizer", "width", "first", "late", "late / √width")
    fits = tuple(
        (
            row["activation"],
            row["normalizer"],
            with_error(row["power"], row["power_se"], ".3f"),
        )
        for row in powers(rows)
    )
    return [
        Table("Soft rank of as many examples as units", headers, body),
        Table("Power of width of the late rank", (*headers[:2], "power"), fits),
    ]


def draw_figures(rows, profiles):
    caption = (
        "Soft rank of the hidden states by layer, over √width. Dashed: rank 1. Batch norm "
        "holds it at a share of √width, however deep; without it all examples become one."
    )
    return [Figure("figure", caption, functools.partial(_draw, rows, profiles))]


def _draw(rows, profiles):
    names = list(dict.fromkeys(row["activation"] for row in rows))
    figure = figures.new(4.2 * len(names), 3.4)
    panels = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    widths = sorted({row["width"] for row in rows})
    for axes, name in zip(panels, names, strict=True):
        for row in rows:
            if row["activation"] == name and row["status"] == "ok":
                rank = profiles(row)["rank"] / math.sqrt(row["width"])
                plain = row["normalizer"] == "none"
                axes.plot(
                    np.arange(1, len(rank) + 1),
                    rank,
                    ":" if plain else "-",
                    color=f"C{widths.index(row['width'])}",
                    lw=1.1,
                    label=f"width {row['width']}, {row['normalizer']}",
                )
        for place, width in enumerate(widths):
            axes.axhline(1 / math.sqrt(width), color=f"C{place}", lw=0.6, ls="--")
        axes.set_title(name, loc="left")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("layer")
    panels[0].set_ylabel("soft rank / √width")
    panels[-1].legend(fontsize=6, frameon=False)
    return figure


def cost(cells, shared):
    """A layer is drawn, applied to as many examples as units, and its Gram matrix made."""
    seconds = sum(
        c["seeds"] * c["depth"] * (1.5e-8 * c["width"] ** 2 + 4e-10 * c["width"] ** 3)
        for c in cells
    )
    largest = max(c["depth"] * c["width"] ** 2 for c in cells)
    return Cost(2**27 + 8 * largest, 2**27 + 8 * largest, seconds)


def power(row):
    return mean(row["power"], row["power_se"], row["seeds"])


STUDY = Study(
    name="hidden_rank",
    kind="experiment",
    question="Does batch norm keep the states of a batch from becoming all alike?",
    source=SOURCE,
    axes={
        "activation": Axis("the nonlinearity", ("linear", "relu"), ACTIVATIONS),
        "normalizer": Axis(
            "what comes before the activation", ("none", "batch"), NORMALIZERS
        ),
        "initializer": Axis(
            "how weights are drawn", ("critical",), INITIALIZERS, single=True
        ),
        "width": Axis(
            "units, and examples", (32, 64, 128), kind="integer", low=4, high=10**4
        ),
        "depth": Axis("layers", (512,), kind="integer", low=2, high=10**5, single=True),
        "seeds": Axis(
            "networks per cell", (8,), kind="integer", low=1, high=9999, single=True
        ),
    },
    sizes={
        "smoke": {"width": (16, 32), "depth": (32,), "seeds": (3,)},
        "full": {
            "width": (32, 64, 128, 256, 512),
            "depth": (4096,),
            "seeds": (16,),
        },
    },
    plan=Plan(group=lambda cell: tuple(cell.values()), cost=cost),
    measure="depthbench.experiments.propagation.hidden_rank:measure",
    columns=tuple(
        "activation normalizer initializer width depth seeds status reason rank rank_se "
        "rank_over_root rank_first rank_random".split()
    ),
    claims=(
        Claim(
            "daneshmand2020.plain-nets-fall-to-one",
            "without normalisation the states of a batch become multiples of one another",
            SOURCE,
            tag="S29",
            estimate=mean_of("rank"),
            allows=below(1.2),
            published="rank 1",
            scope=lambda row: (
                row["normalizer"] == "none" and row["depth"] >= 4 * row["width"]
            ),
            protocol="8 nets of 32 to 128 units and 512 layers, 4 a unit at least; soft "
            "rank (Σ s²)² / Σ s⁴ of as many Gaussian examples as units, over the last "
            "quarter",
            differs="has linear nets tend to rank 1, and shows ReLU nets that do",
            doubt=certain,
            label=("activation", "width"),
        ),
        Claim(
            "daneshmand2020.batch-norm-keeps-rank",
            "with batch norm the rank of a batch's states grows at least as √width",
            SOURCE,
            tag="S29",
            estimate=power,
            allows=above(0.4),
            of=powers,
            published="Ω(√width): power ½ at least",
            scope=lambda row: row["normalizer"] == "batch",
            protocol="8 nets of 32 to 128 units and 512 layers; the power of width of the "
            "soft rank (Σ s²)² / Σ s⁴ of as many examples as units, centred, over the last "
            "quarter of the layers; .1 for widths that are not large",
            differs="proves it of linear nets with small residual branches, not centred, "
            "for the mean over infinitely many layers",
            doubt=certain,
            label=("activation",),
        ),
    ),
    headline=headline,
    tables=tables,
    figures=draw_figures,
    compile_seconds=3.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
