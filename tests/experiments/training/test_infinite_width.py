"""What is said of a process that takes no steps, and of the nets beside it."""

from depthbench.experiments.training.infinite_width import STUDY, one_width


def rows():
    """Of a process of two depths, a trained net of two widths each."""
    nets = {(4, 8): 0.7, (4, 32): 0.9, (64, 8): 0.09, (64, 32): None}
    own = {4: (0.99, 0.977), 64: (0.98, 0.98)}
    return [
        {
            **dict(activation="tanh", depth=depth, width=width, net=net),
            **dict(valid=own[depth][0], score=own[depth][1], status="ok", reason=""),
            **dict(strong=0.979, gap=0.0, gap_se=0.01, gap_test_se=0.01, seeds=3),
            **dict(trivial=0.093, unfinished=True, score_low=0.96, score_high=0.99),
            **dict(first_gradient=-0.5, step_mflop=2.4),
        }
        for (depth, width), net in nets.items()
    ]


def test_a_process_is_never_still_learning_and_the_worst_is_a_trained_net():
    said = STUDY.headline(rows())
    assert "infinitely wide tanh net of 4 layers)" in said.answer
    assert "still learning" not in said.answer + said.worst
    assert said.worst.startswith(
        "Worst: 0.090 (trained tanh net of 64 layers of 8 units)"
    )


def test_gradient_and_step_of_a_trained_net_are_not_the_process_own():
    line = STUDY.summary(rows())
    assert (line.first_gradient, line.step_mflop) == (None, None)
    assert "still learning" not in line.net


def test_one_width_is_the_widest():
    assert [row["width"] for row in one_width(rows())] == [32, 32]
    assert one_width([]) == []
