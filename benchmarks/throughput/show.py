"""How throughput is shown: costs, and how they grow with depth."""

import functools
from collections.abc import Sequence
from typing import Any

from depthbench.benchmarks.growth import Growth, growth
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import Headline, Row
from depthbench.research.study.estimates import about, exact, mean
from depthbench.research.study.headlines import counted
from depthbench.research.study.tables import Mark, Table, number, ranged, with_error

# What rows of one line of growth have in common: all but the depth.
SAME = (
    *("architecture", "width", "activation", "batch", "length", "classes"),
    *("optimizer", "dtype", "mode", "loop", "profile"),
)
LABELLED = ("width", "activation", "batch", "length", "classes", "optimizer", "dtype")
WORD = {"auto": "", "scan": "", "remat": " √", "unrolled": ""}  # see `unrolled`
LOADED = 0.15  # cores at other work: a row says so
DRIFT = 0.1  # of the machine's rates from the start of a run to its end
COUNTED = 0.1  # of the operations, that XLA's count may differ by
KNOWN = 0.15  # an exponent's largest standard error that still tells 1 from ½
LOW, FAIR = 0.1, 0.3  # shares that stand out


def done(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["status"] == "ok"]


def unrolled(row: Row) -> bool:
    """Whether its layers were written out, asked for or chosen: part of a net's name."""
    return "unrolled" in (row["loop"], row.get("form"))


