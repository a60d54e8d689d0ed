"""How layers are shown: what probes find, which are alike, and the first's filters."""

from depthbench.experiments.unsupervised import montage
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure
from depthbench.research.study.headlines import measured, of_deepest

with lazily():
    import jax
    import numpy as np

    from depthbench.research.architectures import contract

FILTERS = 12


def filters(fit, fresh, parts):
    """What training added to the first weights [units, height, width], of mean colour.

    Of the units with most of it.
    """
    added = _first(fit) - _first(fresh)
    shape = parts.shape if added.ndim == 2 else added.shape[:-1]
    added = added.reshape(-1, added.shape[-1])
    largest = np.argsort(-np.linalg.norm(added, axis=0), kind="stable")[:FILTERS]
    shaped = added[:, largest].T.reshape(-1, *shape)
    return shaped.mean(axis=-1).astype(np.float32)


def _first(fit):
    """The first layer's weights [numbers, units], or [height, width, channels, units]."""
    stem = contract.divide(fit.variables)[0].stem
    (kernel,) = (leaf for leaf in jax.tree.leaves(stem) if np.ndim(leaf) > 1)
    return np.asarray(kernel)


def draw_layers(scoring, rows, profiles):
    """Draws what probes find in each layer of the deepest net of each kind, trained and
    fresh."""

    def draw(figure, axes):
        done = sorted(measured(rows), key=lambda row: row["depth"])
        deepest = {tuple(row[name] for name in scoring.by): row for row in done}
        for place, row in enumerate(deepest.values()):
            kept, colour = profiles(row), f"C{place}"
            label = scoring.name(row)
            axes.plot(kept["trained"], lw=1.3, color=colour, label=label)
            axes.plot(kept["fresh"], "-", lw=1, alpha=0.4, color=colour)
        axes.plot([], [], lw=1, alpha=0.4, color="black", label="before training")
        for name, style in (
            ("strong", "--"),
            ("trivial", ":"),
        ):  # as of the first panel
            label = getattr(scoring, name)
            axes.axhline(done[0][name], color="black", lw=1, ls=style, label=label)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("layer")
        axes.set_title("accuracy of a linear probe, by layer", loc="left")
        axes.grid(alpha=0.25, lw=0.5)
        figures.legend_below(axes)

    return draw


def figures_of(scoring, rows, profiles):
    caption = (
        "Third: what a linear probe finds in each layer of the deepest net of each kind, "
        "trained, and pale before training."
    )
    return [
        scoring.figure(rows, caption, draw_layers(scoring, rows, profiles)),
        alike(scoring, rows, profiles),
    ]


def alike(scoring, rows, profiles):
    """The picture `alike`: CKA of layers of two nets, and the first layer's filters."""

    def draw():
        row = scoring.best(of_deepest(measured(rows)))
        kept = profiles(row)
        figure = figures.new(10.0, 3.2)
        left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.4))
        both = [kept["alike"], kept["fresh_alike"]]
        limits = {"vmin": np.min(both), "vmax": np.max(both)}
        for axes, name, title in (
            (left, "alike", "layers of two trained nets, CKA"),
            (middle, "fresh_alike", "of two fresh nets"),
        ):
            picture = axes.imshow(kept[name], **limits, origin="lower")
            most = np.argmax(kept[name], axis=1)
            axes.plot(most, np.arange(len(most)), "r.", ms=4)
            axes.set_title(title, loc="left")
            axes.set_xlabel("layer of the other")
            axes.locator_params(integer=True)
        left.set_ylabel("layer of one")
        figure.colorbar(picture, ax=middle, shrink=0.8)
        units = kept["filters"]
        half = len(units) // 2
        pair = [("", units[:half]), ("", units[half : 2 * half])]
        montage.show(
            right, pair, "what training added to the first layer", cmap="RdBu_r"
        )
        return figure

    text = (
        "How alike two layers are, of nets from two starts, by centred kernel alignment: "
        "trained, and before training; dots are at the layer of the other net that is most "
        "like a layer. Right: what training added to the weights of the "
        "first layer's units, where it was most; red above 0 and blue below."
    )
    return Figure("alike", text, draw)
