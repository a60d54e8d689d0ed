"""Recurrent nets: PyTorch's outputs and gradients, probes over time and over layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core

from depthbench.research.architectures import ARCHITECTURES, walk
from depthbench.research.architectures.contract import apply, call, init
from depthbench.research.architectures.recurrent import cells, sequence
from depthbench.research.signal import probes

KEY = jax.random.key(0)
TIME, WIDTH = 5, 8
X = np.random.default_rng(0).standard_normal((4, TIME, 3)).astype(np.float32)
OVER_TIME = ("rnn", "rnn_identity", "lstm", "lstm_chrono", "gru", "mgu")
PYTORCHS = ("stacked_rnn", "stacked_lstm", "stacked_gru", "bidirectional_lstm")
STARTS = ("stacked_rnn_identity", "stacked_lstm_chrono")
OVER_LAYERS = (*PYTORCHS, *STARTS)
SIGMA = {"sigma_w": 1.3, "sigma_b": 0.4}


def loss(outputs):
    return jnp.mean(jnp.square(outputs - 0.3))


# PyTorch


class Peer:
    """A PyTorch net with our weights, and its gradients in our form."""

    def __init__(self, torch, name, net, variables, layers):
        kind = name.rpartition("_")[2].upper()
        both = name.startswith("bidirectional")
        self.torch, self.both, self.layers = torch, both, layers
        self.cell = {"RNN": cells.RNN, "LSTM": cells.LSTM, "GRU": cells.GRU}[kind]
        units = WIDTH // 2 if both else WIDTH
        features = WIDTH if name in OVER_LAYERS else X.shape[2]
        self.body = getattr(torch.nn, kind)(
            features, units, layers, batch_first=True, bidirectional=both
        )
        self.stem = torch.nn.Linear(X.shape[2], WIDTH) if name in OVER_LAYERS else None
        self.head = torch.nn.Linear(WIDTH, 3)
        for ours, theirs in self.pairs(variables):
            with torch.no_grad():
                theirs.copy_(torch.tensor(np.array(ours)))
        with torch.no_grad():
            for name, theirs in self.body.named_parameters():
                if name.startswith("bias_ih") and self.cell.forget is not None:
                    theirs[units : 2 * units] += cells.FORGET_BIAS
                elif name.startswith("bias_hh"):
                    theirs[: units if self.cell.gates == 1 else 2 * units] = 0
                    if not self.cell.biased:
                        theirs[:] = 0

    def pairs(self, tree, gradients=False):
        """(our array, PyTorch's) of every parameter, PyTorch's shape."""
        take = (lambda p: p.grad) if gradients else (lambda p: p)
        (stage,) = tree.stages
        tensors = []

        def dense(ours, linear):
            tensors.append((ours["kernel"].T, take(linear.weight)))
            tensors.append((ours["bias"], take(linear.bias)))

        dense(tree.head["params"]["Head_0"]["Dense_0"], self.head)
        if self.stem is not None:
            dense(tree.stem["params"]["Dense_0"], self.stem)
        for layer in range(self.layers):
            for direction in range(1 + self.both):
                if self.stem is None:
                    params = {**stage["params"], **tree.stem["params"]}
                else:
                    params = jax.tree.map(lambda a, n=layer: a[n], stage["params"])
                inputs = params[f"Projection_{direction}"]["Dense_0"]
                recurrent = params[f"Recurrent_{direction}"]
                suffix = f"l{layer}" + "_reverse" * direction
                theirs = {n: getattr(self.body, f"{n}_{suffix}") for n in NAMES}
                theirs = {n: take(p) for n, p in theirs.items()}
                tensors.append((inputs["kernel"].T, theirs["weight_ih"]))
                tensors.append((inputs["bias"], theirs["bias_ih"]))
                tensors.append((recurrent["kernel"].T, theirs["weight_hh"]))
                if "bias" in recurrent:
                    units = recurrent["bias"].shape[-1]
                    tensors.append((recurrent["bias"][0], theirs["bias_hh"][-units:]))
        return tensors

    def run(self, x):
        """The outputs; gradients of the loss are left in the parameters."""
        x = self.torch.tensor(x)
        h, _ = self.body(x if self.stem is None else self.stem(x))
        half = h.shape[-1] // 2
        last = h[:, -1]
        if self.both:
            last = self.torch.cat([h[:, -1, :half], h[:, 0, half:]], 1)
        outputs = self.head(last)
        ((outputs - 0.3) ** 2).mean().backward()
        return outputs.detach().numpy()


NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        *((name, 1) for name in ("rnn", "lstm", "gru")),
        *((name, 2) for name in PYTORCHS),
    ],
)
def test_outputs_and_gradients_are_pytorchs(name, layers, network, filled):
    torch = pytest.importorskip("torch", reason="the [peers] extra is not installed")
    net = network(
        name, "tanh", width=WIDTH, depth=TIME if name in OVER_TIME else layers
    )
    variables = filled(net, X)
    peer = Peer(torch, name, net, variables, layers)
    expected = peer.run(X)
    ours = jax.jit(
        lambda v: (
            apply(net, v, X)[0],
            jax.grad(lambda v: loss(apply(net, v, X)[0]))(v),
        )
    )
    outputs, gradients = ours(variables)
    # Two libraries' float32 sums and tanh, five steps and two layers deep.
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-6)
    for mine, theirs in peer.pairs(gradients, gradients=True):
        size = float(np.max(np.abs(mine)))
        assert size > 0
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-4, atol=1e-5 * size)


# The contract


@pytest.mark.parametrize("name", ("rnn_identity", "lstm_chrono", "gru", "stacked_gru"))
def test_both_parametrisations_are_the_same_network(name, network, filled):
    """These four have what is drawn in a way of its own."""
    unit_net, net = (network(name, **SIGMA, depth=3, ntk=ntk) for ntk in (True, False))
    unit = filled(unit_net, X)

    def scaled(path, leaf):
        path = jax.tree_util.keystr(path)
        if ".head" in path or (name == "rnn_identity" and "Recurrent" in path):
            return leaf
        if "chrono" in path:  # log u, from the draw in [0, 1], of T = 3
            return np.log1p((3 - 2) * leaf)
        return leaf * np.float32(1.3 if "kernel" in path else 0.4)

    outputs = jax.jit(lambda v: apply(unit_net, v, X)[0])(unit)
    scaled_variables = jax.tree_util.tree_map_with_path(scaled, unit)
    # As in test_architectures: the order of float32 sums.
    expected = jax.jit(lambda v: apply(net, v, X)[0])(scaled_variables)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def test_gradients_of_ten_thousand_steps_are_finite(network):
    net = network("rnn", "tanh", draw="orthogonal", sigma_w=0.5, depth=10_000)
    run = jax.jit(lambda v: probes.log_gradients(net, v, X, loss))
    states, parameters = run(init(KEY, net, X))
    assert np.all(np.isfinite(states))
    # At step 0 the state is zero, and so is its product's gradient, but not the bias's.
    assert np.all(np.isfinite(parameters[1:]))
    # Each step multiplies by at most the largest singular value.
    assert np.all(np.diff(states) > -np.log10(0.5) - 1e-4)
    assert states[0] < -3000


# Cells


def test_inputs_are_read_in_order_and_again_from_the_start(network):
    net = network("rnn", depth=TIME + 2)
    stem = init(KEY, net, X).stem
    inputs = call(net.stem, stem, X)[0].inputs
    assert inputs.shape == (TIME + 2, 4, 8)
    np.testing.assert_array_equal(inputs[TIME:], inputs[:2])
    kernel = stem["params"]["Projection_0"]["Dense_0"]["kernel"]
    np.testing.assert_allclose(inputs[1], X[:, 1] @ kernel, rtol=1e-5, atol=1e-6)
    short = network("rnn", depth=2)
    fewer = call(short.stem, init(KEY, short, X).stem, X)[0].inputs
    np.testing.assert_allclose(fewer, inputs[:2], rtol=1e-5, atol=1e-6)


def test_every_gate_is_drawn_as_a_kernel_of_its_own(network):
    net = network("lstm", draw="orthogonal", sigma_w=1.5)
    params = init(KEY, net, X).stages[0]["params"]["Recurrent_0"]
    assert set(params) == {"kernel"}
    gates = np.split(np.asarray(params["kernel"]), 4, axis=1)
    for gate in gates:
        np.testing.assert_allclose(gate.T @ gate, 1.5**2 * np.eye(8), atol=1e-5)
    assert not np.allclose(gates[0], gates[1])


def test_the_identity_net_starts_as_one(network):
    net = network("rnn_identity", "relu", sigma_w=2.0)
    params = init(KEY, net, X).stages[0]["params"]["Recurrent_0"]
    np.testing.assert_array_equal(params["kernel"], np.eye(8))


@pytest.mark.parametrize(
    "ntk", (pytest.param(True, marks=pytest.mark.exhaustive), False)
)
def test_chrono_biases_spread_forget_times_up_to_the_length(ntk, network):
    net = network("lstm_chrono", width=400, depth=100, sigma_w=0.0, ntk=ntk)
    stem = jax.jit(lambda: init(KEY, net, X).stem)()
    (now,) = call(net.stem, stem, X)[0].inputs[:1]
    i, f, g, o = np.split(np.asarray(now[0]), 4)
    np.testing.assert_array_equal(i, -f)
    assert not np.any(g) and not np.any(o)
    u = np.exp(f)
    assert 1 <= u.min() < 3 and 97 < u.max() <= 99
    # 400 uniform draws on [1, 99]: their mean is within 4 standard errors of 50.
    assert abs(u.mean() - 50) < 4 * 98 / 12**0.5 / 20


def test_layers_start_as_the_cells_of_steps_do(network):
    """Identities alike, and forget times up to the length of what is read: 5 steps."""
    net = network("stacked_rnn_identity", "relu", sigma_w=2.0, depth=2)
    params = init(KEY, net, X).stages[0]["params"]
    np.testing.assert_array_equal(params["Recurrent_0"]["kernel"], [np.eye(8)] * 2)
    net = network("stacked_lstm_chrono", "tanh", width=400, depth=2)
    tree = jax.jit(lambda: init(KEY, net, X).stages[0])()
    u = np.exp(tree["params"]["Projection_0"]["chrono"])
    assert u.shape == (2, 400) and np.any(u[0] != u[1])
    # Each of 400 uniform draws on [1, T − 1]: one in a hundred from either end.
    assert np.all((u.min(1) >= 1) & (u.min(1) < 1.05))
    assert np.all((u.max(1) > TIME - 1.05) & (u.max(1) <= TIME - 1))


def test_cells_are_their_papers_equations():
    random = np.random.default_rng(1)
    h, c = random.standard_normal((2, 4, 3)).astype(np.float32)

    def one(name):
        cell = getattr(cells, name)
        columns = 3 * cell.gates
        kernel = random.standard_normal((3, columns)).astype(np.float32)
        now = random.standard_normal((4, columns)).astype(np.float32)
        state = (h, c) if cell.memory else h
        times = lambda h, columns=slice(None): h @ kernel[:, columns]
        out = cell.step(times, state, now, jnp.tanh)
        blocks = [slice(3 * b, 3 * b + 3) for b in range(cell.gates)]
        kernels = [kernel[:, b] for b in blocks]
        return out, kernels, [now[:, b] for b in blocks]

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    # float32 products of three terms; XLA's tanh is a few ulp off numpy's.
    close = {"rtol": 1e-5, "atol": 1e-6}
    out, (w,), (a,) = one("RNN")
    np.testing.assert_allclose(out, np.tanh(h @ w + a), **close)
    out, ws, parts = one("LSTM")
    i, f, g, o = (h @ w + a for w, a in zip(ws, parts, strict=True))
    c_new = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    np.testing.assert_allclose(out[0], sigmoid(o) * np.tanh(c_new), **close)
    np.testing.assert_allclose(out[1], c_new, **close)
    out, (wr, wz, wn), (ar, az, an) = one("GRU")
    r, z = sigmoid(h @ wr + ar), sigmoid(h @ wz + az)
    n = np.tanh(an + r * (h @ wn))
    np.testing.assert_allclose(out, (1 - z) * n + z * h, **close)
    out, (wf, wn), (af, an) = one("MGU")
    f = sigmoid(h @ wf + af)
    n = np.tanh((f * h) @ wn + an)
    np.testing.assert_allclose(out, (1 - f) * h + f * n, **close)


@pytest.mark.parametrize(
    ("name", "backend", "time"),
    [
        ("LSTM", "cpu", 6),
        ("LSTM", "gpu", 6),  # two turns of the loop
        ("LSTM", "gpu", 5),  # one, and a rest
        ("GRU", "gpu", 6),
        ("RNN", "gpu", 6),
    ],
)
def test_the_scan_with_a_derivative_of_its_own_is_a_plain_one(
    name, backend, time, monkeypatch
):
    """Values, pushed tangents and gradients, in both directions of time."""
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(walk, "BLOCK", 4)
    cell = getattr(cells, name)
    columns = 3 * cell.gates
    random = np.random.default_rng(2)
    draw = lambda *shape: random.standard_normal(shape).astype(np.float32)
    arguments = (
        0.5 * draw(3, columns),
        draw(columns),
        0.5 * draw(5, columns),
        draw(columns),
        draw(time, 2, 5),
    )
    along = tuple(map(np.cos, arguments))
    weights = draw(time, 2, 3)

    def plain(kernel, bias, into, shift, x, reverse):
        inputs = x @ into + shift[None, None]

        def body(state, now):
            times = lambda h: h @ kernel + bias[None]
            state = cell.step(times, state, now, jnp.tanh)
            return state, cell.read(state)

        start = cell.start(2, 3, jnp.float32)
        return jax.lax.scan(body, start, inputs, reverse=reverse)[1]

    def custom(kernel, bias, into, shift, x, reverse):
        pairs = (kernel, bias), (into, shift)
        return sequence.over_time(cell, jnp.tanh, *pairs, x, reverse)

    for reverse in (False, True):

        def everything(run, arguments, along, reverse=reverse):
            run = lambda *a, run=run: run(*a, reverse)
            gradient = jax.grad(lambda *a: jnp.vdot(weights, run(*a)), range(5))
            return jax.jvp(run, arguments, along), gradient(*arguments)

        results, expected = (
            jax.jit(lambda a, b, f=f: everything(f, a, b))(arguments, along)
            for f in (custom, plain)
        )
        # The same float32 terms, summed in another order.
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
            results,
            expected,
        )


@pytest.mark.parametrize("name", ["lstm", "stacked_gru"])
def test_an_accelerators_loop_computes_what_a_cpus_does(name, network, monkeypatch):
    """Of a whole net, depth being steps or layers; of several runs side by side too."""
    depth = {"lstm": 11, "stacked_gru": 2}[name]  # a turn of eight steps, and a rest
    net = network(name, depth=depth, width=WIDTH, activation="tanh")
    variables = jax.vmap(lambda key: init(key, net, X))(jax.random.split(KEY, 2))

    def results(backend):
        monkeypatch.setattr(jax, "default_backend", lambda: backend)
        cost = lambda variables: loss(apply(net, variables, X)[0])
        traced = jax.jit(jax.vmap(jax.value_and_grad(cost))).trace(variables)
        return traced, traced.lower().compile()(variables)

    (few, one), (many, other) = results("gpu"), results("cpu")
    assert "unroll=8" in str(few.jaxpr) or "unroll=5" in str(few.jaxpr)
    assert "unroll=1" in str(many.jaxpr) and "unroll=8" not in str(many.jaxpr)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), one, other
    )


@pytest.mark.parametrize("sigma_b, draws", [(0.0, 4), (0.5, 6)])
def test_fresh_weights_are_few_draws(sigma_b, draws, network):
    """Gates side by side, and no bias that is zero: stem, both kernels of a layer, head."""
    net = network("stacked_lstm", sigma_w=1.3, sigma_b=sigma_b)

    def drawn(jaxpr):
        inner = [j for e in jaxpr.eqns for j in core.jaxprs_in_params(e.params)]
        names = [equation.primitive.name for equation in jaxpr.eqns]
        return names.count("random_bits") + sum(map(drawn, inner))

    assert drawn(jax.make_jaxpr(lambda key: init(key, net, X))(KEY).jaxpr) == draws


def test_two_directions_need_an_even_width():
    refused = ARCHITECTURES["bidirectional_lstm"].refuses(4, "tanh", "none", width=7)
    assert refused == "bidirectional_lstm needs a width divisible by 2, not 7"


def test_batch_averages_are_for_nets_of_layers():
    for name in OVER_TIME:
        assert ARCHITECTURES[name].refuses(4, "tanh", "batch")
    for name in OVER_LAYERS:
        assert not ARCHITECTURES[name].refuses(4, "tanh", "batch")
