"""Fashion-MNIST from its four original files, as Debian's package installs them.

Nothing is downloaded: the files are there, or one line says how to get them.
"""

import gzip
import hashlib
import os
import zlib
from pathlib import Path

import numpy as np

from depthbench.research.datasets.contract import Data, DataError, Splits
from depthbench.research.datasets.pixels import scale_of

FOLDER = Path("/usr/share/datasets/fashion-mnist")
# SHA-256 of what the files hold once unpacked: gzip's own headers differ by packager.
FILES = {
    "train-images-idx3-ubyte": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
    ),
    "train-labels-idx1-ubyte": (
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
    ),
    "t10k-images-idx3-ubyte": (
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
    ),
    "t10k-labels-idx1-ubyte": (
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
    ),
}


def load(folder: str | None = None) -> Splits:
    """60,000 images to train on and 10,000 to test, [examples, 28, 28, 1] uint8.

    folder: where the four .gz files are, if not where Debian's package puts them.
    Raises DataError where a file is missing or is not the published one.
    """
    place = FOLDER if folder is None else Path(os.path.expanduser(folder))
    missing = [name for name in FILES if not os.path.isfile(place / f"{name}.gz")]
    if missing:
        raise DataError(
            f"fashion_mnist: {place / missing[0]}.gz is missing; on Debian or Ubuntu "
            "apt-get install dataset-fashion-mnist; elsewhere put its four original .gz "
            "files into a folder and give --data-dir FOLDER; or let TensorFlow Datasets "
            "prepare it and use tfds:fashion_mnist"
        )
    arrays = []
    for name, digest in FILES.items():
        content = _unpacked(place / f"{name}.gz", digest)
        shape = (-1, 28, 28, 1) if "images" in name else (-1,)
        header = 16 if "images" in name else 8
        arrays.append(np.frombuffer(content, np.uint8, offset=header).reshape(shape))
    x, y, x_test, y_test = arrays
    scale = scale_of(x)
    return Splits(
        Data(x, y.astype(np.int32), 10, scale),
        Data(x_test, y_test.astype(np.int32), 10, scale),
    )


def _unpacked(path: Path, digest: str) -> bytes:
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"fashion_mnist: {path} cannot be read: {error}") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise DataError(
            f"fashion_mnist: {path} does not hold what was published (its SHA-256 is "
            "another); install the file again"
        )
    return content
