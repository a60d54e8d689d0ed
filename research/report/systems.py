"""The table of all systems: what each study of one comes to, in a line."""

from collections.abc import Mapping, Sequence

from depthbench.research.report import published
from depthbench.research.study.declaration import Row, Study, Summary
from depthbench.research.study.headlines import measured
from depthbench.research.study.studies import studies
from depthbench.research.study.tables import Mark, Table, number

TITLE = (
    "Systems that popular accounts of deep learning name, each with the net that serves it "
    "best (chosen without test data) and a strong simple baseline; gradient: log10 of the "
    "first layer's before training; Mflop: of a training step"
)
HEADERS = (
    *("system", "scored by", "best net", "its score (95 %)", "baseline", "its score"),
    *("gradient", "Mflop"),
)
WORDS = ("wins", "ties", "loses")


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
    """One row a system; of net and baseline the score that is ahead is marked good."""
    return Table(TITLE, HEADERS, tuple(map(_line, lines.values())))


def _line(line: Summary) -> tuple[str | Mark, ...]:
    score = _written(line, line.score)
    if line.low is not None and line.high is not None:
        word = " to " if min(line.low, line.high) < 0 else "–"
        ends = (_written(line, line.low), _written(line, line.high))
        score += f" ({word.join(ends)})"
    strong, gradient = _written(line, line.strong_score), line.first_gradient
    return (
        line.system,
        line.noun,
        line.net,
        Mark(score, "good") if line.verdict == "wins" else score,
        line.strong,
        Mark(strong, "good") if line.verdict == "loses" else strong,
        "-" if gradient is None else f"{gradient:.2f}",
        number(line.step_mflop),
    )


def _written(line: Summary, value: float | None) -> str:
    return "-" if value is None else format(value, line.form)


def headline(lines: Mapping[str, Summary]) -> tuple[str, str]:
    """(how often baseline and net are ahead, and where the baseline is)."""
    verdicts = {name: line.verdict for name, line in lines.items()}
    by = {word: [n for n, v in verdicts.items() if v == word] for word in WORDS}
    answer = (
        f"Of {len(lines)} systems a strong simple baseline is ahead of the best net in "
        f"{len(by['loses'])} and neither surely in {len(by['ties'])}; the net is ahead in "
        f"{len(by['wins'])}{': ' * bool(by['wins'])}{', '.join(by['wins'])}."
    )
    behind = ", ".join(by["loses"])
    return answer, f"The baseline is ahead in {behind}." if behind else ""
