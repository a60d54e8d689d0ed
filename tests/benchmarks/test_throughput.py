"""`throughput` makes the rows, tables, figures and verdicts it promises."""

import json

import jax
import pytest

from depthbench.benchmarks.throughput import programs as throughput_programs
from depthbench.benchmarks.throughput import show as throughput_report
from depthbench.benchmarks.throughput import study as throughput
from depthbench.research.cli.main import main
from depthbench.research.machine import ceilings
from depthbench.research.report import published
from depthbench.research.report.rendering import as_markdown
from depthbench.research.report.study_report import columns
from depthbench.research.study.claims import judge


@pytest.fixture(autouse=True)
def small_machine(monkeypatch):
    small = ceilings.Load((16,), 2**16, 2**16)
    monkeypatch.setattr(ceilings, "load", lambda: small)
    monkeypatch.setattr(throughput, "SECONDS", 0.0)


def cell(**settings):
    return {name: axis.values[0] for name, axis in throughput.AXES.items()} | settings


@pytest.mark.slow
def test_rows_tables_figures_and_claims(tmp_path, capsys):
    out = ("--out", f"{tmp_path}", "--width", "8", "--batch", "64", "--length", "4")
    flags = ("--size", "smoke", "--format", "json", "--depth", "4,9,16,36")
    flags += ("--loop", "remat")
    assert main(["run", "throughput", *flags, *out]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 4
    absent = {"tokens_per_s", "gib_moved_xla", "device_gib", "others_cores"}
    for row in rows:
        assert (row["status"], row["n"], row["loops"]) == ("ok", 3, True)
        missing = {c for c in columns(throughput.STUDY, rows) if row[c] is None}
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
    for settings, memory, status in (
        ({"dtype": "tf32"}, 2**40, "absent"),
        ({"depth": 64, "width": 4096}, 2**30, "oom"),
    ):
        for mode in ("gradient", "step"):
            cells = [cell(**settings, mode=mode)]
            if status == "absent" and not throughput.DTYPES["tf32"].absent():
                continue  # where there is one
            (row,) = throughput.measure(cells, {}, memory)
            assert row.status == status and row.reason
    rows = [{**cells[0], "status": row.status, "reason": row.reason}]
    (table,) = throughput_report.tables(rows)
    assert table.title == "Not run"


def test_cells_are_those_that_differ():
    def pairs(*typed, **settings):
        cells = [
            cell(**settings, mode=mode, loop=loop)
            for mode in throughput.MODES
            for loop in throughput.AXES["loop"].values
        ]
        fitted, _ = throughput.fit(cells, set(typed))
        return [(c["mode"], c["loop"]) for c in fitted]

    plain = [(mode, "auto") for mode in throughput.MODES]
    assert pairs(architecture="alexnet") == plain  # each layer of its own size
    more = [*plain[:2], ("gradient", "remat"), *plain[2:]]
    assert pairs() == pairs(architecture="resnet") == more
    assert pairs("loop") == [*more, ("step", "remat")]


def test_what_auto_chose_is_in_the_row_and_all_loops_begin_from_one_state():
    """Small layers are scanned, and few large ones written out, on a CPU."""
    settings = {"architecture": "mlp", "depth": 2, "mode": "step", "rounds": 3}
    sizes = {"batch": 4, "length": 8}
    cells = [
        cell(**settings, **sizes, width=width, loop=loop)
        for width in (8, 512)
        for loop in ("auto", "unrolled")
    ]
    rows = [
        row for n in (0, 2) for row in throughput.measure(cells[n : n + 2], {}, 2**32)
    ]
    assert [row.status for row in rows] == ["ok"] * 4
    chosen = "unrolled" if jax.default_backend() == "cpu" else "scan"
    assert [row.values["form"] for row in rows] == [
        *("scan", "unrolled"),
        *(chosen, "unrolled"),
    ]


def test_an_examples_shape_follows_the_net():
    shape = throughput_programs.shape
    assert shape(cell(architecture="mlp", length=5)) == (5,)
    assert shape(cell(architecture="resnet_imagenet", length=224)) == (224, 224, 3)
    assert shape(cell(architecture="alexnet")) == (64, 64, 3)
    assert shape(cell(architecture="transformer_decoder", length=9)) == (9, 64)
    assert shape(cell(architecture="lstm", depth=7, length=9)) == (7, 64)


def test_rows_of_one_depth_and_several_batches_are_shown():
    """As an accelerator's are: without a table of growths, each with its batch."""
    study, device = throughput.STUDY, "nvidia_h100_80gb_hbm3"
    rows = published.made(study.name, device).rows
    first, *others = study.tables(rows)
    assert all(table.rows for table in others)
    assert first.title.startswith("A training step at the deepest net")
    batches = {row["architecture"]: str(row["batch"]) for row in rows}
    place = first.headers.index("batch")
    assert {row[0]: row[place] for row in first.rows} == batches
    whole = study.tables([row for row in rows if row["batch"] == 8])[0]
    assert "batch" not in whole.headers and "of 8 examples" in whole.title
