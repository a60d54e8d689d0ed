"""Pre- against post-LN in an NNX Transformer, beside Xiong et al. 2020 (arXiv:2002.04745).

Their theorem 1: at initialisation the gradient of the last layer's feed-forward matrix
stays as it is with depth L in Post-LN, L^0, and shrinks in Pre-LN, L^-0.5.

    python docs/examples/transformer.py    # three seeds at 4 to 32 layers: some minutes
"""

import sys

import jax
import matplotlib.pyplot as plt
import numpy as np
from flax import nnx
from optax.losses import softmax_cross_entropy_with_integer_labels as cross_entropy

import depthbench as db

WIDTH, WORDS, XIONG = 64, 100, {"post": 0.0, "pre": -0.5}


class Layer(nnx.Module):
    def __init__(self, post, rngs):
        self.post = post
        self.attention = nnx.MultiHeadAttention(4, WIDTH, decode=False, rngs=rngs)
        self.wide = nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs)
        self.narrow = nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs)
        self.norms = nnx.List([nnx.LayerNorm(WIDTH, rngs=rngs) for _ in range(2)])

    def __call__(self, x):
        feed = lambda h: self.narrow(nnx.relu(self.wide(h)))
        for branch, norm in zip((self.attention, feed), self.norms, strict=True):
            x = norm(x + branch(x)) if self.post else x + branch(norm(x))
        return x


class Transformer(nnx.Module):
    def __init__(self, depth, post, rngs):
        self.embed = nnx.Embed(WORDS, WIDTH, rngs=rngs)
        self.layers = nnx.List([Layer(post, rngs) for _ in range(depth)])
        self.norm = (lambda x: x) if post else nnx.LayerNorm(WIDTH, rngs=rngs)
        self.head = nnx.Linear(WIDTH, WORDS, rngs=rngs)

    def __call__(self, tokens):
        x = self.embed(tokens)
        for number, layer in enumerate(self.layers):
            with jax.named_scope(f"layer_{number}"):  # what a report calls its states
                x = layer(x)
        return self.head(self.norm(x))


def main(small=False, picture="transformer.png"):
    """By placement: the exponent of L, and the report of the deepest net."""
    depths, seeds = ((2, 4), 1) if small else ((4, 8, 16, 32), 3)
    loss = lambda logits, targets: cross_entropy(logits, targets).mean()
    text = np.random.default_rng(0).integers(0, WORDS, (8, 17))
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
    results = {}
    for kind, theory in XIONG.items():
        last = np.zeros((len(depths), seeds))
        for i, seed in np.ndindex(last.shape):
            net = Transformer(depths[i], kind == "post", nnx.Rngs(seed))
            report = db.probe(net, (text[:, :-1], text[:, 1:]), loss)
            last[i, seed] = report.parameters[f"layers/{depths[i] - 1}/narrow/kernel"]
        slope = np.polyfit(np.log10(depths), last.mean(1), 1)[0]
        label = f"{kind}-LN: L^{slope:+.2f}"
        print(f"{label} (theirs: L^{theory:+.1f}). {report.answer}")
        right.plot(np.log2(depths), last.mean(1), "o-", label=label)
        gradient = np.array([row["log10_gradient"] for row in report.rows])
        left.plot(np.linspace(0, 1, len(gradient)), gradient - gradient[-1])
        results[kind] = slope, report
    left.set(title=f"log10 gradient by state, L = {depths[-1]}", xlabel="embed to head")
    right.set(title="log10 grad, last matrix", xlabel="log2 L", xticks=np.log2(depths))
    right.legend(frameon=False)
    figure.savefig(picture, dpi=120)
    return results


if __name__ == "__main__":
    main(small="--small" in sys.argv)
