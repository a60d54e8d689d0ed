"""`residual_remedies`: which nets are trained, and what is set beside what."""

import pytest

from depthbench.experiments.training import residual_remedies
from depthbench.research.study.claims import judge
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.errors import Refusal

CLAIMS = {claim.key: claim for claim in residual_remedies.STUDY.claims}


def row(net, depth, rate, train=0.9, test=0.8, loss=0.3, **more):
    return {
        "net": net,
        "depth": depth,
        "learning_rate": rate,
        "seeds": 5,
        "status": "ok",
        "diverged": 0.0,
        "first_loss": 2.3,
        "train_loss": loss,
        "train_accuracy": train,
        "train_accuracy_se": 0.002,
        "test_accuracy": test,
        "test_accuracy_se": 0.002,
        "unfinished": False,
        **more,
    }


def rows_of(**nets):
    """Rows at 20 and 110 layers, three rates each, whose middle one has the least loss.

    nets: training and test accuracy at that rate, by the net and its depth.
    """
    rows = []
    for name, (train, test) in nets.items():
        net, depth = name.rsplit("_", 1)
        for rate, loss, better in ((0.01, 0.5, 0), (0.1, 0.5, 0), (0.03, 0.1, 1)):
            # More accurate at a rate with more loss: it must not be chosen.
            accuracies = (train, test) if better else (1.0, 1.0)
            net = net.replace("_", " ")
            rows.append(row(net, int(depth), rate, *accuracies, loss))
    return rows


def word(key, rows):
    return judge(CLAIMS[key], rows).word


def test_a_remedy_may_be_a_little_worse_than_batch_norm():
    key = "zhang2019.fixup-as-stable"
    norms = {"batch norm_20": (0.2, 0.2), "batch norm_110": (0.95, 0.9)}
    for accuracy, verdict in ((0.99, "holds"), (0.94, "holds"), (0.9, "fails")):
        rows = rows_of(**norms, Fixup_20=(0.1, 0.1), Fixup_110=(accuracy, 0.5))
        assert word(key, rows) == verdict
    assert word(key, rows_of(**norms)) == "untested"


def test_better_is_beyond_noise():
    key = "he2016.pre-activation-trains"
    nets = {"batch norm_110": (0.9, 0.8)}
    for accuracy, verdict in ((0.95, "holds"), (0.901, "undecided"), (0.8, "fails")):
        rows = rows_of(**nets, **{"pre-activation_110": (accuracy, 0.1)})
        assert word(key, rows) == verdict


def test_stochastic_depth_is_judged_by_what_it_was_not_trained_on():
    nets = {"batch norm_110": (0.99, 0.8), "batch norm_20": (0.99, 0.99)}
    better = {"stochastic depth_110": (0.9, 0.85), "stochastic depth_20": (0.9, 0.9)}
    rows = rows_of(**nets, **better)
    assert word("huang2016.stochastic-depth-is-better", rows) == "holds"
    assert word("huang2016.stochastic-depth-goes-deeper", rows) == "fails"
    better["stochastic depth_20"] = (0.9, 0.7)
    rows = rows_of(**nets, **better)
    assert word("huang2016.stochastic-depth-goes-deeper", rows) == "holds"


def test_a_rate_at_the_edge_leaves_open_what_a_better_one_might_turn():
    known = (0.99, "holds", "holds"), (0.5, "fails", "undecided")
    for accuracy, verdict, at_edge in known:
        nets = {"pre-activation_110": (0.99, 0.9), "SkipInit_110": (accuracy, 0.4)}
        rows = rows_of(**nets)
        assert word("de2020.skipinit-as-deep", rows) == verdict
        narrow = [
            r for r in rows if r["net"] != "SkipInit" or r["learning_rate"] != 0.1
        ]
        assert word("de2020.skipinit-as-deep", narrow) == at_edge


def test_steps_that_were_too_few_leave_a_worse_net_undecided():
    rows = rows_of(**{"pre-activation_110": (0.99, 0.9), "SkipInit_110": (0.5, 0.4)})
    assert word("de2020.skipinit-as-deep", rows) == "fails"
    for each in rows:
        each["unfinished"] = each["net"] == "SkipInit"
    assert word("de2020.skipinit-as-deep", rows) == "undecided"


def test_all_nets_are_trained_at_the_largest_depth_and_two_at_others():
    study = residual_remedies.STUDY
    cells = grid(study, chosen_values(study, "standard", {}))
    compared, lines = study.fit(cells, set())
    most = max(cell["depth"] for cell in cells)
    deep = {cell["net"] for cell in compared if cell["depth"] == most}
    shallow = {cell["net"] for cell in compared if cell["depth"] < most}
    assert deep == set(residual_remedies.NETS)
    assert shallow == set(residual_remedies.SHALLOW) and lines
    with pytest.raises(Refusal, match="6n \\+ 2 layers, not 21"):
        study.fit([{**cells[0], "depth": 21}], set())
