"""Nets that give their input again, or a number for each of its pixels."""

from depthbench.research.architectures.family import Family, fixed, multiples

FAMILIES = (
    Family(
        "autoencoder",
        "bottleneck:build",
        "Hinton & Salakhutdinov 2006, Science 313:504",
        gives="vector",
        depths=multiples(2, 0, (2, 4, 6, 8)),
        repeats=False,
    ),
    Family(
        "conv_autoencoder",
        "bottleneck:build_convolutional",
        "Masci, Meier, Cireşan & Schmidhuber 2011, ICANN",
        takes="image",
        gives="image",
        depths=fixed(2, 4, 6),
        repeats=False,
        smallest=8,  # halved up to three times
        kernels=9,
        space=2,
    ),
    Family(
        "unet",
        "unet:build",
        "Ronneberger, Fischer & Brox 2015, arXiv:1505.04597",
        takes="image",
        gives="image",
        depths=fixed(8, 13, 18, 23),
        repeats=False,
        width=64,
        kernels=9,
        space=2,
    ),
    Family(
        "unet_plain",
        "unet:build_plain",
        "Ronneberger, Fischer & Brox 2015, arXiv:1505.04597 (without its skips)",
        takes="image",
        gives="image",
        depths=fixed(8, 13, 18, 23),
        repeats=False,
        width=64,
        kernels=9,
        space=2,
    ),
)
