"""The peers' nets are ours: same outputs, gradients and updates from the same weights.

How fast anybody is is not tested.
"""

import json

import jax
import numpy as np
import pytest

from depthbench.benchmarks.peers import (
    case,
    comparison,
    in_jax,
    in_keras,
    nets,
    study,
)
from depthbench.benchmarks.peers import show as report
from depthbench.benchmarks.peers.cases import CASES
from depthbench.research.cli.main import main
from depthbench.research.report.rendering import as_markdown

# Rounding: a sum of a few hundred float32 terms differs by some 1e-6; the sums of eight
# layers with batch norm over 75 pixels by ten times that.
CLOSE = 1e-4
LIBRARIES = {"torch": "torch", "keras": "keras", "equinox": "equinox"}
SMALL = case.CaseSize(batch=3, length=5, width=8, depth=2)
OTHER = {
    "resnet20_scan": SMALL._replace(length=8, width=4, depth=8),
    "resnet20_unrolled": SMALL._replace(length=8, width=4, depth=14),
    "alexnet": case.CaseSize(batch=2, length=67, width=12, depth=8),
    "resnet50": SMALL._replace(length=64, width=4, depth=50, batch=8),
    "decoder_2048": SMALL._replace(length=6, width=16),
    "lstm_1024": SMALL,
    "alexnet_1024": case.CaseSize(batch=2, length=67, width=12, depth=8),
}
LARGE = [name for name, one in CASES.items() if one.large]
# 53 convolutions take each side half a minute to compile.
every_large = pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.exhaustive if n == "resnet50" else ())
        for n in LARGE
    ],
)


def rows_of(name: str, *peers: str):
    """A small case's Measured of ours and of these peers."""
    shape = OTHER.get(name, SMALL)._asdict()
    names = ("depthbench", *peers)
    cells = [{"case": name, "peer": peer, **shape, "rounds": 1} for peer in names]
    return dict(zip(names, study.measure(cells, {}, 2**30), strict=True))


def assert_equal(rows) -> None:
    for name, row in rows.items():
        if row.status == "absent":
            assert name in LIBRARIES and row.reason
            continue
        assert (row.status, row.reason) == ("ok", ""), name
        assert row.values["largest_difference"] < CLOSE, name


# Compiling them all would take minutes, and importing Keras ten seconds: here each peer in
# one net, those that scan in the deep one; the rest is run by `pytest -m exhaustive`.
DEEP, LONG = ("equinox", "nnx"), ("keras", "torch_compiled")
ONE_NET = [
    pytest.param(
        "mlp_1000" if peer in DEEP else "mlp_wide_unrolled",
        peer,
        id=peer,
        marks=pytest.mark.exhaustive if peer in LONG else (),
    )
    for peer in study.PEERS
    if peer != comparison.BASE and not study.PEERS[peer].asked
]


# Keras calls jax in ways that jax has deprecated.
keras_may_warn = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@keras_may_warn
@pytest.mark.parametrize(("name", "peer"), ONE_NET)
def test_a_peers_net_is_ours(name, peer):
    assert_equal(rows_of(name, peer))


def test_a_peer_sits_out_the_cases_that_it_has_no_net_for(monkeypatch):
    (few,) = [peer for peer in in_jax.PEERS if peer.name == "jax"]
    few = few._replace(nets={"mlp": in_jax.mlp})
    monkeypatch.setitem(study.PEERS._entries, "jax", few)
    rows = rows_of("lstm", "jax")
    assert (rows["jax"].status, rows["depthbench"].status) == ("absent", "ok")
    assert rows["jax"].reason == "jax has no net for lstm"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.jit, by itself
@pytest.mark.exhaustive  # compiling takes half a minute
def test_torch_compile_takes_a_whole_net():
    """Not in pieces: what it cannot see through it leaves as it is, in silence."""
    pytest.importorskip("torch", reason="the [peers] extra is not installed")
    from torch._dynamo.utils import counters

    counters.clear()
    assert_equal(rows_of("resnet20_unrolled", "torch_compiled"))
    assert not counters["graph_break"] and counters["stats"]["unique_graphs"] == 1


