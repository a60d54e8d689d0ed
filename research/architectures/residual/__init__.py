"""Residual nets on images, with normalisers and without."""

from functools import partial

from depthbench.research.architectures.family import Family, fixed, multiples

# Section 4.2 of the residual-net paper: 6n + 2 layers; 20, 56, 110 and 1202 are its own.
_cifar = partial(
    Family,
    takes="image",
    depths=multiples(6, 2, (8, 20, 56, 110, 1202)),
    repeats=False,
    width=16,
    normalizers=("batch", "none", "layer", "rms"),
    unbiased=("batch", "layer", "rms"),
    smallest=4,
    kernels=9,
    space=2,
)

FAMILIES = (
    _cifar(
        "plain_cnn",
        "resnet:build_plain",
        "He, Zhang, Ren & Sun 2016, arXiv:1512.03385, section 4.2",
    ),
    _cifar(
        "resnet",
        "resnet:build",
        "He, Zhang, Ren & Sun 2016, arXiv:1512.03385, section 4.2",
    ),
    _cifar(
        "resnet_v2",
        "resnet:build_v2",
        "He, Zhang, Ren & Sun 2016, Identity Mappings, arXiv:1603.05027",
    ),
    _cifar(
        "resnet_stochastic",
        "stochastic:build",
        "Huang, Sun, Liu, Sedra & Weinberger 2016, arXiv:1603.09382",
    ),
    _cifar(
        "resnet_fixup",
        "unnormalized:build_fixup",
        "Zhang, Dauphin & Ma 2019, Fixup, arXiv:1901.09321",
        normalizers=("none",),
        unbiased=("none",),
    ),
    _cifar(
        "resnet_skipinit",
        "unnormalized:build_skipinit",
        "De & Smith 2020, SkipInit, arXiv:2002.10444",
        normalizers=("none",),
    ),
    _cifar(
        "resnet_rezero",
        "unnormalized:build_rezero",
        "Bachlechner et al. 2021, ReZero, arXiv:2003.04887",
        normalizers=("none",),
    ),
    Family(
        "resnet_imagenet",
        "imagenet:build",
        "He, Zhang, Ren & Sun 2016, arXiv:1512.03385, table 1; 50 as in torchvision",
        takes="image",
        depths=fixed(18, 34, 50),
        repeats=False,
        width=64,
        normalizers=("batch", "none", "layer", "rms"),
        unbiased=("batch", "layer", "rms"),
        smallest=32,
        kernels=150,
    ),
)
