"""A model of every library is the function that it is, and is left as it was."""

import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.models.functional import functional
from depthbench.research.models.taken import line_of, shapes

WIDTH = 6
X = np.random.default_rng(0).standard_normal((4, WIDTH)).astype(np.float32)
Y = np.array([0, 1, 2, 0], np.int32)


def square(outputs):
    return jnp.mean(jnp.square(outputs))


def cross_entropy(outputs, targets):
    chosen = jnp.take_along_axis(jax.nn.log_softmax(outputs), targets[:, None], axis=1)
    return -jnp.mean(chosen)


class Normed(nn.Module):
    """With all that Linen may ask for: a flag, batch statistics and dropout."""

    @nn.compact
    def __call__(self, x, train):
        x = nn.BatchNorm(use_running_average=not train)(nn.Dense(WIDTH)(x))
        return nn.Dropout(0.5, deterministic=not train)(jnp.tanh(x))


class Pair(nnx.Module):
    """Batch statistics and dropout, which NNX modules hold and change themselves."""

    def __init__(self, rngs):
        self.first = nnx.Linear(WIDTH, WIDTH, rngs=rngs)
        self.norm = nnx.BatchNorm(WIDTH, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.last = nnx.Linear(WIDTH, 3, rngs=rngs)

    def __call__(self, x):
        return self.last(self.drop(jnp.tanh(self.norm(self.first(x)))))


def equinox_net():
    equinox = pytest.importorskip("equinox")
    return equinox.nn.MLP(WIDTH, 3, 5, 2, key=jax.random.key(3))


def test_linen_with_statistics_dropout_and_a_flag():
    variables = Normed().init(jax.random.key(3), X, False)
    fn = functional(Normed(), X, square, variables, seed=5, kwargs={"train": True})
    key = jax.random.fold_in(jax.random.key(5), 1)
    expected, _ = Normed().apply(
        variables, X, True, mutable=["batch_stats"], rngs={"dropout": key}
    )
    np.testing.assert_array_equal(fn.f(fn.params, X), expected)
    assert fn.rest == {f"batch_stats/BatchNorm_0/{n}" for n in ("mean", "var")}
    assert list(fn.parameters(fn.params)) == [
        *("BatchNorm_0/bias", "BatchNorm_0/scale", "Dense_0/bias", "Dense_0/kernel")
    ]


def test_linen_draws_from_its_seed():
    net = nn.Dense(3)
    for seed in (0, 1):
        params = net.init({"params": jax.random.key(seed)}, X)["params"]
        fn = functional(net, X, square, seed=seed)
        np.testing.assert_array_equal(fn.params["kernel"], params["kernel"])


def test_a_bound_linen_module_has_its_own_variables():
    variables = nn.Dense(3).init(jax.random.key(7), X)
    fn = functional(nn.Dense(3).bind(variables), X, square)
    np.testing.assert_array_equal(fn.f(fn.params, X), nn.Dense(3).apply(variables, X))


def numbers(module):
    """Every number of an NNX module, keys by their data."""
    leaves = jax.tree.leaves(nnx.to_pure_dict(nnx.state(module)))
    keys = [jnp.issubdtype(a.dtype, jax.dtypes.prng_key) for a in leaves]
    pairs = zip(leaves, keys, strict=True)
    return [np.array(jax.random.key_data(a) if key else a) for a, key in pairs]


def test_an_nnx_module_is_left_as_it_was():
    net = Pair(nnx.Rngs(0))
    before = numbers(net)
    fn = functional(net, (X, Y), cross_entropy)
    outputs = fn.f(fn.params, fn.x)
    for mine, theirs in zip(before, numbers(net), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(outputs, net(X))  # which does change it
    assert any((a != b).any() for a, b in zip(before, numbers(net), strict=True))
    assert {"norm/mean", "norm/var", "drop/rngs/count"} <= fn.rest


def test_random_numbers_given_to_an_nnx_call_are_left_too():
    class Noisy(nnx.Module):
        def __init__(self, rngs):
            self.linear = nnx.Linear(WIDTH, WIDTH, rngs=rngs)

        def __call__(self, x, rngs):
            return self.linear(x) * jax.random.normal(rngs.noise(), x.shape)

    net, rngs = Noisy(nnx.Rngs(0)), nnx.Rngs(noise=1)
    fn = functional(net, X, square, kwargs={"rngs": rngs})
    np.testing.assert_array_equal(fn.f(fn.params, X), net(X, nnx.Rngs(noise=1)))
    assert rngs.noise.count[...] == 0


def test_equinox_is_mapped_over_the_batch_or_given_it():
    equinox = pytest.importorskip("equinox")
    net = equinox_net()
    fn = functional(net, (X, Y), cross_entropy)
    np.testing.assert_array_equal(fn.f(fn.params, fn.x), jax.vmap(net)(X))
    assert "layers/0/weight" in fn.params

    class Whole(equinox.Module):
        inner: equinox.nn.MLP

        def __call__(self, x):
            assert x.ndim == 2
            return jax.vmap(self.inner)(x)

    fn = functional(Whole(net), X, square)
    np.testing.assert_array_equal(fn.f(fn.params, fn.x), jax.vmap(net)(X))


def test_an_equinox_key_is_split_over_the_batch():
    equinox = pytest.importorskip("equinox")
    net = equinox.nn.Sequential(
        [equinox.nn.Linear(WIDTH, 50, key=jax.random.key(0)), equinox.nn.Dropout(0.5)]
    )
    fn = functional(net, X, square, kwargs={"key": jax.random.key(4)})
    dropped = np.asarray(fn.f(fn.params, fn.x)) == 0
    assert 0.2 < dropped.mean() < 0.8
    assert (dropped[0] != dropped[1]).any()


@pytest.mark.parametrize("kind", ["plain", "without_rng", "state"])
def test_haiku(kind):
    haiku = pytest.importorskip("haiku")

    def plain(x):
        return haiku.Linear(3)(jnp.tanh(haiku.Linear(WIDTH)(x)))

    def stateful(x):
        h = haiku.Linear(WIDTH)(x)
        mean = haiku.get_state("mean", (), init=jnp.ones)
        haiku.set_state("mean", 0.9 * mean + 0.1 * jnp.mean(h))
        return haiku.Linear(3)(h - mean)

    key = jax.random.PRNGKey(2)
    if kind == "state":
        net = haiku.transform_with_state(stateful)
        params, state = net.init(key, X)
        expected, _ = net.apply(params, state, key, X)
    else:
        net = haiku.transform(plain)
        params = net.init(key, X)
        expected = net.apply(params, key, X)
        net = haiku.without_apply_rng(net) if kind == "without_rng" else net
    fn = functional(net, X, square, seed=2)
    np.testing.assert_array_equal(fn.f(fn.params, X), expected)
    assert "linear/w" in fn.params
    assert bool(fn.rest) == (kind == "state")


def scaled(params, x, other=None, scale=1.0):
    x = x if other is None else x + other
    return scale * (x @ params["w"])


W = {"w": np.eye(WIDTH, dtype=np.float32)}


@pytest.mark.parametrize(
    ("batch", "kwargs", "factor"),
    [
        (X, None, 1),
        ((X, X), None, 2),
        ({"x": X, "other": X}, {"scale": 3.0}, 6),
    ],
)
def test_inputs_are_arguments_by_place_or_by_name(batch, kwargs, factor):
    for model, params in ((scaled, W), ((scaled, W), None), (jax.jit(scaled), W)):
        fn = functional(model, batch, square, params, kwargs=kwargs)
        np.testing.assert_allclose(fn.f(fn.params, fn.x), factor * X, rtol=1e-6)


def test_a_loss_of_two_arguments_has_the_targets():
    fn = functional((scaled, W), (X, Y), cross_entropy)
    assert float(fn.loss(jnp.asarray(X))) == float(cross_entropy(X, Y))


def test_without_a_loss_every_output_counts():
    def two(params, x):
        return {"a": x @ params["w"], "b": (x[:, 0], jnp.argmax(x, 1))}

    fn = functional(two, X, None, W)
    slopes = jax.grad(lambda a: fn.loss({"a": a, "b": (X[:, 0], Y)}))(jnp.asarray(X))
    assert np.abs(slopes).min() > 0


TRAINED = {
    "variables": lambda v: v,
    "frozen": lambda v: {name: dict(tree) for name, tree in v.items()},
    "float64": lambda v: jax.tree.map(lambda a: np.asarray(a, np.float64), v),
}


@pytest.mark.parametrize("form", TRAINED)
def test_trained_variables_take_the_place_of_drawn_ones(form):
    drawn = Normed().init(jax.random.key(3), X, False)
    given = TRAINED[form](jax.tree.map(lambda a: a + np.float32(0.5), drawn))
    fn = functional(Normed(), X, square, given, kwargs={"train": False})
    kernel = given["params"]["Dense_0"]["kernel"]
    np.testing.assert_array_equal(fn.params["Dense_0/kernel"], kernel)
    plain = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), given)
    expected = Normed().apply(plain, X, False)
    np.testing.assert_array_equal(fn.f(fn.params, X), expected)


