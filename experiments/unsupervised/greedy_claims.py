"""What is claimed of layers that are learned one by one, and nets that are compared."""

from depthbench.experiments import comparisons
from depthbench.experiments.training import pairs
from depthbench.research.study.claims import Claim
from depthbench.research.study.doubts import after_steps, certain, of_sides
from depthbench.research.study.estimates import above

DEEP = 5
PROTOCOL = (
    "digits, 64 units a layer, 300 steps of pretraining a layer and 1,500 of the net, or "
    "as many of the net alone; 3 seeds, rates chosen on a fifth of the training part"
)


PAIR = {"label": ("optimizer", "depth"), "doubt": after_steps, "protocol": PROTOCOL}
RBM = {"start": "rbm", "activation": "sigmoid"}
BY_SGD = {"optimizer": "sgd"}
CLAIMS = (
    Claim(
        "erhan2010.pretraining-trains-depth",
        "by SGD, a sigmoid net of 5 or more hidden layers after the first is at least 5 "
        "points more accurate pretrained by machines than from the old uniform start",
        "Erhan et al. 2010, JMLR 11:625",
        estimate=pairs.gap,
        allows=above(0.05),
        moves=of_sides,
        differs="MNIST, wider layers, early stopping; fewer updates without pretraining",
        scope=lambda row: row["depth"] >= DEEP,
        of=comparisons.against(
            {**RBM, **BY_SGD}, {**RBM, **BY_SGD, "start": "uniform"}, ("depth",)
        ),
        **PAIR,
    ),
    Claim(
        "vincent2010.autoencoders-as-good",
        "a sigmoid net pretrained by denoising autoencoders is as accurate as one by "
        "machines, to 2 points",
        "Vincent et al. 2010, JMLR 11:3371",
        estimate=pairs.gap,
        allows=above(-0.02),
        moves=of_sides,
        differs="variants of MNIST, 1 to 3 layers",
        scope=lambda row: True,
        of=comparisons.against(
            {**RBM, "start": "autoencoder"}, RBM, ("depth", "optimizer")
        ),
        published="1.3 % wrong against 1.34 % (deeplearning.net's tutorials, MNIST)",
        **PAIR,
    ),
    Claim(
        "glorot2011.relu-needs-no-pretraining",
        "a ReLU net from Glorot's start, without pretraining, is as accurate as a "
        "sigmoid net pretrained by machines, to 2 points",
        "Glorot, Bordes & Bengio 2011, AISTATS",
        estimate=pairs.gap,
        allows=above(-0.02),
        moves=of_sides,
        differs="rectifier nets with and without pretraining, 3 layers, MNIST and others",
        scope=lambda row: True,
        of=comparisons.against(
            {"start": "glorot", "activation": "relu"}, RBM, ("depth", "optimizer")
        ),
        **PAIR,
    ),
    Claim(
        "depthbench.adam-replaces-pretraining",
        "depthbench's own bar: Adam from Glorot's start trains a sigmoid net as well as "
        "SGD after pretraining by machines, to 2 points",
        "depthbench",
        estimate=pairs.gap,
        allows=above(-0.02),
        moves=of_sides,
        scope=lambda row: True,
        of=comparisons.against(
            {"start": "glorot", "activation": "sigmoid", "optimizer": "adam"},
            {**RBM, **BY_SGD},
            ("depth",),
        ),
        **PAIR,
    ),
    Claim(
        "depthbench.pretraining-frees-gradient",
        "depthbench's own bar: in a sigmoid net of 5 or more hidden layers after the "
        "first, pretraining by machines leaves the first layer at least 100 times the "
        "gradient that the old uniform start does",
        "depthbench",
        estimate=pairs.gap,
        allows=above(2.0),
        scope=lambda row: row["depth"] >= DEEP,
        of=comparisons.against(
            {**RBM, **BY_SGD},
            {**RBM, **BY_SGD, "start": "uniform"},
            ("depth",),
            of="gradient",
        ),
        **{**PAIR, "doubt": certain},
    ),
)
