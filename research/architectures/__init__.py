"""Architectures: one file and one entry each.

The entry says where the builder is, so that naming an architecture imports no jax.
"""

from functools import partial

from research.architectures.family import Branch, Depths, Family, fixed, multiples
from research.catalogues.catalogue import Catalogue

PLAIN = Branch(0.0, 1.0)


def plain(depth: int) -> Branch:
    """Layers without a skip."""
    return PLAIN


# Section 4.2 of the residual-net paper: 6n + 2 layers; 20, 56, 110 and 1202 are its own.
CIFAR_DEPTHS = multiples(6, 2, (8, 20, 56, 110, 1202))
_cifar = partial(
    Family,
    takes="image",
    depths=CIFAR_DEPTHS,
    repeats=False,
    width=16,
    normalizers=("batch", "none", "layer", "rms"),
    smallest=4,
    kernels=9,
    space=2,
)
_published = partial(Family, takes="image", repeats=False)  # each layer of its own size

# Averages over batches differ by time step (Cooijmans et al. 2016, arXiv:1603.09025),
# and a tied layer keeps one for all.
_over_time = partial(
    Family,
    takes="sequence",
    activation="tanh",
    normalizers=("none", "layer", "rms"),
)
_stacked = partial(Family, takes="sequence", activation="tanh", space=1, steps="causal")

# Transformers are defined by a normaliser of single steps: one over the batch would let
# a step see later ones.
_transformer = partial(
    Family,
    takes="sequence",
    normalizers=("layer", "rms"),
    kernels=12,
    space=1,
    steps="all",
)
EVEN_DEPTHS = multiples(2, 0, (2, 4, 16, 64, 256, 1024))  # half of it encodes

