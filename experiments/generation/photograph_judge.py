"""A fixed judge of photographs: it tells whose a patch is, and sharp from blurred.

Its weights are hashed, as `research.learning.judge` has it for a data set of classes.
"""

import numpy as np
import scipy.ndimage as ndimage

from depthbench.experiments.once import once
from depthbench.research.datasets import photographs
from depthbench.research.learning import fits
from depthbench.research.learning.judge import Judge, digest
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task

RECIPE = Recipe(
    architecture="cnn_same", depth=2, width=16, learning_rate=3e-3, batch=32
)
BLUR = 1.0  # pixels of a Gaussian's deviation


@once
def judge(side, smaller, steps):
    """The judge of patches of a side, taught by those that nets learn from."""
    train = photographs.patches(side, smaller).train
    sharp = train.x.astype(np.float32) / photographs.BYTE * 2 - 1
    blurred = ndimage.gaussian_filter(sharp, (0, BLUR, BLUR, 0))
    count = len(photographs.KNOWN)
    data = {
        "inputs": np.concatenate([sharp, blurred]),
        "targets": np.concatenate([train.photograph, train.photograph + count]),
    }
    net = fits.Net(RECIPE, Task((side, side, 3), 2 * count))
    (fit,) = fits.train(net, data, steps, (RECIPE.learning_rate,), 1)
    return Judge(fit, digest(fit))
