"""README.md and docs/: what stands between markers is made from rows and source.

    <!-- table: STUDY -->          the first of a study's tables; STUDY 2: the second;
                                   STUDY on DEVICE: of a device's rows, not of the CPU's
    <!-- beside: STUDY -->         the first columns of it, as one for every device
    <!-- compared: STUDY on DEVICE -->  how a device's rows differ from the CPU's
    <!-- experiments: FOLDER -->   the studies of a folder, and how many claims hold
    <!-- folders: all -->          the folders of studies: what each asks, and how many
    <!-- gallery: FOLDER -->       each one's picture, the answer in words, and its verdicts
    <!-- modules: FOLDER -->       what each module of a package says that it is for
    <!-- entries: CATALOGUE -->    the entries of `architectures` or `datasets`
    <!-- code: FILE -->            a Python file, named without its ending
    <!-- systems: all -->          what each study of a system comes to, in one table

Each ends at `<!-- end -->`. A test checks that all of them match the rows.
"""

import ast
import re
from pathlib import Path

from depthbench.research.files.source import ROOT as SOURCE
from depthbench.research.report import (
    devices,
    entries,
    gallery,
    markdown,
    published,
    rendering,
    systems,
)
from depthbench.research.report.published import Made
from depthbench.research.study.declaration import Study
from depthbench.research.study.studies import studies
from depthbench.research.study.tables import Mark

ROOT = SOURCE  # where the documents are
README = "README.md"
PEERS = "benchmarks/peers/README.md"  # a page, where what it is about lies
BLOCK = re.compile(
    r"<!-- (table|beside|compared|experiments|gallery|modules|entries|code|systems"
    r"|folders): "
    r"([\w/]+)"
    r"(?: (\d+))?(?: on (\w+))? -->\n.*?<!-- end -->",
    re.DOTALL,
)


def paths() -> list[Path]:
    """README, the pages of docs/ and the peers', where the source tree has them."""
    pages = [
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "docs" / "studies").glob("*.md")),
    ]
    candidates = (ROOT / README, *pages, ROOT / PEERS)
    return [path for path in candidates if path.is_file()]


def tables(path: Path) -> list[str]:
    """The studies whose tables of the CPU's rows a document has, in order."""
    blocks = BLOCK.finditer(path.read_text(encoding="utf-8"))
    return [block[2] for block in blocks if block[1] == "table" and not block[4]]


def filled(text: str) -> str:
    """A document with what stands between its markers updated. Raises ValueError."""

    def made(block: re.Match) -> str:
        opening = block[0].partition("\n")[0]
        return f"{opening}\n{_content(*block.groups())}\n<!-- end -->"

    return BLOCK.sub(made, text)


def _content(kind: str, name: str, position: str | None, device: str | None) -> str:
    if kind == "experiments":
        return gallery.index(name)
    if kind == "folders":
        return gallery.folders()
    if kind == "gallery":
        return gallery.pictures(name)
    if kind == "modules":
        return modules(name)
    if kind == "entries":
        return entries.TABLES[name]()
    if kind == "code":
        return code(name)
    if kind == "systems":
        return story()
    committed = published.made(name, device or published.CPU)
    if committed is None:
        where = f" on {device}" if device else ""
        raise ValueError(f"no committed rows of {name}{where}")
    if kind == "beside":
        return beside(studies()[name])
    if kind == "compared":
        cpu = published.made(name)
        assert cpu is not None
        return devices.compared(studies()[name], cpu, committed)
    return measured(studies()[name], committed, int(position or 1))


def measured(study: Study, committed: Made, position: int = 1) -> str:
    """One of a study's tables, counted from 1, and a line on where it was made."""
    table = study.tables(committed.rows)[position - 1]
    shown = rendering.as_markdown(table._replace(title=""))
    return f"{table.title}:\n\n{shown}\n{origin(committed)}"


def beside(study: Study) -> str:
    """A study's first table on every device, and where each was made."""
    table = devices.beside(study)
    shown = rendering.as_markdown(table._replace(title=""))
    made = "; ".join(map(origin, published.of_devices(study.name).values()))
    return f"{table.title}:\n\n{shown}\n{made.replace('.;', ';')}"


def story() -> str:
    """The table of all systems, from their studies' committed rows."""
    lines, known = systems.committed(), studies()
    table = systems.table(lines)
    body = [
        (f"[{first}](docs/{gallery.section_of(known[name])})", *map(_bold, rest))
        for name, (first, *rest) in zip(lines, table.rows, strict=True)
    ]
    shown = markdown.table(table.headers, body)
    answer, _ = systems.headline(lines)
    return f"{answer}\n\n{shown}\n{systems.TITLE}. Bold: surely ahead, over seeds."


def _bold(entry: str | Mark) -> str:
    """A table's entry, bold where it is marked good: pages have no colours."""
    shown = markdown.text(rendering.text_of(entry))
    return f"**{shown}**" if isinstance(entry, Mark) and entry.tone == "good" else shown


def code(name: str) -> str:
    """A Python file as a block of code, without its docstring."""
    text = (SOURCE / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    first = tree.body[1 if ast.get_docstring(tree) else 0]
    lines = text.splitlines()[first.lineno - 1 :]
    return "\n".join(("```python", *lines, "```"))


def origin(committed: Made) -> str:
    """Number of cells and seeds, machine, version and day."""
    seeds = max((row.get("seeds") or 0 for row in committed.rows), default=0)
    repeats = f", {seeds} seeds each" if seeds else ""
    environment = committed.environment
    return (
        f"{len(committed.rows)} cells{repeats}. {committed.device}, "
        f"{environment['cores']} cores, jax {environment['jax']}{committed.day}."
    )


def modules(folder: str) -> str:
    """A list of a package's modules, each with the first sentence of its docstring."""
    lines = []
    for path in sorted((SOURCE / folder).glob("*.py")):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if docstring and path.stem not in ("__init__", "__main__"):
            purpose = " ".join(docstring.partition("\n\n")[0].split()).rstrip(".")
            lines.append(f"- `{path.stem}`: {purpose}")
    return "\n".join(lines)
