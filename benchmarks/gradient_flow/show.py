"""How gradient_flow is told: its answer and its tables, pure functions of its rows."""

from collections.abc import Sequence

from depthbench.benchmarks import kept_by_dtype
from depthbench.benchmarks.gradient_flow.pictures import MANY, deepest, groups
from depthbench.research.study.declaration import Headline, Row
from depthbench.research.study.headlines import listed, out_of
from depthbench.research.study.tables import Mark, Table, number

NET = ("architecture", "activation", "initializer", "normalizer", "width")


def headline(rows: Sequence[Row]) -> Headline:
    """How deep most activations keep their gradient, how many do at the deepest, and
    the cells that end worst: whose signal overflows first, and with most decades."""
    kept, rows = kept_by_dtype.sentence(rows), kept_by_dtype.of_one(rows)
    kinds = groups(rows, "architecture", "normalizer", "width", "initializer", "depth")
    counts = [(key, _kept(group), group) for key, group in kinds]
    most = [count for count in counts if 2 * count[1] > len(count[2])]
    last = max(row["depth"] for row in rows)
    depth = max((key[-1] for key, _, _ in most), default=last)
    net, good = _best_at(depth, counts)
    answer = (
        f"{good} keep their gradient (within a factor of 1,000) through {depth:,} layers "
        f"in the best kind of net, {net}"
    )
    none = [key for key, kept, _ in counts if key[-1] == last and not kept]
    if depth < last and len(none) == sum(key[-1] == last for key, _, _ in counts):
        answer += f"; none does through {last:,}"
    elif depth < last:
        net, good = _best_at(last, counts)
        good = good.removesuffix(" activations")
        answer += f"; at most {good} do through {last:,}, in {net}"
        answer += f", and none in {listed(map(_kind, none), 2)}" * bool(none)
    return Headline(f"{answer}.{kept}", _worst_of(rows))


def _kept(rows: Sequence[Row]) -> int:
    return sum(row.get("verdict") == "survives" for row in rows)


def _kind(key: Sequence) -> str:
    architecture, normalizer, _, initializer, _ = key
    norm = "" if normalizer == "none" else f" + {normalizer}"
    return f"{architecture}{norm} {initializer}"


def _best_at(depth: int, counts: Sequence[tuple]) -> tuple[str, str]:
    """The kind of net that the most activations keep their gradient in, and how many."""
    here = [count for count in counts if count[0][-1] == depth]
    key, kept, group = max(here, key=lambda count: count[1] / len(count[2]))
    return _kind(key), out_of(kept, len(group), "activations")


def _worst_of(rows: Sequence[Row]) -> str:
    said = []
    for status, verb in (("overflow", "overflows"), ("lost", "loses its signal")):
        ended = [r for r in rows if r["status"] == status]
        if ended:
            row = min(ended, key=_end)
            at = f" at layer {row['signal_lost_at']}" * bool(row.get("signal_lost_at"))
            said.append(f"{_cell(row)} {verb}{at}")
    measured = [row for row in rows if row["status"] == "ok"]
    row = max(measured, key=lambda r: abs(r["log10_ratio"]))
    verb = "gains" if row["log10_ratio"] > 0 else "loses"
    decades = f"{abs(row['log10_ratio']):,.1f} decades through {row['depth']:,} layers"
    said.append(f"the gradient of {_cell(row)} {verb} {decades}")
    return f"Worst: {'; '.join(said)}."


def _cell(row: Row) -> str:
    return f"{row['architecture']} {row['activation']} {row['initializer']}"


def _end(row: Row) -> float:
    """The layer at which there is no signal any more."""
    return row.get("signal_lost_at") or row["depth"]


def tables(rows: Sequence[Row]) -> list[Table]:
    """What survives at each depth, the worst cells, and decades at the deepest.

    Of many architectures, which share neither depth nor width, one table of them all.
    """
    by_dtype, rows = kept_by_dtype.tables(rows), kept_by_dtype.of_one(rows)
    if _many(rows):
        return [_families(rows), *by_dtype, _worst(rows)]
    shown = [_survivors(rows), *by_dtype, _worst(rows)]
    for keys, group in groups(rows, "architecture", "normalizer", "width", "sigma_w2"):
        shown.append(_decades(keys, group))
    return shown


def _many(rows: Sequence[Row]) -> bool:
    return len({row["architecture"] for row in rows}) > MANY


