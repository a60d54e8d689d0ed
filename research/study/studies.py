"""All studies: every file that declares STUDY is on the list."""

import functools
import importlib
import importlib.util
import re
from pathlib import Path

from research.catalogues.catalogue import Catalogue
from research.study.claims import Claim, by_key
from research.study.declaration import Study, flaw
from research.study.errors import Refusal

ROOT = Path(__file__).resolve().parents[2]  # whatever else Python's path leads to
PACKAGES = ("benchmarks", "experiments")
DECLARES = re.compile(r"^STUDY\b.*?=", re.MULTILINE)


@functools.cache
def studies() -> Catalogue[Study]:
    """Every study below benchmarks/ and experiments/, by name.

    Raises Refusal for a file that cannot be imported or declares no sound study: without
    it, the list would be taken for all there is.
    """
    for package in PACKAGES:
        check_ours(package)
    catalogue: Catalogue[Study] = Catalogue("study", [])
    for name, file in declaring().items():
        study = declared(name, file)
        if study.name in catalogue:
            other = catalogue[study.name].module
            raise Refusal(f"{name} and {other} are both named {study.name}; rename one")
        catalogue.add(study)
    return catalogue


@functools.cache
def claims() -> Catalogue[Claim]:
    """Every study's claims, by key. Raises Refusal where two share one."""
    try:
        return by_key(claim for study in studies().values() for claim in study.claims)
    except ValueError as error:
        raise Refusal(f"claims of {', '.join(PACKAGES)}: {error}") from error


def check_ours(package: str) -> None:
    """Raises Refusal where Python would import another package of this name than the one
    beside `research`; neither is imported to find that out."""
    spec = importlib.util.find_spec(package)
    file = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
    if file == ROOT / package / "__init__.py":
        return
    if file is None:
        raise Refusal(
            f"{package}: not found in {ROOT}, where depthbench is; install again"
        )
    place = file.parent if file.name == "__init__.py" else file
    raise Refusal(
        f"{place} hides depthbench's own {package}, which is in {ROOT}: leave that folder "
        "out of PYTHONPATH, or use python -P"
    )


def declaring() -> dict[str, Path]:
    """The modules that declare a study, and their files; no other is imported for it."""
    modules = {}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("[!.]*.py")):
            if DECLARES.search(file.read_text(encoding="utf-8", errors="replace")):
                inner = file.relative_to(ROOT).with_suffix("").parts
                modules[".".join(inner)] = file
    return modules


def declared(name: str, file: Path) -> Study:
    """The study of a module. Raises Refusal, naming the file, where there is none."""
    try:
        study = importlib.import_module(name).STUDY
        why = flaw(study)
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())
        line = f"{file.relative_to(ROOT)}: {type(error).__name__}: {text}"
        raise Refusal(f"{line}; mend or remove this file") from error
    if why:
        raise Refusal(f"{file.relative_to(ROOT)}: {why}; mend or remove this file")
    return study._replace(module=name)
