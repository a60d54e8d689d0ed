"""The table of all systems: what each study of one comes to, in a line."""

from collections.abc import Mapping, Sequence

from depthbench.research.report import published
from depthbench.research.study.declaration import Row, Study, Summary
from depthbench.research.study.headlines import measured
from depthbench.research.study.studies import studies
from depthbench.research.study.tables import Mark, Table, number

TITLE = (
    "Each system that popular accounts of deep learning name, at the depth that serves it "
    "best (chosen without test data), beside a strong simple baseline; gradient: log10 of "
    "the first layer's before training; Mflop: of a training step"
)
HEADERS = (
    *("system", "best net", "score", "95 % interval", "baseline", "its score"),
    *("gradient", "Mflop"),
)
TONES = {"wins": "good", "ties": "", "loses": "bad"}


def of_systems() -> list[Study]:
    """The studies of systems, in the order of their folders and names."""
    return [study for study in studies().values() if study.summary is not None]


def summary(study: Study, rows: Sequence[Row]) -> Summary | None:
    """A study's line; None without a row that has its numbers."""
    if study.summary is None or not measured(rows):
        return None
    return study.summary(rows)


def committed() -> dict[str, Summary]:
    """The line of every study of a system that has committed rows, by its name."""
    lines = {}
    for study in of_systems():
        made = published.made(study.name)
        line = summary(study, made.rows) if made else None
        if line is not None:
            lines[study.name] = line
    return lines


def table(lines: Mapping[str, Summary]) -> Table:
    """One row a system: green where its net is ahead of the baseline, red where behind."""
    return Table(TITLE, HEADERS, tuple(map(_line, lines.values())))


def _line(line: Summary) -> tuple[str | Mark, ...]:
    score, tone = _written(line, line.score), TONES[line.verdict]
    ends = (line.low, line.high)
    between = "–".join(_written(line, end) for end in ends) if None not in ends else "-"
    return (
        line.system,
        line.net,
        Mark(f"{score} {line.noun}", tone) if tone else f"{score} {line.noun}",
        between,
        line.strong,
        _written(line, line.strong_score),
        number(line.first_gradient),
        number(line.step_mflop),
    )


def _written(line: Summary, value: float | None) -> str:
    return "-" if value is None else format(value, line.form)


def headline(lines: Mapping[str, Summary]) -> tuple[str, str]:
    """(how many systems' nets are ahead of their baselines, and which are behind)."""
    verdicts = {name: line.verdict for name, line in lines.items()}
    counts = {word: [n for n, v in verdicts.items() if v == word] for word in TONES}
    answer = (
        f"Of {len(lines)} systems the best net is ahead of a strong simple baseline in "
        f"{len(counts['wins'])}, level in {len(counts['ties'])} and behind in "
        f"{len(counts['loses'])}."
    )
    behind = ", ".join(counts["loses"])
    return answer, f"Behind: {behind}." if behind else ""
