"""Steps to a target, and rows of two devices beside each other."""

import math
from types import SimpleNamespace

import numpy as np

from depthbench.experiments.training import gpu_fix, gpu_fix_claims
from depthbench.research.study.claims import judge

CPU = {
    **{"activation": "sigmoid", "depth": 8, "width": 32, "dataset": "digits"},
    **{"steps": 150, "faster": 50, "seeds": 3, "status": "ok", "reason": ""},
    **{"platform": "cpu", "reached": 0.0, "reached_faster": 0.0},
    **{"first_gradient": -4.0, "step_ms": 0.8},
}
CLAIMS = {claim.key: claim for claim in gpu_fix_claims.CLAIMS}


def run(right):
    return SimpleNamespace(log={"accuracy": np.array(right)})


def test_the_target_is_a_mean_over_a_window_and_is_where_it_is_first_reached():
    assert gpu_fix.steps_to_target(run([0.0] * 20 + [1.0] * 30)) == 29  # 9 of 10 right
    assert gpu_fix.steps_to_target(run([0.0, 1.0] * 50)) == math.inf


def test_what_two_devices_decide_is_untested_on_one(monkeypatch):
    for key in ("popular.gpu-cures-vanishing", "popular.gpu-steps-sooner"):
        assert judge(CLAIMS[key], [CPU]).word == "untested"


def test_an_accelerators_rows_are_judged_beside_the_cpus(monkeypatch):
    committed = SimpleNamespace(rows=[CPU])
    monkeypatch.setattr(gpu_fix_claims.published, "made", lambda name: committed)
    there = {**CPU, "platform": "gpu", "step_ms": 0.2, "first_gradient": -4.001}
    words = {key: judge(claim, [there]).word for key, claim in CLAIMS.items()}
    assert words["popular.gpu-steps-sooner"] == "holds"
    assert words["depthbench.devices-have-one-gradient"] == "holds"
    assert words["popular.gpu-cures-vanishing"] != "holds"  # no seed is there
    other = {**there, "step_ms": 3.0, "first_gradient": -3.0}
    words = {key: judge(claim, [other]).word for key, claim in CLAIMS.items()}
    assert words["popular.gpu-steps-sooner"] == "fails"
    assert words["depthbench.devices-have-one-gradient"] == "fails"
    unknown = {**there, "depth": 9}
    assert judge(CLAIMS["popular.gpu-steps-sooner"], [unknown]).word == "untested"


def test_a_curve_is_drawn_in_means_of_stretches():
    shown = gpu_fix.shown(np.arange(1000.0))
    assert shown["step"][-1] == 1000 and len(shown["step"]) == len(shown["accuracy"])
    np.testing.assert_allclose(shown["accuracy"][0], 0.0)
    assert np.all(np.diff(shown["accuracy"]) > 0)
