"""Studies read the same data sets, in the same way, as training does."""

import csv
import importlib.util
import io

import numpy as np
import pytest

from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.cli.main import main
from depthbench.research.datasets import (
    DATASETS,
    DataError,
    contract,
    fashion_mnist,
    find,
)
from depthbench.research.datasets.readable import Readable
from depthbench.research.learning import supervised
from depthbench.research.learning.recipe import Recipe
from depthbench.research.signal import ensembles
from depthbench.research.study.studies import studies
from tests.datasets import prepared

OF_THEIR_KIND = ("char_model", "sentiment", "sensors")  # of sequences, each of a kind
STUDIES = {
    name: study
    for name, study in studies().items()
    if "dataset" in study.axes and name not in OF_THEIR_KIND
}
CLASSIFIERS = sorted(
    set(STUDIES) - {"gradient_flow", "trainability", "max_trainable_depth"}
)
CONVOLUTIONAL = (  # which read images
    *("degradation", "relu_against_tanh", "residual_remedies", "anomalies", "clusters"),
    *("patch", "saliency", "unlabelled_features", "gan_gradient", "gan_modes"),
    *("handmade", "feature_hierarchy"),
)
some_images = pytest.mark.skipif(
    not fashion_mnist.FOLDER.is_dir(),
    reason="no Fashion-MNIST here: apt-get install dataset-fashion-mnist",
)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_takes_what_it_can_use_and_says_why_not(name):
    axis = STUDIES[name].axes["dataset"]
    for dataset in DATASETS.values():
        if name in CLASSIFIERS and dataset.task != "classes":
            with pytest.raises(Mistake, match=f"asks for {dataset.task}; this study"):
                axis.parse("--dataset", dataset.name)
        elif name in CONVOLUTIONAL and len(dataset.shape) != 3:
            with pytest.raises(
                Mistake, match=r"is of shape \(.*; this study reads ima"
            ):
                axis.parse("--dataset", dataset.name)
        else:
            assert axis.parse("--dataset", dataset.name) == (dataset.name,)
    with pytest.raises(Mistake, match=r"did you mean digits.* or tfds:NAME"):
        axis.parse("--dataset", "digit")
    with pytest.raises(DataError, match=r"tfds:no_such_set#a,b is not prepared"):
        axis.parse("--dataset", "tfds:no_such_set#a,b")


@pytest.mark.parametrize("name", OF_THEIR_KIND)
def test_a_study_of_sequences_says_what_it_reads(name):
    axis = studies()[name].axes["dataset"]
    with pytest.raises(Mistake, match=r"dataset .digits. .*; this study reads"):
        axis.parse("--dataset", "digits")
    if name == "sensors" and importlib.util.find_spec("aeon") is None:
        pytest.skip("pip install --no-deps aeon")
    for values in axis.values:
        assert axis.parse("--dataset", values) == (values,)


@pytest.mark.parametrize("name", STUDIES)
def test_prepared_sets_are_found_where_they_are_said_to_be(name, tmp_path, monkeypatch):
    prepared.write(tmp_path, train=prepared.rows(9), test=prepared.rows(5))
    choices = STUDIES[name].axes["dataset"].choices
    assert isinstance(choices, Readable)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "none"))
    known = choices.below(str(tmp_path))
    assert list(known) == list(choices)
    if name in CONVOLUTIONAL:
        with pytest.raises(Mistake, match=r"tfds:toy:1.0.0' is of shape \("):
            known["tfds:toy"]
        return
    assert known["tfds:toy"].name == "tfds:toy:1.0.0"
    monkeypatch.setattr(contract, "IN_MEMORY", 0)  # then it is too large for most
    if name == "gradient_flow":
        assert known["tfds:toy"].classes == 4
    else:
        with pytest.raises(Mistake, match="GiB to learn or to judge by"):
            known["tfds:toy"]


@some_images
def test_a_study_reads_images_as_training_does():
    """Of one function: mean 0 and deviation 1, not bytes."""
    program = ensembles.Program("mlp", "none", ("tanh",), 4, 1, 64, "fashion_mnist")
    x, y = ensembles.batches(program, range(2))
    whole = find("fashion_mnist").load()
    read = supervised.parts(Recipe(dataset="fashion_mnist", depth=1, width=4)).read
    for seed in range(2):
        numbers = np.random.default_rng(seed).choice(whole.length, 64, replace=False)
        np.testing.assert_array_equal(x[seed], read(whole.x[numbers]))
        np.testing.assert_array_equal(y[seed], whole.y[numbers])
    # 64 of 70,000 images, whose mean brightnesses differ by a third of a deviation.
    assert x.dtype == np.float32
    assert abs(np.mean(x)) < 0.2 and abs(np.std(x) - 1) < 0.2


def of(tmp_path, capsys, *words):
    capsys.readouterr()
    small = "--depth 2 --width 8 --batch 4 --seeds 1 --activation tanh --format csv"
    out = ("--initializer he_normal", "--out", tmp_path / "out")
    flags = [*words, *small.split(), *out[0].split(), *map(str, out[1:])]
    assert main(["run", "gradient_flow", *flags]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "architecture"),
    [
        pytest.param("fashion_mnist", "mlp", marks=some_images),
        ("grammar", "stacked_rnn"),
        pytest.param("teacher_student", "mlp", marks=pytest.mark.exhaustive),
    ],
)
def test_random_nets_read_images_tokens_and_numbers(
    dataset, architecture, tmp_path, capsys
):
    words = ("--dataset", dataset, "--architecture", architecture)
    (row,) = of(tmp_path, capsys, *words)
    assert row["status"] == "ok" and abs(float(row["log10_ratio"])) < 2


@pytest.mark.slow
def test_theory_begins_at_the_size_of_the_examples(tmp_path, capsys):
    """Of examples ten times as large, σ_w² E[x²] = 200, tanh saturates at the first."""
    x = 10 * np.random.RandomState(0).standard_normal((64, 200)).astype(np.float32)
    prepared.write(tmp_path, train=(x, np.arange(64) % 4), test=prepared.rows(5))
    (tmp_path / "toy/1.0.0").rename(tmp_path / "toy/1.0.1")
    words = ("--dataset", "tfds:toy#train", "--architecture", "mlp")
    big = of(tmp_path, capsys, *words, "--data-dir", str(tmp_path), "--width", "256")
    (row,) = big
    measured, theory = (float(row[f"log10_ratio{end}"]) for end in ("", "_theory"))
    assert abs(measured - theory) < 0.15  # one draw of 256 units, two layers
    assert theory < -0.3  # digits, of mean square 1: −0.03
