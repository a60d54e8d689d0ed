"""Attacks: within the cube, and as strong as theory says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from depthbench.experiments.scrutiny import attacked
from depthbench.research.learning import (
    adversarial,
    attacks,
    baselines,
    feed,
    fits,
    held_out,
    support_vectors,
)
from depthbench.research.learning.attacks import ATTACKS, cross_entropy, odds
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from tests.learning.resumption import assert_resumes

EPSILON = 0.3
RECIPE = Recipe(architecture="mlp", depth=2, width=16, batch=32)
NET = fits.Net(RECIPE, Task((8, 8, 1), 10))


@pytest.fixture(scope="module")
def digits():
    return held_out.parts("digits")


@pytest.fixture(scope="module")
def net(digits):
    """A small net that reads digits, as a function of its inputs."""
    (fit,) = fits.train(NET, digits.train.batch, 150, (3e-3,), 1)
    assert fit.accuracy(*digits.valid) > 0.85
    return attacks.of_net(NET.parts.net, fit.variables)


def linear(key):
    weights = jax.random.normal(key, (64, 2))
    return weights, lambda x: x.reshape(len(x), -1) @ weights


@pytest.mark.parametrize("name", ATTACKS)
def test_no_number_is_changed_by_more_than_epsilon(name, net, digits):
    x, y = digits.test.first(64)
    for made in attacks.examples(ATTACKS[name], net, x, y, EPSILON, jax.random.key(0)):
        change = np.abs(np.asarray(made) - x)
        # One rounding of x + ε: numbers of x are below 8, so 2⁻²¹ each.
        assert change.max() <= EPSILON + 1e-6
        assert change.max() > 0.9 * EPSILON


def test_fgsm_is_the_optimum_where_logits_are_linear(digits):
    """Of two classes, the most that the logits' difference can move is ε ‖w₁ − w₂‖₁."""
    weights, logits = linear(jax.random.key(1))
    x, y = digits.test.first(32)
    y = y % 2
    most = EPSILON * jnp.sum(jnp.abs(weights[:, 0] - weights[:, 1]))
    for name in ("fgsm", "fgsm_odds", "pgd"):
        (attacked, *_) = attacks.examples(
            ATTACKS[name], logits, x, y, EPSILON, jax.random.key(0)
        )
        gain = odds(logits(attacked), y) - odds(logits(x), y)
        # Sums of 64 products in float32; the cross-entropy's gradient can saturate.
        sure = np.asarray(odds(logits(x), y)) < -10
        kept = ~sure if name == "fgsm" else np.ones(len(y), bool)
        np.testing.assert_allclose(np.asarray(gain)[kept], most, rtol=1e-4)


def test_pgd_raises_the_loss_more_than_fgsm_and_fgsm_more_than_noise(net, digits):
    x, y = digits.test
    losses = {
        name: float(
            jnp.mean(
                cross_entropy(
                    net(ATTACKS[name].perturb(net, x, y, EPSILON, jax.random.key(0))), y
                )
            )
        )
        for name in ATTACKS
    }
    assert losses["pgd"] >= max(losses["fgsm"], losses["fgsm_odds"])
    assert losses["fgsm"] > 2 * losses["random_sign"]


def test_cross_entropy_is_softplus_of_the_odds():
    logits = 3 * jax.random.normal(jax.random.key(0), (50, 10))
    y = jnp.arange(50) % 10
    expected = jax.nn.softplus(odds(logits, y))
    np.testing.assert_allclose(cross_entropy(logits, y), expected, rtol=1e-5)


def test_adversarial_training_resumes_from_the_disk(digits, tmp_path):
    perturb = ATTACKS["pgd"].perturb
    system = adversarial.system(NET, perturb, EPSILON)
    data = digits.train.batch
    hyper = fits.numbers(NET, 1e-3, 4)
    assert_resumes(system, feed.drawn(16), data, hyper, tmp_path)


def test_adversarial_training_descends_the_attacked_loss(digits):
    """The step's loss is that of the attacked batch: larger than the clean one's."""
    data = digits.train.first(64).batch
    plain = fits.train(NET, data, 1, (1e-3,), 1)
    system = adversarial.system(NET, ATTACKS["fgsm"].perturb, EPSILON)
    (attacked,) = fits.train(NET, data, 1, (1e-3,), 1, system=system)
    assert attacked.log["loss"][0] > 1.05 * plain[0].log["loss"][0]


@pytest.mark.parametrize("classes", (2, 5))
def test_margins_are_those_of_scikit_learn(classes, digits):
    """Votes and margins of a machine for each pair, in float32: 1e-4 of values near 1."""
    chosen = digits.train.y < classes
    x, y = digits.train.x[chosen][:300], digits.train.y[chosen][:300]
    fitted = baselines.fit("svm", x, y)
    model = fitted.learned.model
    model.set_params(decision_function_shape="ovo")
    inner = fitted.learned.inner(x.reshape(len(x), -1).astype(np.float64))
    expected = model.decision_function(inner).reshape(len(x), -1)
    sign = -1 if classes == 2 else 1  # of two classes, above 0 is the second one
    found = np.asarray(support_vectors.margins(fitted)(jnp.asarray(x)))
    np.testing.assert_allclose(found, sign * expected, atol=2e-4)
    read = np.asarray(support_vectors.logits(fitted)(jnp.asarray(x))).argmax(axis=1)
    assert np.mean(read == fitted.predict(x)) > 0.98


def test_a_machine_is_chosen_by_what_is_left_of_the_held_out_examples(
    digits, monkeypatch
):
    """Of examples with noise for an attack: not the kernel that is best without."""
    few = digits._replace(train=digits.train.first(300))

    def noisy(fitted, attack, x, y, *rest):
        made = x + np.random.RandomState(0).normal(0, 2.0, x.shape)
        return made if attack is attacks.pgd else {"pgd": made[None]}

    monkeypatch.setattr(attacked.held_out, "parts", lambda name, data_dir: few)
    monkeypatch.setattr(attacked, "_made", noisy)
    machine = attacked.machine.__wrapped__("digits", None, EPSILON)
    tuned, left = baselines.fit("svm", *few.train), {}
    for factor in attacked.NARROWER:
        one = support_vectors.narrowed(tuned, factor, *few.train)
        x, y = few.valid
        made = noisy(one, attacks.pgd, np.concatenate([x, few.test.x]), y)[: len(y)]
        right = (one.predict(x) == y) & (one.predict(made) == y)
        left[one.setting["gamma"]] = right.mean()
    assert machine.fitted.setting["gamma"] == max(left, key=lambda gamma: left[gamma])
    assert machine.fitted.setting != tuned.setting and machine.at_edge
    assert machine.left(few.test.x) == np.mean(np.all([*machine.right.values()], 0))