def _families(rows: Sequence[Row]) -> Table:
    """One line an architecture: activations that keep the gradient, and the worst one."""
    initializers = list(dict.fromkeys(row["initializer"] for row in rows))
    body = []
    for keys, group in groups(rows, "architecture", "normalizer", "width"):
        last = deepest(group)
        entries = [
            _share([row for row in last if row["initializer"] == name])
            for name in initializers
        ]
        body.append((*map(number, keys), number(last[0]["depth"]), *entries))
    title = (
        "Activations that keep their gradient (within a factor of 1,000) at each net's "
        "deepest, and the decades of the worst"
    )
    headers = ("architecture", "norm", "width", "depth", *initializers)
    return Table(title, headers, tuple(body))


def _share(rows: Sequence[Row]) -> Mark:
    """How many of the cells keep their gradient, and the most decades or the end."""
    good = sum(row.get("verdict") == "survives" for row in rows)
    if not rows:
        return Mark("", "dim")
    broken = [row for row in rows if row["status"] != "ok"]
    decades = [row["log10_ratio"] for row in rows if row["status"] == "ok"]
    worst = f"{max(decades, key=abs):+.1f}" if decades else ""
    if broken:
        worst = broken[0]["status"].replace("_", " ")
    tone = "good" if good == len(rows) else "bad" if good == 0 else "warning"
    return Mark(f"{good}/{len(rows)} {worst}", tone)


def _worst(rows: Sequence[Row]) -> Table:
    """Cells whose signal ends first, and those with the most decades; nets once each."""
    ended = [row for row in rows if row["status"] in ("overflow", "lost")]
    measured = [row for row in rows if row["status"] == "ok"]
    ended = _once(sorted(ended, key=_end))[:5]
    decades = _once(sorted(measured, key=lambda r: -abs(r["log10_ratio"])))
    body = tuple(
        (
            _cell(r),
            number(r["depth"]),
            entry(r),
            f"{r['log10_slope']:+.4g}" if r["status"] == "ok" else "-",
            number(r.get("log10_slope_se"), 2),
            number(r.get("log10_slope_theory"), 4),
        )
        for r in [*ended, *decades[: 10 - len(ended)]]
    )
    headers = ("cell", "depth", "decades", "per layer", "±", "theory")
    title = "The worst cells: whose signal ends first, and with the most decades"
    return Table(title, headers, body)


def _once(rows: Sequence[Row]) -> list[Row]:
    """The first row of each net, whatever its depth."""
    return [group[0] for _, group in groups(rows, *NET)]


def _survivors(rows: Sequence[Row]) -> Table:
    """How many activations keep the gradient within a factor of 1,000, by depth."""
    depths = sorted({row["depth"] for row in rows})
    names = ("architecture", "initializer", "normalizer", "width", "sigma_w2")
    named = [n for n in names[:2]] + [
        n for n in names[2:] if len({row[n] for row in rows}) > 1
    ]
    body = []
    for keys, group in groups(rows, *named):
        entries: list[str | Mark] = [number(key) for key in keys]
        for depth in depths:
            at = [row for row in group if row["depth"] == depth]
            good = sum(row.get("verdict") == "survives" for row in at)
            share = good / len(at) if at else 0.0
            tone = "good" if share > 0.8 else "bad" if share < 0.4 else "warning"
            entries.append(Mark(f"{good}/{len(at)}", tone))
        body.append(tuple(entries))
    title = "How many activations keep their gradient (within a factor of 1,000)"
    return Table(title, (*named, *(f"depth {d}" for d in depths)), tuple(body))


def _decades(keys: tuple, rows: list[Row]) -> Table:
    rows = deepest(rows)
    depth = rows[0]["depth"]
    initializers = list(dict.fromkeys(row["initializer"] for row in rows))
    cells = {(row["activation"], row["initializer"]): row for row in rows}
    body = []
    for activation in dict.fromkeys(row["activation"] for row in rows):
        entries = [entry(cells.get((activation, name))) for name in initializers]
        body.append((activation, *entries))
    name = " ".join(number(k) for k in (keys[0], *keys[1:]) if k not in (None, "none"))
    title = f"{name} wide, depth {depth}: decades from last to first gradient"
    return Table(title, ("activation", *initializers), tuple(body))


def entry(row: Row | None) -> Mark:
    if row is None:
        return Mark("", "dim")
    if row["status"] == "ok":
        tone = {"survives": "good", "vanishes": "bad", "explodes": "bad"}
        return Mark(f"{row['log10_ratio']:+.1f}", tone[row["verdict"]])
    if row["status"] in ("lost", "overflow"):
        at = row.get("signal_lost_at")
        return Mark(f"{row['status']} at {at}" if at else row["status"], "bad")
    return Mark(row["status"].replace("_", " "), "dim")
