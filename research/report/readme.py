"""README's tables, made from committed rows; a test holds that they match.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`. NAME is a study's, for
the first of its tables, or `propagation` or `training`, for the experiments of a folder.
"""

import re
from collections.abc import Sequence

from research.report import published, rendering, study_report
from research.report.published import Made
from research.store.provenance import ROOT
from research.study.claims import Verdict
from research.study.declaration import Study
from research.study.studies import studies
from research.study.tables import Table

README = ROOT / "README.md"
BLOCK = re.compile(r"<!-- table: (\w+) -->\n.*?<!-- end -->", re.DOTALL)
THEMES = ("propagation", "training")


def filled(text: str) -> str:
    """A document with the table between each pair of markers made anew."""
    return BLOCK.sub(
        lambda block: f"<!-- table: {block[1]} -->\n{_table(block[1])}\n<!-- end -->",
        text,
    )


def _table(name: str) -> str:
    if name in THEMES:
        return experiments(name)
    made = published.made(name)
    if made is None:
        raise ValueError(f"no committed rows of {name}")
    return measured(studies()[name], made)


def measured(study: Study, made: Made) -> str:
    """A study's first table, and whence it is."""
    table = study.tables(made.rows)[0]
    seeds = max((row.get("seeds") or 0 for row in made.rows), default=0)
    many = f", {seeds} seeds each" if seeds else ""
    told = made.environment
    words = (
        f"{len(made.rows)} cells{many}. {made.device}, {told['cores']} cores, "
        f"jax {told['jax']}, {made.date}."
    )
    shown = rendering.as_markdown(table._replace(title=""))
    return f"{table.title}:\n\n{shown}\n{words}"


def experiments(theme: str) -> str:
    """The experiments of a folder, and how many of their claims hold."""
    body = []
    for study in studies().values():
        if not study.module.startswith(f"experiments.{theme}."):
            continue
        made = published.made(study.name)
        held = (
            counts_in_words(study_report.verdicts(study, made.rows))
            if made
            else "not run"
        )
        body.append((f"`{study.name}`", study.question, study.source, held))
    headers = ("`depthbench run`", "question", "after", "claims")
    return rendering.as_markdown(Table("", headers, tuple(body))).rstrip("\n")


def counts_in_words(verdicts: Sequence[Verdict]) -> str:
    """How many claims hold and are untested, and which fail: "3 hold, 1 fails: `key`"."""
    counts = {
        word: sum(verdict.word == word for verdict in verdicts)
        for word in ("holds", "untested", "fails")
    }
    plural = {"holds": "hold", "fails": "fail", "untested": "untested"}
    counted = ", ".join(
        f"{n} {word if n == 1 else plural[word]}" for word, n in counts.items() if n
    )
    failed = (f"`{v.claim.key}`" for v in verdicts if v.word == "fails")
    return ": ".join(filter(None, (counted, ", ".join(failed))))
