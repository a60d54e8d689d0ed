"""Gradients of generators, and what they make: the pictures of the studies of GANs."""

from depthbench.experiments import score_panels
from depthbench.experiments.generation import gan_nets
from depthbench.experiments.scores import words
from depthbench.experiments.unsupervised import montage
from depthbench.research.datasets import digits
from depthbench.research.report import figures as drawn
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import counted, measured, of_deepest

SHOWN = 12  # examples of a row in a picture
STYLES = ("-", "--", ":")


def of_gradient(scoring, rows, profiles):
    """The picture of `gan_gradient`."""
    caption = (
        "Left: log10 of the generator's gradient while a discriminator learns beside a "
        "generator that is kept as it is, by the discriminator's hidden layers after its "
        "first. Middle: the same while both learn in turn. Right: what is made in the end "
        "by the discriminator of most layers, and its Fréchet distance."
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
        axes.set_ylabel("log10 of the gradient's length")
        drawn.legend_below(axes)
    strips = [
        (f"{gan_nets.WORDS[row['variant']]}\n{scoring.write(row['score'])}", row)
        for row in of_deepest(done)
    ]
    pictures = [(name, images(profiles(row)["made"], row)) for name, row in strips]
    depth = counted(of_deepest(done)[0]["depth"], "layer")
    montage.show(
        panels[2], pictures, f"made in the end, {depth}", cmap="Greys", alike=True
    )
    colours = colours_of(done)
    dress_names(panels[2], [colours[line_of(row, done)] for row in of_deepest(done)])
    return figure


def draw_courses(axes, rows, profiles, name):
    """log10 of the gradient by step: a colour a loss, a line style a depth."""
    colours = colours_of(rows)
    depths = sorted({row["depth"] for row in rows})
    for row in rows:
        held = profiles(row)
        axes.plot(
            held[f"{name}_steps"],
            held[name],
            color=colours[line_of(row, rows)],
            ls=STYLES[depths.index(row["depth"]) % len(STYLES)],
            lw=1.3,
            label=f"{gan_nets.WORDS[row['variant']]}, {row['depth']}",
        )
    axes.set_xlabel("step")
    axes.grid(alpha=0.25, lw=0.5)


def images(made, row):
    """[count, height, width] of a row's images [count, height, width, channels]; of
    digits, which are centred, with their mean image."""
    made = made + digits.mean() if row["dataset"] == "digits" else made
    return made.mean(axis=-1)


POINTS = 400  # of a ring in a picture
REAL, RIVAL = "black", "grey"  # colours of what no generator makes
WIDE = 4.2  # between the middles of two rings
APART = 1.5  # times that, between two rows of them


def of_modes(scoring, rows, profiles):
    """The picture of `gan_modes`."""
    caption = (
        "Left: Fréchet distance of made images from real ones, by variant and depth, "
        "smallest best, 95 % intervals; dashed a mixture of 10 Gaussians, dotted noise "
        "with each number's moments, widely dotted the training part itself. Middle: "
        "points of the ring, real and made; how many of its modes are covered, and which "
        "share of the points lies outside of what is shown. Right: images, real and made, "
        "and their distance, of real ones that of the training part. Middle and right: "
        "each variant at the depth that is best on held-out examples."
    )
    return [Figure("figure", caption, lambda: draw_modes(scoring, rows, profiles))]


def draw_modes(scoring, rows, profiles):
    done = measured(rows)
    images_of = [row for row in done if row["made"] == "images"]
    ring = [row for row in done if row["made"] == "ring"]
    kinds = [kind for kind in (images_of, ring, images_of) if kind]
    figure = drawn.new(4.4 * len(kinds), 3.6)
    panels = list(figure.subplots(1, len(kinds), squeeze=False)[0])
    colours = colours_of([*images_of, *ring])
    of = lambda row: colours[line_of(row, done)]
    if images_of:
        draw_distances(scoring, panels.pop(0), lines_of(images_of, done))
    if ring:
        draw_rings(panels.pop(0), best_of_each(scoring, ring), profiles, of)
    if images_of:
        best = best_of_each(scoring, images_of)
        draw_made(scoring, panels.pop(0), best, profiles, of)
    return figure


def best_of_each(scoring, rows):
    """The row of each variant that is best on held-out examples."""
    variants = dict.fromkeys(row["variant"] for row in rows)
    return [scoring.best([r for r in rows if r["variant"] == v]) for v in variants]


def draw_distances(scoring, axes, lines):
    score_panels.scores(scoring, axes, lines)
    floor = next(iter(lines.values()))[0]["floor"]
    wide = {"ls": (0, (1, 3)), "label": "training images"}
    axes.axhline(floor, color="black", lw=1, **wide)
    axes.set_yscale("log")
    axes.set_title("distance of made images", loc="left")
    drawn.legend_below(axes)


def line_of(row, rows):
    """A row's variant in words, and its net where rows have several."""
    name = gan_nets.WORDS[row["variant"]]
    several = len({row.get("architecture") for row in rows}) > 1
    return f"{name}, {words(row['architecture'])}" if several else name


def lines_of(rows, every):
    """Rows of each line, by its name, in the order of depth. every: all rows there are."""
    lines: dict[str, list] = {name: [] for name in colours_of(rows, every)}
    for row in sorted(rows, key=lambda row: row["depth"]):
        lines[line_of(row, every)].append(row)
    return lines


def colours_of(rows, every=()):
    """A colour for each line, the same in all panels. every: as of `lines_of`."""
    names = dict.fromkeys(line_of(row, every or rows) for row in rows)
    return {name: f"C{place}" for place, name in enumerate(names)}


def draw_rings(axes, rows, profiles, colour):
    """Points side by side: real ones, the mixture's, each variant's."""
    held = profiles(rows[0])
    rival = f"mixture\n{rows[0]['rival_modes']:.1f} modes"
    clouds = [("real\n8 modes", held["real"], REAL), (rival, held["rival"], RIVAL)]
    for row in rows:
        name = f"{gan_nets.WORDS[row['variant']]}\n{row['modes']:.1f} modes"
        clouds.append((name, profiles(row)["made"], colour(row)))
    for place, (name, points, ink) in enumerate(clouds):
        x, y = WIDE * (place % 3), -APART * WIDE * (place // 3)
        near = abs(points).max(axis=1) < 0.48 * WIDE  # in its own square
        shown = points[near] + (x, y)
        axes.plot(shown[:, 0], shown[:, 1], ".", ms=1.5, color=ink)
        told = f"{name}\n{1 - near.mean():.0%} outside"
        axes.text(x, y - 0.5 * WIDE, told, ha="center", va="top", fontsize=5.5)
    axes.set_xlim(-0.55 * WIDE, 2.55 * WIDE)
    axes.set_ylim(-(APART + 0.95) * WIDE, 0.5 * WIDE)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title("points of the ring, modes covered of 8", loc="left")


def draw_made(scoring, axes, rows, profiles, colour):
    held, one = profiles(rows[0]), rows[0]
    strips = [
        (f"{name} {scoring.write(one[far])}", images(held[part], one))
        for name, part, far in (
            ("real", "real", "floor"),
            ("mixture", "rival", "strong"),
        )
    ]
    for row in rows:
        name = f"{gan_nets.WORDS[row['variant']]} {scoring.write(row['score'])}"
        strips.append((name, images(profiles(row)["made"], row)))
    montage.show(axes, strips, "images, distance", cmap="Greys", alike=True)
    dress_names(axes, [REAL, RIVAL, *map(colour, rows)])


def dress_names(axes, colours):
    """The names at the left of rows of images, in the colours of their lines."""
    axes.tick_params(labelsize=6)
    for label, colour in zip(axes.get_yticklabels(), colours, strict=True):
        label.set_color(colour)
