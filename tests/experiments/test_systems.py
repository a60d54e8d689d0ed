"""Every study of a system at smoke size: one form for all of them."""

import functools
import re
import sys

import numpy as np
import pytest

from depthbench.benchmarks import systems
from depthbench.experiments import scores
from depthbench.research.cli.main import main
from depthbench.research.engine import runner
from depthbench.research.learning import held_out
from depthbench.research.report import gallery, published, study_report
from depthbench.research.report import systems as table
from depthbench.research.store import provenance
from depthbench.research.study import headlines, plan
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.studies import studies

SYSTEMS = [name for name, study in studies().items() if study.summary is not None]
each = pytest.mark.parametrize("name", SYSTEMS)


@each
def test_a_smoke_run_has_rows_sentences_and_pictures(name, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["run", name, "--size", "smoke", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "nan" not in shown.split()
    study, rows = studies()[name], published.read_csv(out / "rows.csv")
    assert rows and {row["status"] for row in rows} == {"ok"}
    fields = re.split(r"[,\r\n]", (out / "rows.csv").read_text())
    assert not {"nan", "inf", "-inf"} & set(fields)
    summary = study.summary(rows)
    assert summary.system and summary.noun and summary.strong
    assert summary.verdict in ("wins", "ties", "loses")
    figures = list(out.glob("*.png"))
    assert figures and all(path.stat().st_size > 10_000 for path in figures)
    answer, worst = headlines.of(study, rows)
    assert answer and worst


@each
def test_a_published_baseline_that_is_ahead_is_in_the_first_sentence(name):
    committed = published.made(name)
    if committed is None:
        pytest.fail(f"{name}: no committed rows; run and publish it")
    study = studies()[name]
    if study.summary(committed.rows).verdict == "loses":
        answer = headlines.of(study, committed.rows).answer
        first = answer.partition(".")[0].lower()
        assert (
            "baseline" in first or study.summary(committed.rows).strong.lower() in first
        )


@each
def test_nets_are_named_in_words(name):
    """No setting as it is typed: a reader has not seen the axes."""
    study, rows = studies()[name], published.made(name).rows
    summary, (answer, worst) = study.summary(rows), headlines.of(study, rows)
    typed = re.compile(r"[a-z]+_[a-z]+|\bmlp\b")
    assert not typed.findall(f"{summary.net} {answer} {worst}")


@each
def test_no_interval_shown_passes_what_can_be(name):
    """Few seeds' intervals are wide: yet no share is above 1, and no error below 0."""
    study, rows = studies()[name], headlines.measured(published.made(name).rows)
    seen = [row[n] for row in rows for n in ("score", "strong", "trivial")]
    known = [value for value in seen if value is not None]
    shown = []
    for shape in study.tables(rows):
        if "95 %" in shape.headers:
            place = shape.headers.index("95 %")
            texts = [str(line[place]) for line in shape.rows]
            ends = [text.split(" to ") for text in texts if text != "-"]
            shown += [float(end) for pair in ends for end in pair]
    if min(known) >= 0 and name != "clusters":  # an adjusted index can be negative
        assert all(end >= 0 for end in shown)
    if max(known) <= 1:
        assert all(end <= 1 for end in shown)


@each
def test_all_share_their_columns(name):
    """Axes and columns that mean the same have the same name in all of them."""
    columns = studies()[name].columns
    shared = [column for column in scores.COLUMNS if column not in columns]
    assert not shared, f"{name} has no {shared}: see experiments/scores.py"


# Nets whose rates do not decay, of which a loss that still falls says that they learn; and
# those of faces, of which each division of the photographs is asked by itself.
AT_ONE_RATE = (
    *("data_scaling", "faces", "multitask", "patch", "perceptron_xor", "simple_first"),
    *("gan_gradient", "gpu_fix", "tuning", "hopfield"),
)


@pytest.mark.parametrize("name", [n for n in SYSTEMS if n not in AT_ONE_RATE])
def test_nets_whose_rates_decay_are_asked_by_half_the_steps(name):
    """In the end all rest, whatever the budget: no loss says that more would help."""
    rows = headlines.measured(published.made(name).rows)
    assert all(row["valid_half"] is not None for row in rows)


def test_the_table_of_all_systems_is_of_them_all():
    """As the benchmark knows them, which reads no file but for a name, and as they are:
    folder by folder, as README's table of folders has them."""
    folders = [studies()[name].module.split(".")[2] for name in SYSTEMS]
    assert sorted(folders, key=gallery.FOLDERS.index) == folders
    assert sorted(systems.SYSTEMS) == sorted(SYSTEMS)
    assert list(table.committed()) == SYSTEMS


def test_rows_of_all_systems_come_from_the_studies_code(monkeypatch):
    """Resumed after a study was changed, the benchmark would mix rows of both."""
    cells = [{"system": name, "run": "smoke"} for name in ("hopfield", "adding")]
    before = runner.code_of(systems.STUDY._replace(module=systems.__name__), cells, {})
    file = "experiments/unsupervised/hopfield.py"
    text = (provenance.ROOT / file).read_text("utf-8")
    assert "TURNED = 0.1" in text
    changed = {file: text.replace("TURNED = 0.1", "TURNED = 0.2")}
    other = functools.partial(provenance.Sources, changed=changed)
    monkeypatch.setattr(provenance, "Sources", other)
    after = runner.code_of(systems.STUDY._replace(module=systems.__name__), cells, {})
    assert [n for n in before if before[n] != after[n]] == ["study: hopfield"]


def test_the_cost_of_all_systems_is_that_of_their_studies():
    """An estimate that is the same at every size is of none."""
    seconds = [
        systems.cost([{"system": "few_shot", "run": size}], {}).seconds
        for size in ("smoke", "standard", "full")
    ]
    assert 0 < seconds[0] < seconds[1] < seconds[2]


WRONG = {"depth": "-1", "dataset": "no_such_set", "seeds": "0", "steps": "none"}


@each
def test_a_wrong_value_is_one_line_and_writes_nothing(name, tmp_path, capsys):
    out, axes = tmp_path / "out", studies()[name].axes
    tried = [axis for axis in WRONG if axis in axes]
    assert tried
    for axis in tried:
        arguments = ["run", name, f"--{axis}={WRONG[axis]}", "--out", str(out)]
        assert main(arguments) == 2, axis
        said = capsys.readouterr().err.strip()
        assert said.startswith("depthbench: ") and "\n" not in said
        assert WRONG[axis] in said and not out.exists()


@each
def test_the_standard_size_is_three_minutes_and_three_gibibytes_by_estimate(name):
    """Of two workers that share the cells; and the largest cell fits twice."""
    study = studies()[name]
    cells, _ = study.fit(grid(study, chosen_values(study, "standard", {})), set())
    costs = [unit.cost for unit in plan.units(study, cells)]
    assert sum(cost.seconds for cost in costs) / 2 <= 180
    assert 2 * max(cost.memory for cost in costs) <= 3 * 2**30
    full = study.fit(grid(study, chosen_values(study, "full", {})), set())[0]
    assert max(unit.cost.memory for unit in plan.units(study, full)) <= 80e9


# Systems whose test part is that of `held_out.parts`; the others divide letters or tables.
DIVIDED = [n for n in SYSTEMS if "held_out" in vars(sys.modules[studies()[n].module])]
SAMPLED = ("feedback_alignment",)


@pytest.mark.parametrize(
    "name",
    [
        name if name in SAMPLED else pytest.param(name, marks=pytest.mark.exhaustive)
        for name in DIVIDED
    ],
)
def test_nothing_is_chosen_by_test_data(name, monkeypatch):
    """With other labels in the test part scores change, and nothing else does."""
    true = held_out.parts

    def other(*arguments, **keywords):
        parts = true(*arguments, **keywords)
        turned = np.roll(parts.test.y, 7, axis=0)
        return parts._replace(test=parts.test._replace(y=turned))

    rows = smoke_rows(name)
    monkeypatch.setattr(held_out, "parts", other)
    for before, after in zip(rows, smoke_rows(name), strict=True):
        for column in ("valid", *scores.CHOICE, *scores.BEFOREHAND):
            assert before[column] == after[column], column
        assert before["score"] != after["score"]


def smoke_rows(name):
    """A study's smoke rows, of which nothing is remembered from before."""
    for module in [m for m in sys.modules if m.startswith("depthbench.experiments.")]:
        for thing in vars(sys.modules[module]).values():
            if hasattr(thing, "cache_clear") and not isinstance(thing, type):
                thing.cache_clear()
    study = studies()[name]
    cells, _ = study.fit(grid(study, chosen_values(study, "smoke", {})), set())
    return [
        result.values
        for unit in plan.units(study, cells)
        for result in plan.measure(unit, 2**31)
    ]


def diverged(study, row):
    """The row of the same cell had its net diverged: it has its settings and no number."""
    known = {"status": "diverged", "reason": "its score is not finite"}
    return {n: row.get(n) if n in study.axes else None for n in row} | known


@each
@pytest.mark.parametrize("lost", ["first", "best", "all"])
def test_nets_that_diverged_are_shown_and_judged(name, lost):
    study, rows = studies()[name], published.made(name).rows
    ok = headlines.measured(rows)
    best = study.summary(rows).net
    gone = {"first": ok[:1], "all": ok}.get(lost)
    if gone is None:
        gone = [row for row in ok if study.summary([row]).net == best]
    shown = [diverged(study, row) if row in gone else row for row in rows]
    answer, worst = headlines.of(study, shown)
    assert answer and "None" not in answer + worst
    list(study.tables(shown))
    judged = study_report.verdicts(study, shown)
    assert lost != "all" or not any(v.word in ("holds", "fails") for v in judged)
    assert bool(study.shown(shown, lambda row: {})[0]) == (lost != "all")
