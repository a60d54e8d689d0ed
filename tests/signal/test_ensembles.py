"""A member of an ensemble is the network it would be alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from depthbench.research.architectures.contract import init
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.initializers import Rule
from depthbench.research.datasets import DATASETS
from depthbench.research.signal import ensembles, probes
from depthbench.research.signal.ensembles import Member, Program, signals
from depthbench.research.theory.activation import steepest

PROGRAM = Program("mlp", "none", ("tanh",), 8, 6, 4, "noise")
DEPTH, SEEDS = 4, range(2)
MEMBERS = [
    Member(Rule(1.0, 0.0), Rule(1.0, 0.0)),
    Member(Rule(0.5, 0.1), Rule(2.0, 0.3)),
    Member(Rule(2.0, 0.0), Rule(0.4, 0.05)),
]
UNIT = Member(Rule(1.0, 1.0), Rule(1.0, 1.0))
MEASURED = ("log10_length", "decorrelation", "log10_gradient", "saturated")


def signal_of(program=PROGRAM, members=MEMBERS[1:2], seeds=SEEDS, depth=DEPTH):
    return signals(program, "tanh", "normal", depth, members, seeds)


def same(ours, theirs, **tolerance):
    for name in MEASURED:
        a, b = getattr(ours, name), getattr(theirs, name)
        if tolerance:
            np.testing.assert_allclose(a, b, err_msg=name, **tolerance)
        else:
            np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.fixture(scope="module")
def alone():
    """What every variation is compared with: one member of the smallest program."""
    return signal_of()[0]


@pytest.mark.parametrize(
    ("architecture", "normalizer"),
    (
        ("mlp", "none"),
        pytest.param("residual_mlp_scaled", "batch", marks=pytest.mark.exhaustive),
    ),
)
def test_a_member_is_the_same_network_alone(architecture, normalizer):
    program = PROGRAM._replace(
        architecture=architecture, normalizer=normalizer, activations=("relu", "tanh")
    )
    members, data = MEMBERS[:2], DATASETS["noise"].load()
    phi, zeros = ACTIVATIONS["tanh"], jnp.zeros((4, 64))
    unit = ensembles.build(program, phi.phi, "normal", UNIT, 6)

    def draw(seed):
        return init(jax.random.fold_in(jax.random.key(seed), 1), unit, zeros)

    # Mapped over the seeds only because the samplers are compiled for that already.
    drawn = jax.vmap(draw)(np.asarray(SEEDS, np.uint32))

    @jax.jit
    def measure(variables, x, y, rules):
        # A net of that very depth, where the program runs a deeper one's first layers.
        shallow = program._replace(capacity=DEPTH)
        net = ensembles.build(shallow, phi.phi, "normal", rules, DEPTH)

        def loss(logits):
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
            return jnp.mean(losses)

        with jax.default_matmul_precision("highest"):
            return probes.signal(
                net, variables, x, loss, threshold=0.01 * steepest(phi)
            )

    together = signal_of(program, members)
    for number, (member, measured) in enumerate(zip(members, together, strict=True)):
        assert measured.log10_gradient.shape == (len(SEEDS), DEPTH + 1)
        assert measured.saturated.shape == (len(SEEDS), DEPTH)
        variables = jax.tree.map(lambda a, n=number: a[n], drawn)
        layers = jax.tree.map(lambda a: a[:DEPTH], variables.stages)
        chosen = np.random.default_rng(SEEDS[number]).choice(1024, 4, replace=False)
        single = measure(
            variables._replace(stages=layers),
            data.x[chosen],
            data.y[chosen],
            jax.tree.map(np.float32, member),
        )
        # Side by side the same sums are taken in another order: some ulp, which batch
        # norm of 4 examples enlarges.
        ours = jax.tree.map(lambda a, n=number: a[n], measured)
        same(ours, single, rtol=2e-5, atol=2e-5)


def test_the_same_call_gives_the_same_bits(alone):
    same(signal_of()[0], alone)
    signals(PROGRAM, "tanh", "orthogonal", DEPTH, MEMBERS[:1], range(1))
    same(signal_of()[0], alone)  # drawn anew, after another draw


@pytest.mark.parametrize(
    "program",
    (
        PROGRAM._replace(activations=("relu", "tanh", "sin")),
        PROGRAM._replace(capacity=9),
    ),
    ids=("with other activations", "with more layers"),
)
def test_a_cell_does_not_depend_on_what_its_program_can_do_besides(program, alone):
    same(signal_of(program)[0], alone)


def test_a_cell_does_not_depend_on_its_companions(alone):
    # Bits are not promised: members side by side are one larger product of matrices,
    # which may be summed in another order.
    same(signal_of(members=MEMBERS)[1], alone, rtol=1e-6, atol=1e-6)


def test_seeds_in_parts_are_all_seeds(alone):
    parts = [signal_of(seeds=part)[0] for part in (range(1), range(1, 2))]
    joined = jax.tree.map(lambda *a: np.concatenate(a), *parts)
    # Bits are not promised: a program for one seed differs by an ulp from that for two.
    same(joined, alone, rtol=1e-6, atol=1e-6)


def test_seeds_members_and_depths_differ(alone):
    assert len(np.unique(alone.log10_gradient[:, 0])) == len(SEEDS)
    other = signal_of(members=MEMBERS)
    lengths = [member.log10_length[0, -1] for member in other]
    assert len(set(lengths)) == len(MEMBERS)
    deeper = signal_of(depth=6)[0]
    # The first layers of a deeper net are the shallower net.
    np.testing.assert_array_equal(
        deeper.log10_length[:, : DEPTH + 1], alone.log10_length
    )
    assert deeper.log10_gradient.shape == (len(SEEDS), 7)
