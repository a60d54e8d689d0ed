"""The studies of a folder as docs/ shows them: an index, and a page of pictures."""

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from depthbench.research.files.source import ROOT
from depthbench.research.report import markdown, published, rendering, study_report
from depthbench.research.report.published import Made
from depthbench.research.study import claims, headlines
from depthbench.research.study.claims import Verdict
from depthbench.research.study.declaration import Study
from depthbench.research.study.studies import ROOMS, studies

FOLDERS = (*ROOMS, "benchmarks")
PLURAL = {"holds": "hold", "fails": "fail"}
ORDER = ("holds", "fails", "undecided", "untested")  # of verdicts in a count
# From a page in docs/studies/, which has a folder's pictures, to the committed rows.
RESULTS = PurePath("..", "..", "benchmarks", "results")
CPU = RESULTS / published.CPU


def folders() -> str:
    """A table of the folders of studies: what each asks, its studies, its claims."""
    body = []
    for folder in FOLDERS:
        studies_of = members(folder)
        every = [
            verdict
            for study in studies_of
            if (committed := published.made(study.name))
            for verdict in study_report.verdicts(study, committed.rows)
            if verdict.claim.kind == "claim"  # and no bar of our own
        ]
        page = f"docs/{page_of(folder)}"
        body.append(
            (f"[{folder}]({page})", _asks(folder), str(len(studies_of)), summary(every))
        )
    headers = ("folder", "what is asked", "studies", "published claims")
    return markdown.table(headers, body).rstrip("\n")


def page_of(folder: str) -> str:
    """The page of a folder's pictures, as docs/ has it."""
    return f"studies/{folder}.md"


def section_of(study: Study) -> str:
    """Where a study's pictures are: a page of docs/, and the place in it."""
    _, kind, folder, *_ = study.module.split(".")
    return f"{page_of(folder if kind == 'experiments' else kind)}#{study.name}"


def _asks(folder: str) -> str:
    """What a folder's docstring says that it is about."""
    inner = folder if folder == "benchmarks" else f"experiments/{folder}"
    text = (ROOT / inner / "__init__.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0].rstrip(".")


def members(folder: str) -> list[Study]:
    """The studies declared below a folder: one of experiments/, or benchmarks/."""
    inner = folder if folder == "benchmarks" else f"experiments.{folder}"
    return [
        s for s in studies().values() if s.module.startswith(f"depthbench.{inner}.")
    ]


def index(folder: str) -> str:
    """A table of a folder's studies: question, source, and how many claims hold."""
    body = []
    for study in members(folder):
        committed = published.made(study.name)
        counts = (
            summary(study_report.verdicts(study, committed.rows))
            if committed
            else "not run"
        )
        name = (
            f"[`{study.name}`]({section_of(study)})" if committed else f"`{study.name}`"
        )
        body.append((name, study.question, study.source, counts))
    headers = ("`depthbench run`", "question", "after", "claims")
    return markdown.table(headers, body).rstrip("\n")


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many claims have each verdict: "3 hold, 1 fails"."""
    counts = Counter(verdict.word for verdict in verdicts)
    if not counts:
        return "none"
    return ", ".join(
        f"{n} {word if n == 1 else PLURAL.get(word, word)}"
        for word, n in sorted(counts.items(), key=lambda pair: ORDER.index(pair[0]))
    )


def pictures(folder: str) -> str:
    """A section for each study of a folder that has committed rows."""
    sections = []
    for study in members(folder):
        committed = published.made(study.name)
        if committed is not None:
            sections.append("\n\n".join(_section(study, committed)))
    return "\n\n".join(sections)


def _section(study: Study, committed: Made) -> Iterator[str]:
    verdicts = study_report.verdicts(study, committed.rows)
    yield f"## {study.name}\n\n**{study.question}**"
    yield " ".join(filter(None, headlines.of(study, committed.rows)))
    if verdicts:
        yield answer(verdicts)
    else:  # the numbers themselves
        first = study.tables(committed.rows)[0]
        shown = rendering.as_markdown(first._replace(title="")).rstrip("\n")
        yield f"{first.title}:\n\n{shown}"
    figures, recordings = study.shown(committed.rows, lambda row: {})
    for figure in figures:
        path = CPU / study.name / f"{figure.name}.svg"
        yield f"![{study.question}]({path.as_posix()})\n\n{figure.caption}"
    for recording in recordings:
        beside = f"{(CPU / study.name).as_posix()}/"
        yield markdown.recording(recording.name, recording.caption, beside)
    yield f"{_claims(verdicts)}Source: {study.source}. {_made(study, published.CPU)}."
    for device, other in published.of_devices(study.name).items():
        if device != published.CPU:
            judged = study_report.verdicts(study, other.rows)
            said = " ".join(filter(None, headlines.of(study, other.rows)))
            yield (
                f"On {other.device}: {said} {_claims(judged)}{_made(study, device)}."
            )


def _claims(verdicts: Sequence[Verdict]) -> str:
    return f"Claims: {summary(verdicts)}. " if verdicts else ""


def _made(study: Study, device: str) -> str:
    """A link to a device's report, and where and when its rows were made."""
    committed = published.made(study.name, device)
    assert committed is not None
    report = (RESULTS / device / study.name / "report.md").as_posix()
    return f"[All tables]({report}), made on {committed.device}{committed.day}"


def answer(verdicts: Sequence[Verdict]) -> str:
    """What the rows say of each claim, those that fail first, as a list."""
    order = ("fails", "undecided", "holds", "untested")
    ordered = sorted(verdicts, key=lambda verdict: order.index(verdict.word))
    common = claims.common([verdict.claim for verdict in ordered])
    first = f"Protocol: {common}.\n\n" if common else ""
    return first + "\n".join(f"- {_line(verdict, common)}" for verdict in ordered)


def _line(verdict: Verdict, common: str) -> str:
    """One claim in a sentence: "**holds**: claim (holds at 126 of 126 points …)".

    common: of its protocol, what has been said.
    """
    claim = verdict.claim
    return (
        f"**{verdict.word}**: {claim.statement(common)} ({verdict.sentence()}), "
        f"`{claim.key}`"
    )
