"""Data sets by name: one entry each; nothing is read or generated before it is used."""

from os import PathLike

from depthbench.research.catalogues.catalogue import Catalogue, Own, UnknownName
from depthbench.research.datasets import opinions, tfds, time_series, user_files
from depthbench.research.datasets.contract import (
    Data,
    DataError,
    Dataset,
    Splits,
    Stream,
    check,
    fingerprint,
    mark,
)

__all__ = [
    "DATASETS",
    "Data",
    "DataError",
    "Dataset",
    "Splits",
    "Stream",
    "check",
    "find",
    "fingerprint",
    "mark",
]

# What a data set may be named by, beside the names of the catalogue.
FORMS = f"tfds:NAME, ts:NAME, vader:NAME, {user_files.NAMES}"
ADDING = "Hochreiter & Schmidhuber 1997; as in Arjovsky et al. 2016, arXiv:1511.06464"
COPYING = "Arjovsky et al. 2016, arXiv:1511.06464, section 4.1"

DATASETS: Catalogue[Dataset] = Catalogue(
    "dataset",
    [
        Dataset(
            "digits",
            "digits:load",
            (8, 8, 1),
            10,
            "Alpaydin & Kaynak 1998, UCI handwritten digits (scikit-learn load_digits)",
            sizes=(1437, 360),
            mark="71ee5acfbe3e7a9a",
        ),
        Dataset(
            "digits_32",
            "digits:load_32",
            (32, 32, 1),
            10,
            "the same digits, each pixel 4 × 4",
            enlarges="digits",
            sizes=(1437, 360),
            mark="d6b393628b854652",
        ),
        Dataset(
            "digits_64",
            "digits:load_64",
            (64, 64, 1),
            10,
            "the same digits, each pixel 8 × 8",
            enlarges="digits",
            sizes=(1437, 360),
            mark="e20a02458c863a6f",
        ),
        Dataset(
            "noise",
            "noise:load",
            (8, 8, 1),
            10,
            "independent Gaussian inputs and labels: what mean-field theory assumes",
            sizes=(819, 205),
            mark="ec99dd9101a94b90",
        ),
        Dataset(
            "fashion_mnist",
            "fashion_mnist:load",
            (28, 28, 1),
            10,
            "Xiao et al. 2017, arXiv:1708.07747 (Debian's dataset-fashion-mnist)",
            stored="uint8",
            sizes=(60_000, 10_000),
            mark="ff12460a05f6b78e",
        ),
        Dataset(
            "mnist1d",
            "mnist1d:load",
            (40, 1),
            10,
            "Greydanus & Kobak 2020, arXiv:2011.14439 (package mnist1d)",
            sizes=(4000, 1000),
            mark="f4827ddcc7f12939",
        ),
        Dataset(
            "two_spirals",
            "points:two_spirals",
            (2,),
            2,
            "Lang & Witbrock 1988, Learning to tell two spirals apart",
            sizes=(194, 192),
            mark="55595902c69bc80f",
        ),
        Dataset(
            "ring",
            "points:ring",
            (2,),
            8,
            "Metz, Poole, Pfau & Sohl-Dickstein 2017, arXiv:1611.02163",
            sizes=(2048, 1024),
            mark="e858972ee89ae11e",
        ),
        Dataset(
            "teacher_student",
            "points:teacher_student",
            (32,),
            1,
            "Saad & Solla 1995, PRL 74:4337: a soft committee machine as teacher",
            task="numbers",
            sizes=(8192, 2048),
            mark="9436b39c8f2b3f85",
        ),
        *(
            Dataset(
                "adding" if time == 50 else f"adding_{time}",
                "sequences:adding",
                (time, 2),
                1,
                ADDING,
                task="numbers",
                sizes=(20_000, 2_000),
                arguments=(time,),
                mark=mark,
            )
            for time, mark in (
                (50, "b147df96aa695002"),
                (200, "c4c8b63e84a482a1"),
                (750, "c7f1aab573a01a01"),
            )
        ),
        *(
            Dataset(
                "copy_memory" if gap == 100 else f"copy_memory_{gap}",
                "sequences:copy_memory",
                (gap + 20, 10),
                10,
                COPYING,
                task="tokens",
                stored="int32",
                sizes=(20_000, 2_000),
                arguments=(gap,),
                mark=mark,
            )
            for gap, mark in (
                (100, "bbae10b191719f31"),
                (20, "825b868c62b2fd87"),
            )
        ),
        Dataset(
            "parity",
            "sequences:parity",
            (32, 1),
            2,
            "Bengio et al. 1994, IEEE Trans. Neural Networks 5:157, the parity problem",
            sizes=(20_000, 2_000),
            mark="8a298e790dd1085b",
        ),
        Dataset(
            "sorting",
            "sequences:sorting",
            (20, 17),
            17,
            "after Vinyals et al. 2016, arXiv:1511.06391, on symbols",
            task="tokens",
            stored="int32",
            sizes=(20_000, 2_000),
            mark="e9b6ea02f17bae9d",
        ),
        Dataset(
            "grammar",
            "sequences:grammar",
            (64, 5),
            5,
            "Reber 1967, J. Verbal Learning 6:855: its graph, the end joined to the start",
            task="tokens",
            stored="int32",
            causal=True,
            sizes=(20_000, 2_000),
            mark="87c70207a8a98399",
        ),
        Dataset(
            "stdlib",
            "corpus:load",
            (128, 97),
            97,
            "this Python's own standard library, character by character",
            task="tokens",
            stored="int32",
            causal=True,
        ),
        Dataset(
            "glyphs",
            "glyphs:load",
            (16, 16, 1),
            300,
            "letters of five scripts in the 12 DejaVu fonts inside matplotlib",
            stored="uint8",
            sizes=(4800, 1200),
            mark="fca8ab7caed07a7f",
        ),
        Dataset(
            "opinions",
            "opinions:load",
            (32, 3000),
            2,
            "sentences of a generator, with negations and degrees; good or bad",
            stored="int32",
            sizes=(3200, 800),
            mark="9259a81edc614a5e",
        ),
        Dataset(
            "vibration",
            "vibration:load",
            (64, 8),
            4,
            "a generator after Randall & Antoni 2011, Mech. Syst. Signal Process. 25:485",
            sizes=(1600, 400),
            mark="bd512c4a7099035e",
        ),
    ],
    own=Own(Dataset),
)


