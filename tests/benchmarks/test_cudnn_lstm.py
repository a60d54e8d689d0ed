"""cuDNN's LSTM as a peer: its weights' layout, by jax's own reference; its kernels' names.

The kernel runs on an NVIDIA GPU alone, and `-m accelerator` compares it there.
"""

from functools import partial

import jax
import jax.experimental.rnn as rnn
import numpy as np
import pytest
from jax.interpreters import mlir
from jaxlib import gpu_rnn

from depthbench.benchmarks.peers import case, comparison, in_cudnn, in_jax, study
from depthbench.benchmarks.peers.cases import CASES

SHAPE = case.CaseSize(batch=3, length=5, width=8, depth=2)
CLOSE = 1e-5  # of float32 sums in another order


def reference(x, h, c, weights, lengths, *sizes):
    """rnn.lstm, by jax's plain form of it, which reads the same packed vector."""
    features, width, layers, _, both = sizes
    parts = rnn.unpack_lstm_weights(weights, features, width, layers, both)
    return rnn.lstm_ref(x, h, c, *parts, lengths, *sizes)


def results(build, task):
    """Outputs, and the gradients of a loss in the plain names of weights."""
    model = build(task.weights, task.x.shape[1:])

    def loss(params):
        outputs, _ = model.forward(params, None, task.x)
        return jax.numpy.sum(jax.numpy.cos(outputs)), outputs

    gradients, outputs = jax.jit(jax.grad(loss, has_aux=True))(model.net[0])
    return outputs, gradients


@pytest.fixture
def task():
    return CASES["lstm"].task(SHAPE)


def test_weights_lie_where_cudnn_looks_for_them(task, monkeypatch):
    """Outputs and gradients are plain JAX's of the same weights, in two layers."""
    monkeypatch.setattr(rnn, "lstm", reference)
    with comparison.lenient():
        outputs, gradients = results(in_cudnn.lstm, task)
        expected = results(in_jax.lstm, task)
    layers = jax.tree.map(lambda *each: np.stack(each), *expected[1]["layers"])
    theirs = jax.tree.leaves((expected[0], {**expected[1], "layers": layers}))
    assert comparison.apart(jax.tree.leaves((outputs, gradients)), theirs) < CLOSE
    size = rnn.get_num_params_in_lstm(SHAPE.width, SHAPE.width, SHAPE.depth, False)
    assert in_cudnn.packed(task.weights["layers"]).shape == (size,)


@pytest.fixture
def described(monkeypatch):
    """cuDNN's plugin as far as lowering asks: the sizes of its memory and a descriptor."""

    class Plugin:
        @staticmethod
        def build_rnn_descriptor(*sizes):
            return b"descriptor"

    sizes = lambda *a: (16, 32)
    name = "compute_rnn_workspace_reserve_space_sizes"
    monkeypatch.setattr(gpu_rnn, name, sizes, raising=False)
    lower = partial(gpu_rnn._rnn_fwd_lowering, Plugin, "cu")
    back = partial(gpu_rnn._rnn_bwd_lowering, Plugin, "cu")
    mlir.register_lowering(rnn.rnn_fwd_p, lower, platform="cuda")
    mlir.register_lowering(rnn.rnn_bwd_p, back, platform="cuda")
    yield
    mlir.register_lowering(rnn.rnn_fwd_p, gpu_rnn.cudnn_rnn_lowering, platform="cuda")
    mlir.register_lowering(
        rnn.rnn_bwd_p, gpu_rnn.cudnn_rnn_bwd_lowering, platform="cuda"
    )


def test_a_step_lowers_to_cudnns_kernels(task, described):
    """Both ways, once each: layers and steps are cuDNN's own."""
    model = in_cudnn.lstm(task.weights, task.x.shape[1:])
    loss = lambda params: model.forward(params, None, task.x)[0].sum()
    with comparison.lenient():
        traced = jax.jit(jax.grad(loss)).trace(model.net[0])
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    kernels = ("@cudnn_rnn_ffi(", "@cudnn_rnn_bwd_ffi(")
    assert [text.count(kernel) for kernel in kernels] == [1, 1]


def test_it_is_run_where_it_is_named_and_can_be():
    assert "jax_cudnn" not in study.AXES["peer"].values
    reason = study.PEERS["jax_cudnn"].absent()
    assert reason.startswith("cuDNN needs an NVIDIA GPU, not ") or not reason


@pytest.mark.accelerator
def test_cudnns_lstm_is_ours_on_its_device():
    """Outputs, gradients and losses, in float32 products."""
    if study.PEERS["jax_cudnn"].absent():
        pytest.skip(study.PEERS["jax_cudnn"].absent())
    cells = [
        {"case": "lstm", "peer": peer, **SHAPE._asdict(), "rounds": 1}
        for peer in ("depthbench", "jax_cudnn")
    ]
    with jax.default_matmul_precision("highest"):
        _, row = study.measure(cells, {}, 2**30)
    assert row.status == "ok" and row.values["largest_difference"] < 1e-4
