"""All studies: every file that declares STUDY is on the list."""

import functools
import importlib
import re
from pathlib import Path

from research.catalogues.catalogue import Catalogue
from research.study.claims import Claim, by_key
from research.study.declaration import Study

PACKAGES = ("benchmarks", "experiments")
DECLARES = re.compile(r"^STUDY = ", re.MULTILINE)


@functools.cache
def studies() -> Catalogue[Study]:
    """Every study below benchmarks/ and experiments/, by name."""
    return Catalogue(
        "study",
        [
            importlib.import_module(name).STUDY._replace(module=name)
            for name in declaring()
        ],
    )


@functools.cache
def claims() -> Catalogue[Claim]:
    """Every study's claims, by key."""
    return by_key(claim for study in studies().values() for claim in study.claims)


def declaring() -> list[str]:
    """The modules that declare a study; no other is imported to find them."""
    names = []
    for package in PACKAGES:
        for folder in importlib.import_module(package).__path__:
            for path in sorted(Path(folder).rglob("*.py")):
                if DECLARES.search(path.read_text(encoding="utf-8")):
                    inner = path.relative_to(folder).with_suffix("").parts
                    names.append(".".join((package, *inner)))
    return names
