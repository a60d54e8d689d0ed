"""All studies, found where they are: a file that declares STUDY is on the list."""

import functools
import importlib
import pkgutil

from research.catalogue import Catalogue
from research.study.declaration import Study

PACKAGES = ("benchmarks", "experiments")


@functools.cache
def studies() -> Catalogue[Study]:
    """Every study below benchmarks/ and experiments/, by name."""
    found = []
    for package in PACKAGES:
        parent = importlib.import_module(package)
        for module in pkgutil.walk_packages(parent.__path__, f"{package}."):
            study = getattr(importlib.import_module(module.name), "STUDY", None)
            if isinstance(study, Study):
                found.append(study)
    return Catalogue("study", found)
