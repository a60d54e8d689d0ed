"""The forms that `convolution_forms` times are one convolution, and it says if not."""

import jax
import numpy as np
import pytest

from depthbench.benchmarks.convolution_forms import study
from depthbench.benchmarks.convolution_forms.study import FORMS, PLACES
from depthbench.research.engine import runner
from depthbench.research.report.rendering import as_markdown
from depthbench.research.study import headlines, plan

CELL = {"channels": 128, "batch": 2, "layers": 2, "seeds": 2, "rounds": 1}


def test_no_form_is_timed_beside_another_unit(monkeypatch):
    monkeypatch.setattr(runner.host, "cores", lambda: 16)
    units = plan.units(study.STUDY, [CELL | {"place": "scan", "form": "xla"}])
    assert runner.workers(study.STUDY, units, 2**40) == 1


@pytest.mark.parametrize("name", FORMS)
def test_every_form_has_the_convolutions_value_and_gradients(name):
    random = np.random.default_rng(0)
    x = random.standard_normal((2, 5, 4, 2), np.float32)
    kernels = random.standard_normal((1, 3, 3, 2, 3), np.float32)

    def results(form):
        run = study.program(FORMS[form].convolve, PLACES["unrolled"], gradient=True)
        return jax.tree.leaves(jax.jit(run)(kernels, x))

    gradients, expected = results(name), results(study.BASE)
    # Sums of up to 80 products of order 1, in another order, in float32.
    for a, b in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def rows(place, *names):
    cells = [{**CELL, "place": place, "form": name} for name in names]
    (unit,) = plan.units(study.STUDY, cells)
    pairs = zip(cells, plan.measure(unit, 2**30), strict=True)
    return [
        {**cell, "status": m.status, "reason": m.reason, **m.values}
        for cell, m in pairs
    ]


def test_a_row_for_each_form_and_what_convolve_takes():
    form_rows = rows("seeds_scan", "ordered", "ordered_groups")
    assert [row["chosen"] for row in form_rows] == [True, False]
    for row in form_rows:
        assert (row["status"], row["agrees"]) == ("ok", True)
        assert set(study.STUDY.columns) <= set(row)
        assert row["gradient_ratio_low"] <= row["gradient_ratio_high"]
    answer, worst = headlines.of(study.STUDY, form_rows)
    assert answer.endswith("of 1 place.") and worst.startswith("Worst: seeds_scan")
    lines = as_markdown(*study.tables(form_rows)).splitlines()
    assert all(len(line) <= 110 for line in lines)
    assert any("ordered *" in line for line in lines)
    (picture,) = study.pictures(form_rows, None)
    assert len(picture.draw().axes) == 1


def test_a_form_that_differs_is_not_timed(monkeypatch):
    wrong = FORMS["products"]._replace(convolve=lambda x, kernel: 1.01 * x)
    monkeypatch.setattr(study, "FORMS", {**FORMS, "products": wrong})
    (row,) = rows("unrolled", "products")
    assert row["status"] == "differs" and "XLA" in row["reason"]
    assert "gradient_ms" not in row
    assert "differs" in as_markdown(*study.tables([row]))
    assert not study.pictures([row], None)
