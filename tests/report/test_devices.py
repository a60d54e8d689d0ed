"""Rows of several devices: which device a number, a verdict or a table is of."""

import json
import re
import shutil
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from depthbench.research.cli.main import main
from depthbench.research.report import (
    documents,
    gallery,
    published,
    rendering,
    reproduction,
    verdicts,
)
from depthbench.research.report.devices import beside, compared
from depthbench.research.report.published import Made
from depthbench.research.store import manifest as manifests
from depthbench.research.store.folder import STAMP, Folder
from depthbench.research.study.errors import Refusal
from depthbench.research.study.studies import studies
from depthbench.research.study.tables import number

OTHERS = [device for device in published.devices() if device != published.CPU]
PAIRS = [(d, n) for d in OTHERS for n in published.folders(d)]


def filled(marker):
    return documents.filled(f"<!-- {marker} -->\n<!-- end -->")


@pytest.mark.parametrize(("device", "name"), PAIRS)
def test_a_table_names_its_device(device, name):
    made = published.made(name, device)
    text = filled(f"table: {name} on {device}")
    assert text.startswith(f"<!-- table: {name} on {device} -->\n")
    assert f"{made.device}, " in text and text != filled(f"table: {name}")
    with pytest.raises(ValueError, match=f"no committed rows of {name} on nothing"):
        filled(f"table: {name} on nothing")


def test_a_page_is_reproduced_from_the_cpus_tables(root):
    assert documents.tables(root / "docs" / "cost.md") == ["throughput", "peers"]


def test_a_table_of_all_devices_has_the_lines_of_each():
    study = studies()["peers"]
    table, whole = beside(study), published.of_devices("peers")
    firsts = [study.tables(made.rows)[0] for made in whole.values()]
    assert len(table.headers) == 1 + len(firsts) and len(firsts) > 1
    assert len(table.rows) == min(len(first.rows) for first in firsts)
    for row in table.rows:
        both = [next(r for r in f.rows if r[0] == row[0]) for f in firsts]
        wanted = [" ".join(map(rendering.text_of, r[1:4])) for r in both]
        assert list(row[1:]) == wanted