ARCHITECTURES: Catalogue[Family] = Catalogue(
    "architecture",
    [
        Family(
            "mlp",
            "mlp:build",
            "Rumelhart, Hinton & Williams 1986, Nature 323:533",
            branch=plain,
        ),
        Family(
            "mlp_mup",
            "mlp:build_maximal_update",
            "Yang, Hu et al. 2022, Tensor Programs V, arXiv:2203.03466, table 3",
            branch=plain,
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
        Family(
            "cnn",
            "convolutional:build",
            "Xiao et al. 2018, arXiv:1806.05393 (3×3, circular)",
            activation="tanh",
            branch=plain,
            takes="image",
            kernels=9,
            space=2,
        ),
        Family(
            "cnn_same",
            "convolutional:build_same",
            "Xiao et al. 2018, arXiv:1806.05393 (with zeros at the border instead)",
            activation="tanh",
            takes="image",
            kernels=9,
            space=2,
        ),
        Family(
            "cnn_1d",
            "convolutional:build_1d",
            "Xiao et al. 2018, arXiv:1806.05393 (its one-dimensional form)",
            activation="tanh",
            branch=plain,
            takes="sequence",
            kernels=3,
            space=1,
        ),
        Family(
            "highway_cnn",
            "convolutional:build_highway",
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
            "resnet_fixup",
            "resnet_unnormalized:build_fixup",
            "Zhang, Dauphin & Ma 2019, Fixup, arXiv:1901.09321",
            normalizers=("none",),
        ),
        _cifar(
            "resnet_skipinit",
            "resnet_unnormalized:build_skipinit",
            "De & Smith 2020, SkipInit, arXiv:2002.10444",
            normalizers=("none",),
        ),
        _cifar(
            "resnet_rezero",
            "resnet_unnormalized:build_rezero",
            "Bachlechner et al. 2021, ReZero, arXiv:2003.04887",
            normalizers=("none",),
        ),
        _published(
            "resnet_imagenet",
            "resnet_imagenet:build",
            "He, Zhang, Ren & Sun 2016, arXiv:1512.03385, table 1; 50 as in torchvision",
            depths=fixed(18, 34, 50),
            width=64,
            normalizers=("batch", "none", "layer", "rms"),
            smallest=32,
            kernels=150,
        ),
        _over_time(
            "rnn",
            "recurrent:build_rnn",
            "Elman 1990, Finding Structure in Time, Cognitive Science 14:179",
        ),
        _over_time(
            "rnn_identity",
            "recurrent:build_identity",
            "Le, Jaitly & Hinton 2015, arXiv:1504.00941",
            activation="relu",
        ),
        _over_time(
            "lstm",
            "recurrent:build_lstm",
            "Hochreiter & Schmidhuber 1997, Neural Computation 9:1735; forget gate: "
            "Gers, Schmidhuber & Cummins 2000, Neural Computation 12:2451; its bias of "
            "1: Jozefowicz, Zaremba & Sutskever 2015, ICML",
            kernels=4,
        ),
        _over_time(
            "lstm_chrono",
            "recurrent:build_chrono",
            "Tallec & Ollivier 2018, arXiv:1804.11188",
            kernels=4,
        ),
        _over_time(
            "gru",  # reset after the product, as in cuDNN and PyTorch
            "recurrent:build_gru",
            "Cho et al. 2014, arXiv:1406.1078",
            kernels=3,
        ),
        _over_time(
            "mgu",
            "recurrent:build_mgu",
            "Zhou, Wu, Zhang & Zhou 2016, arXiv:1603.09420",
            kernels=2,
        ),
        _stacked(
            "stacked_rnn",
            "stacked_recurrent:build_rnn",
            "Pascanu, Gulcehre, Cho & Bengio 2014, arXiv:1312.6026",
            kernels=2,
        ),
        _stacked(
            "stacked_lstm",
            "stacked_recurrent:build_lstm",
            "Graves, Mohamed & Hinton 2013, arXiv:1303.5778",
            kernels=8,
        ),
        _stacked(
            "stacked_gru",
            "stacked_recurrent:build_gru",
            "Cho et al. 2014, arXiv:1406.1078; in layers as Graves et al. 2013",
            kernels=6,
        ),
        _stacked(
            "bidirectional_lstm",
            "stacked_recurrent:build_bidirectional",
            "Graves & Schmidhuber 2005, Neural Networks 18:602",
            step=2,
            steps="all",
            kernels=6,
        ),
        _transformer(
            "transformer_pre_ln",
            "transformer:build_pre_ln",
            "Xiong et al. 2020, arXiv:2002.04745",
        ),
        _transformer(
            "transformer_post_ln",
            "transformer:build_post_ln",
            "Vaswani et al. 2017, arXiv:1706.03762",
        ),
        _transformer(
            "transformer_rezero",
            "transformer:build_rezero",
            "Bachlechner et al. 2021, ReZero, arXiv:2003.04887, section 4",
            normalizers=("none",),  # gates are there so that no normaliser is needed
        ),
        _transformer(
            "transformer_deepnorm",
            "transformer:build_deepnorm",
            "Wang et al. 2022, DeepNet, arXiv:2203.00555",
        ),
        _transformer(
            "transformer_decoder",  # causal, with rotary positions
            "transformer:build_decoder",
            "Su et al. 2021, RoFormer, arXiv:2104.09864; Radford et al. 2019, GPT-2",
            step=2,
            steps="causal",
        ),
        _transformer(
            "transformer_learned",
            "transformer:build_learned",
            "Devlin et al. 2019, BERT, arXiv:1810.04805 (positions); arXiv:2002.04745",
        ),
        _transformer(
            "encoder_decoder",
            "encoder_decoder:build",
            "Vaswani et al. 2017, arXiv:1706.03762",
            depths=EVEN_DEPTHS,
            repeats=False,
        ),
        _transformer(
            "encoder_decoder_deepnorm",
            "encoder_decoder:build_deepnorm",
            "Wang et al. 2022, DeepNet, arXiv:2203.00555",
            depths=EVEN_DEPTHS,
            repeats=False,
        ),
        Family(
            "vit",
            "vit:build",
            "Dosovitskiy et al. 2021, arXiv:2010.11929",
            takes="image",
            normalizers=("layer", "rms"),
            kernels=12,
            space=1,
        ),
        Family(
            "autoencoder",
            "autoencoder:build",
            "Hinton & Salakhutdinov 2006, Science 313:504",
            gives="vector",
            depths=multiples(2, 0, (2, 4, 6, 8)),
            repeats=False,
        ),
        Family(
            "conv_autoencoder",
            "autoencoder:build_convolutional",
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
    ],
)

__all__ = ["ARCHITECTURES", "Branch", "Depths", "Family"]
