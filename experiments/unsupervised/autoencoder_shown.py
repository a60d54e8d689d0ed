"""Deep codes beside principal components: the pictures of `autoencoder_pca`."""

from depthbench.experiments.unsupervised import montage
from depthbench.research.report import figures as drawn
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import measured


def figures(scoring, rows, profiles):
    """The picture of a run's rows. scoring: of the study."""
    caption = (
        "Left: squared error of a test image by the length of its code, each net at the "
        "depth that is best on held-out images, 95 % intervals over seeds; lower is "
        "better. Middle: test digits by the first two numbers of the shortest code, "
        "coloured by class. Right: images, and what the net and PCA make of them from the "
        "shortest code."
    )
    return [Figure("figure", caption, lambda: draw(scoring, rows, profiles))]


def draw(scoring, rows, profiles):
    done = measured(rows)
    figure = drawn.new(12.6, 3.5)
    panels = figure.subplots(1, 3, width_ratios=(1, 1, 1.4))
    draw_errors(scoring, panels[0], done)
    shortest = [row for row in done if row["code"] == min(r["code"] for r in done)]
    if min(row["code"] for row in done) > 1:
        draw_codes(scoring, panels[1], scoring.best(shortest), profiles)
    best = scoring.best(shortest)
    held, size = profiles(best), best["code"]
    names = (("image", "image"), (f"net, {size}", "net"), (f"PCA, {size}", "pca"))
    strips = [(name, montage.square(held[of])) for name, of in names]
    montage.show(panels[2], strips, "test images again", cmap="Greys", alike=True)
    return figure


def draw_errors(scoring, axes, rows):
    """Error by code: of each start at its best depth, of PCA and of kernel PCA."""
    codes = sorted({row["code"] for row in rows})
    for place, start in enumerate(dict.fromkeys(row["start"] for row in rows)):
        own = [row for row in rows if row["start"] == start]
        best = [
            scoring.best([r for r in own if r["code"] == code])
            for code in codes
            if any(r["code"] == code for r in own)
        ]
        at = [row["code"] for row in best]
        level = [row["score"] for row in best]
        axes.plot(
            at, level, "o-", ms=3, lw=1.3, color=f"C{place}", label=f"net, {start}"
        )
        if all(row["score_low"] is not None for row in best):
            ends = [[row[end] for row in best] for end in ("score_low", "score_high")]
            axes.fill_between(at, *ends, color=f"C{place}", alpha=0.15, lw=0)
    for name, label, style in (
        ("pca", "PCA", "--"),
        ("kernel_pca", "kernel PCA", "-."),
    ):
        level = [next(r[name] for r in rows if r["code"] == code) for code in codes]
        axes.plot(codes, level, ls=style, color="black", lw=1, label=label)
    axes.set_xscale("log", base=2)
    axes.set_xticks(codes, [str(code) for code in codes])
    axes.minorticks_off()
    axes.set_ylim(0)
    axes.set_xlabel("numbers of a code")
    axes.set_title("squared error of a test image", loc="left")
    axes.grid(alpha=0.25, lw=0.5)
    axes.legend(fontsize=6, frameon=False)


def draw_codes(scoring, axes, row, profiles):
    """Test images at the first two numbers of their codes."""
    held = profiles(row)
    code, label = held["code"], held["label"].astype(int)
    for one in sorted(set(label.tolist())):
        x, y = code[label == one].T
        axes.plot(x, y, ".", ms=3, color=drawn.colour(one), label=str(one))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(fontsize=6, frameon=False, markerscale=2, ncols=2)
    axes.set_title(f"codes of the net: {scoring.name(row)}", loc="left")
