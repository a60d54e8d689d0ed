"""Nets of dense layers, and what reads any example as a vector."""

from depthbench.research.architectures.family import Branch, Family, no_skip

FAMILIES = (
    Family(
        "mlp",
        "mlp:build",
        "Rumelhart, Hinton & Williams 1986, Nature 323:533",
        branch=no_skip,
    ),
    Family(
        "mlp_mup",
        "mlp:build_maximal_update",
        "Yang, Hu et al. 2022, Tensor Programs V, arXiv:2203.03466, table 3",
        branch=no_skip,
    ),
    Family(
        "residual_mlp",
        "residual:build",
        "He, Zhang, Ren & Sun 2016, arXiv:1603.05027",
        branch=lambda depth: Branch(1.0, 1.0),
    ),
    Family(
        "residual_mlp_scaled",  # branches divided by √depth
        "residual:build_scaled",
        "Hayou et al. 2021, Stable ResNet, arXiv:2010.12859",
        branch=lambda depth: Branch(1.0, depth**-0.5),
    ),
    Family(
        "rezero_mlp",
        "residual:build_rezero",
        "Bachlechner et al. 2021, ReZero, arXiv:2003.04887",
        branch=lambda depth: Branch(1.0, 0.0),
    ),
    Family(
        "residual_mlp_activated",  # branches that end with their activation
        "residual:build_activated",
        "Bachlechner et al. 2021, ReZero, arXiv:2003.04887, their notebook",
    ),
    Family(
        "rezero_mlp_activated",
        "residual:build_rezero_activated",
        "Bachlechner et al. 2021, ReZero, arXiv:2003.04887, their notebook",
    ),
    Family(
        "highway_mlp",
        "highway:build",
        "Srivastava, Greff & Schmidhuber 2015, arXiv:1505.00387",
        kernels=2,
    ),
    Family(
        "highway_mlp_closed",  # gate biases of −4 instead of −2
        "highway:build_closed",
        "Srivastava, Greff & Schmidhuber 2015, arXiv:1507.06228, section 3.1",
        kernels=2,
    ),
)
