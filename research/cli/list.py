"""`depthbench list`: benchmarks, experiments, and every catalogue with its sources."""

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.family import Family
from depthbench.research.architectures.loops import LOOPS
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.initializers import INITIALIZERS
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.catalogues.schedules import SCHEDULES
from depthbench.research.cli.options import TABLE_OR_JSON, one_of
from depthbench.research.datasets import DATASETS, Dataset
from depthbench.research.engine import console
from depthbench.research.engine.trackers import TRACKERS
from depthbench.research.learning.methods import BASELINES, Baseline
from depthbench.research.report import rendering
from depthbench.research.study.studies import studies
from depthbench.research.study.tables import Table

CATALOGUES = {
    "activations": ACTIVATIONS,
    "initializers": INITIALIZERS,
    "normalizers": NORMALIZERS,
    "architectures": ARCHITECTURES,
    "loops": LOOPS,
    "datasets": DATASETS,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
    "baselines": BASELINES,
    "trackers": TRACKERS,
}


DECLARED = (
    "studies",
    "systems",
)  # what files below experiments/ and benchmarks/ declare
COLUMNS = {
    "studies": ("name", "kind", "question"),
    "systems": ("name", "shown by", "question"),
    "architectures": ("name", "takes", "source"),
    "datasets": ("name", "task", "shape", "classes", "source"),
    "baselines": ("name", "task", "source"),
}


def arguments(parser) -> None:
    parser.add_argument(
        "what",
        nargs="?",
        default="all",
        help=f"all, {', '.join((*DECLARED, *CATALOGUES))}; default: all",
    )
    parser.add_argument("--format", default="table", help=", ".join(TABLE_OR_JSON))


def main(options) -> int:
    one_of("list", options.what, ("all", *DECLARED, *CATALOGUES))
    one_of("--format", options.format, TABLE_OR_JSON)
    listing = {
        "studies": [
            {"name": s.name, "kind": s.kind, "question": s.question, "source": s.source}
            for s in studies().values()
        ],
        "systems": [
            {
                "name": name,
                "shown by": s.name,
                "question": s.question,
                "source": s.source,
            }
            for s in studies().values()
            for name in s.shows
        ],
        **{
            name: [_entry(e) for e in entries.values()]
            for name, entries in CATALOGUES.items()
        },
    }
    if options.what != "all":
        listing = {options.what: listing[options.what]}
    if options.format == "json":
        console.write_json(listing)
        return 0
    terminal = rendering.terminal()
    for title, entries in listing.items():
        headers = COLUMNS.get(title, ("name", "source"))
        body = tuple(tuple(_shown(entry, h) for h in headers) for entry in entries)
        rendering.show(Table(f"{title} ({len(entries)})", headers, body), terminal)
    if "datasets" in listing:
        console.write(
            "and what TensorFlow Datasets has prepared: tfds:NAME[/CONFIG][:VERSION]",
            "and files of your own: npz:FILE with arrays x and y, csv:FILE:LABEL with a "
            "column of labels, images:DIR with a folder for each class",
        )
    return 0


def _entry(entry) -> dict[str, str]:
    """An entry's columns; also what an architecture takes, and a data set's task."""
    description = {"name": entry.name}
    if isinstance(entry, Baseline):
        description["task"] = entry.task
    if isinstance(entry, Dataset):
        description["task"] = entry.task
        description["shape"] = " × ".join(map(str, entry.shape))
        description["classes"] = str(entry.classes)
    if isinstance(entry, Family):
        description["input"] = entry.takes
        description["depth"] = entry.depths.says
        for kind in ("activation", "normalizer"):
            description[kind] = ", ".join(getattr(entry, f"{kind}s")) or "any"
    return {**description, "source": entry.source}


def _shown(entry: dict[str, str], header: str) -> str:
    if header != "takes":
        return entry[header]
    limits = [
        f"{name} {entry[name]}"
        for name in ("depth", "activation", "normalizer")
        if entry[name] != "any"
    ]
    return "; ".join([entry["input"], *limits])
