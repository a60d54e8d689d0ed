"""The axis of a study that is a dtype, and the columns that it adds to a row."""

from depthbench.research.catalogues.dtypes import ACTIVE
from depthbench.research.study.axes import Axis

STANDARD = "float32"  # of a row that names none, and has none of the columns
COLUMNS = (
    *("kept_layers", "kept_layers_se", "lost_how", "half_layers", "half_layers_se"),
    *(
        "log10_entry",
        "log10_entry_se",
        "zero_share",
        "cosine",
        "cosine_se",
        "log2_scale",
    ),
)


def axis() -> Axis:
    """What activations and their gradients are computed in.

    >>> axis().parse("--dtype", "float32,bfloat16")
    ('float32', 'bfloat16')
    """
    words = "what activations and their gradients are computed in"
    return Axis(words, (STANDARD,), ACTIVE, implied=STANDARD, adds=COLUMNS)
