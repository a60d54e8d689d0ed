"""Data sets as TensorFlow Datasets 4.9.10 prepares them, written without TensorFlow."""

import importlib
import io
import json

import numpy as np
import pytest

FEATURES = "tensorflow_datasets.core.features."
TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


def write(root, place="toy/1.0.0", classes=4, **parts):
    """The folder of a set below root. parts: (x, y) by split; x uint8 images or floats.

    Skips the test where what writes such sets is not installed.
    """
    pytest.importorskip("array_record", reason="pip install -e '.[data]'")
    folder = root / place
    folder.mkdir(parents=True)
    title = place.split("/")[0]
    for split, (x, y) in parts.items():
        _records(folder / f"{title}-{split}.array_record-00000-of-00001", x, y)
    x, _ = next(iter(parts.values()))
    lengths = {split: len(y) for split, (_, y) in parts.items()}
    describe(folder, lengths, form(x), classes)
    return folder


def form(x):
    """The feature of inputs, as in features.json."""
    sizes = {"dimensions": [str(size) for size in x.shape[1:]]}
    if x.dtype == np.uint8:
        return {"image": {"dtype": "uint8", "shape": sizes, "encodingFormat": "png"}}
    return {"tensor": {"dtype": "float32", "shape": sizes}}


def describe(folder, lengths, feature, classes=4):
    """Writes a set's metadata: names and sizes of splits, an input and a label."""
    kind = "image_feature.Image" if "image" in feature else "tensor_feature.Tensor"
    splits = [
        {
            "name": split,
            "filepathTemplate": TEMPLATE,
            "shardLengths": [str(count)],
            "numBytes": "1",
        }
        for split, count in lengths.items()
    ]
    keys = [{"featureKey": "input"}, {"featureKey": "label"}]
    info = {
        "name": folder.parent.name,
        "version": folder.name,
        "fileFormat": "array_record",
        "splits": splits,
        "supervisedKeys": {"tuple": {"items": keys}},
    }
    label = {"classLabel": {"numClasses": str(classes)}}
    label["pythonClassName"] = f"{FEATURES}class_label_feature.ClassLabel"
    features = {
        "input": {**feature, "pythonClassName": FEATURES + kind},
        "label": label,
    }
    tree = {
        "pythonClassName": f"{FEATURES}features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "features.json").write_text(json.dumps(tree))


def _records(path, x, y):
    module = importlib.import_module("array_record.python.array_record_module")
    protos = importlib.import_module("tensorflow_datasets.proto")
    example, proto = protos.tf_example_pb2, protos.tf_feature_pb2
    writer = module.ArrayRecordWriter(str(path), "group_size:1")
    for one, label in zip(x, y, strict=True):
        labels = proto.Feature(int64_list=proto.Int64List(value=[int(label)]))
        features = {"input": _feature(proto, one), "label": labels}
        whole = example.Example(features=proto.Features(feature=features))
        writer.write(whole.SerializeToString())
    writer.close()


def _feature(proto, one):
    if one.dtype == np.uint8:
        from PIL import Image

        content = io.BytesIO()
        Image.fromarray(one).save(content, "png")
        return proto.Feature(bytes_list=proto.BytesList(value=[content.getvalue()]))
    return proto.Feature(float_list=proto.FloatList(value=one.ravel().tolist()))


def rows(count, shift=0.0, classes=4):
    """(x [count, 3], y): floats that tell their number, labels in turn."""
    x = np.arange(count, dtype=np.float32)[:, None] * np.float32([0.01, 0.02, 0.03])
    return x + np.float32(shift), np.arange(count) % classes


def pictures(count, classes=4):
    """(x [count, 6, 5, 3] uint8, y): random images, labels in turn."""
    draws = np.random.RandomState(count)
    x = draws.randint(0, 256, (count, 6, 5, 3)).astype(np.uint8)
    return x, np.arange(count) % classes
