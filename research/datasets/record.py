"""What a run's folder records of its data: names as resolved, and fingerprints."""

from collections.abc import Mapping

from research.datasets.contract import Data, Dataset, Splits, Stream, fingerprint

Record = dict[str, str]  # from each set's name to its fingerprint


def record(dataset: Dataset, contents: Data | Stream | Splits) -> Record:
    """The record of one set; where it lies is no part of it."""
    return {dataset.name: fingerprint(contents)}


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
