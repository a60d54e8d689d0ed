"""`residual_paths`: sums over all paths, lengths, nets without a block, and verdicts."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.experiments.training import (
    path_lengths,
    path_nets,
    paths,
    residual_paths,
)
from depthbench.research.architectures import ARCHITECTURES, contract, walk
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.initializers import DRAWS
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.study.claims import judge
from depthbench.research.study.declaration import chosen_values, grid
from depthbench.research.study.errors import Refusal

# Architecture, normaliser, layers, blocks; images have blocks that change the shape.
NETS = [
    ("residual_mlp", "batch", 5, 5),
    ("residual_mlp_scaled", "none", 5, 5),
    ("resnet_v2", "batch", 8, 3),
]
CLAIMS = {claim.key: claim for claim in residual_paths.STUDY.claims}


def drawn(name, normalizer, layers, seed=0):
    """(links of a small net with biases, inputs)."""
    settings = contract.Settings(
        width=6,
        depth=layers,
        activation=ACTIVATIONS["relu"].phi,
        weights=contract.Weights(DRAWS["normal"], lambda *fans: (2**0.5, 0.3)),
        normalizer=NORMALIZERS[normalizer],
        outputs=3,
        active_depth=layers,
    )
    net = ARCHITECTURES[name].build(settings)
    key_x, key = jax.random.split(jax.random.key(seed))
    x = jax.random.normal(key_x, (4, 8, 8, 1))
    return contract.links(net, contract.init(key, net, x)), x


def loss(outputs):
    return jnp.mean(jnp.sin(outputs))


def blocks_of(links):
    """(blocks as functions of the state, each without its branch; the first state)."""
    _, layers, _ = walk.parts(links)
    every = [walk.at(link, i) for link in layers for i in range(link.repeats or 1)]
    return every, [paths.around(layer) for layer in every]


def every_path(links, x, masks):
    """The gradient along single paths [paths, …]: products of whole Jacobians."""
    blocks, skips = blocks_of(links)
    stem, _, head = walk.parts(links)
    h = walk.fold(stem, x)[0]
    shape, factors = h.shape, []
    for block, skip in zip(blocks, skips, strict=True):
        after = block(h)
        whole, kept = (
            np.asarray(jax.jit(jax.jacrev(f))(h), np.float64).reshape(after.size, -1)
            for f in (block, skip)
        )
        factors.append((kept, whole - kept))
        h = after
    last = jax.grad(lambda h: loss(walk.fold(head, h)[0]))(h)
    paths_of = []
    for mask in masks:
        g = np.asarray(last, np.float64).reshape(-1)
        for number in reversed(range(len(blocks))):
            g = g @ factors[number][int(mask[number])]
        paths_of.append(g.reshape(shape))
    return np.array(paths_of)


@pytest.mark.parametrize(("name", "normalizer", "layers", "count"), NETS)
def test_all_paths_together_are_the_gradient(name, normalizer, layers, count):
    links, x = drawn(name, normalizer, layers)
    with jax.default_matmul_precision("highest"):
        lengths = np.asarray(jax.jit(lambda: paths.by_length(links, x, loss))())
        masks = np.array(list(itertools.product([False, True], repeat=count)))
        norms = jax.jit(lambda: paths.log10_norms(links, x, loss, masks))()
        single = every_path(links, x, masks)
        stem, layers_of, head = walk.parts(links)
        h = walk.fold(stem, x)[0]
        whole = jax.grad(lambda h: loss(walk.fold([*layers_of, *head], h)[0]))(h)
    scale = np.max(np.abs(whole))
    assert len(lengths) == count + 1
    np.testing.assert_allclose(single.sum(0), whole, atol=1e-5 * scale)
    for k in range(count + 1):
        of_length = single[masks.sum(1) == k].sum(0)
        np.testing.assert_allclose(lengths[k], of_length, atol=1e-5 * scale)
    expected = np.log10(np.linalg.norm(single.reshape(len(masks), -1), axis=1))
    # Float32, through branches that are a difference of block and skip.
    np.testing.assert_allclose(norms, expected, atol=1e-4)


def test_long_paths_do_not_underflow():
    """60 branches of a millionth each: 10^-360 is a number like any other."""
    tiny = walk.Link(
        "block",
        lambda p, h: h + h @ p["kernel"],
        {"kernel": jnp.stack([1e-6 * jnp.eye(3)] * 60)},
        repeats=60,
    )
    masks = np.array([[True] * 60, [False] * 60])
    x = jnp.ones((2, 3))
    norms = paths.log10_norms([tiny], x, jnp.sum, masks)
    # The branch is what float32 leaves of (h + 10^-6 h) − h: off by up to 5 %.
    np.testing.assert_allclose(norms[0], 60 * -6 + math.log10(6**0.5), atol=60 * 0.03)
    np.testing.assert_allclose(norms[1], math.log10(6**0.5), atol=1e-5)


def test_paths_are_drawn_by_their_length():
    masks = path_lengths.chosen(0, 12, 400)
    assert masks.shape == (13, 400, 12)
    assert (masks.sum(-1) == np.arange(13)[:, None]).all()
    # Each block as often: 400 draws of probability ½, five deviations.
    np.testing.assert_allclose(masks[6].mean(0), 0.5, atol=5 * 0.5 / 20)
    assert len({mask.tobytes() for mask in masks[6]}) > 200
    assert (masks != path_lengths.chosen(1, 12, 400)).any()


def test_lengths_are_binomial():
    counts = np.zeros(11)
    for mask in itertools.product([0, 1], repeat=10):
        counts[sum(mask)] += 1
    np.testing.assert_allclose(10 ** path_lengths.log10_counts(10), counts)
    np.testing.assert_allclose(path_lengths.expected(10, 1.0), counts / 2**10)
    # (1 + ρ)^n: each block is on the path with probability ρ/(1 + ρ).
    p = 0.25 / 1.25
    expected = [c * p**k * (1 - p) ** (10 - k) for k, c in enumerate(counts)]
    np.testing.assert_allclose(path_lengths.expected(10, 0.25), expected)
    halved = np.sqrt(counts) * 0.25 ** np.arange(11)
    np.testing.assert_allclose(
        path_lengths.expected(10, 0.25, 0.5), halved / halved.sum()
    )


def test_the_published_range():
    """5 to 17 of 54 blocks are 0.45 % of all paths."""
    assert list(np.flatnonzero(path_lengths.effective(54))) == list(range(5, 18))
    assert list(np.flatnonzero(path_lengths.effective(108))) == list(range(10, 35))
    share = path_lengths.expected(54, 1.0)[path_lengths.effective(54)].sum()
    assert share == pytest.approx(0.0045, abs=0.0001)


def test_lines_and_quantiles():
    assert path_lengths.line(3 - 0.5 * np.arange(20)) == pytest.approx((-0.5, 1.0))
    bent = -np.abs(np.arange(21) - 10.0)
    slope, explained = path_lengths.line(bent)
    assert abs(slope) < 1e-9 and explained < 0.01
    assert path_lengths.line(np.array([0.0, -1.0, -np.inf, -3.0]))[0] == pytest.approx(
        -1
    )
    assert path_lengths.quantile(np.array([0.1, 0.2, 0.3, 0.4]), 0.05) == 0
    assert path_lengths.quantile(np.array([0.1, 0.2, 0.3, 0.4]), 0.95) == 3


@pytest.mark.parametrize(("name", "normalizer", "layers", "count"), NETS)
def test_a_block_left_out_is_a_net_without_it(name, normalizer, layers, count):
    links, x = drawn(name, normalizer, layers)
    blocks, skips = blocks_of(links)
    stem, _, head = walk.parts(links)
    for missing in range(count):
        h = walk.fold(stem, x)[0]
        for number, block in enumerate(blocks):
            if number != missing:
                h = block(h)
            elif name == "resnet_v2":
                h = skips[number](h)  # an opening block's skip is not the identity
        expected = walk.fold(head, h)[0]
        keep = np.arange(count) != missing
        without = paths.outputs(links, x, jnp.asarray(keep), plain=False)
        np.testing.assert_allclose(without, expected, rtol=1e-4, atol=1e-5)
    whole = paths.outputs(links, x, jnp.ones(count, bool), plain=False)
    np.testing.assert_allclose(whole, walk.fold(links, x)[0], rtol=1e-4, atol=1e-5)
    assert np.max(np.abs(whole - without)) > 0.01


def test_a_plain_net_without_a_layer_is_shallower():
    links, x = drawn("mlp", "none", 4)
    blocks, _ = blocks_of(links)
    stem, _, head = walk.parts(links)
    for missing in range(4):
        h = walk.fold(stem, x)[0]
        for number, block in enumerate(blocks):
            h = h if number == missing else block(h)
        keep = jnp.asarray(np.arange(4) != missing)
        without = paths.outputs(links, x, keep, plain=True)
        np.testing.assert_allclose(without, walk.fold(head, h)[0], rtol=1e-4, atol=1e-5)


def test_a_fresh_net_divided_by_its_depth_follows_the_law():
    """Branches of gain 1 over √n, so that a path of k carries n^(−k/2)."""
    cell = {"net": "1/√depth", "depth": 16, "width": 128, "dataset": "digits"}
    sizes = {"batch": 32, "steps": 1, "paths": 30, "seeds": 3}
    (row,) = residual_paths.measure([{**cell, **sizes}], {}, 2**30)
    assert row.status == "ok"
    # Width 128 and the ReLUs' states, which depend on one another: a tenth.
    assert row.values["factor_fresh"] == pytest.approx(16**-0.5, rel=0.1)
    assert row.values["share_fresh"] == pytest.approx(
        path_lengths.expected(16, 0.25)[path_lengths.effective(16)].sum(), abs=0.05
    )


def test_what_is_kept_of_an_accuracy():
    accuracy = np.array([[0.9, 0.9, 0.5], [0.8, 0.8, 0.1]])
    columns = path_nets._cut(accuracy, 0.1)
    assert columns["kept"] == pytest.approx((0.75 + 0.5) / 2)
    assert columns["kept_least"] == pytest.approx((0.5 + 0.0) / 2)
    # Of a net at chance nothing can be lost.
    assert path_nets._cut(np.array([[0.12, 0.05], [0.9, 0.1]]), 0.1)["kept"] is None


def row(net="batch norm", **more):
    names = ("share", "share_summed", "straight", "kept")
    values = {name: 0.97 for name in names} | {f"{name}_se": 0.001 for name in names}
    same = {"depth": 54, "seeds": 5, "status": "ok", "train_accuracy": 0.99}
    return {"net": net, **same, **values, **more}


@pytest.mark.parametrize(
    ("key", "column", "fails"),
    [
        ("veit2016.gradient-by-short-paths", "share", 0.4),
        ("veit2016.gradient-falls-with-length", "straight", 0.0),
        ("veit2016.a-block-can-be-spared", "kept", 0.9),
    ],
)
def test_verdicts(key, column, fails):
    def word(*rows):
        return judge(CLAIMS[key], rows).word

    assert word(row()) == "holds"
    assert word(row(), row(net="1/√depth", **{column: fails})) == "fails"
    assert word(row(**{column: fails}, train_accuracy=0.5)) == "undecided"
    assert word(row(net="plain")) == "untested"


def test_a_plain_net_is_judged_by_what_it_loses():
    claim = CLAIMS["veit2016.a-plain-layer-cannot"]
    for kept, word in ((0.05, "holds"), (0.9, "fails"), (0.25, "undecided")):
        assert judge(claim, [row(net="plain", kept=kept)]).word == word
    assert judge(claim, [row()]).word == "untested"


def test_images_have_three_groups():
    study = residual_paths.STUDY
    cells = grid(study, chosen_values(study, "full", {}))
    assert study.fit(cells, set()) == (cells, [])
    assert path_nets.full(next(c for c in cells if c["net"] == "images"))["depth"] == 56
    with pytest.raises(Refusal, match="three groups, not 10"):
        study.fit([{**cells[0], "net": "images", "depth": 10}], set())
