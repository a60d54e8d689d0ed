"""`depthbench doctor`: devices, versions, memory, denormals, optional packages."""

import importlib.metadata
import importlib.util
import os
import shutil
from typing import Any

from depthbench.research.catalogues import packages
from depthbench.research.cli.options import TABLE_OR_JSON, one_of
from depthbench.research.engine import console, runner
from depthbench.research.machine import compiled, host
from depthbench.research.store import provenance

# All that some command imports: TensorFlow is for the user's own preparing of data.
OPTIONAL = (
    *(m for extra, ms in packages.EXTRAS.items() if extra != "tensorflow" for m in ms),
    *packages.READ,
)


def arguments(parser) -> None:
    parser.add_argument("--format", default="table", help=", ".join(TABLE_OR_JSON))


def main(options) -> int:
    one_of("--format", options.format, TABLE_OR_JSON)
    facts = findings()
    if options.format == "json":
        console.write_json(facts)
        return 0
    console.write(*(f"{name:<21}{value}" for name, value in facts.items()))
    return 0


def findings() -> dict[str, Any]:
    """What there is to know about this machine and installation, by name."""
    runner.begin(packages=())
    environment = host.environment()
    commit = provenance.commit()
    optional = {
        name: _version(name) or f"not installed ({packages.install(name)})"
        for name in OPTIONAL
    }
    return {
        **environment,
        "memory": console.size(host.available_memory()) + " free",
        "disk": console.size(shutil.disk_usage(".").free) + " free here",
        "compiled programs": _kept(),
        "denormals": "flushed to zero" if denormals_flushed() else "kept",
        "data digits": f"{_digits()} examples",
        "commit": commit["commit"] or "not a git checkout",
        "uncommitted": commit["uncommitted"] or "nothing",
        **optional,
    }


def _version(name: str) -> str | None:
    """A module's version, and whose it is where a package of another name installed it,
    as mlflow-skinny does mlflow; None of a module that is not there."""
    if importlib.util.find_spec(name) is None:
        return None
    try:
        return importlib.metadata.version(packages.distribution(name))
    except importlib.metadata.PackageNotFoundError:
        root = name.partition(".")[0]
        others = sorted({*importlib.metadata.packages_distributions().get(root, ())})
        versions = (f"{other} {importlib.metadata.version(other)}" for other in others)
        return ", ".join(versions) or "installed, version unknown"


def _kept() -> str:
    """Where compiled programs are kept, how many, and what of a disk they take."""
    named = os.environ.get(compiled.VARIABLE, "")
    if "://" in named:
        return named
    try:
        folder = compiled.where()
    except RuntimeError as error:
        return f"not kept: {error}"
    if folder is None:
        return "not kept: JAX_ENABLE_COMPILATION_CACHE is off"
    why = compiled.unusable(folder, foreign=bool(named))
    if why:
        return f"not kept: {folder}: {why}"
    count, taken = compiled.size(folder)
    kept = f"{count:,}, {console.size(taken)} in {folder}"
    if named:
        return kept
    every = console.size(compiled.size(folder.parent).bytes)
    most = console.size(compiled.BOUND)
    return f"{kept} (with other devices' and versions' {every}, at most {most})"


def _digits() -> int:
    from depthbench.research.datasets import DATASETS

    return DATASETS["digits"].load().length


def denormals_flushed() -> bool:
    """Whether compiled code turns numbers below 1.2e-38 into zero."""
    import jax
    import numpy as np

    halve = jax.jit(lambda x: x * np.float32(0.5))
    return float(halve(np.float32(1.2e-38))) == 0.0