def rerun_on(study, device, processor, tmp_path):
    """A run's folder with the CPU's committed rows, as if another machine had made them."""
    stamp = published.read_stamp(published.folders()[study.name] / STAMP)
    stamp |= {"processor": processor}
    if device is not None:
        stamp |= {"platform": "gpu", "device": device}
    out = Folder(tmp_path / "run")
    out.path.mkdir()
    for name in ("rows.csv", "run.json"):
        shutil.copy(published.folders()[study.name] / name, out.path)
    manifest = manifests.of(out.path)
    environment = {n: stamp[n] for n in manifest.environment if n in stamp}
    manifest = replace(manifest, environment=environment)
    (out.path / "run.json").write_bytes(manifests.content(manifest))
    return out, [SimpleNamespace(stamp=stamp, values={})]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """The committed rows of one study that takes times and one that does not."""
    for study in ("peers", "dropout_depth"):
        here = published.folders()[study]
        shutil.copytree(here, tmp_path / "results" / "cpu" / study)
    shutil.copytree(
        published.folders(OTHERS[-1])["peers"], tmp_path / "results" / "gpu" / "peers"
    )
    monkeypatch.setattr(published, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


@pytest.mark.parametrize(
    ("name", "device", "processor", "place"),
    (
        ("peers", None, "Intel(R) Xeon(R) Processor", "cpu"),  # its own again
        ("peers", None, "AMD EPYC", "amd_epyc"),
        ("peers", "NVIDIA H100", "AMD EPYC", "nvidia_h100"),
        ("peers", None, "神威", "other"),
        ("peers", None, "CPU", "other_cpu"),
        ("dropout_depth", None, "AMD Ryzen", "cpu"),  # its numbers are any CPU's
    ),
)
def test_another_processors_times_are_beside_and_not_instead(
    results, tmp_path, name, device, processor, place
):
    study, before = studies()[name], (results / "cpu" / name / "rows.csv").read_bytes()
    run = rerun_on(study, device, processor, tmp_path)
    assert published.publish(study, *run) == results / place / name
    assert (results / "cpu" / name / "rows.csv").read_bytes() == before
    assert published.devices()[0] == "cpu" and place in published.devices()
    assert published.made_again(study, place)


def test_a_smoke_run_and_a_part_of_the_cells_are_not_published(results, tmp_path):
    study = studies()["dropout_depth"]
    folder, records = rerun_on(study, None, "AMD Ryzen", tmp_path)
    lines = (folder.path / "rows.csv").read_text().splitlines(keepends=True)
    (folder.path / "rows.csv").write_text("".join(lines[:-1]))
    with pytest.raises(Refusal, match="committed cells, and no others; run them all"):
        published.publish(study, folder, records)
    names = lines[0].strip().split(",")
    small = {n: str(v[0]) for n, v in study.sizes["smoke"].items() if n in names}
    cells = dict(zip(names, lines[1].strip().split(","), strict=True)) | small
    (folder.path / "rows.csv").write_text(lines[0] + ",".join(cells.values()) + "\n")
    with pytest.raises(Refusal, match="is of the smoke size"):
        published.publish(study, folder, records)


@pytest.mark.parametrize("processor", ("Intel(R) Xeon(R) Processor", "AMD EPYC"))
def test_a_publication_that_fails_leaves_all_as_it_was(results, tmp_path, processor):
    study = studies()["peers"]
    files = lambda: {p: p.read_bytes() for p in results.rglob("*") if p.is_file()}
    run, before = rerun_on(study, None, processor, tmp_path), files()
    with pytest.raises(ZeroDivisionError), published.unless_it_fails(study, run[1]):
        target = published.publish(study, *run)
        (target / "report.md").write_text("half")
        1 / 0  # noqa: B018
    assert files() == before and set(published.devices()) == {"cpu", "gpu"}


def test_two_processors_and_an_accelerator_fit_side_by_side(results, tmp_path):
    """The CPUs first; README's table within 100 columns; each verdict by its device."""
    study = studies()["peers"]
    published.publish(study, *rerun_on(study, None, "AMD EPYC", tmp_path))
    assert published.devices() == ["cpu", "amd_epyc", "gpu"]
    block = filled("beside: peers")
    lines = [line for line in block.splitlines() if line.startswith("|")]
    assert max(map(len, lines)) <= 100
    header = [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert header == ["case", "Intel Xeon", "AMD EPYC", "NVIDIA H100 80GB HBM3"]
    assert block.count("AMD EPYC, 2 cores") == 1
    judged = verdicts.verdict_lines(study, tmp_path / "none", "standard")
    devices = [t.title.rpartition(" (")[2] for t in verdicts.verdicts_tables([*judged])]
    shown = "".join(devices)
    assert [shown.count(name) for name in ("Intel", "AMD", "H100")] == [1, 1, 1]


def of_h100(study):
    return published.made(study, "nvidia_h100_80gb_hbm3").rows


def test_where_pytorch_is_ahead_is_what_rows_and_the_quoted_table_say(root):
    """Sentences of README and docs/cost.md: change them with the rows."""
    pages = [(root / name).read_text() for name in ("README.md", "docs/cost.md")]
    readme, cost = (" ".join(text.split()) for text in pages)
    lines = re.findall(r"^\| (ResNet-50|pre-LN).*\|$", pages[1], re.MULTILINE)
    assert lines == ["ResNet-50", "pre-LN"]
    ratios, ours = [], []
    for line in re.findall(r"^\| (?:ResNet-50|pre-LN).*\|$", pages[1], re.MULTILINE):
        *_, compiled, here, ratio = (e.split()[0] for e in line.strip("| ").split("|"))
        quotient = float(compiled) / float(here.strip(","))
        assert abs(float(ratio) - quotient) <= 0.006  # times are rounded, as it is
        ratios.append(ratio)
        ours.append(float(here.strip(",")))
    times = {
        row["peer"]: row["step_ms"]
        for row in of_h100("peers")
        if row["case"] == "lstm" and row["peer"] in ("depthbench", "torch")
    }
    lstm = f"{times['torch'] / times['depthbench']:.2f}"
    assert f"it {ratios[0]} of our time in ResNet-50, {ratios[1]} in a" in readme
    assert f"and {lstm} in the LSTM" in readme and f"takes {lstm} of our time" in cost
    assert f"{ratios[0]} in ResNet-50, {ratios[1]} in a Transformer" in cost
    rows = {
        row["architecture"]: row["step_ms"]
        for row in of_h100("throughput")
        if (row["mode"], row["loop"]) == ("step", "scan")
    }
    steps = [rows["resnet_imagenet"], rows["transformer_decoder"]]
    assert all(abs(a / b - 1) < 0.02 for a, b in zip(steps, ours, strict=True))
    assert f"from other runs, are {steps[0]:.1f} and {steps[1]:.0f} ms" in cost


def changed(rows, **values):
    return [{**rows[0], **values}, *rows[1:]]


def test_what_differs_between_devices_is_counted_and_named():
    study, cpu = studies()["gradient_flow"], published.made("gradient_flow")
    label = f"{cpu.rows[0]['architecture']} {cpu.rows[0]['activation']} "
    same = compared(study, cpu, cpu)
    assert "1,512 of 1,512 cells" in same and "4 of 4 claims" in same
    assert "|" not in same
    other = Made(changed(cpu.rows, verdict="explodes", log10_ratio=7.5), {"jax": 1}, "")
    verdicts, numbers = compared(study, cpu, other).split("\n\n")[1:]
    assert label in verdicts and "explodes" in verdicts
    last = numbers.splitlines()[-1].replace(" ", "")
    apart = number(7.5 - cpu.rows[0]["log10_ratio"])
    count = sum(row["log10_ratio"] is not None for row in cpu.rows)
    assert last.startswith(f"|log10_ratio|{count:,}|1|0|{apart}|")
    assert label.replace(" ", "") in last
    lacking = [{k: v for k, v in r.items() if k != "log10_length_se"} for r in cpu.rows]
    text = compared(study, cpu, cpu._replace(rows=lacking))
    assert "| untested: rows made before there was a column 'log10_length_se' |" in text
    assert "3 of 3 claims that both judge" in text
    outcome = reproduction.of(study, cpu._replace(rows=lacking), cpu)
    assert outcome.others == [] and outcome.verdicts["claims"] == 3
    (left_out,) = outcome.left_out
    assert left_out.startswith("klambauer2017.selu-keeps-length (rows made before")


def test_the_gallery_says_what_other_devices_gave():
    text = "".join(gallery.pictures(folder) for folder in gallery.FOLDERS)
    for device, name in PAIRS:
        section = text.partition(f"## {name}\n")[2].partition("\n## ")[0]
        opening = f"On {published.made(name, device).device}: "
        (said,) = (p for p in section.split("\n\n") if p.startswith(opening))
        assert f"/{device}/{name}/report.md" in said


@pytest.mark.parametrize("device", [d for d, n in PAIRS if n == "gradient_flow"])
def test_another_devices_rows_are_compared_and_not_verified(device, tmp_path, capsys):
    folder = published.folders(device)["gradient_flow"]
    for name in (f"{device}/gradient_flow", str(folder)):
        out = str(tmp_path / "again")
        assert main(["reproduce", name, "--out", out, "--dry-run"]) == 0
        first, second = capsys.readouterr().err.splitlines()
        made = published.made("gradient_flow", device)
        assert "1512 cells to run" in first and f"rows of {made.device}: " in second
    assert main(["verify", str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"made on {made.device}" in line
    assert f"`depthbench reproduce {device}/gradient_flow`" in line


def test_every_verdict_has_its_device(tmp_path, capsys):
    command = ["claims", "--only", "gradient_flow", "--out", str(tmp_path)]
    assert main([*command, "--format", "json"]) == 0
    lines = json.loads(capsys.readouterr().out)
    whole = published.of_devices("gradient_flow")
    for key in {line["key"] for line in lines}:
        devices = [line["device"] for line in lines if line["key"] == key]
        assert devices == [made.device for made in whole.values()]
    assert main([*command, "--format", "markdown"]) == 0
    titles = capsys.readouterr().out.split("### ")[1:]
    assert len(titles) == len(whole)
    for title, made in zip(titles, whole.values(), strict=True):
        assert title.partition("\n")[0].endswith(f"{made.device}, {made.date}")
