"""Transformers: encoders, decoders, both, and the vision Transformer."""

from functools import partial

from depthbench.research.architectures.family import EVEN_DEPTHS, Family

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

FAMILIES = (
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
    *(
        _transformer(
            name,
            f"pure_attention:{builder}",
            "Dong, Cordonnier & Loukas 2021, arXiv:2103.03404",
            normalizers=("none", "layer", "rms"),
            kernels=kernels,
        )
        for name, builder, kernels in (
            ("attention", "build", 4),
            ("attention_skip", "build_skip", 4),
            ("attention_feed", "build_feed", 12),  # without skips
        )
    ),
    _transformer(
        "transformer_decoder",  # causal, with rotary positions
        "transformer:build_decoder",
        "Su et al. 2021, RoFormer, arXiv:2104.09864; Radford et al. 2019, GPT-2",
        step=2,
        steps="causal",
    ),
    _transformer(
        "transformer_causal",  # with sinusoids for positions
        "transformer:build_absolute",
        "Liu et al. 2018, arXiv:1801.10198 (a decoder alone); arXiv:2002.04745",
        steps="causal",
    ),
    _transformer(
        "music_transformer",  # causal, a vector is learned for each distance
        "transformer:build_music",
        "Huang et al. 2018, Music Transformer, arXiv:1809.04281",
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
)
