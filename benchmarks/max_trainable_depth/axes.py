"""What max_trainable_depth can vary, and its values at each size."""

from depthbench.benchmarks import classifiers
from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.initializers import INITIALIZERS
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.datasets import readable
from depthbench.research.study import dtypes
from depthbench.research.study.axes import Axis

AXES = {
    "architecture": Axis(
        "how layers are connected", ("mlp", "residual_mlp"), ARCHITECTURES
    ),
    "activation": Axis("the nonlinearity", ("tanh", "relu", "sigmoid"), ACTIVATIONS),
    "initializer": Axis(
        "how weights are drawn", ("he_normal", "critical"), INITIALIZERS
    ),
    "normalizer": Axis(
        "what comes before the activation", ("none", "batch"), NORMALIZERS
    ),
    "optimizer": Axis("the update rule", ("adam",), OPTIMIZERS),
    "width": Axis("units per layer", (64,), kind="integer", low=2, high=10**5),
    "dataset": readable.axis(readable.trained),
    "cap": Axis(
        "the largest depth to try",
        (256,),
        kind="integer",
        low=1,
        high=10**5,
        single=True,
    ),
    "steps": Axis(
        "training steps, for each depth", (200,), kind="integer", low=20, high=10**7
    ),
    "batch": Axis("examples per step", (64,), kind="integer", low=2, high=10**5),
    "rates": Axis(
        "learning rates tried, half a decade apart around the optimizer's published one",
        (3,),
        kind="integer",
        low=1,
        high=21,
    ),
    "further_rates": classifiers.further_rates(),
    "target": Axis(
        "training accuracy that counts as trained",
        (0.9,),
        kind="number",
        low=0.0,
        high=1.0,
        single=True,
    ),
    "start": Axis(
        "the first depth to try",
        (8,),
        kind="integer",
        low=1,
        high=10**5,
        single=True,
    ),
    "patience": Axis(
        "doublings in a row that fail before the search turns back",
        (1,),
        kind="integer",
        low=1,
        high=20,
        single=True,
    ),
    "dtype": dtypes.axis(),
    "seeds": Axis(
        "networks, most of which must train",
        (3,),
        kind="integer",
        low=1,
        high=99,
        single=True,
    ),
}
SIZES = {
    "smoke": {
        "activation": ("sigmoid",),
        "initializer": ("he_normal",),
        "normalizer": ("none",),
        "width": (16,),
        "cap": (4,),
        "steps": (60,),
        "batch": (16,),
        "rates": (3,),
        "further_rates": (0,),
        "target": (0.3,),
    },
    "full": {
        "architecture": (
            *("mlp", "residual_mlp", "residual_mlp_scaled", "rezero_mlp"),
            *("highway_mlp", "resnet"),
        ),
        "optimizer": ("momentum", "adam"),
        "width": (256,),
        "cap": (1024,),
        "steps": (2000,),
        "batch": (128,),
        "rates": (7,),
        "start": (1,),
        "patience": (2,),
    },
}
