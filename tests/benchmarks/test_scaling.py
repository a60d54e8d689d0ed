"""`scaling`: what devices that share cores may not be called."""

import json

import pytest

from depthbench.benchmarks import scaling
from depthbench.research.cli.main import main


@pytest.mark.exhaustive
def test_scaling_never_calls_shared_cores_a_result(tmp_path, capsys):
    flags = ["--mesh", "cells", "--size", "smoke", "--out", str(tmp_path)]
    assert main(["run", "scaling", *flags, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["mesh"], row["devices"]) for row in rows] == [("cells", 2)]
    for row in rows:
        assert (row["status"], row["reason"]) == ("ok", scaling.SHARED)
        assert row["efficiency"] is None and row["step_ms"] > 0
    (table,) = scaling.STUDY.tables(rows)
    assert {line[-1].text for line in table.rows} == {scaling.SHARED}
    assert main(["run", "scaling", "--devices", "3", "--size", "smoke"]) == 2
    assert "divisible by 3" in capsys.readouterr().err
