"""A part of a run: which cells it lacks is known, and no claim is decided before them."""

import random
from functools import partial

import pytest
from msgspec.structs import replace

from depthbench.research.engine import runner
from depthbench.research.report import coverage, published, study_report
from depthbench.research.report.coverage import WHOLE, Coverage
from depthbench.research.store.manifest import Manifest
from depthbench.research.store.rows import NO_DATA, cell_id
from depthbench.research.study.claims import Claim, judge, same_columns
from depthbench.research.study.declaration import Headline, chosen_values, grid
from depthbench.research.study.estimates import about, exact
from depthbench.research.study.studies import studies

PUBLISHED = sorted(set(published.folders()) & set(studies()))


def planned(study, size, digest="none"):
    """The cells of a size, and a manifest that has planned them."""
    cells = study.fit(grid(study, chosen_values(study, size, {})), set())[0]
    manifest = Manifest(
        schema=3,
        study=study.name,
        code={},
        environment={},
        cells=sorted(cell_id(study.name, cell, digest) for cell in cells),
        grid=runner.grid_of([study.named(cell) for cell in cells]),
        data={} if digest == "none" else {"digits": digest},
    )
    return cells, manifest


@pytest.mark.parametrize("name", studies())
def test_what_is_missing_of_a_plan_is_known_by_its_settings(name):
    study = studies()[name]
    for size, digest in (("smoke", "none"), ("smoke", "0f" * 8), ("standard", "none")):
        cells, manifest = planned(study, size, digest)
        ids = {cell_id(name, cell, digest): cell for cell in cells}
        there = set(random.Random(0).sample(sorted(ids), len(ids) // 2))
        cover = coverage.of_folder(study, manifest, there)
        assert str(cover) == f"{len(there):,} of {len(ids):,} cells"
        lacking = {cell_id(name, study.cell(row), digest) for row in cover.missing}
        assert lacking == set(ids) - there and len(cover.missing) == len(lacking)


def test_cells_without_data_are_missing_beside_those_with_some():
    study = studies()["gradient_flow"]
    cells, manifest = planned(study, "smoke", "0f" * 8)
    fed_with = ["0f" * 8 if n % 2 else NO_DATA for n in range(len(cells))]
    ids = map(partial(cell_id, study.name), cells, fed_with)
    manifest = replace(manifest, cells=sorted(ids))
    cover = coverage.of_folder(study, manifest, ())
    assert len(cover.missing) == cover.planned == len(cells)


def test_a_whole_run_is_said_in_no_other_way():
    of_rows = Headline("All is well.", "but for this")
    for whole in (WHOLE, Coverage(4, 4)):
        assert whole.headline(of_rows) == of_rows and whole.title("Claims") == "Claims"
    part = Coverage(54, 108)
    assert part.headline(of_rows).answer == "54 of 108 cells so far. All is well."
    assert part.title("Claims") == "Claims (54 of 108 cells so far)"


@pytest.mark.parametrize("name", PUBLISHED)
def test_no_claim_holds_or_fails_on_a_half_as_a_whole_would_not(name):
    """Of published rows a half is drawn, three times. What holds then has all of its
    points, as no row is missing that may be in its scope; what fails would fail."""
    study, chance = studies()[name], random.Random(0)
    ordered = published.made(name).rows
    whole = {v.claim.key: v for v in study_report.verdicts(study, ordered)}
    for _ in range(3):
        there = chance.sample(ordered, max(1, len(ordered) // 2))
        away = [study.cell(row) for row in ordered if row not in there]
        both = [*sorted(there, key=study.order), *coverage.rows(study, away)]
        for half in study_report.verdicts(study, both):
            before = whole[half.claim.key]
            if half.word == "holds":
                assert before.word == "holds" and half.run == len(before.points)
            if half.word == "fails":
                assert before.word == "fails"
            assert half.run <= len(before.points) or half.open


def claim(**more):
    return Claim(
        "popular.toy",
        "x is 1",
        "nobody",
        estimate=lambda row: exact(row["x"]),
        allows=about(1.0, within=0.1),
        scope=more.pop("scope", lambda row: row["depth"] > 1),
        label=("depth",),
        **more,
    )


OK = {"status": "ok", "reason": "", "x": 1.0}
GONE = {"status": "not_run", "reason": ""}
HALF = [{"depth": 1, **OK}, {"depth": 2, **OK}, {"depth": 4, **GONE}]


def test_a_claim_waits_for_its_points_and_says_how_many():
    half = judge(claim(), HALF)
    assert (half.word, half.run, len(half.points)) == ("undecided", 1, 2)
    assert study_report.points(half) == "1 of 2"
    assert "holds at 1 of 2 points" in half.sentence()
    assert "4 (not run)" in half.sentence()
    assert judge(claim(), [*HALF[:2], {"depth": 1, **GONE}]).word == "holds"
    none = judge(claim(), [{"depth": 2, **GONE}])
    assert none.word == "untested" and none.sentence().endswith(
        "not run in 1 row in scope"
    )


def test_a_claim_waits_where_it_is_not_known_whether_a_row_will_be_in_scope():
    measured = claim(scope=lambda row: row.get("x") is not None and row["x"] > 0)
    compares = claim(of=lambda rows: [row for row in rows if row["x"] / 1 > 0])
    for one in (measured, compares):
        half = judge(one, HALF)
        assert half.open and half.word == "undecided" and len(half.points) > 0
        assert half.sentence().startswith("undecided until all cells have been run")
        assert study_report.points(half).endswith(" so far")
        assert judge(one, HALF[:2]).word == "holds"


def test_a_failure_at_one_point_is_a_failure_whatever_is_missing():
    failed = judge(claim(), [{"depth": 2, **OK, "x": 5.0}, *HALF[2:]])
    assert failed.word == "fails"


def test_cells_of_an_earlier_versions_folder_leave_all_claims_open():
    study = studies()["gradient_flow"]
    ordered = published.made("gradient_flow").rows
    cover = Coverage(len(ordered), len(ordered) + 1)
    tables = study_report.judgement(study, ordered, cover)
    words = {row[3].text for table in tables for row in table.rows}
    assert words <= {"undecided", "untested"}
    assert same_columns(ordered)  # they are there


def test_rows_of_another_kind_of_device_decide_no_claim_of_this_one():
    """They are done, and what they say is in another table."""
    study = studies()["gradient_flow"]._replace(claims=(claim(),))
    cover = Coverage(3, 3, (), tuple(HALF[2:]))
    words = lambda cover: {
        row[3].text
        for table in study_report.judgement(study, HALF[:2], cover)
        for row in table.rows
    }
    assert cover.whole and words(cover) == {"undecided"}
    assert words(Coverage(2, 2)) == {"holds"}
    assert str(cover) == "3 of 3 cells, 1 of them of other kinds of devices"
