"""A watch in a user's own loop: the same numbers as a probe, of every k-th step."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import depthbench as db
from depthbench.research.report.history import History
from tests.depthbench.models import Sigmoids, W, X, plain

NET = Sigmoids(2)
COLUMNS = ("log10_gradient", "log10_length", "decorrelation", "saturated", "dead")


def variables(seed):
    return NET.init({"params": jax.random.key(seed)}, X)


def stacked(seeds):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(variables, seeds))


@pytest.fixture(scope="module")
def watch():
    watch = db.probe.every(10, NET, X)
    for step in range(21):
        watch(step, variables(step))
    return watch


def test_every_kth_step_is_a_probe_of_its_parameters(watch):
    history = watch.history
    assert history.steps == (0, 10, 20)
    assert history.log10_gradient.shape == (3, 3) == (3, len(history.names))
    for place, step in enumerate(history.steps):
        report = db.probe(NET, X, params=variables(step))
        for name in COLUMNS:
            np.testing.assert_allclose(
                history.columns[name][place], report.column(name), rtol=1e-6, atol=1e-6
            )
    assert len(history.rows) == 9 and history.rows[-1]["step"] == 20


def test_it_is_a_pure_function_within_jit_scan_and_vmap(watch):
    alone = jax.jit(watch.arrays)
    expected = [alone(variables(seed)) for seed in range(3)]
    over_seeds = jax.jit(jax.vmap(watch.arrays))(stacked(range(3)))
    for name in COLUMNS:
        each = np.stack([getattr(e, name) for e in expected])
        got = getattr(over_seeds, name)
        np.testing.assert_allclose(got, each, rtol=0, atol=1e-4)
    np.testing.assert_allclose(
        expected[0].log10_gradient, watch.history.log10_gradient[0], atol=1e-5
    )

    def step(params, _):
        params = jax.tree.map(lambda a: 1.1 * a, params)
        return params, watch.arrays(params).log10_gradient

    _, scanned = jax.jit(lambda p: jax.lax.scan(step, p, length=2))(variables(0))
    last = jax.tree.map(lambda a: 1.1 * 1.1 * a, variables(0))
    np.testing.assert_allclose(scanned[-1], alone(last).log10_gradient, atol=1e-4)


def test_a_step_that_comes_again_takes_the_place_of_the_first():
    watch = db.every(1, plain, X, params=W)
    for scale in (1.0, 0.5):
        watch(3, {"w": scale * W["w"]})
    watch(1, W)
    assert watch.history.steps == (1, 3)
    report = db.probe(plain, X, params={"w": 0.5 * W["w"]})
    np.testing.assert_allclose(
        watch.history.log10_gradient[1], report.column("log10_gradient"), atol=1e-6
    )


def test_parameters_of_another_form_are_refused(watch):
    with pytest.raises(db.Mistake, match="params: Dense_0/bias"):
        watch(30, {"params": {}})
    with pytest.raises(db.Mistake, match="params: Dense_0/bias"):
        watch.arrays({"params": {}})


def test_a_step_that_is_no_number_is_refused(watch):
    with pytest.raises(db.Mistake, match="step: 'a': must be a whole number"):
        watch("a", variables(0))


def test_parameters_of_another_dtype_are_refused(watch):
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), variables(0))
    line = "params: Dense_0/bias is of bfloat16, and float32"
    for probe in (lambda: watch(30, half), lambda: watch.arrays(half)):
        with pytest.raises(db.Mistake, match=line):
            probe()


def test_within_jit_a_call_is_refused(watch):
    for run in (lambda s, v: watch(s, v), lambda s, v: watch(10, v)):
        with pytest.raises(db.Mistake, match=r"step: .* watch\.arrays\(params\)"):
            jax.jit(run)(10, variables(0))


def test_settings_of_the_users_for_finding_bugs_are_none_of_ours(watch):
    """Whose nan is a mark of what cannot be measured."""
    given, before = variables(10), watch.history.log10_gradient[1]
    with jax.debug_nans(True):
        db.probe(plain, X, params=W)
        with jax.transfer_guard("disallow"):
            watch(10, given)
    assert np.array_equal(watch.history.log10_gradient[1], before)


def test_what_diverges_is_collected():
    watch = db.every(1, plain, X, params=W)
    watch(0, W)
    watch(1, {"w": np.nan * W["w"]})
    assert np.isnan(watch.history.log10_gradient[1]).any()
    watch.history.figure(), watch.history._repr_html_()


def test_a_history_shows_its_decades_and_one_map(watch):
    history = watch.history
    ratio = history.log10_gradient[:, 0] - history.log10_gradient[:, -1]
    assert f"{ratio[0]:+.2f} at step 0" in history.answer
    assert f"{ratio[-1]:+.2f} at step 20" in repr(watch)
    axes, _ = history.figure().axes
    (image,) = axes.collections
    relative = history.log10_gradient - history.log10_gradient[:, -1:]
    np.testing.assert_allclose(image.get_array(), relative.T)
    assert history._repr_html_().index("Decades") < history._repr_html_().index("<img")
    assert len(history.to_pandas()) == len(history.rows)


def test_a_map_of_many_steps_and_states_has_even_labels():
    names = ("input", *(f"layer_{i}" for i in range(20)), "head")
    steps, columns = tuple(range(0, 501, 50)), {"log10_gradient": np.zeros((11, 22))}
    axes, _ = History(names, steps, columns).figure().axes
    shown = [label.get_text() for label in axes.get_xticklabels()]
    assert shown == ["0", "100", "200", "300", "400", "500"]
    shown = [label.get_text() for label in axes.get_yticklabels()]
    odd = [f"layer_{i}" for i in range(1, 19, 2)]
    assert shown == ["input", *odd, "head"]


def test_a_watch_that_saw_nothing_says_so():
    watch = db.every(5, plain, X, params=W)
    watch(3, W)
    assert watch.history.steps == () and "No step" in repr(watch.history)
    assert "No step" in watch.history._repr_html_()
    with pytest.raises(db.Mistake, match="figure: "):
        watch.history.figure()


class Writer:
    """Of TensorBoard, as torch's and tensorboardX's are called."""

    def __init__(self):
        self.figures = []

    def add_figure(self, tag, figure, global_step, close=True):
        self.figures.append((tag, figure, global_step, close))


def test_tensorboard_has_one_picture(watch, tmp_path):
    writer = Writer()
    watch.history.write(writer)
    ((tag, figure, step, close),) = writer.figures
    assert (tag, step, close) == ("depthbench/log10_gradient", 20, False)
    assert figure.axes
    with pytest.raises(db.Mistake, match="write: a int"):
        watch.history.write(3)
    watch.history.write(tmp_path / "logs")
    (events,) = (tmp_path / "logs").iterdir()
    assert b"depthbench/log10_gradient" in events.read_bytes()


def test_without_tensorboard_a_line_says_how_to_install_it(
    watch, monkeypatch, tmp_path
):
    for name in ("tensorboardX", "torch", "torch.utils.tensorboard.writer"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(db.Mistake, match=r"pip install -e .*tensorboard"):
        watch.history.write(tmp_path / "logs")
    assert not (tmp_path / "logs").exists()


def test_a_history_is_plain_data():
    history = History(("a", "b"), (1,), {"log10_gradient": np.array([[-1.0, 0.0]])})
    assert "-1.00 at step 1" in history.answer
    assert history.rows == [
        {"step": 1, "state": "a", "log10_gradient": -1.0},
        {"step": 1, "state": "b", "log10_gradient": 0.0},
    ]
