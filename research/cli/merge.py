"""`depthbench merge A B … --out C`: the folders of a study run in parts, as one."""

from collections.abc import Sequence
from pathlib import Path

from depthbench.research.cli import report
from depthbench.research.cli.options import existing_folder, path_of_folder
from depthbench.research.engine import console, merging
from depthbench.research.engine.merging import Merged, RunPart
from depthbench.research.report.coverage import Coverage
from depthbench.research.report.run_folder import Results, opened, study_of, wrong
from depthbench.research.store import folder as folders
from depthbench.research.store import manifest as manifests
from depthbench.research.store.folder import Folder
from depthbench.research.study.declaration import Study
from depthbench.research.study.errors import Refusal


def arguments(parser) -> None:
    parser.add_argument(
        "dirs",
        metavar="DIR",
        nargs="+",
        help="folders of one study's run, such as its shares were written to; they are "
        "read alone",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        required=True,
        help="the new folder, or one of the same study, whose rows are joined too",
    )
    parser.add_argument(
        "--accept-changes",
        action="store_true",
        help="join what was made by other code, with other data or on another machine",
    )


def main(options) -> int:
    named = path_of_folder("--out", options.out)
    out = named.resolve()
    paths = [existing_folder("DIR", text) for text in options.dirs]
    for path in paths:
        check_apart(path, named)
    with merging.held(paths) as parts:
        first = parts[0]
        study = study_of(first.path, first.manifest)
        timings, accept = study.timings, options.accept_changes
        for part in parts:
            check_rows(study, part)
        every = merging.merged(parts, accept, timings)
        if not every.rows:
            raise Refusal(f"{', '.join(map(str, paths))}: contain no rows")
        folders.look(named, study.name)
        results: list[Results] = []

        def finish(folder: Folder) -> None:
            results.append(opened(folder.path))
            report.write(results[0])

        if manifests.read(named).manifest:
            every = merging.add(parts, named, accept, timings, finish)
        else:
            merging.write(every, out, named, finish)
    console.write(*lines(parts, every), *ended(named, results[0].cover))
    return 0


def check_apart(path: Path, out: Path) -> None:
    """Raises Refusal where the new folder is one of the parts, or inside of one."""
    if out.resolve().is_relative_to(path.resolve()):
        where = "one of the parts" if out.resolve() == path.resolve() else f"in {path}"
        raise Refusal(f"--out {out}: is {where}, which is only read; choose another")


def check_rows(study: Study, part: RunPart) -> None:
    """Raises Refusal where a row of a part is none of its study's cells."""
    if part.manifest.study != study.name:
        return  # which is said with the name of both
    for record in part.records:
        if why := wrong(study, record, part.manifest.strange):
            raise Refusal(
                f"{part.path}: {record.id}.json is not a row of {study.name}: {why}"
            )


def lines(parts: Sequence[RunPart], every: Merged) -> list[str]:
    """How many cells each part has, of how many it repeats what another has, and of how
    many another has rows of later contents of their data."""
    width, said = max(len(str(part.path)) for part in parts), []
    for part in parts:
        count = len(part.records)
        there = [every.rows[r.id][0] for r in part.records if r.id in every.rows]
        again = sum(other.path != part.path for other in there)
        old = count - len(there)
        more = f", {again:,} of them in another folder too" if again else ""
        more += f", {old:,} of them left out, of earlier data" if old else ""
        said.append(f"{part.path!s:<{width}}  {count:,} cells{more}")
    return said


def ended(out: Path, cover: Coverage) -> list[str]:
    """What the joined folder has, and where its report is."""
    more = "" if cover.whole else f"; `depthbench status {out}` says what is missing"
    return [f"{cover}: {out}/report.html{more}"]
