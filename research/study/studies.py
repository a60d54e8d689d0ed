"""All studies: every file that declares STUDY is on the list."""

import functools
import importlib
import re
from pathlib import Path

from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.files.source import ROOT
from depthbench.research.files.text import one_line
from depthbench.research.study.claims import Claim, by_key
from depthbench.research.study.declaration import Study, flaw
from depthbench.research.study.errors import Refusal

FOLDERS = ("benchmarks", "experiments")
ROOMS = (
    "propagation",
    "training",
    "unsupervised",
    "reuse",
    "scrutiny",
    "vision",
    "sequences",
    "generation",
    "acting",
)  # as they are read
DECLARES = re.compile(r"^STUDY\b.*?=", re.MULTILINE)
SUMMED_UP = re.compile(r"^    summary=", re.MULTILINE)  # of a Study: it is of a system
QUESTION = re.compile(r'^    question=\(?\s*"([^"]*)', re.MULTILINE)


@functools.cache
def studies() -> Catalogue[Study]:
    """Every study below benchmarks/ and experiments/, by name.

    Raises Refusal for a file that cannot be imported or declares no sound study: without
    it, the list would be taken for all there is.
    """
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
        raise Refusal(f"claims of {', '.join(FOLDERS)}: {error}") from error


def declaring() -> dict[str, Path]:
    """The modules that declare a study, and their files; no other is imported for it."""
    modules = {}
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("[!.]*.py"), key=_read):
            if DECLARES.search(file.read_text(encoding="utf-8", errors="replace")):
                inner = file.relative_to(ROOT).with_suffix("").parts
                modules[".".join(("depthbench", *inner))] = file
    return modules


def _read(file: Path) -> tuple[int, Path]:
    """A sort key: files of the experiments' folders in the order of ROOMS, others last."""
    room = file.parent.name
    return (ROOMS.index(room) if room in ROOMS else len(ROOMS), file)


def systems() -> dict[str, str]:
    """The studies of systems, by name, and the beginning of each one's question.

    Read from their files, and none is imported: a study may ask for them.
    """
    texts = {file.stem: file.read_text("utf-8") for file in declaring().values()}
    of_systems = {name: t for name, t in texts.items() if SUMMED_UP.search(t)}
    questions = {name: QUESTION.search(text) for name, text in of_systems.items()}
    return {name: asked[1] if asked else name for name, asked in questions.items()}


def declared(name: str, file: Path) -> Study:
    """The study of a module. Raises Refusal, naming the file, where there is none."""
    try:
        study = importlib.import_module(name).STUDY
        why = flaw(study)
    except (Exception, SystemExit) as error:
        text = one_line(str(error))
        line = f"{file.relative_to(ROOT)}: {type(error).__name__}: {text}"
        raise Refusal(f"{line}; mend or remove this file") from error
    if why:
        raise Refusal(f"{file.relative_to(ROOT)}: {why}; mend or remove this file")
    return study._replace(module=name)
