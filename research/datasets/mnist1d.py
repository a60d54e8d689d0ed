"""MNIST-1D: digits as noisy curves of 40 points, made by its authors' package."""

import random

import numpy as np

from research.datasets.contract import Data, DataError, Splits


def load() -> Splits:
    """4,000 curves to train on and 1,000 to test, [examples, 40, 1]: the published ones.

    Made here, with the authors' settings and seed; their file is not downloaded.
    Raises DataError where the package is not installed.
    Source: Greydanus & Kobak 2020, arXiv:2011.14439.
    """
    try:  # imports matplotlib
        from mnist1d.data import get_dataset_args, make_dataset
    except ModuleNotFoundError as error:
        raise DataError(
            f"mnist1d is made by its authors' package: pip install mnist1d ({error})"
        ) from None

    # The package seeds numpy's and Python's global generators: others get theirs back.
    kept, kept_numpy = random.getstate(), np.random.get_state()
    try:
        made = make_dataset(get_dataset_args())
    finally:
        random.setstate(kept)
        np.random.set_state(kept_numpy)
    return Splits(
        _data(made["x"], made["y"]),
        _data(made["x_test"], made["y_test"]),
    )


def _data(x: np.ndarray, y: np.ndarray) -> Data:
    return Data(x[:, :, None].astype(np.float32), y.astype(np.int32), 10)
