"""The entries of catalogues as pages of docs/ show them."""

from collections.abc import Callable, Mapping

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.family import Family
from depthbench.research.datasets import DATASETS, Dataset
from depthbench.research.report import markdown

READS = {"vector": "anything", "image": "images", "sequence": "sequences"}


def architectures() -> str:
    """A table of names, by kind, what they read, and their depth."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for family in ARCHITECTURES.values():
        kind = family.builder.split(":")[0].split(".")[-2]
        group = (kind, READS[family.takes], depth(family))
        groups.setdefault(group, []).append(f"`{family.name}`")
    body = [(*group, " ".join(names)) for group, names in groups.items()]
    return _markdown(("kind", "reads", "depth", "names"), body)


def depth(family: Family) -> str:
    """The depths that it has: of layers, unless it is carried through time."""
    in_time = family.takes == "sequence" and not family.space
    return "time steps" if in_time else family.depths.says


def datasets() -> str:
    """A table of their shape, what is asked of an example, sizes and sources."""
    body = [
        (f"`{one.name}`", " × ".join(map(str, one.shape)), target(one), *_sizes(one))
        for one in DATASETS.values()
    ]
    return _markdown(("name", "example", "target", "examples", "source"), body)


def target(dataset: Dataset) -> str:
    """What is asked of an example."""
    count = dataset.classes
    if dataset.task == "numbers":
        return "a number" if count == 1 else f"{count} numbers"
    return f"one of {count}" + (", each step" if dataset.task == "tokens" else "")


def _sizes(dataset: Dataset) -> tuple[str, str]:
    sizes = dataset.sizes
    return (f"{sizes[0]} + {sizes[1]}" if sizes else ""), dataset.source


def _markdown(headers: tuple[str, ...], body: list[tuple[str, ...]]) -> str:
    return markdown.table(headers, body).rstrip("\n")


TABLES: Mapping[str, Callable[[], str]] = {
    "architectures": architectures,
    "datasets": datasets,
}
