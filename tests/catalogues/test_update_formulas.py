"""Every optimizer's steps against its paper's formulas, in NumPy and float64.

Nothing of ours or of optax is used on the other side: gradients are given, and four steps
are taken with each weight decay, clip and schedule.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.research.architectures.contract import Variables
from depthbench.research.catalogues.optimizers import OPTIMIZERS, rate, transformation
from depthbench.research.catalogues.schedules import SCHEDULES

STEPS, DEPTH = 4, 3
# Larger than what is published, so that each counts in every digit that is compared; the
# clip is below the norm of every gradient, which is 5 or more.
NUMBERS = {"momentum": 0.7, "decay": 0.8, "epsilon": 0.05}
RATE, DECAY, CLIP, WARMUP = 0.03, 0.3, 2.0, 2.0
SWITCHES = list(itertools.product((None, DECAY), (None, CLIP), ("constant", "cosine")))


def kernels_and_biases(seed):
    """A stem, a stage of layers and a head, by place: kernels [in, out], biases [out]."""
    draw = np.random.default_rng(seed).standard_normal
    layers = {n: (4, 6) for n in range(DEPTH)}  # more outputs than inputs
    shapes = {"stem": (5, 6), "head": (6, 2), **layers}
    return {
        (place, kind): draw(shape if kind == "kernel" else shape[1:])
        for place, shape in shapes.items()
        for kind in ("kernel", "bias")
    }


def as_tree(arrays):
    """The same as a net's variables, layers stacked."""

    def part(place):
        return {kind: jnp.asarray(arrays[place, kind]) for kind in ("kernel", "bias")}

    layers = [part(n) for n in range(DEPTH)]
    stage = jax.tree.map(lambda *a: jnp.stack(a), *layers)
    whole = lambda tree: {"params": tree}
    return Variables(whole(part("stem")), (whole(stage),), whole(part("head")))


def as_arrays(tree):
    stage = tree.stages[0]["params"]
    return {
        **{("stem", kind): np.asarray(a) for kind, a in tree.stem["params"].items()},
        **{("head", kind): np.asarray(a) for kind, a in tree.head["params"].items()},
        **{
            (n, kind): np.asarray(a[n])
            for kind, a in stage.items()
            for n in range(DEPTH)
        },
    }


# ------------------------------------------------------------------ the papers' formulas
# Each: (average of gradients, of squares, gradient, step from 1, β₁, β₂, ε) -> (the two
# averages, the direction) of one array. Two things stand in no paper: the rate is no part
# of the averages (Goyal et al. 2017, arXiv:1706.02677, equation 9, not 10), and λ is
# multiplied by the rate (as in PyTorch).


def sgd(m, v, g, t, b1, b2, eps):  # Robbins & Monro 1951
    return m, v, g


def momentum(m, v, g, t, b1, b2, eps):  # Polyak 1964
    m = b1 * m + g
    return m, v, m


def nesterov(
    m, v, g, t, b1, b2, eps
):  # Bengio et al. 2012, arXiv:1212.0901, equation 7
    m = b1 * m + g
    return m, v, g + b1 * m


def rmsprop(m, v, g, t, b1, b2, eps):  # Tieleman & Hinton 2012, lecture 6.5
    v = b2 * v + (1 - b2) * g**2
    return m, v, g / (v**0.5 + eps)


def adagrad(
    m, v, g, t, b1, b2, eps
):  # Duchi et al. 2011; ε below the root, as in optax
    v = v + g**2
    return m, v, g / (v + eps) ** 0.5


def adam(m, v, g, t, b1, b2, eps):  # Kingma & Ba 2015, algorithm 1
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
    return m, v, m / (1 - b1**t) / ((v / (1 - b2**t)) ** 0.5 + eps)


def lion(m, v, g, t, b1, b2, eps):  # Chen et al. 2023, algorithm 2
    return b2 * m + (1 - b2) * g, v, np.sign(b1 * m + (1 - b1) * g)


def newton_schulz(
    g, eps
):  # KellerJordan/Muon, zeropower_via_newtonschulz5, on [out, in]
    x = g / (np.sqrt(np.sum(g**2)) + eps)
    x = x.T if g.shape[0] > g.shape[1] else x
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if g.shape[0] > g.shape[1] else x


def muon(m, v, g, t, b1, b2, eps):  # the same, muon_update
    m = b1 * m + (1 - b1) * g
    update = newton_schulz(((1 - b1) * g + b1 * m).T, eps)
    return m, v, (update * max(1, update.shape[0] / update.shape[1]) ** 0.5).T


FORMULAS = {
    **{rule.__name__: rule for rule in (sgd, momentum, nesterov, rmsprop, adagrad)},
    **{rule.__name__: rule for rule in (adam, lion, muon)},
    **dict.fromkeys(("adam_mup", "adam_depth_mup", "adamw", "lamb"), adam),
}
every = pytest.mark.parametrize("name", FORMULAS)


