"""The probe on README: `cd docs && python first_probe.py` makes its picture again."""

import flax.linen as nn
import jax

import depthbench as db


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        for _ in range(80):
            x = nn.sigmoid(nn.Dense(64)(x))
        return nn.Dense(10)(x)


report = db.probe(Net(), jax.random.normal(jax.random.key(0), (32, 64)))
print(report)
report.figure().savefig("first_probe.svg")
