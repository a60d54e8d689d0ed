"""Nets that a user names: their rows are autodiff's, and what is wrong is one line."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.benchmarks.own_model import names, nets, show
from depthbench.benchmarks.own_model.study import STUDY, measure
from depthbench.research.cli import probe
from depthbench.research.cli.main import main
from depthbench.research.models.makers import maker
from depthbench.research.report import figures
from depthbench.research.signal import model_states
from depthbench.research.store import rows as stored
from depthbench.research.study import headlines
from depthbench.research.study.errors import Refusal
from tests.benchmarks import nets_of_ones_own as own

HERE = "tests.benchmarks.nets_of_ones_own"
INPUT = f"4,{own.WIDTH}"
SMALL = ("--input", INPUT, "--format", "json", "--seeds", "2")


@pytest.fixture(autouse=True)
def no_pictures(request):
    """Pictures take longer than the rows; one test looks at them."""
    with pytest.MonkeyPatch.context() as patch:
        if "drawn" not in request.fixturenames:
            patch.setattr(figures, "lay_out", lambda figure: None)
            patch.setattr(figures, "as_png", lambda figure: b"")
            patch.setattr(figures, "as_svg", lambda figure: b"")
        yield


@pytest.fixture
def drawn():
    """Asked for by a test that wants pictures."""


def probed(capsys, out, model, *flags):
    """The rows that a command prints."""
    words = ["probe", f"{HERE}:{model}", *SMALL, *flags, "--out", str(out)]
    assert main(words) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def cell(model, depth=2, **changed):
    standard = {"input": INPUT, "seeds": 1}
    standard |= dict.fromkeys(("tokens", "loss", "kwargs", "dtype"))
    return {"model": f"{HERE}:{model}", "depth": depth, **standard, **changed}


def by_autodiff(depth, seed):
    """log10 of the gradient's norm at the input and at the output, in float64."""
    params = own.seeded(depth, seed)[1]
    x = np.asarray(jax.random.normal(jax.random.fold_in(jax.random.key(0), 0), (4, 6)))
    states = [np.asarray(x, np.float64)]
    for weight in params:
        states.append(1 / (1 + np.exp(-states[-1] @ np.asarray(weight, np.float64))))
    pulled = np.zeros_like(states[-1])
    pulled[:, 0] = 1.0  # of own.last_sum
    norms = [np.linalg.norm(pulled)]
    for weight, after in zip(reversed(params), reversed(states), strict=False):
        pulled = (pulled * after * (1 - after)) @ np.asarray(weight, np.float64).T
        norms.append(np.linalg.norm(pulled))
    return np.log10(norms[::-1])


def test_rows_are_those_of_autodiff_beyond_what_float32_can_hold(tmp_path, capsys):
    flags = ("--depth", "2,60", "--loss", f"{HERE}:last_sum")
    rows = probed(capsys, tmp_path / "run", "seeded", *flags)
    assert [row["depth"] for row in rows] == [2, 60]
    for row in rows:
        every = np.array([by_autodiff(row["depth"], seed) for seed in range(2)])
        ratios = every[:, 0] - every[:, -1]
        assert row["log10_ratio"] == pytest.approx(ratios.mean(), abs=1e-4)
        error = abs(ratios[0] - ratios[1]) / 2
        assert row["log10_ratio_se"] == pytest.approx(error, abs=1e-4)
        assert row["states"] == row["depth"] + 1
        assert row["worst_state"] == "input"
    assert rows[1]["log10_ratio"] < -38 and rows[1]["verdict"] == "vanishes"
    records = [stored.load(path) for path in (tmp_path / "run/cells").glob("*.json")]
    assert len(records) == 2
    for record in records:
        arrays = stored.profiles(tmp_path / "run/cells", record.id)
        depth = record.settings["depth"]
        expected = np.array([by_autodiff(depth, seed) for seed in range(2)])
        assert np.allclose(arrays["log10_gradient"], expected, atol=1e-4)
        states = names.unpacked(arrays["state_names"])
        assert states[0] == "input" and len(states) == depth + 1


