"""Recurrent nets: depth is time in one layer, or a number of layers."""

from functools import partial

from depthbench.research.architectures.family import EVEN_DEPTHS, Family

# Averages over batches differ by time step (Cooijmans et al. 2016, arXiv:1603.09025),
# and a tied layer keeps one for all.
_over_time = partial(
    Family,
    takes="sequence",
    activation="tanh",
    normalizers=("none", "layer", "rms"),
)
_stacked = partial(Family, takes="sequence", activation="tanh", space=1, steps="causal")
# A normaliser over the batch would show a step of the target later ones.
_pairs = partial(
    Family,
    takes="sequence",
    activation="tanh",
    normalizers=("none", "layer", "rms"),
    depths=EVEN_DEPTHS,
    repeats=False,
    space=1,
    steps="all",
)

FAMILIES = (
    _over_time(
        "rnn",
        "tied:build_rnn",
        "Elman 1990, Finding Structure in Time, Cognitive Science 14:179",
    ),
    _over_time(
        "rnn_identity",
        "tied:build_identity",
        "Le, Jaitly & Hinton 2015, arXiv:1504.00941",
        activation="relu",
    ),
    _over_time(
        "lstm",
        "tied:build_lstm",
        "Hochreiter & Schmidhuber 1997, Neural Computation 9:1735; forget gate: "
        "Gers, Schmidhuber & Cummins 2000, Neural Computation 12:2451; its bias of "
        "1: Jozefowicz, Zaremba & Sutskever 2015, ICML",
        kernels=4,
    ),
    _over_time(
        "lstm_chrono",
        "tied:build_chrono",
        "Tallec & Ollivier 2018, arXiv:1804.11188",
        kernels=4,
    ),
    _over_time(
        "gru",  # reset after the product, as in cuDNN and PyTorch
        "tied:build_gru",
        "Cho et al. 2014, arXiv:1406.1078",
        kernels=3,
    ),
    _over_time(
        "mgu",
        "tied:build_mgu",
        "Zhou, Wu, Zhang & Zhou 2016, arXiv:1603.09420",
        kernels=2,
    ),
    _stacked(
        "stacked_rnn",
        "stacked:build_rnn",
        "Pascanu, Gulcehre, Cho & Bengio 2014, arXiv:1312.6026",
        kernels=2,
    ),
    _stacked(
        "stacked_rnn_identity",
        "stacked:build_identity",
        "Le, Jaitly & Hinton 2015, arXiv:1504.00941; in layers as Pascanu et al. 2014",
        activation="relu",
        kernels=2,
    ),
    _stacked(
        "stacked_lstm",
        "stacked:build_lstm",
        "Graves, Mohamed & Hinton 2013, arXiv:1303.5778",
        kernels=8,
    ),
    _stacked(
        "stacked_lstm_chrono",
        "stacked:build_chrono",
        "Tallec & Ollivier 2018, arXiv:1804.11188; in layers as Graves et al. 2013",
        kernels=8,
    ),
    _stacked(
        "stacked_gru",
        "stacked:build_gru",
        "Cho et al. 2014, arXiv:1406.1078; in layers as Graves et al. 2013",
        kernels=6,
    ),
    _stacked(
        "bidirectional_lstm",
        "stacked:build_bidirectional",
        "Graves & Schmidhuber 2005, Neural Networks 18:602",
        step=2,
        steps="all",
        kernels=6,
    ),
    _pairs(
        "seq2seq",
        "seq2seq:build",
        "Cho et al. 2014, arXiv:1406.1078; in layers as Sutskever, Vinyals & Le 2014, "
        "arXiv:1409.3215",
        kernels=9,
    ),
    _pairs(
        "seq2seq_attention",
        "seq2seq:build_attention",
        "Bahdanau, Cho & Bengio 2015, arXiv:1409.0473",
        step=2,
        kernels=9,
    ),
)
