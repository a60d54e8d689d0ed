"""Which way further training might take what claims estimate, asked of committed rows."""

import importlib

import pytest

from depthbench.research.report import published
from depthbench.research.study import doubts
from depthbench.research.study.claims import same_columns
from depthbench.research.study.studies import studies

MORE = 0.01  # by how much a net becomes better: of its score, or of what a share lacks


def scorings():
    """The published studies of systems, with what says which scores are better."""
    found = {}
    for name in published.folders():
        module = importlib.import_module(studies()[name].module)
        if hasattr(module, "SCORING"):
            found[name] = module.SCORING
    return found


SCORINGS = scorings()


def better(row, higher):
    """The row as if further training had made its net better."""
    share = higher and 0 <= row["score"] <= 1
    step = MORE * (1 - row["score"] if share else abs(row["score"]))
    score = row["score"] + (step if higher else -step)
    by_seed = row.get("score_by_seed")
    if by_seed:
        moved = (float(one) + score - row["score"] for one in by_seed.split())
        by_seed = " ".join(map(repr, moved))
    changed = {"score": score, "gap": row["gap"] + step, "score_by_seed": by_seed}
    return {**row, **changed, "unfinished": True}


def estimated(claim, rows):
    """By label and place, what a claim estimates of rows, and which way that might go."""
    found = {}
    for place, row in enumerate(claim.of(rows)):
        if claim.scope(row) and row["status"] == "ok":
            label = tuple(row.get(name) for name in claim.label), place
            found[label] = claim.estimate(row).value, claim.moves(row)
    return found


@pytest.mark.parametrize("name", SCORINGS)
def test_a_better_net_moves_an_estimate_only_where_its_claim_says(name):
    """One net after another is better: what that raises may rise, and the same below."""
    rows = [
        {**row, "unfinished": False, "rate_at_edge": False}
        for row in same_columns(published.made(name).rows)
    ]
    claims = [c for c in studies()[name].claims if c.doubt is not doubts.certain]
    for claim in claims:
        before = estimated(claim, rows)
        for place, row in enumerate(rows):
            if row["status"] != "ok" or row.get("score") is None or row["gap"] is None:
                continue
            one = better(row, SCORINGS[name].higher)
            after = estimated(claim, [*rows[:place], one, *rows[place + 1 :]])
            for label in before.keys() & after.keys():
                (old, _), (new, moves) = before[label], after[label]
                assert new <= old or moves.up, (claim.key, label)
                assert new >= old or moves.down, (claim.key, label)
