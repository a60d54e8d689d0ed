"""Makes every committed report and document again, and says which are not the same bytes.

    python -m tests.report.made_again

Needs what reports need: NumPy, SciPy and this source. Standard output is one line, of
JSON: `differ`, the files that differ; `large`, the large packages that were imported;
`reports`, how many were made; and the versions of Python, NumPy and SciPy.
"""

import json
import platform
import sys

import numpy
import scipy

from depthbench.research.report import documents, published
from depthbench.research.study.studies import studies

LARGE = ("jax", "jaxlib", "flax", "optax", "orbax", "sklearn", "matplotlib", "torch")


def main() -> int:
    pairs = {path: documents.filled(path.read_text()) for path in documents.paths()}
    for device in published.devices():
        for name, folder in published.folders(device).items():
            made = published.made_again(studies()[name], device)
            pairs[folder / "report.md"] = made
    differ = [str(p) for p, made in pairs.items() if p.read_text() != made]
    outcome = {
        "differ": differ,
        "large": [name for name in LARGE if name in sys.modules],
        "reports": len(pairs),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
    }
    print(json.dumps(outcome))
    return bool(differ or outcome["large"])


if __name__ == "__main__":
    sys.exit(main())
