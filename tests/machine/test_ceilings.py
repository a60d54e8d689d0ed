"""The machine's best rates, and who else uses it."""

import numpy as np
import pytest

from depthbench.research.machine import ceilings


@pytest.fixture(autouse=True)
def small_machine(monkeypatch):
    small = ceilings.Load((16,), 2**16, 2**16)
    monkeypatch.setattr(ceilings, "load", lambda: small)


def test_the_machine():
    assert ceilings.denormals() in ("kept", "flushed")
    rates = ceilings.ceilings(ceilings.Precision(np.float32, "highest"))
    assert rates.product > 0 and rates.copy > 0
    busy = ceilings.Clocks(0.0, 10.0, 1.0), ceilings.Clocks(4.0, 16.0, 3.0)
    assert (
        ceilings.others(*busy) == 1.0
    )  # six seconds of work in four, two of them ours
    assert ceilings.others(busy[0], busy[1]._replace(busy=None)) is None
    before = ceilings.moment()
    assert ceilings.moment().process >= before.process
