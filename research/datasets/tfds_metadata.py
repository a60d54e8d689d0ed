"""What TensorFlow Datasets writes beside a prepared set, checked by a schema."""

import math
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypeVar

from msgspec import Meta, Struct, field

from depthbench.research.datasets.contract import DataError
from depthbench.research.files import regular, schema

MOST = 2**31 - 1  # examples that int32 can number, and numbers in one of them
MOST_CLASSES = 10**6

# Numbers are strings there, and what is 0 or empty is left out.
Count = Annotated[int, Meta(ge=0, le=MOST)]
Size = Annotated[int, Meta(ge=-1, le=MOST)]  # −1: any
Word = Annotated[str, Meta(pattern=r"^[\w.+-]+\Z")]  # messages show it


class Dimensions(Struct):
    dimensions: list[Size] = []


class Array(Struct):
    dtype: Word = "of another kind"
    shape: Dimensions = field(default_factory=Dimensions)


class Labels(Struct, rename="camel"):
    num_classes: Annotated[int, Meta(ge=0, le=MOST_CLASSES)] = 0


class Feature(Struct, rename="camel"):
    image: Array | None = None
    tensor: Array | None = None
    class_label: Labels | None = None


class Tree(Struct):
    features: dict[str, Feature]


class FeaturesFile(Struct, rename="camel"):
    """features.json."""

    features_dict: Tree


class Split(Struct, rename="camel"):
    name: Word
    shard_lengths: list[Count] = []


class Key(Struct, rename="camel"):
    feature_key: str | None = None  # None: a tree of keys


class Keys(Struct):
    items: list[Key] = []


class Supervised(Struct):
    tuple: Keys = field(default_factory=Keys)


class InfoFile(Struct, rename="camel"):
    """dataset_info.json."""

    splits: list[Split] = []
    supervised_keys: Supervised = field(default_factory=Supervised)
    file_format: Word = "tfrecord"


class ConfigFile(Struct):
    """.config/metadata.json."""

    default_config_name: Annotated[str, Meta(pattern=r"^\w[\w.+-]*\Z")]


class Prepared(NamedTuple):
    """What examples are: the names of input and label, the input's form, all splits."""

    keys: tuple[str, str]
    shape: tuple[int, ...]
    stored: Literal["uint8", "float32"]
    classes: int
    splits: dict[str, int]


def default_config(name: str, place: Path) -> str | None:
    """The configuration that is meant when none is named; None where none is noted."""
    path = place / ".config" / "metadata.json"
    return _read(name, path, ConfigFile).default_config_name if path.exists() else None


def prepared(name: str, folder: Path) -> Prepared:
    """What the metadata in a folder say. Raises DataError where nets cannot read it."""
    info = _read(name, folder / "dataset_info.json", InfoFile)
    features = _read(
        name, folder / "features.json", FeaturesFile
    ).features_dict.features
    if info.file_format != "array_record":
        raise DataError(
            f"{name}: {folder} contains {info.file_format} files, which only TensorFlow "
            "reads; prepare it again with file_format='array_record'"
        )
    pair = [key.feature_key for key in info.supervised_keys.tuple.items]
    if len(pair) != 2 or pair[0] is None or pair[1] is None:
        raise DataError(f"{name}: its examples are not an input and a label each")
    for key in pair:
        if key not in features:
            raise DataError(
                f"{name}: {folder / 'features.json'}: damaged: it has no {key!r}, which "
                f"is in supervisedKeys; {_mended(folder)}"
            )
    keys = pair[0], pair[1]
    classes = _classes(name, keys[1], features[keys[1]])
    shape, stored = _array(name, keys[0], features[keys[0]])
    splits = {split.name: sum(split.shard_lengths) for split in info.splits}
    return Prepared(keys, shape, stored, classes, splits)


T = TypeVar("T", bound=Struct)


def _read(name: str, path: Path, kind: type[T]) -> T:
    try:
        # Links are followed: what is prepared may well lie elsewhere.
        return schema.decoded(regular.read(path.resolve()), kind, strict=False)
    except schema.Malformed as error:
        raise DataError(
            f"{name}: {path}: damaged: {error}; {_mended(path.parent)}"
        ) from None
    except OSError as error:
        raise DataError(
            f"{name}: {path}: cannot be read: {error.strerror}; {_mended(path.parent)}"
        ) from None


def _mended(folder: Path) -> str:
    return f"remove {folder} and prepare it again"


def _classes(name: str, key: str, feature: Feature) -> int:
    if feature.class_label is None:
        raise DataError(f"{name}: its examples are not an input and a label each")
    count = feature.class_label.num_classes
    if count < 2:
        raise DataError(
            f"{name}: its {key!r} has {count or 'no'} class{'es' * (count != 1)}: there "
            "is nothing to tell apart"
        )
    return count


def _array(
    name: str, key: str, feature: Feature
) -> tuple[tuple[int, ...], Literal["uint8", "float32"]]:
    """An input's shape, where all examples have the same, and the type it is kept in."""
    kind = feature.image or feature.tensor or Array()
    stored, dimensions = kind.dtype, kind.shape.dimensions
    image = stored == "uint8" and len(dimensions) == 3
    if not image and stored not in ("float32", "float64"):
        raise DataError(
            f"{name}: its {key!r} is {stored}, neither a uint8 image nor floats"
        )
    if not dimensions or min(dimensions) < 1:
        raise DataError(
            f"{name}: its {key!r} has no fixed size; networks here read one size"
        )
    if math.prod(dimensions) > MOST:
        raise DataError(
            f"{name}: its {key!r} has {math.prod(dimensions):,} numbers; at most {MOST:,} "
            "can be read"
        )
    return tuple(dimensions), "uint8" if image else "float32"