def test_statistics_of_trained_parameters_are_asked_for():
    params = Normed().init(jax.random.key(3), X, False)["params"]
    with pytest.raises(Mistake, match="params: the model has batch_stats too"):
        functional(Normed(), X, square, params, kwargs={"train": False})


def test_parameters_in_every_form_of_an_nnx_module():
    net, other = Pair(nnx.Rngs(0)), Pair(nnx.Rngs(1))
    state = nnx.state(other, nnx.Param)
    forms = [other, nnx.state(other), state, nnx.to_pure_dict(state)]
    forms.append(jax.tree.leaves(state))
    for given in forms:
        fn = functional(net, X, square, given)
        np.testing.assert_array_equal(
            fn.params["first/kernel"], other.first.kernel[...]
        )


def test_another_equinox_module_gives_its_parameters():
    equinox = pytest.importorskip("equinox")
    other = equinox.nn.MLP(WIDTH, 3, 5, 2, key=jax.random.key(8))
    fn = functional(equinox_net(), X, square, other)
    np.testing.assert_array_equal(fn.f(fn.params, fn.x), jax.vmap(other)(X))


def test_a_function_may_take_a_module_for_its_parameters():
    equinox = pytest.importorskip("equinox")
    net, other = equinox_net(), equinox.nn.MLP(WIDTH, 3, 5, 2, key=jax.random.key(8))
    run = lambda net, x: jax.vmap(net)(x)
    for given, params in ((run, net), ((run, other), net)):
        fn = functional(given, X, square, params)
        np.testing.assert_array_equal(fn.f(fn.params, fn.x), run(net, X))
    pair = Pair(nnx.Rngs(0))
    fn = functional(lambda net, x: 2 * net(x), X, square, pair)
    np.testing.assert_array_equal(fn.f(fn.params, fn.x), 2 * pair(X))
    assert "norm/mean" in fn.rest


