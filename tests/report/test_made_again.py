"""The same bytes on every machine, and without jax.

What a processor decides is which of OpenBLAS's kernels run, and how many threads share
them. `.ci/run` makes the same reports with the oldest NumPy and SciPy that are allowed.
"""

import json
import platform
import subprocess
import sys

import numpy as np
import pytest

from depthbench.research import lazy
from depthbench.research.report import published
from tests.report import made_again
from tests.without_jax import NeedsJax, needs_jax, without_jax

X86 = platform.machine().lower() in ("x86_64", "amd64")
BLAS = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]  # pyright: ignore
KERNELS = [("Prescott", 1), ("Haswell", 2), ("SkylakeX", 1)]
CORES = {"Prescott": "Core: Katmai", "Haswell": "Core: Haswell"}  # what OpenBLAS says


def environment(variables, kernel, threads):
    return {
        **variables,
        "OPENBLAS_CORETYPE": kernel,
        "OPENBLAS_VERBOSE": "2",
        **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), str(threads)),
    }


@pytest.mark.skipif(
    not (X86 and "openblas" in BLAS), reason=f"{BLAS} on {platform.machine()}"
)
@pytest.mark.parametrize(("kernel", "threads"), KERNELS)
def test_reports_are_the_same_bytes_on_every_processor(
    clean_environment, root, kernel, threads
):
    done = subprocess.run(
        [sys.executable, "-m", made_again.__name__],
        cwd=root,
        env=environment(clean_environment, kernel, threads),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout, done.stderr
    outcome = json.loads(done.stdout)
    assert (outcome["differ"], outcome["large"]) == ([], [])
    assert outcome["reports"] >= len(published.folders())
    # One that this processor has not got is replaced by one that it has; it says which.
    assert "Core: " in done.stderr and CORES.get(kernel, "") in done.stderr


def test_what_needs_jax_is_found_out():
    """So that it cannot be missed where reports are written, by any test."""
    with lazy.lazily():
        import jax.numpy as jnp

        from depthbench.research.signal import measurement, profiles
    with without_jax():
        assert profiles.verdict(0.0) == "survives"
        for ask in (
            lambda: measurement.member,
            lambda: jnp.zeros,
            lambda: __import__("jax"),
            lambda: __import__("depthbench.research.learning", fromlist=["training"]),
        ):
            with pytest.raises(NeedsJax):
                ask()
    assert measurement.member and jnp.zeros
    assert needs_jax("depthbench.research.learning.sweeps")
    assert not needs_jax("depthbench.research.learning.curves")


COMMANDS = (
    "list",
    "list activations",
    "report",
    "claims",
    "claims --only gradient_flow",
)


@pytest.mark.parametrize("arguments", COMMANDS)
def test_commands_that_read_import_no_jax(clean_environment, root, tmp_path, arguments):
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from depthbench.research.cli.main import main\n"
        "from depthbench.research.report import documents\n"
        "documents.paths = lambda: []\n"  # nothing of the checkout is written
        f"status = main({arguments.split()!r})\n"
        f"print(*(n for n in {made_again.LARGE!r} if n in sys.modules), file=sys.stderr)\n"
        "sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = done.stderr.splitlines()[-1:]
    assert (done.returncode, said) == (0, [""]), done.stderr
