"""The axis of a study that names a data set: the catalogue's, TFDS's, or a user's files."""

from collections.abc import Callable

from depthbench.research.catalogues.axes import Axis
from depthbench.research.catalogues.catalogue import Selection, UnknownName
from depthbench.research.datasets import DATASETS, FORMS, Dataset, find
from depthbench.research.datasets.contract import IN_MEMORY

Refuses = Callable[[Dataset], str]  # why a study cannot use it; "" where it can


class Readable(Selection[Dataset]):
    """The data sets that a study can use, as far as their declarations tell.

    Listed are those of the catalogue; others are looked for when they are asked for.
    """

    def __init__(self, refuses: Refuses, data_dir: str | None = None) -> None:
        super().__init__(DATASETS, lambda one: not refuses(one), refuses)
        self.own = None  # `find` knows them, and what else may stand before a colon
        self._refuses, self._data_dir = refuses, data_dir

    def __getitem__(self, name: str) -> Dataset:
        dataset = find(name, self._data_dir)
        why = self._refuses(dataset)
        if why:
            allowed = ", ".join(self)
            raise UnknownName(
                f"dataset {dataset.name!r} {why} (allowed: {allowed}; or {FORMS})"
            )
        return dataset

    def below(self, data_dir: str) -> "Readable":
        """The same, where prepared data lie in this folder."""
        return Readable(self._refuses, data_dir)


def axis(refuses: Refuses, help: str = "the data set") -> Axis:
    """One data set, the digits unless another is typed."""
    return axis_of(refuses, "digits", help)


def axis_of(refuses: Refuses, value: str, help: str = "the data set") -> Axis:
    """One data set, `value` unless another is typed."""
    known = Readable(refuses)
    # Text: a name such as tfds:mnist#train,test has a comma.
    return Axis(f"{help}; or {FORMS}", (value,), known, kind="text", single=True)


def several(refuses: Refuses, values: tuple[str, ...]) -> Axis:
    """Data sets side by side, of a study that asks for a kind of its own."""
    return Axis(f"the data sets; or {FORMS}", values, Readable(refuses), kind="text")


def any_task(dataset: Dataset) -> str:
    return ""


def too_large(dataset: Dataset) -> str:
    """Why a study that keeps all examples in memory cannot use a data set."""
    if all(map(dataset.in_memory, dataset.sizes or ())):
        return ""
    return (
        f"has more than {IN_MEMORY / 2**30:g} GiB to learn or to judge by; depthbench "
        "train reads it from disk"
    )


def trained(dataset: Dataset) -> str:
    """Of a study that trains nets on any task."""
    return too_large(dataset)


def classified(dataset: Dataset) -> str:
    """Of a study that trains classifiers."""
    if dataset.task != "classes":
        return f"asks for {dataset.task}; this study asks for classes"
    return too_large(dataset)


def followed(dataset: Dataset) -> str:
    """Of a study of sequences whose next symbol is asked for."""
    if not dataset.causal:
        return "is no sequence whose next symbol is asked; this study reads those"
    return too_large(dataset)


def judged_texts(dataset: Dataset) -> str:
    """Of a study of texts that are judged as a whole."""
    if dataset.stored != "int32" or dataset.task != "classes":
        return "is no text that is judged as a whole; this study reads those"
    return too_large(dataset)


def signalled(dataset: Dataset) -> str:
    """Of a study that tells series of numbers apart."""
    if dataset.stored != "float32" or dataset.task != "classes":
        return "has no labelled series of numbers; this study reads those"
    if len(dataset.shape) != 2:
        return f"is of shape {dataset.shape}; this study reads [time, channels]"
    return too_large(dataset)


def pictured(dataset: Dataset) -> str:
    """Of a study that trains classifiers of images."""
    if len(dataset.shape) == 3 or dataset.task != "classes":
        return classified(dataset)
    return f"is of shape {dataset.shape}; this study reads images"