def test_a_folder_that_orbax_has_written(tmp_path):
    """By itself, as a step of a manager, in a state of training, and of NNX."""
    import orbax.checkpoint as ocp

    variables = Normed().init(jax.random.key(3), X, False)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "whole", variables)
        checkpointer.save(
            tmp_path / "training", {"step": np.zeros((), int), "params": variables}
        )
        net = Pair(nnx.Rngs(1))
        checkpointer.save(tmp_path / "nnx", nnx.state(net))
    ocp.v1.save(tmp_path / "v1", variables)
    with ocp.CheckpointManager(tmp_path / "manager") as manager:
        for step, tree in (
            (2, jax.tree.map(jnp.zeros_like, variables)),
            (10, variables),
        ):
            manager.save(step, args=ocp.args.StandardSave({"model": tree}))
    for name in ("whole", "training", "v1", "manager"):
        fn = functional(Normed(), X, square, tmp_path / name, kwargs={"train": False})
        kernel = variables["params"]["Dense_0"]["kernel"]
        np.testing.assert_array_equal(fn.params["Dense_0/kernel"], kernel, name)
    fn = functional(Pair(nnx.Rngs(0)), X, square, str(tmp_path / "nnx"))
    np.testing.assert_array_equal(fn.params["first/kernel"], net.first.kernel[...])
    with pytest.raises(Mistake, match=r"params: .*nnx has no Batch"):
        functional(Normed(), X, square, tmp_path / "nnx", kwargs={"train": False})
    with pytest.raises(Mistake, match=r"it is no checkpoint"):
        functional(Normed(), X, square, tmp_path, kwargs={"train": False})


def test_a_library_that_is_not_imported_is_not_looked_for(monkeypatch):
    for name in ("flax", "equinox", "haiku"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    fn = functional(scaled, X, square, W)
    assert list(fn.params) == ["w"]
    assert not {"flax", "equinox", "haiku"} & set(sys.modules)


def test_lines_of_errors_and_shapes():
    assert line_of(KeyError()) == "KeyError"
    assert line_of(ValueError("\n\n  two\twords \n rest")) == "ValueError: two words"
    assert len(line_of(ValueError("x" * 1000))) < 300
    assert shapes({"a": X}) == f"a float32[4, {WIDTH}]"
