"""What is kept to be shown: gradients of an image, and what a net's first layer learned."""

from depthbench.research.lazy import lazily

with lazily():
    import jax
    import numpy as np
    import skimage.feature as feature

    from depthbench.research.architectures import contract

SHOWN, CELLS, FILTERS = 3, 7, 16  # images; cells a side; filters at most


def shown(fit, parts):
    """Images, their histograms of gradients as strokes, and the first layer's filters."""
    x = parts.test.x[:SHOWN].mean(axis=-1)
    cell = max(2, min(parts.shape[:2]) // CELLS)
    how = {"pixels_per_cell": (cell, cell), "cells_per_block": (2, 2)}
    strokes = [feature.hog(one, visualize=True, **how)[1] for one in x]
    return {
        "images": x.astype(np.float32),
        "strokes": np.asarray(strokes, np.float32),
        "filters": filters(fit),
    }


def filters(fit):
    """The kernels of a net's first convolution [filters, rows, columns], of mean colour."""
    stem = contract.divide(fit.variables)[0].stem
    (kernel,) = (leaf for leaf in jax.tree.leaves(stem) if np.ndim(leaf) == 4)
    return np.moveaxis(np.asarray(kernel).mean(axis=2), -1, 0)[:FILTERS]
