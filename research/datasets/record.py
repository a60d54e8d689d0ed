"""What a run says and records of its data: names as resolved, and fingerprints."""

from collections.abc import Mapping

from depthbench.research.datasets.contract import (
    Data,
    Dataset,
    Splits,
    Stream,
    fingerprint,
)
from depthbench.research.datasets.user_files import is_name

Record = dict[str, str]  # from each set's name to its fingerprint


def record(dataset: Dataset, contents: Data | Stream | Splits) -> Record:
    """The record of one set; where it lies is no part of it."""
    return {dataset.name: fingerprint(contents)}


def notes(
    dataset: Dataset, contents: Data | Stream | Splits, record: Mapping[str, str]
) -> list[str]:
    """What is said of a set before it is used: of a user's, what it was taken for."""
    parts = contents if isinstance(contents, Splits) else (contents,)
    lines = [note for note in dict.fromkeys(part.note for part in parts) if note]
    if not is_name(dataset.name):
        return lines
    whole = "; ".join((described(dataset), *lines))
    return [f"{whole}; its hash is {record[dataset.name][:16]}"]


def described(dataset: Dataset) -> str:
    """A set's examples and targets, in words.

    >>> described(Dataset("npz:a", "", (28, 28, 1), 10, "", "", sizes=(60000, 10000)))
    'npz:a: 60,000 examples to learn, 10,000 to judge by: image 28 × 28 × 1, 10 classes'
    """
    shape = " × ".join(map(str, dataset.shape))
    kinds = {3: f"image {shape}", 2: f"sequence {shape}", 1: f"{shape} numbers"}
    inputs = kinds[len(dataset.shape)]
    if dataset.stored == "int32":
        inputs = f"{dataset.shape[0]} tokens of {dataset.shape[1]}"
    each = "the next token" if dataset.causal else "a token at each step"
    count = dataset.classes
    targets = {
        "classes": f"{count} classes",
        "numbers": f"{count} number{'s' * (count != 1)} asked",
        "tokens": f"{each} asked",
    }
    train, test = dataset.sizes or (0, 0)
    return (
        f"{dataset.name}: {train:,} examples to learn, {test:,} to judge by: {inputs}, "
        f"{targets[dataset.task]}"
    )


def differs(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What a run's data are that they were not, in words; "" if they are the same.

    Nothing differs from a record that is empty: it is of a version that made none.

    >>> differs({"tfds:toy:1.0.0": "a"}, {"tfds:toy:2.0.0": "b"})
    'data were tfds:toy:1.0.0, are tfds:toy:2.0.0'
    """
    if before and before.keys() != now.keys():
        return f"data were {', '.join(before)}, are {', '.join(now)}"
    other = [name for name, digest in now.items() if before.get(name, digest) != digest]
    return f"{', '.join(other)} has other contents" if other else ""


def differs_in_common(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What `differs` says of those sets alone that both have.

    >>> differs_in_common({"digits": "a", "ring": "b"}, {"ring": "c", "xor": "d"})
    'ring has other contents'
    """
    both = before.keys() & now.keys()
    of_both = lambda data: {name: data[name] for name in sorted(both)}
    return differs(of_both(before), of_both(now))