def test_a_run_is_resumed_reported_verified_and_compared(tmp_path, capsys, drawn):
    out, other = tmp_path / "run", tmp_path / "other"
    first = probed(capsys, out, "Module", "--depth", "2")
    for name in ("figure.png", "states.png", "report.html"):
        assert (out / name).stat().st_size > 1000
    (file,) = (out / "cells").glob("*.json")
    before = file.read_bytes()
    more = probed(capsys, out, "Module", "--depth", "2,3")
    assert more[0] == first[0] and file.read_bytes() == before
    file.unlink()  # as of a run that was killed before it was written
    assert main(["report", str(out)]) == 0
    assert "1 of 2 cells are here" in capsys.readouterr().err
    shutil.copytree(out, other)
    again = probed(capsys, out, "Module", "--depth", "2,3")
    assert again == more and file.read_bytes() == before
    assert main(["verify", str(out), "--cells", "2"]) == 0
    assert "2 of 2 cells are identical" in capsys.readouterr().out
    assert main(["compare", str(out), str(other)]) == 0


def test_other_nets_have_other_folders_and_other_cells(tmp_path, capsys, monkeypatch):
    models = ("my.nets:make", "my.nets:mended", "my.net:s", "my.net:s,my.nets:make")
    assert len({probe.folder(model) for model in models}) == len(models)
    together = probed(capsys, tmp_path / "run", "chain", "--depth", "1")
    together += probed(capsys, tmp_path / "run", "fixed", "--depth", "1")
    assert len(list((tmp_path / "run/cells").glob("*.json"))) == 2
    monkeypatch.chdir(tmp_path)
    words = ["probe", f"{HERE}:fixed", "--depth", "1", "--input", INPUT]
    assert main([*words, "--format", "csv"]) == 0
    assert (tmp_path / "runs/probe" / f"{HERE}.fixed" / "rows.csv").exists()


def test_a_net_without_a_depth_is_one_cell(tmp_path, capsys):
    (row,) = probed(capsys, tmp_path / "lone", "lone")
    assert row["depth"] is None and row["status"] == "ok"
    assert row["worst_state"] and row["states"] == 3
    (shown,) = STUDY.tables([{**row, "id": ""}])
    assert shown.rows[0][0] == "-"
    assert "None" not in str(headlines.of(STUDY, [row]))


def test_nets_of_all_kinds_are_made_and_their_seeds_drawn():
    for name in ("chain", "seeded", "Linen", "Module"):
        one, same, other = (
            jax.tree.leaves(nets.net(cell(name), seed).params) for seed in (0, 0, 1)
        )
        assert all(map(np.array_equal, one, same)), name
        assert not all(map(np.array_equal, one, other)), name
        assert nets.draws(cell(name)), name
    assert not nets.draws(cell("fixed"))
    assert maker(own.Linen).depth == "depth" and not maker(own.lone).depth


def test_seeds_are_one_where_nothing_is_drawn():
    axes = {name: axis.values[0] for name, axis in STUDY.axes.items()}
    changed = {"input": INPUT, "depth": 1}
    for name, typed, seeds in (
        ("fixed", set(), 1),
        ("fixed", {"seeds"}, 3),
        ("chain", set(), 3),
    ):
        cells = [{**axes, **changed, "model": f"{HERE}:{name}"}]
        (fitted,), _ = STUDY.fit(cells, {"input", *typed})
        assert fitted["seeds"] == seeds


def test_tokens_and_a_loss_of_two_arguments(tmp_path, capsys):
    flags = ("--tokens", "20", "--input", "2,5", "--loss", f"{HERE}:next_token")
    rows = probed(capsys, tmp_path / "run", "language", "--depth", "1,2", *flags)
    assert [row["status"] for row in rows] == ["ok", "ok"]
    drawn = nets.inputs(cell("language", input="2,5", tokens=20))
    assert drawn.dtype == jnp.int32 and drawn.min() >= 0 and drawn.max() < 20


def test_several_inputs_are_a_tuple_and_not_the_same():
    first, second = nets.inputs(cell("both", input="4,6; 4,6"))
    assert first.shape == second.shape == (4, 6)
    assert not np.allclose(first, second)


