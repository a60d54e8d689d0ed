"""Gradients of generators, and what they make: the pictures of the studies of GANs."""

from depthbench.experiments.generation import gan_nets
from depthbench.experiments.unsupervised import montage
from depthbench.research.report import figures as drawn
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import counted, measured, of_deepest

SHOWN = 12  # examples of a row in a picture
STYLES = ("-", "--", ":")


def of_gradient(scoring, rows, profiles):
    """The picture of `gan_gradient`."""
    caption = (
        "Left: log10 of the generator's gradient while a discriminator learns beside a "
        "generator that is kept as it is, by the discriminator's hidden layers. Middle: "
        "the same while both learn in turn. Right: what is made in the end by the "
        "discriminator of most layers, and its Fréchet distance."
    )
    return [Figure("figure", caption, lambda: draw_gradient(scoring, rows, profiles))]


def draw_gradient(scoring, rows, profiles):
    done = measured(rows)
    figure = drawn.new(12.6, 3.5)
    panels = figure.subplots(1, 3, width_ratios=(1, 1, 1.5))
    titles = {
        "alone": "generator's gradient, discriminator alone",
        "in_turn": "the same, both in turn",
    }
    for axes, (name, title) in zip(panels, titles.items(), strict=False):
        draw_courses(axes, done, profiles, name)
        axes.set_title(title, loc="left")
    panels[0].set_ylabel("log10")
    panels[0].legend(fontsize=6, frameon=False)
    strips = [
        (f"{gan_nets.WORDS[row['variant']]}\n{scoring.write(row['score'])}", row)
        for row in of_deepest(done)
    ]
    pictures = [(name, images(profiles(row)["made"])) for name, row in strips]
    depth = counted(of_deepest(done)[0]["depth"], "layer")
    montage.show(
        panels[2], pictures, f"made in the end, {depth}", cmap="Greys", alike=True
    )
    panels[2].tick_params(labelsize=6)
    return figure


def draw_courses(axes, rows, profiles, name):
    """log10 of the gradient by step: a colour a loss, a line style a depth."""
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    depths = sorted({row["depth"] for row in rows})
    for row in rows:
        held = profiles(row)
        axes.plot(
            held[f"{name}_steps"],
            held[name],
            color=f"C{variants.index(row['variant'])}",
            ls=STYLES[depths.index(row["depth"]) % len(STYLES)],
            lw=1.3,
            label=f"{gan_nets.WORDS[row['variant']]}, {row['depth']}",
        )
    axes.set_xlabel("step")
    axes.grid(alpha=0.25, lw=0.5)


def images(made):
    """[count, height, width] of images [count, height, width, channels]."""
    return made.mean(axis=-1)