def test_every_optimizer_has_its_formula():
    assert set(FORMULAS) == set(OPTIMIZERS)


def after_steps(name, params, gradients, decay, clip, rates):
    """The parameters after a step on each gradient, by the formulas alone."""
    rule = FORMULAS[name]
    decoupled = name in ("adamw", "lion", "muon", "lamb")
    state = {place: (np.zeros_like(p), np.zeros_like(p)) for place, p in params.items()}
    numbers = [NUMBERS[n] for n in ("momentum", "decay", "epsilon")]
    for t, (gradient, length) in enumerate(zip(gradients, rates, strict=True), 1):
        norm = np.sqrt(sum(np.sum(g**2) for g in gradient.values()))
        factor = 1.0 if clip is None else min(1.0, clip / norm)  # Pascanu et al. 2013
        moved = {}
        for (place, kind), p in params.items():
            g, shrink = factor * gradient[place, kind], (decay or 0.0) * p
            one, given, own = rule, numbers, length
            if name == "muon" and (kind == "bias" or place in ("stem", "head")):
                one, given, own = adam, (0.9, 0.95, 1e-10), length * 3e-4 / 0.02
            g = g if decoupled else g + shrink
            m, v, direction = one(*state[place, kind], g, t, *given)
            state[place, kind] = m, v
            if name.endswith("_mup") and kind == "kernel":  # Yang et al. 2022, table 3
                direction *= 64 / p.shape[0] if place != "stem" else 1.0
            if name == "adam_depth_mup" and place not in ("stem", "head"):
                direction /= DEPTH**0.5  # Yang et al. 2023, depth-μP
            direction = direction + shrink if decoupled else direction
            if name == "lamb":  # You et al. 2020, algorithm 2: φ(z) = z
                direction *= np.linalg.norm(p) / np.linalg.norm(direction)
            moved[place, kind] = p - own * direction
        params = moved
    return params


def rates_of(schedule):
    """Of each step: linear warm-up, then the schedule over the steps that are left."""
    done = [max(0.0, (step - WARMUP) / (STEPS - WARMUP)) for step in range(STEPS)]
    cosine = [(1 + np.cos(np.pi * share)) / 2 for share in done]
    factors = cosine if schedule == "cosine" else [1.0] * STEPS
    warm = [min(1.0, (step + 1) / WARMUP) for step in range(STEPS)]
    return [RATE * a * b for a, b in zip(factors, warm, strict=True)]


def ours(entry, params, gradients, decay, clip, schedule):
    """The same by an entry of the catalogue."""
    numbers = {n: value for n, value in NUMBERS.items() if entry.uses(n)}
    with jax.enable_x64(True):
        given = {"weight_decay": decay, "clip": clip, "warmup": WARMUP, **numbers}
        hyper = entry.hyper(learning_rate=RATE, steps=float(STEPS), **given)
        rule = transformation(entry, hyper, (False,))
        tree = as_tree(params)
        state, update = rule.init(tree), jax.jit(rule.update)
        for step, gradient in enumerate(gradients):
            direction, state = update(as_tree(gradient), state, tree)
            length = float(rate(SCHEDULES[schedule], hyper, step))
            tree = jax.tree.map(lambda p, d, n=length: p - n * d, tree, direction)
        return as_arrays(tree)


@pytest.fixture(scope="module")
def problem():
    """Parameters, and gradients of several sizes: a clip counts for averages' signs too."""
    gradients = [kernels_and_biases(seed) for seed in range(1, STEPS + 1)]
    sizes = zip(gradients, (1.0, 4.0, 0.5, 2.0), strict=True)
    return kernels_and_biases(0), [
        {place: size * g for place, g in gradient.items()} for gradient, size in sizes
    ]


@every
def test_steps_are_the_papers_formulas(name, problem):
    params, gradients = problem
    ends = []
    for decay, clip, schedule in SWITCHES:
        wanted = after_steps(name, params, gradients, decay, clip, rates_of(schedule))
        after = ours(OPTIMIZERS[name], params, gradients, decay, clip, schedule)
        for place in wanted:
            # Schedules are computed in float32: 1e-7 of a move that is below 1 here.
            np.testing.assert_allclose(after[place], wanted[place], rtol=0, atol=3e-7)
        ends.append(wanted["stem", "kernel"])
    for one, other in itertools.combinations(ends, 2):  # every switch counts
        assert np.max(np.abs(one - other)) > 1e-5


@every
def test_coupled_decay_is_told_from_decoupled(name, problem):
    """The tolerance above is far below what swapping them would change."""
    wanted = after_steps(name, *problem, DECAY, None, rates_of("constant"))
    entry = OPTIMIZERS[name]
    swapped = entry._replace(decoupled=not entry.decoupled)
    other = ours(swapped, *problem, DECAY, None, "constant")
    apart = max(np.max(np.abs(other[place] - wanted[place])) for place in wanted)
    # Without averages both are the same rule.
    assert apart < 3e-7 if name == "sgd" else apart > 1e-3