@keras_may_warn
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", CASES)
def test_every_case_in_every_peer(name):
    assert_equal(rows_of(name, *list(study.PEERS)[1:]))


@every_large
def test_a_large_case_is_the_same_net_on_all_sides(name, monkeypatch):
    """Outputs, gradients and updates, at small size in float32, as of any other case."""
    if (
        name == "resnet50"
    ):  # after two steps a millionth of its weights is 5 % of a loss
        monkeypatch.setattr(comparison, "STEPS", 1)
    small = CASES[name]
    task = small.task(OTHER[name])._replace(dtype="float32")
    peers = {n: study.PEERS[n] for n in ("jax", "torch") if not study.PEERS[n].absent()}
    with comparison.lenient():
        trials, failures = comparison.start(small, task, peers)
    assert len(trials) == 1 + len(peers) and not failures
    largest = {n: trial.largest for n, trial in trials.items()}
    # As ResNet-20's tolerance: one input of ReLU that rounding has on its other side is
    # 0.035 of a gradient here, and 0.3 with 2 examples; without one it is 2e-5.
    assert max(largest.values()) < (0.05 if name == "resnet50" else CLOSE), largest


def test_a_large_net_is_the_same_written_out():
    """As `auto` has the largest on an accelerator."""
    scanned, apart = (
        nets.decoder(OTHER["decoder_2048"], loop) for loop in ("auto", "unrolled")
    )
    assert (scanned.loop, apart.loop) == ("auto: scan", "unrolled")
    assert len(apart.net.stages) == OTHER["decoder_2048"].depth
    peers = {"jax": study.PEERS["jax"]}
    with comparison.lenient():
        trials, _ = comparison.start(CASES["decoder_2048"], apart, peers)
    assert trials["jax"].largest < CLOSE
    same = jax.tree.map(np.array_equal, scanned.weights, apart.weights)
    assert all(jax.tree.leaves(same))


@every_large
def test_a_large_case_runs_as_it_will_on_a_gpu(name):
    """In bfloat16, one side after the other, with its memory: tiny, the same code."""
    rows = rows_of(name, "jax", "torch")
    for peer, row in rows.items():
        if row.status == "absent":
            assert peer in LIBRARIES and row.reason
            continue
        assert (row.status, row.reason) == ("ok", ""), (peer, row.values)
        known = peer != "torch" or jax.default_backend() == "gpu"
        assert (row.values["peak_gib"] is not None) == known
    measured = [
        {"case": name, "peer": peer, **OTHER[name]._asdict(), **row._asdict()}
        | {n: row.values.get(n) for n in study.STUDY.columns if n in row.values}
        for peer, row in rows.items()
    ]
    _, every, *_ = report.tables(measured)
    assert every.headers[-1] == "GiB"


def test_what_time_or_memory_leaves_out_says_why(monkeypatch):
    tight = CASES["lstm_1024"]._replace(large=1e-9)
    monkeypatch.setitem(CASES._entries, "lstm_1024", tight)
    rows = rows_of("lstm_1024", "jax", "torch")
    assert rows["depthbench"].status == "ok"  # what the others are compared with
    assert rows["jax"].status == "absent"
    assert rows["jax"].reason == "not begun: the case's 1e-09 s were over"

    def full(model, task):
        raise RuntimeError("RESOURCE_EXHAUSTED: 99 GiB\nmore")

    monkeypatch.setitem(CASES._entries, "lstm_1024", tight._replace(large=60.0))
    peer = study.PEERS["jax"]._replace(side=full)
    monkeypatch.setitem(study.PEERS._entries, "jax", peer)
    row = rows_of("lstm_1024", "jax")["jax"]
    assert row.status == "oom"
    assert row.reason == "out of memory: RESOURCE_EXHAUSTED: 99 GiB"


@pytest.mark.parametrize("name", ("mlp_wide", "lstm_1024"))
def test_a_peer_that_fails_says_so_and_others_are_timed(name, monkeypatch):
    """As torch.compile does where there is no compiler."""

    def broken(model, task):
        raise RuntimeError("backend failed: no compiler\nmore")

    peer = study.PEERS["jax"]._replace(name="nnx", side=broken)
    monkeypatch.setitem(study.PEERS._entries, "torch", peer._replace(name="torch"))
    rows = rows_of(name, "torch", "jax")
    reason = "failed: RuntimeError: backend failed: no compiler"
    assert (rows["torch"].status, rows["torch"].reason) == ("failed", reason)
    assert rows["jax"].status == rows["depthbench"].status == "ok"


