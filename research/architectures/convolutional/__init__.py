"""Convolutional nets without shortcuts: circular ones, Kim's, LeNet, AlexNet, VGG."""

from functools import partial

from depthbench.research.architectures.family import Family, fixed, no_skip

# Each layer is of a size of its own.
_published = partial(Family, takes="image", repeats=False)

FAMILIES = (
    Family(
        "cnn",
        "circular:build",
        "Xiao et al. 2018, arXiv:1806.05393 (3×3, circular)",
        activation="tanh",
        branch=no_skip,
        takes="image",
        kernels=9,
        space=2,
    ),
    Family(
        "cnn_same",
        "circular:build_same",
        "Xiao et al. 2018, arXiv:1806.05393 (with zeros at the border instead)",
        activation="tanh",
        takes="image",
        kernels=9,
        space=2,
    ),
    Family(
        "cnn_1d",
        "circular:build_1d",
        "Xiao et al. 2018, arXiv:1806.05393 (its one-dimensional form)",
        activation="tanh",
        branch=no_skip,
        takes="sequence",
        kernels=3,
        space=1,
    ),
    Family(
        "text_cnn",
        "text:build",
        "Kim 2014, arXiv:1408.5882 (its layer, which is repeated)",
        takes="sequence",
        kernels=4,
        space=1,
    ),
    Family(
        "highway_cnn",
        "circular:build_highway",
        "Srivastava, Greff & Schmidhuber 2015, arXiv:1507.06228",
        takes="image",
        kernels=18,
        space=2,
    ),
    _published(
        "lenet5",
        "alexnet:build_lenet5",
        "LeCun, Bottou, Bengio & Haffner 1998, Proc. IEEE 86:2278",
        activation="tanh",
        depths=fixed(5),
        width=6,
        smallest=16,
        kernels=350,
    ),
    _published(
        "alexnet",
        "alexnet:build",
        "Krizhevsky, Sutskever & Hinton 2012, NIPS",
        depths=fixed(8),
        width=96,
        step=2,
        smallest=64,
        kernels=850,
    ),
    _published(
        "alexnet_one_tower",
        "alexnet:build_one_tower",
        "Krizhevsky, Sutskever & Hinton 2012, NIPS (without groups)",
        depths=fixed(8),
        width=96,
        smallest=64,
        kernels=850,
    ),
    _published(
        "alexnet_without_lrn",
        "alexnet:build_without_lrn",
        "Krizhevsky, Sutskever & Hinton 2012, NIPS (as above, no normalisation)",
        depths=fixed(8),
        width=96,
        smallest=64,
        kernels=850,
    ),
    _published(
        "alexnet_small",
        "alexnet:build_small",
        "Zhang, Bengio, Hardt, Recht & Vinyals 2017, arXiv:1611.03530, appendix A",
        depths=fixed(5),
        width=64,
        kernels=50,
    ),
    _published(
        "vgg",
        "vgg:build",
        "Simonyan & Zisserman 2015, arXiv:1409.1556",
        depths=fixed(11, 13, 16, 19),
        width=64,
        smallest=32,
        kernels=700,
    ),
)
