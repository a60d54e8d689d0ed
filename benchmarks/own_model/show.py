"""How own_model is told: how deep the gradient survives, and where it is worst."""

from collections.abc import Sequence

from depthbench.benchmarks.gradient_flow.pictures import groups
from depthbench.benchmarks.gradient_flow.show import entry
from depthbench.research.study.axes import Value
from depthbench.research.study.declaration import Headline, Row
from depthbench.research.study.headlines import counted
from depthbench.research.study.tables import Mark, Table, number, with_error

NET = ("model", "input", "tokens", "loss", "kwargs", "dtype", "seeds")
MOST = 3  # nets in the answer; more are in the table
ENDS = {
    "overflow": "its signal overflows",
    "lost": "its signal is lost",
    "oom": "it does not fit in memory",
    "no_states": "it has no states",
}


def nets(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The rows of each net, shallowest first, with what it is called beside the others."""
    varying = [n for n in NET if len({row[n] for row in rows}) > 1]
    told = []
    for _, group in groups(rows, *NET):
        words = [_word(name, group[0][name]) for name in varying if name != "model"]
        called = ", ".join([group[0]["model"], *filter(None, words)])
        told.append((called, sorted(group, key=lambda r: r["depth"] or 0)))
    return told


def _word(name: str, value: Value) -> str:
    """What a setting adds to a net's name: nothing where it is not set."""
    if value is None:
        return ""
    return str(value) if isinstance(value, str) else f"{name} {value}"


def headline(rows: Sequence[Row]) -> Headline:
    """How deep each net keeps its gradient, with the slope; and the worst state."""
    told = [_answer(name, group) for name, group in nets(rows)]
    more = f" {len(told) - MOST} more nets are in the table." * (len(told) > MOST)
    return Headline(" ".join(told[:MOST]) + more, _worst(rows))


def _answer(name: str, rows: Sequence[Row]) -> str:
    last = rows[-1]
    good = 0  # rows, from the shallowest, that keep their gradient
    while good < len(rows) and rows[good].get("verdict") == "survives":
        good += 1
    if last["depth"] is None:
        what = (
            "keeps its gradient" if good else _end(last, "does not keep its gradient")
        )
    elif good == len(rows):
        what = (
            f"keeps its gradient through {counted(last['depth'], 'layer')}, all tried"
        )
    elif good:
        kept, bad = rows[good - 1]["depth"], rows[good]
        what = f"keeps its gradient through {counted(kept, 'layer')}" + _end(
            bad, f", and not through {bad['depth']:,}"
        )
    else:
        what = f"does not keep its gradient at {counted(rows[0]['depth'], 'layer')}"
        what = _end(rows[0], what)
    what = what.replace("its gradient", "its gradient (within a factor of 1,000)", 1)
    return f"{name} {what}{_slope(rows)}."


def _end(row: Row, words: str) -> str:
    why = ENDS.get(row["status"], f"it {row.get('verdict') or row['status']}")
    return f"{words}, where {why}" if row["depth"] is not None else f"{words}: {why}"


def _slope(rows: Sequence[Row]) -> str:
    measured = [r for r in rows if r["status"] == "ok" and r["log10_slope"] is not None]
    if not measured:
        return ""
    row = measured[-1]
    slope = with_error(row["log10_slope"], row["log10_slope_se"], "+.3f")
    return f"; slope {slope} decades per state"


def _worst(rows: Sequence[Row]) -> str:
    ended = [row for row in rows if row["status"] in ("overflow", "lost")]
    if ended:
        row = min(ended, key=lambda r: r["depth"] or 0)
        return f"Worst: {_called(row)}: {row['reason']}."
    row = max(
        (row for row in rows if row["status"] == "ok"),
        key=lambda row: abs(row["log10_worst"]),
    )
    side = "above" if row["log10_worst"] > 0 else "below"
    size = abs(row["log10_worst"])
    decades = f"{size:,.1f}" if size >= 1 else f"{size:.2g}"
    decades += f" decades {side} the last state's"
    return f"Worst: {_called(row)}: the gradient at {row['worst_state']} is {decades}."


def _called(row: Row) -> str:
    depth = "" if row["depth"] is None else f" at depth {row['depth']:,}"
    return f"{row['model']}{depth}"


def tables(rows: Sequence[Row]) -> list[Table]:
    """A line a cell: what survives, by how much, and the worst state by its name."""
    told = nets(rows)
    body = []
    for name, group in told:
        for row in group:
            body.append((name, *_line(row)) if len(told) > 1 else _line(row))
    first = ("net",) if len(told) > 1 else ()
    headers = (*first, "depth", "decades", "per state", "states", "worst at")
    of_one = f" in {told[0][0]}" * (len(told) == 1)
    title = f"Decades that the gradient gains from the last state to the first{of_one}"
    shown = [Table(title, (*headers, "lost at"), tuple(body))]
    missing = [row for row in rows if row.get("no_gradient_in")]
    if missing:
        shown.append(_without(missing))
    return shown


def _line(row: Row) -> tuple[str | Mark, ...]:
    decades = entry(row)
    if row["status"] == "ok":
        ratio = with_error(row["log10_ratio"], row["log10_ratio_se"], "+.1f")
        decades = decades._replace(text=ratio)
    return (
        number(row["depth"]),
        decades,
        with_error(row.get("log10_slope"), row.get("log10_slope_se"), "+.3f"),
        number(row.get("states")),
        number(row.get("worst_state")),
        number(row.get("signal_lost_in")),
    )


def _without(rows: Sequence[Row]) -> Table:
    body = tuple(
        (
            _called(row),
            number(row["zeros"]),
            number(row["without_gradient"]),
            row["no_gradient_in"],
        )
        for row in rows
    )
    title = "States and parameters without a gradient"
    return Table(title, ("net", "exactly 0", "none", "which"), body)
