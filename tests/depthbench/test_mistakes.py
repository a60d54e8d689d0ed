"""What cannot be probed is one line that names the argument, in every kind of it."""

import sys
import types

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import depthbench as db
from tests.depthbench.models import Sigmoids, W, X, plain

NET = Sigmoids(2)
PARAMS = NET.init(jax.random.key(0), X)["params"]


class Flagged(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        return nn.Dropout(0.5, deterministic=not train)(nn.Dense(3)(x))


class Undecided(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dropout(0.5)(nn.Dense(3)(x))


def foreign(module, name, base=object):
    """A class that says it is another library's."""
    return type(name, (base,), {"__module__": module})


TORCH = foreign("torch.nn.modules.linear", "Linear")
KERAS = foreign("keras.src.models", "Functional")
TENSOR = foreign("torch", "Tensor")
FRAME = foreign("pandas", "DataFrame")


def changed(array, place, value):
    copy = np.array(array)
    copy[place] = value
    return copy


def wrong(name, shape):
    return {**PARAMS, name: {**PARAMS[name], "kernel": np.zeros(shape, np.float32)}}


def without_gradient(outputs):
    return jnp.sum(jax.lax.stop_gradient(outputs))


# What is given in place of (NET, X), or beside it; and what the line then has.
MODELS = {
    "none": (None, ["Flax", "function f(params, x)"]),
    "a number": (3, ["3"]),
    "a text": ("my_net", ["my_net"]),
    "a dictionary": ({"layers": 2}, ["layers"]),
    "a class": (Sigmoids, ["Sigmoids is a class", "an instance"]),
    "a class of NNX": (nnx.Linear, ["Linear is a class"]),
    "torch.nn": (TORCH(), ["torch.nn: depthbench probes JAX functions"]),
    "a class of torch.nn": (TORCH, ["torch.nn: depthbench probes JAX functions"]),
    "Keras": (KERAS(), ["keras", "JAX functions"]),
    "an object": (types.SimpleNamespace(apply=3), ["apply=3"]),
    "a flag lacking": (Flagged(), ["'train'", "kwargs"]),
    "dropout undecided": (Undecided(), ["deterministic", "kwargs"]),
    "no parameters": (nn.Dropout(0.0, deterministic=True), ["no parameters"]),
}
FUNCTIONS = {
    "raises": (lambda p, x: 1 / 0, ["float32[4, 8]", "ZeroDivisionError"]),
    "NumPy": (lambda p, x: np.tanh(np.asarray(x)), ["jax.numpy"]),
    "an if": (lambda p, x: x if x.sum() > 0 else -x, ["jnp.where"]),
    "shapes": (lambda p, x: x @ p["w"][:3], ["dot_general", "(3,)"]),
    "one argument": (lambda p: p["w"], ["positional argument"]),
    "integers": (
        lambda p, x: jnp.argmax(x @ p["w"], 1),
        ["floating-point", "int32[4]"],
    ),
    "texts": (lambda p, x: "text", ["str"]),
    "complex": (lambda p, x: (x @ p["w"]).astype(jnp.complex64), ["complex"]),
}
BATCHES = {
    "none": (None, ["None"]),
    "nothing": ({}, ["no arrays"]),
    "one example": (X[:1], ["1 example"]),
    "empty": (X[:0], ["empty", "[0, 8]"]),
    "NaN": (changed(X, (2, 3), np.nan), ["NaN", "[2, 3]"]),
    "strings": (np.array(["a", "b"]), ["<U1"]),
    "a text": ("abc", ["'abc'"]),
    "objects": (np.array([None, None]), ["object"]),
    "a list of numbers": ([[1.0, 2.0], [3.0, 4.0]], ["np.asarray"]),
    "a tensor": (TENSOR(), ["torch.Tensor", ".numpy()"]),
    "a frame": (FRAME(), ["pandas.DataFrame", ".to_numpy()"]),
}
LOSSES = {
    "no function": (3, ["3"]),
    "no argument": (lambda: 0.0, ["none"]),
    "three": (lambda a, b, c: 0.0, ["a, b, c"]),
    "by name": (lambda a, *, weight: 0.0, ["weight"]),
    "a vector": (lambda out: jnp.mean(out, axis=1), ["float32[4]", "mean"]),
    "two numbers": (lambda out: (out.sum(), out.sum()), ["float32[]"]),
    "nothing": (lambda out: None, ["None"]),
    "an integer": (lambda out: jnp.argmax(out), ["int32"]),
    "a constant": (lambda out: 1.0, ["no gradient"]),
    "its input ignored": (lambda out: jnp.zeros(()), ["no gradient"]),
    "no gradient": (without_gradient, ["no gradient"]),
    "raises": (lambda out: out["logits"], ["TypeError", "float32[4, 8]"]),
    "a text": (lambda out: "low", ["str"]),
}
TRAINED = {
    "a shape": (wrong("Dense_1", (8, 9)), ["Dense_1/kernel", "[8, 9]", "[8, 8]"]),
    "a type": ({**PARAMS, "Dense_0": {"kernel": np.zeros((8, 8), int)}}, ["Dense_0"]),
    "one lacking": ({"Dense_0": PARAMS["Dense_0"]}, ["Dense_1/bias", "missing"]),
    "one too many": ({**PARAMS, "Dens_1": X}, ["Dens_1", "mean Dense_1/"]),
    "too few leaves": ([X], ["1 leaves", "4"]),
    "a number": (3, ["Dense_0/bias"]),
    "a text inside": ({**PARAMS, "Dense_0": {"bias": "b", "kernel": X}}, ["'b'"]),
    "NaN": (jax.tree.map(lambda a: a * np.nan, PARAMS), ["Dense_0/bias", "not finite"]),
    "no folder": ("no/such/folder", ["no/such/folder", "no such folder"]),
}
OTHERS = {
    "seed": ({"seed": "one"}, ["'one'"]),
    "seed below 0": ({"seed": -1}, ["-1"]),
    "kwargs": ({"kwargs": 3}, ["dictionary"]),
}
CASES = [
    *(("model", n, (m, X, None, {}), w) for n, (m, w) in MODELS.items()),
    *(("model", n, (f, X, None, {"params": W}), w) for n, (f, w) in FUNCTIONS.items()),
    *(("batch", n, (NET, b, None, {}), w) for n, (b, w) in BATCHES.items()),
    *(("loss", n, (NET, X, loss, {}), w) for n, (loss, w) in LOSSES.items()),
    *(("params", n, (NET, X, None, {"params": p}), w) for n, (p, w) in TRAINED.items()),
    *((n.split()[0], n, (NET, X, None, more), w) for n, (more, w) in OTHERS.items()),
    ("model", "too many inputs", (NET, (X, X), None, {}), ["3 were given"]),
    ("model", "inputs by another name", (NET, {"y": X}, None, {}), ["'y'"]),
    (
        "model",
        "an argument it has not",
        (NET, X, None, {"kwargs": {"train": 1}}),
        ["train"],
    ),
    (
        "batch",
        "no targets",
        (NET, X, lambda out, y: out.sum(), {}),
        ["(inputs, targets)"],
    ),
    ("params", "a function without", (plain, X, None, {}), ["params=…"]),
    ("params", "an empty tree", (plain, X, None, {"params": {}}), ["no parameters"]),
    (
        "params",
        "a function's text",
        (plain, X, None, {"params": {"w": "text"}}),
        ["'text'"],
    ),
]
# A line may name another argument than the one that is tried.
NAMED = {"no parameters": "params"}


@pytest.mark.parametrize(
    ("argument", "kind", "given", "words"),
    CASES,
    ids=[f"{c[0]}: {c[1]}" for c in CASES],
)
def test_a_mistake_is_one_line_that_names_the_argument(argument, kind, given, words):
    model, batch, loss, more = given
    with pytest.raises(db.Mistake) as caught:
        db.probe(model, batch, loss, **more)
    line = str(caught.value)
    assert line.startswith(NAMED.get(kind, argument)), line
    assert "\n" not in line and len(line) < 500
    for word in words:
        assert word in line, line
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_there_are_enough_of_them():
    assert len(CASES) >= 30
    assert len({(argument, kind) for argument, kind, *_ in CASES}) == len(CASES)


def test_an_equinox_net_of_other_shapes():
    equinox = pytest.importorskip("equinox")
    net = equinox.nn.Linear(5, 3, key=jax.random.key(0))
    with pytest.raises(db.Mistake, match="model: Linear takes neither an example") as e:
        db.probe(net, X)
    assert "as a batch" in str(e.value) and "params=model" in str(e.value)


FINE = {
    "jitted": (jax.jit(plain), X),
    "of integers": (lambda p, x: plain(p, p["w"][x]), np.zeros((4,), np.int32)),
    "a pair": ((plain, W), X),
    "float64 arrays": (plain, X.astype(np.float64)),
}


@pytest.mark.parametrize("kind", FINE)
def test_what_looks_unusual_is_probed(kind):
    model, batch = FINE[kind]
    params = None if isinstance(model, tuple) else W
    assert db.probe(model, batch, params=params).verdict == "survives"


def test_integers_begin_at_the_first_floats():
    report = db.probe(*FINE["of integers"], params=W)
    assert "input" not in [row["state"] for row in report.rows]
    assert f"`{report.rows[0]['state']}`" in report.answer


DEEPENED = {
    "make": ({"make": 3}, "no function"),
    "make of nothing": ({"make": lambda: NET}, "takes depth"),
    "make of others": ({"make": lambda depth, width: NET}, "width"),
    "make raises": ({"make": lambda depth: [][depth]}, "IndexError"),
    "depths": ({"depths": 4}, "several"),
    "depths of none": ({"depths": ()}, "several"),
    "depths of text": ({"depths": (4, "deep")}, "'deep'"),
    "depths of 0": ({"depths": (0,)}, "at least 1"),
    "seeds": ({"seeds": 0}, "at least 1"),
    "batch": ({"batch": None}, "None"),
    "activation": ({"activation": "tan", "sigma_w2": 1.0}, "mean tanh"),
    "sigma_w2": ({"activation": "tanh"}, "both"),
    "sigma_w2 of text": ({"activation": "tanh", "sigma_w2": "1"}, "number"),
}


@pytest.mark.parametrize("kind", DEEPENED)
def test_what_cannot_be_deepened(kind):
    wrong, words = DEEPENED[kind]
    given = {"make": Sigmoids, "batch": X, "depths": (1, 2), "seeds": 1, **wrong}
    with pytest.raises(db.Mistake) as caught:
        db.deepen(given.pop("make"), **given)
    line = str(caught.value)
    names = (kind.split()[0], f"unknown {kind.split()[0]}")
    assert line.startswith(names) and words in line and "\n" not in line


@pytest.mark.parametrize("k", [0, -1, 2.5, True, "50"])
def test_a_wrong_k(k):
    with pytest.raises(db.Mistake, match="k: "):
        db.probe.every(k, NET, X)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("tan",), "mean tanh"),
        ((3,), "activation: 3"),
        (("tanh", -1.0), "sigma_w2: -1.0"),
        (("tanh", float("nan")), "sigma_w2: nan"),
        (("tanh", 1.0, "b"), "sigma_b2: 'b'"),
    ],
)
def test_theory_of_what_is_no_net(given, words):
    with pytest.raises(db.Mistake) as caught:
        db.theory(*given)
    assert words in str(caught.value)


def test_without_pandas_a_line_says_how_to_install_it(monkeypatch):
    report = db.probe(plain, X, params=W)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(db.Mistake, match=r"pip install -e '\.\[parquet\]'"):
        report.to_pandas()


def test_shards_of_explicit_axes_are_a_line():
    """Whose products would want to be told what becomes of them."""
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Explicit,))
    place = lambda a: jax.device_put(
        a, jax.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    )
    with pytest.raises(db.Mistake, match="batch: is in shards of a mesh of explicit"):
        db.probe(plain, place(X), params=W)
    with pytest.raises(db.Mistake, match="params: w: is in shards"):
        db.probe(plain, X, params=jax.tree.map(place, W))
