"""A training loop of one's own, with the gradient at every state at each 50th step.

A net of 20 ReLU layers on the 1,797 digits of scikit-learn, drawn as Flax draws by default.

    python docs/examples/training.py    # 500 steps: half a minute on two cores
"""

import sys

import flax.linen as nn
import jax
import numpy as np
import optax
from sklearn.datasets import load_digits

import depthbench as db


class Net(nn.Module):
    depth: int

    @nn.compact
    def __call__(self, x):
        for number in range(self.depth):
            x = nn.relu(nn.Dense(64, name=f"layer_{number}")(x))
        return nn.Dense(10, name="head")(x)


def loss(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def main(small=False, picture="training.png", probed=True):
    """(the trained parameters, the probes' history)."""
    steps, every = (60, 20) if small else (500, 50)
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    net, rule = Net(4 if small else 20), optax.adam(1e-3)
    params = net.init(jax.random.key(0), images[:1])["params"]
    state = rule.init(params)

    @jax.jit
    def step(params, state, x, y):
        value, slope = jax.value_and_grad(
            lambda p: loss(net.apply({"params": p}, x), y)
        )(params)
        updates, state = rule.update(slope, state)
        return optax.apply_updates(params, updates), state, value

    # The two lines of the probes: this one, and the one in the loop.
    watch = db.probe.every(
        every, net, (images[:128], labels[:128]), loss, params=params
    )
    draw = np.random.default_rng(0)
    for number in range(steps + 1):
        if probed:
            watch(number, params)
        batch = draw.integers(0, len(images), 64)
        params, state, _ = step(params, state, images[batch], labels[batch])
    accuracy = (net.apply({"params": params}, images).argmax(-1) == labels).mean()
    print(f"{steps} steps: {accuracy:.1%} of the digits. {watch.history.answer}")
    if probed:
        watch.history.figure().savefig(picture, dpi=120)
    return params, watch.history


if __name__ == "__main__":
    main(small="--small" in sys.argv)
