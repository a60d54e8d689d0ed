"""A ConvNeXt whose gradient vanishes, and the one bracket that its report leads to.

The block is that of Liu et al. 2022 (arXiv:2201.03545), with its layer scale of 1e-6. In
the first net the scale is on the stream, scale * (x + branch), by a slip.

    python docs/examples/convnext.py    # ConvNeXt-T's 18 blocks at a quarter of its width
"""

import sys

import flax.linen as nn
import jax
import matplotlib.pyplot as plt

import depthbench as db

DRAWN = nn.initializers.truncated_normal(0.02)
NETS = {"scale * (x + branch)": False, "x + scale * branch": True}


class Block(nn.Module):
    width: int
    mended: bool

    @nn.compact
    def __call__(self, x):
        conv = nn.Conv(
            self.width, (7, 7), feature_group_count=self.width, kernel_init=DRAWN
        )
        h = nn.Dense(4 * self.width, kernel_init=DRAWN)(nn.LayerNorm()(conv(x)))
        branch = nn.Dense(self.width, kernel_init=DRAWN)(nn.gelu(h))
        scale = self.param("scale", nn.initializers.constant(1e-6), (self.width,))
        return x + scale * branch if self.mended else scale * (x + branch)


class ConvNeXt(nn.Module):
    blocks: tuple[int, ...]
    width: int
    mended: bool

    @nn.compact
    def __call__(self, x):
        x = nn.LayerNorm()(nn.Conv(self.width, (4, 4), (4, 4), kernel_init=DRAWN)(x))
        for stage, blocks in enumerate(self.blocks):
            width = self.width * 2**stage
            if stage:
                x = nn.Conv(width, (2, 2), (2, 2), kernel_init=DRAWN)(nn.LayerNorm()(x))
            for number in range(blocks):
                x = Block(width, self.mended, name=f"stage_{stage}_block_{number}")(x)
        x = nn.LayerNorm()(x.mean((1, 2)))
        return nn.Dense(10, kernel_init=DRAWN, name="head")(x)


def loss(logits):
    return -jax.nn.log_softmax(logits)[:, 0].mean()


def main(small=False, picture="convnext.png"):
    """The reports of both nets, by what their blocks give."""
    blocks, width, side = ((3,), 8, 16) if small else ((3, 3, 9, 3), 24, 64)
    images = jax.random.normal(jax.random.key(0), (4, side, side, 3))
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    reports = {}
    for name, mended in NETS.items():
        report = db.probe(ConvNeXt(blocks, width, mended), images, loss)
        gradient = {row["state"]: row["log10_gradient"] for row in report.rows}
        block = gradient["stage_0_block_0"] - gradient["stage_0_block_1"]
        print(f"{name}: {report.answer} A block changes it by {block:+.2f} decades.")
        axes.plot(gradient.values(), ".-", label=f"{name}: {report.verdict}")
        reports[name] = report
    axes.axhline(-38, color="grey", lw=0.8, ls=":", label="below: 0 in float32")
    axes.set_xticks(range(len(gradient)), gradient, rotation=90, fontsize=6)
    axes.set_ylabel("log10 of the gradient's norm")
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(picture, dpi=120)
    return reports


if __name__ == "__main__":
    main(small="--small" in sys.argv)
