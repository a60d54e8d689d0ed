"""Throughput makes the rows it promises; how fast the machine is, is not tested."""

import json

import numpy as np
import pytest

from benchmarks.growth import Growth, growth
from benchmarks.throughput import programs as throughput_programs
from benchmarks.throughput import show as throughput_report
from benchmarks.throughput import study as throughput
from research.cli.main import main
from research.machine import ceilings
from research.report.rendering import as_markdown
from research.study.claims import judge

SQUARES = (9, 16, 36, 64)


@pytest.fixture(autouse=True)
def small_machine(monkeypatch):
    small = ceilings.Load((16,), 2**16, 2**16)
    monkeypatch.setattr(ceilings, "load", lambda: small)
    monkeypatch.setattr(throughput, "SECONDS", 0.0)


def cell(**given):
    return {name: axis.values[0] for name, axis in throughput.AXES.items()} | given


def test_growth_finds_the_exponent_beside_what_is_fixed():
    depths = np.array(SQUARES)
    for exponent in (0.5, 1.0, 1.5):
        found = growth(depths, 7 + 0.3 * depths**exponent)
        assert found is not None and found.error is not None
        # Exponents are tried in steps of 0.005.
        assert found.exponent == pytest.approx(exponent, abs=0.003)
        assert found.fixed == pytest.approx(7, rel=0.05)
        assert found.error < 1e-3
    noisy = growth(depths, depths * (1 + 0.05 * np.array([1, -1, 1, -1])))
    assert noisy is not None and noisy.error is not None
    assert abs(noisy.exponent - 1) < 3 * noisy.error
    lucky = growth(depths, 7 + 0.3 * depths, noise=0.05)
    assert lucky is not None and lucky.error is not None
    assert lucky.exponent == 1.0 and 0.1 < lucky.error < 0.5
    assert growth(depths[:2], depths[:2]) is None
    exact = growth(depths[:3], 1.0 + depths[:3])
    assert exact is not None and exact.error is None


CONSTANTS = (1.0, 0.1, 1 / 3, 7.0, 49220 / 2**30, 7521488 / 2**30, 1e-12, 12345.678)


@pytest.mark.parametrize("scale", (1.0, 1e-6, 3.0, 1e9))
@pytest.mark.parametrize("constant", CONSTANTS)
def test_what_is_constant_has_the_exponent_0(constant, scale):
    """And no trace of rounding, which no two processors do alike."""
    value = constant * scale
    for depths in (SQUARES, SQUARES[:3], (8, 20, 56), range(1, 40)):
        found = growth(depths, [value] * len(depths))
        assert found == Growth(0.0, 0.0, value, 0.0, len(depths), True)
    for depths in (SQUARES[:1], SQUARES[:2], (9, 9, 16)):
        assert growth(depths, [value] * len(depths)) is None


@pytest.mark.parametrize("constant", CONSTANTS)
def test_a_constant_time_is_no_better_known_than_its_noise_allows(constant):
    noisy = growth(SQUARES, [constant] * 4, 0.5)
    assert noisy is not None and noisy.error is not None
    # A line through four logarithms, each 0.5 off.
    assert noisy.error == pytest.approx(0.5 / (2 * np.std(np.log(SQUARES))))


@pytest.mark.parametrize("constant", CONSTANTS)
def test_what_is_nearly_constant_is_told_from_what_grows_a_little(constant):
    depths = np.array(SQUARES)
    for change in ((1, -1, 1, -1), (0, 0, 0, 1), (3, 2, 1, 0), depths / 64):
        found = growth(depths, constant * (1 + 1e-13 * np.array(change)))
        assert found is not None and found.constant
        assert (found.exponent, found.rate, found.error) == (0, 0, 0)
    little = growth(depths, constant * (1 + 1e-7 * depths))
    assert little is not None and not little.constant
    assert little.exponent == 1 and little.rate == pytest.approx(1e-7 * constant, 1e-3)
    # One byte of a GiB.
    step = growth(depths, 2.0**30 + np.array([0, 0, 0, 1]))
    assert step is not None and not step.constant and step.exponent > 0


def test_what_falls_does_not_grow():
    for values in ([4.0, 3.0, 2.0, 1.5], [4.0, 3.0, 3.0]):
        falls = growth(SQUARES[: len(values)], values)
        assert falls is not None and falls.error is not None
        assert (falls.exponent, falls.rate, falls.constant) == (0, 0, False)
        assert falls.error > 0.05