def test_a_dtype_is_that_of_parameters_and_inputs_and_of_no_whole_number():
    net = nets.net(cell("Linen", dtype="bfloat16"), 0)
    assert {str(a.dtype) for a in jax.tree.leaves((net.params, net.x))} == {"bfloat16"}
    net = nets.net(cell("language", input="2,5", tokens=20, dtype="bfloat16"), 0)
    assert net.x.dtype == jnp.int32
    (wide,), (narrow,) = (
        measure([cell("chain", 3, dtype=dtype, loss=f"{HERE}:last_sum")], {}, 2**30)
        for dtype in (None, "bfloat16")
    )
    assert narrow.status == wide.status == "ok"
    gap = abs(narrow.values["log10_ratio"] - wide.values["log10_ratio"])
    assert 0 < gap < 0.1


def test_what_has_no_number_is_a_row_that_says_so():
    (bad,) = measure([cell("undefined", seeds=2)], {}, 2**30)
    assert (bad.status, bad.values["signal_lost_how"]) == ("overflow", "overflow")
    assert "2 of 2 seeds" in bad.reason
    (zero,) = measure([cell("unread")], {}, 2**30)
    assert zero.status == "lost" and "exactly zero" in zero.reason
    (large,) = measure([cell("chain", 3)], {}, 100)
    assert large.status == "oom" and "100 B may be used" in large.reason
    for row in (bad, zero, large):
        assert "nan" not in json.dumps(row.values, default=str)


@pytest.mark.parametrize(
    ("library", "name"), [("equinox", "Net"), ("equinox", "pair"), ("haiku", "make")]
)
def test_nets_of_other_libraries_have_a_gradient_at_each_layer(library, name):
    pytest.importorskip(library)
    model = f"tests.benchmarks.nets_in_{library}:{name}"
    asked = {**cell("chain", 3), "model": model, "seeds": 2}
    nets.check(asked, whole=True)
    (result,) = measure([asked], {}, 2**30)
    assert result.status == "ok" and result.values["states"] >= 4
    assert result.values["log10_ratio_se"] > 0
    assert result.values["without_gradient"] == 0


@jax.numpy_dtype_promotion("standard")  # as flax's batch norm wants it
def test_statistics_are_neither_cast_nor_parameters():
    asked = cell("statistics", None, kwargs='{"train": true}', dtype="bfloat16")
    net = nets.net(asked, 0)
    dtypes = {name: str(array.dtype) for name, array in net.params.items()}
    assert any("mean" in name for name in net.rest)
    assert all(dtypes[name] != "bfloat16" for name in net.rest)
    assert all(dtypes[name] == "bfloat16" for name in {*dtypes} - net.rest)
    found = model_states.measured(net, model_states.network(net))
    named = {*found.log10_parameter_gradient, *found.without_gradient, *found.zeros}
    assert named and not named & net.rest
    (result,) = measure([asked], {}, 2**30)
    assert result.values["without_gradient"] == 0


WRONG = [
    ("no:such", (), "no: no such module"),
    (f"{HERE}:chian", (), "did you mean chain"),
    (f"{HERE}", (), "must be module:name"),
    (f"{HERE}:number", (), "model: 4 is none: give a Flax"),
    (f"{HERE}:odd", ("--depth", "3,4"), "the depth must be odd (/"),
    (f"{HERE}:leaving", (), "at depth 4: SystemExit: it leaves (/"),
    (f"{HERE}:twice", (), "argument: 'more'\n"),  # and no line of ours
    (f"{HERE}:Linen", ("--depth", "0"), "--depth 0"),
    (f"{HERE}:lone", ("--depth", "4"), "takes no depth"),
    (f"{HERE}:chain", ("--input", "4,x"), "--input '4,x'"),
    (f"{HERE}:chain", ("--input", "4,,6"), "--input '4,,6'"),
    (f"{HERE}:chain", ("--input", "4,0"), "--input '4,0'"),
    (
        f"{HERE}:chain",
        ("--input", "4,5"),
        "(float32[4, 5]): TypeError",
    ),
    (f"{HERE}:chain", ("--loss", f"{HERE}:per_example"), "not one number"),
    (
        f"{HERE}:chain",
        ("--loss", f"{HERE}:wrong_loss"),
        "loss: of the outputs float32[4, 6]: TypeError",
    ),
    (f"{HERE}:chain", ("--loss", f"{HERE}:number"), "--loss"),
    (f"{HERE}:chain", ("--loss", "here"), "--loss here: must be module:name"),
    (f"{HERE}:chain", ("--dtype", "float7"), "did you mean"),
    (f"{HERE}:chain", ("--kwargs", "train"), "--kwargs train: must be"),
    (f"{HERE}:chain", ("--kwargs", '{"train": true}'), "argument 'train'"),
    (f"{HERE}:deaf", (), "loss: no gradient of it reaches the batch"),
    (f"{HERE}:complex_net", (), "complex"),
    (f"{HERE}:language", ("--input", "2,5"), "integer"),
]