def test_what_failed_is_run_again_where_that_is_asked_for(tmp_path, capsys):
    flags = ["--case", "mlp_wide", "--peer", "depthbench,jax", "--out", f"{tmp_path}"]
    command = ["run", "peers", *flags, "--size", "smoke", "--format", "json"]

    def broken(model, task):
        raise RuntimeError("no compiler")

    def statuses(*more):
        assert main([*command, *more]) == 0
        return [row["status"] for row in json.loads(capsys.readouterr().out)]

    whole = study.PEERS["jax"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(study.PEERS._entries, "jax", whole._replace(side=broken))
        assert statuses() == ["ok", "failed"]
    assert statuses() == ["ok", "failed"]
    assert statuses("--retry", "failed,absent") == ["ok", "ok"]


def test_nobody_trains_a_large_net_in_another_precision():
    names = [n for n in study.PEERS if n not in study.LARGE and n != "jax_cudnn"]
    for name, row in rows_of("lstm_1024", *names, "jax_cudnn").items():
        if name != "depthbench":
            assert row.status == "absent" and not row.values
            assert row.reason.startswith(f"{name} is not trained in half precision")


def test_where_jax_takes_the_devices_memory_a_line_says_so(monkeypatch):
    monkeypatch.setattr(study.host, "accelerator", lambda: True)
    sizes = dict.fromkeys(case.CaseSize._fields)
    cells = [{"case": "lstm_1024", "peer": "torch", **sizes, "rounds": 12}]
    for value, lines in (("true", 1), ("false", 0)):
        monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", value)
        assert len(study.fit(cells, {"case", "peer"})[1]) == lines
        ours = [{**cells[0], "peer": "jax"}]
        assert not study.fit(ours, {"case", "peer"})[1]


def test_the_default_cases_are_of_the_devices_size(monkeypatch):
    sizes = dict.fromkeys(case.CaseSize._fields)
    cells = [
        {"case": name, "peer": peer, **sizes, "rounds": 12}
        for name in CASES
        for peer in study.PEERS
    ]
    for large in (False, True):
        monkeypatch.setattr(study.host, "accelerator", lambda large=large: large)
        fitted, lines = study.fit(cells, set())
        cases = dict.fromkeys(cell["case"] for cell in fitted)
        assert {bool(CASES[name].large) for name in cases} == {large}
        assert len(cases) == (len(LARGE) if large else len(CASES) - len(LARGE))
        assert "not run unless --case names them" in lines[0]
    assert {cell["peer"] for cell in fitted} == set(study.LARGE)
    assert sum(CASES[name].large for name in LARGE) <= 300  # five minutes
    both, _ = study.fit(cells, {"case", "peer"})
    assert both == cells


def test_the_two_resnets_are_one():
    """Stages of one block each have the scanned stages' weights, in order."""
    case = CASES["resnet20_unrolled"]
    task = case.task(OTHER["resnet20_unrolled"])
    assert [stage.depth for stage in task.net.stages] == [1] * 6
    alone = case.arrange(task.variables)
    assert jax.tree.all(jax.tree.map(np.array_equal, task.weights, alone))


def test_other_weights_are_not_timed(monkeypatch):
    build = in_jax.mlp

    def perturbed(weights, shape):
        model = build(weights, shape)
        params, statistics = model.net
        stem = jax.tree.map(lambda a: np.float32(1.01) * a, params["stem"])
        return model._replace(net=({**params, "stem": stem}, statistics))

    monkeypatch.setitem(in_jax.NETS, "mlp", perturbed)
    row = rows_of("mlp_wide", "jax")["jax"]
    assert (row.status, row.values["agrees"]) == ("differs", False)
    assert "differ from ours" in row.reason
    assert "step_ms" not in row.values


def test_a_difference_is_relative_to_what_differs():
    apart = comparison.apart
    big, small, nothing = np.full(4, 100.0), np.full(4, 1.0), np.full(4, 1e-9)
    assert apart([big, small], [big, small]) == 0.0
    assert apart([big, 1.1 * small], [big, small]) == pytest.approx(0.1, rel=0.1)
    assert apart([1.1 * big, small], [big, small]) == pytest.approx(0.1)
    # What is nothing but rounding may be anything.
    assert apart([big, 3 * nothing], [big, nothing]) < 1e-6


def test_absent_libraries_are_rows_with_the_reason(monkeypatch):
    compared = []

    def compare(case, task, libraries, rounds):
        compared.extend(libraries)
        return {}

    monkeypatch.setattr(comparison, "compare", compare)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    rows = rows_of("lstm", "jax", "torch", "torch_compiled", "keras", "equinox")
    assert compared == ["jax"]
    assert {n: row.reason for n, row in rows.items() if row.reason} == {
        "torch": "torch is not installed (pip install -e '.[peers]')",
        "torch_compiled": "torch is not installed (pip install -e '.[peers]')",
        "keras": "keras is not installed (pip install -e '.[peers]')",
        "equinox": "equinox is not installed (pip install -e '.[peers]')",
    }


def test_keras_on_another_backend_is_absent(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.delitem(in_keras.sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert in_keras.absent() == "Keras runs on torch here (KERAS_BACKEND)"


def test_peers_at_smoke_size(tmp_path, capsys):
    flags = ("--case", "mlp_wide", "--peer", "depthbench,jax", "--out", f"{tmp_path}")
    assert main(["run", "peers", *flags, "--size", "smoke", "--format", "json"]) == 0
    rows = {row["peer"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == ["depthbench", "jax"]
    for row in rows.values():
        assert (row["status"], row["agrees"]) == ("ok", True)
        missing = [c for c in study.STUDY.columns if row[c] is None]
        # The case's own; and sides that are timed in turn share what memory there is.
        assert missing == ["depth", "peak_gib"]
        assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
    assert rows["depthbench"]["ratio"] == rows["depthbench"]["first_ratio"] == 1.0
    assert_readable(study.STUDY.tables(list(rows.values())))


def test_a_slow_compiler_waits_to_be_named():
    cells = [
        {"case": "mlp_1000", "peer": peer, **dict.fromkeys(case.CaseSize._fields)}
        for peer in ("depthbench", "torch_compiled")
    ]
    fitted, (says,) = study.fit(cells, {"case"})
    assert [cell["peer"] for cell in fitted] == ["depthbench"]
    assert "mlp_1000 in torch_compiled" in says
    assert study.fit(cells, {"case", "peer"}) == (cells, [])


def timed(name: str, peer: str, ratio: float, first: float) -> dict:
    sizes = dict.fromkeys(("batch", "length", "width", "depth"))
    return {
        **{"case": name, "peer": peer, **sizes, "status": "ok", "reason": ""},
        **{"step_ms": 123.456 * ratio, "first_step_s": first, "first_ratio": first},
        **{"ratio": ratio, "ratio_low": 0.9 * ratio, "ratio_high": 1.1 * ratio},
        **{"n": 40, "load": 1.0, "threads": 2, "agrees": True},
    }


def test_the_first_table_has_the_best_peer_of_each_case():
    rows = [timed("lstm", "depthbench", 1.0, 1.0), timed("lstm", "jax", 1.5, 0.5)]
    rows += [timed("lstm", "torch_compiled", 0.8, 9.0)]
    rows += [
        timed("resnet20_unrolled", "depthbench", 1.0, 1.0),  # alone: nothing to say
    ]
    best, every, *_ = report.tables(rows)
    text = lambda entry: getattr(entry, "text", entry)
    assert [tuple(map(text, line)) for line in best.rows] == [
        ("lstm", "123", "torch_compiled", "0.80", "1.50", "1", "jax", "0.50")
    ]
    assert best.rows[0][3].tone == "bad" and best.rows[0][4].tone == "good"
    assert len(every.rows) == 4
    assert_readable([best, every])


def assert_readable(shown) -> None:
    for table in shown:
        lines = as_markdown(table).splitlines()
        assert all(len(line) <= 100 for line in lines)  # bars and spaces included
