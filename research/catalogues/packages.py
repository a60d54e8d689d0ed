"""Packages that not every installation has, and how each is installed."""

import importlib.metadata
import importlib.util
import re
import shlex

from depthbench.research.catalogues.mistakes import DataError
from depthbench.research.files.source import is_checkout

EXTRAS = {  # of pyproject.toml, with the modules that they are asked for by
    "systems": (
        *("skimage", "num2words", "sacrebleu", "espeakng_loader", "mctx", "mido"),
        "plone",
    ),
    "peers": ("torch", "keras", "equinox", "haiku"),
    "ray": ("ray",),
    "slurm": ("submitit",),
    "data": ("tensorflow_datasets",),
    "tensorflow": ("tensorflow",),
    "test": ("pytest",),
    "tensorboard": ("tensorboardX",),
    "wandb": ("wandb",),
    "trackio": ("trackio",),
    "mlflow": ("mlflow",),
    "parquet": ("pandas", "pyarrow"),
}
DISTRIBUTIONS = {  # whose names are not their modules'
    "PIL": "pillow",
    "haiku": "dm-haiku",
    "orbax": "orbax-checkpoint",
    "plone": "plone.app.locales",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
}
READ = ("aeon",)  # for their data, and never imported: what they need is not needed
REQUIRED = re.compile(r"""(.+?) *; *extra *== *["']([\w-]+)["']""")
OURS = re.compile(r"depthbench\[(.+)\]")


def need(what: str, module: str) -> None:
    """Raises DataError, with what to install, where a package is not there.

    what: that needs it, such as a study or a data set.

    >>> need("the table of squares", "math")
    """
    if missing(module):
        raise DataError(
            f"{what}: needs {module}, which is not installed: {install(module)}"
        )


def missing(module: str) -> str:
    """Why what needs a module cannot run here; "" where it is installed.

    >>> missing("math")
    ''
    """
    if importlib.util.find_spec(module) is not None:
        return ""
    return f"{module} is not installed ({install(module)})"


def install(*modules: str) -> str:
    """The command that installs what modules are of, named as they are imported.

    An extra is named in a checkout; elsewhere its packages are, as the public index has no
    depthbench of ours.

    >>> install("sklearn"), install("aeon")
    ('pip install scikit-learn', 'pip install --no-deps aeon')
    """
    names = [extra for extra, of in EXTRAS.items() if not set(of).isdisjoint(modules)]
    if names and is_checkout():
        return f"pip install -e '.[{','.join(names)}]'"
    packages = [each for name in names for each in required(name)]
    packages = packages or [distribution(module) for module in modules]
    alone = ["--no-deps"] if set(modules) <= set(READ) else []
    return shlex.join(["pip", "install", *alone, *packages])


def distribution(module: str) -> str:
    """The name that a module's package is installed by.

    >>> distribution("skimage.feature"), distribution("jax")
    ('scikit-image', 'jax')
    """
    root = module.partition(".")[0]
    return DISTRIBUTIONS.get(root, root)


def required(extra: str) -> list[str]:
    """What an extra installs, with bounds, as the installation has it; none where the
    package was only copied."""
    try:
        lines = importlib.metadata.requires("depthbench") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    matches = [match for line in lines if (match := REQUIRED.fullmatch(line))]
    found = []
    for match in (match for match in matches if match[2] == extra):
        inner = OURS.fullmatch(match[1])
        found += required(inner[1]) if inner else [match[1]]
    return found