def lines(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that differ in depth alone, shallow to deep."""
    by_settings: dict[tuple, list[Row]] = {}
    for row in done(rows):
        by_settings.setdefault((*map(row.get, SAME), unrolled(row)), []).append(row)
    return [sorted(line, key=lambda row: row["depth"]) for line in by_settings.values()]


def grown(line: Sequence[Row], column: str) -> Growth | None:
    """How a column grows along rows that differ in depth alone.

    What moves a call in a row moves whole rows too, so that half the quartiles' distance
    is taken for the deviation of a time; bytes are exact.
    """
    measured = [row for row in line if row[column] is not None]
    half = [(r["step_ms_high"] - r["step_ms_low"]) / r["step_ms"] / 2 for r in measured]
    noise = max(half, default=0.0) if column == "step_ms" else 0.0
    return growth(
        [row["depth"] for row in measured], [row[column] for row in measured], noise
    )


def growths(column: str, rows: Sequence[Row]) -> list[Row]:
    """A row for each line, with the exponent of a column and its standard error.

    loaded: whether something else was at work while any of them was timed. A line of
    which a row did not end well ends like it.
    """
    grown_rows = []
    for line in lines(rows):
        fit = grown(line, column)
        bad = [row for row in rows if row["status"] != "ok" and _alike(row, line[0])]
        if bad:
            grown_rows.append(bad[0])
        elif fit is not None and fit.error is not None:
            fitted = {"exponent": fit.exponent, "error": fit.error}
            fitted |= {"depths": fit.points, "loaded": any(map(_loaded, line))}
            grown_rows.append({**line[-1], **fitted})
    return grown_rows


def _alike(row: Row, other: Row) -> bool:
    return all(row.get(name) == other.get(name) for name in SAME)


def stacked(row: Any) -> bool:
    """Whether layers lie one upon the other: not time steps, nor each of its own kind."""
    if row["architecture"] not in ARCHITECTURES.published:
        return False
    family = ARCHITECTURES[row["architecture"]]
    over_time = family.takes == "sequence" and family.space == 0
    return family.repeats and not over_time


LABEL = ("architecture", "dtype", "mode", "loop", "depth")
CLAIMS = (
    Claim(
        "depthbench.time-grows-as-depth",
        "time grows as depth, apart from what stem and head take",
        "depthbench's own bar: layers are alike",
        tag="C7",
        estimate=lambda row: mean(row["exponent"], row["error"], row["depths"]),
        published="depth^1",
        allows=about(
            1.0, within=0.1
        ),  # deep nets leave a cache that shallow ones fit in
        scope=lambda row: True,
        doubt=lambda row: "another program was at work" if row["loaded"] else "",
        label=LABEL[:-1],
        of=functools.partial(growths, "step_ms"),
    ),
    Claim(
        "chen2016.memory-grows-as-root-depth",
        "with √depth states kept, a gradient's memory grows as √depth",
        "Chen, Xu, Zhang & Guestrin 2016, arXiv:1604.06174, section 4",
        tag="C8",
        protocol="the bytes that XLA plans for dense and residual nets; n: depths",
        differs="convolutional and recurrent nets in MXNet",
        estimate=lambda row: mean(row["exponent"], row["error"], row["depths"]),
        published="depth^0.5",
        # The roots of other depths than squares are rounded to divisors.
        allows=about(0.5, within=0.1),
        scope=lambda row: (
            row["mode"] == "gradient" and row["loop"] == "remat" and stacked(row)
        ),
        label=LABEL[:-1],
        of=functools.partial(growths, "scratch_gib"),
    ),
    Claim(
        "depthbench.operations-as-xla-counts",
        "XLA counts the operations that we do, to 10 %, a loop's body once in both",
        "depthbench's own bar",
        tag="C9",
        estimate=lambda row: exact(row["flop_ratio"]),
        published="ratio 1",
        allows=about(1.0, within=COUNTED),
        scope=lambda row: True,
        label=LABEL,
    ),
)


def headline(rows: Sequence[Row]) -> Headline:
    """What share of the machine's own rates the deepest nets reach, and the least."""
    timed = done(rows)
    costliest = max((row["mode"] for row in timed), key=rank)
    nets = {}
    for row in sorted(timed, key=lambda row: row["depth"]):
        if row["mode"] == costliest and row["loop"] != "remat":
            nets[label(row, timed)] = row
    shares = {
        name: row["share"] for name, row in nets.items() if row["share"] is not None
    }
    if not shares:
        return Headline("No net's share of the machine's rates is known.")
    best, worst = (pick(shares, key=lambda name: shares[name]) for pick in (max, min))
    slow = max(nets, key=lambda name: nets[name]["step_ms"])
    return Headline(
        f"At their deepest, nets reach {shares[worst]:.0%} to {shares[best]:.0%} of what "
        f"the machine's own products and copies allow ({costliest}); most: {best}.",
        f"Worst: {worst}, {shares[worst]:.0%}; longest: {slow} with "
        f"{counted(nets[slow]['depth'], 'layer')}, {number(nets[slow]['step_ms'])} ms.",
    )


def tables(rows: Sequence[Row]) -> list[Table]:
    """A line for each net; then its growth, all rows, what they took to compile, and
    the machine."""
    if not done(rows):
        return _not_run(rows)
    shown = [_summary(rows), *_growth(rows), _costs(rows), _compiling(rows)]
    return [*shown, _machine(rows), *_miscounted(rows), *_not_run(rows)]


def label(row: Row, rows: Sequence[Row]) -> str:
    """The architecture, and what differs between its rows and no name says."""
    alike = [r for r in rows if r["architecture"] == row["architecture"]]
    more = [str(row[n]) for n in LABELLED if len({r[n] for r in alike}) > 1]
    more += ["unrolled"] * unrolled(row) + ["profiled"] * bool(row.get("profiled"))
    return " ".join([str(row["architecture"]), *more])


def _share(row: Row) -> Mark:
    share = row["share"]
    tone = "bad" if share < LOW else "warning" if share < FAIR else "good"
    return Mark(f"{share:.0%}", tone)


def _rate(value: float) -> str:
    """To three figures, thousands apart: 67,400."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else number(value)


def _memory(gib: float | None) -> str:
    """MiB, to three figures."""
    return "-" if gib is None else _rate(1024 * gib)


def _mib(gib: float | None) -> float | None:
    return None if gib is None else 1024 * gib


def _exponent(fit: Growth | None) -> str | Mark:
    """With its standard error, where there is one; dim where that is large."""
    if fit is None:
        return "-"
    if fit.constant:
        return "constant"
    text = with_error(fit.exponent, fit.error, ".2f").replace(" ± ", "±")
    known = fit.error is None or fit.error < KNOWN
    return text if known else Mark(text, "dim")


def _summary(rows: Sequence[Row]) -> Table:
    """Each net's costliest mode at its deepest, and its exponents."""
    body = []
    costliest = max((row["mode"] for row in done(rows)), key=rank)
    one = len({row["batch"] for row in done(rows)}) == 1
    nets: dict[tuple, list[list[Row]]] = {}
    for line in lines(rows):
        net = [line[0].get(name) for name in SAME if name not in ("mode", "loop")]
        nets.setdefault((*net, unrolled(line[0])), []).append(line)
    for alike in nets.values():
        timed = [line for line in alike if line[0]["mode"] == costliest]
        if not timed:
            continue
        line = min(timed, key=lambda line: line[0]["loop"] == "remat")
        deep = line[-1]
        scratch = {
            o[0]["loop"]: _exponent(grown(o, "scratch_gib"))
            for o in alike
            if o[0]["mode"] == "gradient"
        }
        body.append(
            (
                label(deep, done(rows)),
                number(deep["depth"]),
                *([] if one else [number(deep["batch"])]),
                number(deep["step_ms"]),
                _rate(deep["examples_per_s"]),
                _memory(deep["peak_gib"]),
                _share(deep),
                _exponent(grown(line, "step_ms")),
                scratch.get(line[0]["loop"], "-"),
                scratch.get("remat", "-"),
            )
        )
    word = {"step": "A training step", "gradient": "A gradient"}.get(
        costliest, "Outputs"
    )
    batch = f" of {done(rows)[0]['batch']} examples" if one else ""
    title = (
        f"{word}{batch} at the deepest net: share of what the "
        "machine's own rates allow; then exponents of depth: of its time, and of a "
        "gradient's scratch memory, all kept or √depth states"
    )
    headers = "net depth ms examples/s MiB share time∝ memory∝ with√".split()
    if not one:
        headers.insert(2, "batch")
    return Table(title, tuple(headers), tuple(body))


def rank(mode: str) -> int:
    """How much a mode does, among the others."""
    return ("inference", "gradient", "step").index(mode)


def _mode(row: Row) -> str:
    return row["mode"] + WORD[row["loop"]]


def _growth(rows: Sequence[Row]) -> list[Table]:
    body = []
    for line in lines(rows):
        time, memory = grown(line, "step_ms"), grown(line, "scratch_gib")
        if time is None:
            continue
        body.append(
            (
                label(line[0], done(rows)),
                _mode(line[0]),
                f"{line[0]['depth']}–{line[-1]['depth']}",
                number(time.fixed, 2),
                number(time.rate, 2),
                _exponent(time),
                number(_mib(memory and memory.fixed), 2),
                number(_mib(memory and memory.rate), 2),
                _exponent(memory),
            )
        )
    headers = ("net", "mode", "depths", "ms", "+", "^", "MiB", "+", "^")
    title = (
        "ms, and MiB of scratch memory: fixed + rate × depth ^ exponent, each ± its "
        "standard error (√: √depth states kept)"
    )
    return [Table(title, headers, tuple(body))] if body else []


def _loaded(row: Row) -> bool:
    return (row["others_cores"] or 0.0) > LOADED or bool(row.get("profiled"))


def _costs(rows: Sequence[Row]) -> Table:
    body = []
    for row in done(rows):
        quartiles = row["step_ms_low"], row["step_ms_high"]
        step = ranged(row["step_ms"], *quartiles, ends=2)
        share = _share(row)
        body.append(
            (
                label(row, done(rows)),
                number(row["depth"]),
                _mode(row),
                Mark(step + " †", "warning") if _loaded(row) else step,
                _rate(row["tokens_per_s"] or row["examples_per_s"]),
                _memory(row["peak_gib"]),
                share._replace(text=f"{share.text} {row['bound']}"),
            )
        )
    headers = ("net", "depth", "mode", "ms", "per s", "MiB", "share")
    title = (
        "ms (quartiles; † on a loaded machine), examples or tokens a second, and the "
        "share of the machine's rate that binds"
    )
    return Table(title, headers, tuple(body))


def _miscounted(rows: Sequence[Row]) -> list[Table]:
    """Rows whose operations XLA counts otherwise by over 10 %."""
    body = tuple(
        (
            label(row, done(rows)),
            number(row["depth"]),
            _mode(row),
            Mark(f"{row['flop_ratio']:.2f}", "warning"),
        )
        for row in done(rows)
        if row["flop_ratio"] is not None and abs(row["flop_ratio"] - 1) > COUNTED
    )
    title = "XLA's count of operations over ours, where they differ by over 10 %"
    return [Table(title, ("net", "depth", "mode", "ratio"), body)] if body else []


def _compiling(rows: Sequence[Row]) -> Table:
    body = []
    for line in lines(rows):
        for row in dict.fromkeys((0, len(line) - 1)):
            names = ("trace_s", "lower_s", "compile_s", "first_step_s")
            one = line[row]
            seconds = (number(one[name], 2) for name in names)
            shown = (label(one, done(rows)), _mode(one), number(one["depth"]))
            body.append((*shown, *seconds))
    headers = "net mode depth trace lower compile first".split()
    return Table("Seconds before the second step", tuple(headers), tuple(body))


def _machine(rows: Sequence[Row]) -> Table:
    """The rates that shares are of, by dtype; how far they moved; who else was there."""
    body = []
    for dtype in dict.fromkeys(row["dtype"] for row in done(rows)):
        dtype_rows = [row for row in done(rows) if row["dtype"] == dtype]
        drift = max((row["product_drift"] for row in dtype_rows), key=abs)
        copied = max((row["copy_drift"] for row in dtype_rows), key=abs)
        others = [
            row["others_cores"] for row in dtype_rows if row["others_cores"] is not None
        ]
        loaded = sum(map(_loaded, dtype_rows))
        body.append(
            (
                dtype,
                _range(dtype_rows, "product_gflops"),
                Mark(f"{drift:+.0%}", "warning" if abs(drift) > DRIFT else "dim"),
                _range(dtype_rows, "copy_gib_s"),
                Mark(f"{copied:+.0%}", "warning" if abs(copied) > DRIFT else "dim"),
                number(max(others), 2) if others else "-",
                Mark(f"{loaded} of {len(dtype_rows)}", "warning" if loaded else "dim"),
                ", ".join(dict.fromkeys(row["denormals"] for row in dtype_rows)),
            )
        )
    headers = (
        *("dtype", "GFLOP/s", "drift", "GiB/s", "drift", "other cores", "loaded"),
        "denormals",
    )
    title = (
        "The machine: its best products and copies, their largest change within a net's "
        "rows; the most cores at other work, and rows that it may have slowed"
    )
    return Table(title, headers, tuple(body))


def _range(rows: Sequence[Row], column: str) -> str:
    values = [row[column] for row in rows]
    return f"{_rate(min(values))}–{_rate(max(values))}"


def _not_run(rows: Sequence[Row]) -> list[Table]:
    names = ("architecture", "depth", "dtype", "mode", "status", "reason")
    body = tuple(
        tuple(number(row[name]) for name in names)
        for row in rows
        if row["status"] != "ok"
    )
    return [Table("Not run", names, body)] if body else []