@pytest.mark.parametrize(
    ("model", "flags", "words"), WRONG, ids=[" ".join((m, *f)) for m, f, _ in WRONG]
)
def test_what_is_wrong_is_one_line_and_leaves_nothing(
    model, flags, words, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    standard = () if "--input" in flags else ("--input", INPUT)
    assert main(["probe", model, *standard, *flags]) == 2
    line = capsys.readouterr().err
    assert line.startswith("depthbench: ") and line.count("\n") == 1
    assert words in line
    assert list(tmp_path.iterdir()) == []


def test_the_inputs_of_ones_own_net_are_asked_for(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (["probe", "no.where:net"], ["run", STUDY.name, "--model", "no:net"]):
        assert main(words) == 2
        assert "--input is missing: the shape of what no" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert main(["probe", "--help"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "between them; needed --tokens" in words and "default: default" not in words


def test_the_users_own_line_is_named():
    with pytest.raises(Refusal, match=r"nets_of_ones_own\.py, line \d+\)$") as caught:
        nets.check(cell("odd", 4), whole=True)
    number = int(str(caught.value).rpartition(" ")[2].rstrip(")"))
    with open(own.__file__) as source:
        assert "raise ValueError" in source.readlines()[number - 1]


def row(depth, ratio, status="ok", **changed):
    verdict = status if ratio is None else "survives" if abs(ratio) <= 3 else "vanishes"
    numbers = {
        **dict.fromkeys(("log10_ratio", "log10_worst"), ratio),
        **dict.fromkeys(("log10_slope", "log10_slope_se"), ratio and ratio / depth),
        **{"log10_ratio_se": 0.1, "states": depth, "worst_state": "layer_0"},
        **{"signal_lost_in": None, "no_gradient_in": None},
    }
    settings = {**cell("chain", depth), "status": status, "reason": f"{status} there"}
    return {**settings, "verdict": verdict, **numbers, **changed}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row(4, -1), row(16, -2)], "through 16 layers, all tried"),
        (
            [row(4, -1), row(16, -9)],
            "through 4 layers, and not through 16, where it vani",
        ),
        ([row(4, -5), row(16, -1)], "does not keep its gradient"),
        (
            [row(4, -1), row(16, -9), row(64, -1)],
            "through 4 layers, and not through 16",
        ),
        ([row(4, -1), row(16, None, "overflow")], "where its signal overflows"),
        ([row(4, -1), row(16, None, "oom")], "where it does not fit in memory"),
    ],
)
def test_the_answer_is_of_the_deepest_that_survives(rows, words):
    answer, worst = headlines.of(STUDY, rows[::-1])
    assert words in answer and worst.startswith("Worst: ")
    for table in show.tables(rows):
        assert [line[0] for line in table.rows] == [str(r["depth"]) for r in rows]


def test_several_nets_are_told_by_what_differs():
    told = show.nets([row(4, -1), row(4, -9, dtype="bfloat16")])
    assert [name for name, _ in told] == [f"{HERE}:chain", f"{HERE}:chain, bfloat16"]
