"""The LSTM in plain JAX by cuDNN's kernels, which jax has as `jax.experimental.rnn`.

They take float32 alone, and no vmap or jvp; and the call waits for its sequences' lengths
to be on the host. So ours are a scan, and this is what it is measured beside.
"""

from typing import Any

from depthbench.benchmarks.peers import in_jax
from depthbench.benchmarks.peers.case import Model, Peer, Sizes, Weights
from depthbench.research.lazy import lazily

with lazily():
    import jax.experimental.rnn as rnn
    import jax.extend
    import jax.numpy as jnp


def packed(layers: Weights) -> Any:
    """Weights of layers [depth, in, 4 × width] as cuDNN reads them, one vector.

    Both kernels [4 × width, in] of layer after layer, then both biases of each, of which
    ours has one. The gates are in the order of ours: i, f, g, o.
    """

    def rows(*kinds: Any) -> list[Any]:
        """[depth, …] of each kind as [depth, numbers]."""
        return [jnp.swapaxes(a, 1, -1).reshape(len(a), -1) for a in kinds]

    kernels = rows(layers["kernel"], layers["recurrent"])
    biases = rows(layers["bias"], jnp.zeros_like(layers["bias"]))
    return jnp.concatenate([jnp.concatenate(p, 1).ravel() for p in (kernels, biases)])


def _linear(dense: Weights, h: Any) -> Any:
    return h @ dense["kernel"] + dense["bias"]


def lstm(weights: Weights, shape: Sizes) -> Model:
    """All layers and steps in one call of cuDNN's LSTM."""
    depth, width, _ = weights["layers"]["recurrent"].shape

    def forward(params, statistics, x):
        h = _linear(params["stem"], x)
        start = jnp.zeros((depth, len(x), width), h.dtype)
        lengths = jnp.full(len(x), x.shape[1], jnp.int32)
        sizes = (width, width, depth, 0.0, False)  # in, out, layers, dropout, both ways
        h, _, _ = rnn.lstm(h, start, start, packed(params["layers"]), lengths, *sizes)
        return _linear(params["head"], h[:, -1]), statistics

    return Model((weights, None), forward)


def _absent() -> str:
    backend = jax.extend.backend.get_backend()
    if "cuda" in backend.platform_version.lower():
        return ""
    return f"cuDNN needs an NVIDIA GPU, not {backend.local_devices()[0].device_kind}"


PEERS = [
    Peer(
        "jax_cudnn",
        "JAX by hand, its LSTM cuDNN's: jax.experimental.rnn",
        {"lstm": lstm},
        in_jax.side,
        in_jax.leaves,
        _absent,
        asked=True,
    )
]
