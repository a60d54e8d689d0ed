"""Packages that some studies and data sets need, and how they are installed."""

import importlib.util

from depthbench.research.catalogues.catalogue import DataError

EXTRA = "'depthbench[systems]'"
INSTALLED = {  # by module
    "skimage": EXTRA,
    "num2words": EXTRA,
    "sacrebleu": EXTRA,
    "espeakng_loader": EXTRA,
    "mctx": EXTRA,
    "mido": EXTRA,
    "aeon": "--no-deps aeon",  # read for its data, and never imported
}
DISTRIBUTIONS = {"skimage": "scikit-image"}  # whose name is not the module's


def need(what: str, module: str) -> None:
    """Raises DataError, with what to install, where a package is not there.

    what: that needs it, such as a study or a data set.

    >>> need("the table of squares", "math")
    """
    if importlib.util.find_spec(module) is None:
        package = INSTALLED.get(module, module)
        raise DataError(
            f"{what}: needs {module}, which is not installed: pip install {package}"
        )