def test_a_power_alone_has_nothing_fixed():
    depths = np.array(SQUARES)
    for rate in CONSTANTS:
        for exponent in (0.5, 1.0, 1.5):
            found = growth(depths, rate * depths**exponent)
            assert found is not None
            assert (found.fixed, found.exponent) == (0, exponent)


def test_a_table_says_constant_of_what_is():
    def exponent(values):
        return throughput_report._exponent(growth(SQUARES[: len(values)], values))

    assert exponent([0.3] * 4) == exponent([0.7] * 3) == "constant"
    assert exponent([0.3] * 2) == "-"
    assert exponent([1.0, 2.0, 4.0]) != "constant"


@pytest.mark.slow
def test_rows_tables_figures_and_claims(tmp_path, capsys):
    out = ("--out", f"{tmp_path}", "--width", "8", "--batch", "64", "--length", "4")
    asked = ("--size", "smoke", "--format", "json", "--depth", "4,9,16,36")
    asked += ("--loop", "remat")
    assert main(["run", "throughput", *asked, *out]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 4
    absent = {"tokens_per_s", "gib_moved_xla", "device_gib", "others_cores"}
    for row in rows:
        assert (row["status"], row["n"], row["loops"]) == ("ok", 3, True)
        missing = {c for c in throughput.STUDY.columns if row[c] is None}
        assert missing <= absent
        assert row["step_ms_low"] <= row["step_ms"] <= row["step_ms_high"]
        # The products of three passes, but for the input's gradient.
        inner, stem, head = 8 * 8 * row["depth"], 4 * 8, 8 * 10
        products = 2 * 64 * (3 * (inner + stem + head) - stem)
        assert row["gflop"] == pytest.approx(products / 1e9, rel=1e-12)
    words = {c.tag: judge(c, rows).word for c in throughput.STUDY.claims}
    assert words["C8"] == words["C9"] == "holds"
    for table in throughput.STUDY.tables(rows):
        text = as_markdown(table._replace(title=""))
        assert max(map(len, text.splitlines())) <= 100
    pictures = throughput.STUDY.figures(rows, lambda row: {})
    assert [f.name for f in pictures] == ["figure", "roofline"]
    assert all(figure.draw().axes for figure in pictures)


def test_what_cannot_be_measured_is_a_row():
    for given, memory, status in (
        ({"dtype": "tf32"}, 2**40, "absent"),
        ({"depth": 64, "width": 4096}, 2**30, "oom"),
    ):
        for mode in ("gradient", "step"):
            own = [cell(**given, mode=mode)]
            if status == "absent" and not throughput_programs.DTYPES["tf32"].absent():
                continue  # where there is one
            (row,) = throughput.measure(own, {}, memory)
            assert row.status == status and row.reason
    rows = [{**own[0], "status": row.status, "reason": row.reason}]
    (table,) = throughput_report.tables(rows)
    assert table.title == "Not run"


def test_cells_are_those_that_differ():
    def kept(*typed, **given):
        cells = [
            cell(**given, mode=mode, loop=loop)
            for mode in throughput.MODES
            for loop in throughput.AXES["loop"].values
        ]
        fitted, _ = throughput.fit(cells, set(typed))
        return [(c["mode"], c["loop"]) for c in fitted]

    plain = [(mode, "scan") for mode in throughput.MODES]
    assert kept(architecture="alexnet") == plain  # each layer of its own size
    more = [*plain[:2], ("gradient", "remat"), *plain[2:]]
    assert kept() == kept(architecture="resnet") == more
    assert kept("loop") == [*more, ("step", "remat")]


def test_an_examples_shape_follows_the_net():
    shape = throughput_programs.shape
    assert shape(cell(architecture="mlp", length=5)) == (5,)
    assert shape(cell(architecture="resnet_imagenet", length=224)) == (224, 224, 3)
    assert shape(cell(architecture="alexnet")) == (64, 64, 3)
    assert shape(cell(architecture="transformer_decoder", length=9)) == (9, 64)
    assert shape(cell(architecture="lstm", depth=7, length=9)) == (7, 64)


def test_the_machine():
    assert ceilings.denormals() in ("kept", "flushed")
    found = ceilings.ceilings(ceilings.Precision(np.float32, "highest"))
    assert found.product > 0 and found.copy > 0
    busy = ceilings.Moment(0.0, 10.0, 1.0), ceilings.Moment(4.0, 16.0, 3.0)
    assert (
        ceilings.others(*busy) == 1.0
    )  # six seconds of work in four, two of them ours
    assert ceilings.others(busy[0], busy[1]._replace(busy=None)) is None
    before = ceilings.moment()
    assert ceilings.moment().own >= before.own