def find(name: str, data_dir: str | PathLike[str] | None = None) -> Dataset:
    """The data set of this name: a catalogue's, tfds:NAME[/CONFIG][:VERSION][#PARTS],
    ts:NAME, vader:NAME, or a file or folder of one's own: npz:FILE, csv:FILE:LABEL,
    images:DIR.

    data_dir: where TensorFlow Datasets has prepared it ($TFDS_DATA_DIR or
      ~/tensorflow_datasets otherwise); for fashion_mnist, the folder of its four files;
      for vader:NAME, the folder of its archive; for ts:NAME, that of its files.
    Raises UnknownName, or DataError where data are missing, are in no folder, or in a
    file that is not as it should be; all but a large file of one's own within a second.
    """
    if name.startswith(tfds.PREFIX):
        return tfds.find(name, data_dir)
    if name.startswith(time_series.PREFIX):
        return time_series.find(name, data_dir)
    if name.startswith(opinions.PREFIX):
        return opinions.find(name, data_dir)
    if user_files.is_name(name):
        return user_files.find(name, data_dir)
    try:
        dataset = DATASETS[name]
    except UnknownName as unknown:
        meant = user_files.meant(name)
        such = f", here {meant}" if meant else ""
        raise UnknownName(f"{unknown}; or {FORMS}{such}") from None
    if data_dir is None:
        return dataset
    if dataset.name != "fashion_mnist":
        raise DataError(
            f"{dataset.name} is not read from a folder (here: {data_dir}); "
            f"fashion_mnist and {tfds.PREFIX}NAME are"
        )
    return dataset._replace(arguments=(str(data_dir),))
