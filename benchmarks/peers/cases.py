"""The nets that are compared, at the sizes that are measured."""

from collections.abc import Callable

from depthbench.benchmarks.peers import nets
from depthbench.benchmarks.peers.case import Case, CaseSize, Problem
from depthbench.research.catalogues.catalogue import Catalogue


def _mlp(
    name: str,
    form: str,
    shape: CaseSize,
    task: Callable[[CaseSize], Problem] = nets.mlp,
) -> Case:
    return Case(
        name,
        "mlp",
        "Schoenholz et al. 2017, arXiv:1611.01232 (critical tanh nets)",
        shape,
        task,
        nets.mlp_weights,
        form,
        parameters=lambda s: s.width * (s.length + s.depth * s.width),
        states=lambda s: s.batch * (s.length + s.depth * s.width),
    )


def _of_sequence(s: CaseSize) -> float:
    """The numbers of a state of [batch, time, width] at every layer."""
    return s.batch * s.length * s.width * s.depth


def _resnet(name: str, task: Callable[[CaseSize], Problem]) -> Case:
    # Of six million inputs of ReLU a few are so near to zero that rounding decides on
    # which side they are. One of the 131,072 of a last layer is worth 131072^-1/2 = 0.003
    # of its gradient: up to 0.014 in all was seen in float32; 4e-6 where there is none
    # (batch 8).
    return Case(
        name,
        "resnet",
        "He et al. 2016, arXiv:1512.03385, section 4.2",
        CaseSize(batch=32, length=32, width=16, depth=20),
        task,
        nets.resnet_weights,
        "resnet",
        parameters=lambda s: 53 * s.depth * s.width**2,
        states=lambda s: 2 * s.batch * s.length**2 * s.width * s.depth,
        tolerance=0.05,
    )


def _large(name: str, task: Callable, seconds: float, **more) -> Case:
    """A case at an accelerator's size: its sides one after the other, in bfloat16.

    The first loss is within some per cent of ours, as bfloat16 has three digits; that
    nets, gradients and updates are equal is tested in float32, at small size.
    """
    return Case(name, task=nets.large(task), tolerance=0.05, large=seconds, **more)


WIDE = CaseSize(batch=128, length=784, width=1024, depth=10)
DEEP = CaseSize(batch=128, length=784, width=128, depth=200)
CASES: Catalogue[Case] = Catalogue(
    "case",
    [
        _mlp("mlp_wide", "mlp", WIDE),
        _mlp("mlp_wide_unrolled", "mlp", WIDE, lambda s: nets.mlp(s, "unrolled")),
        _mlp("mlp_deep", "mlp", DEEP),
        _mlp("mlp_deep_unrolled", "mlp", DEEP, lambda s: nets.mlp(s, "unrolled")),
        _mlp(
            "mlp_1000",
            "deep_mlp",
            CaseSize(batch=32, length=784, width=128, depth=1000),
        ),
        Case(
            "lstm",
            "stacked_lstm",
            "Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000",
            CaseSize(batch=64, length=200, width=128, depth=1),
            nets.lstm,
            nets.lstm_weights,
            "lstm",
            parameters=lambda s: 9 * s.depth * s.width**2,
            states=lambda s: 6 * _of_sequence(s),
        ),
        Case(
            "transformer",
            "transformer_pre_ln",
            "Xiong et al. 2020, arXiv:2002.04745 (Pre-LN)",
            CaseSize(batch=16, length=128, width=128, depth=6),
            nets.transformer,
            nets.transformer_weights,
            "transformer",
            parameters=lambda s: 13 * s.depth * s.width**2,
            states=lambda s: (10 + s.length / 32) * _of_sequence(s),
        ),
        _resnet("resnet20_scan", nets.resnet),
        _resnet("resnet20_unrolled", lambda s: nets.resnet(s, "unrolled")),
        Case(
            "alexnet",
            "alexnet",
            "Krizhevsky et al. 2012; images of 227 need no zeros around them",
            CaseSize(batch=8, length=227, width=96, depth=8),
            nets.alexnet,
            nets.alexnet_weights,
            "alexnet",
            parameters=lambda s: 6800 * s.width**2,
            states=lambda s: 0.3 * s.batch * s.length**2 * s.width,
            tolerance=0.05,  # ReLU and pooling, as in ResNet-20
        ),
        _large(  # the most wanted first, in case that time runs out
            "resnet50",
            nets.resnet50,
            seconds=90,
            architecture="resnet_imagenet",
            source="He et al. 2016, arXiv:1512.03385, table 1, at 224 × 224",
            shape=CaseSize(batch=128, length=224, width=64, depth=50),
            arrange=nets.resnet_weights,
            form="resnet50",
            parameters=lambda s: 6300 * s.width**2,
            states=lambda s: 6 * s.batch * s.length**2 * s.width,
        ),
        _large(
            "decoder_2048",
            nets.decoder,
            seconds=110,
            architecture="transformer_decoder",
            source="Brown et al. 2020, arXiv:2005.14165, table 2.1: 24 × 2048, rotary",
            shape=CaseSize(batch=8, length=2048, width=2048, depth=24),
            arrange=nets.transformer_weights,
            form="decoder",
            parameters=lambda s: 12 * s.depth * s.width**2,
            states=lambda s: 10 * _of_sequence(s),
        ),
        _large(
            "lstm_1024",
            nets.lstm,
            seconds=30,
            architecture="stacked_lstm",
            source="Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000",
            shape=CaseSize(batch=64, length=200, width=1024, depth=1),
            arrange=nets.lstm_weights,
            form="lstm",
            parameters=lambda s: 9 * s.depth * s.width**2,
            states=lambda s: 6 * _of_sequence(s),
        ),
        _large(
            "alexnet_1024",
            lambda s: nets.alexnet(s, nets.CLASSES),
            seconds=70,
            architecture="alexnet",
            source="Krizhevsky et al. 2012, at 227 × 227, a batch of 1,024",
            shape=CaseSize(batch=1024, length=227, width=96, depth=8),
            arrange=nets.alexnet_weights,
            form="alexnet",
            parameters=lambda s: 6800 * s.width**2,
            states=lambda s: 0.3 * s.batch * s.length**2 * s.width,
        ),
    ],
)
