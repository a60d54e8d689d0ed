"""What is claimed of policy gradients by depth, and of linear policies that are drawn."""

from depthbench.experiments import comparisons, scores
from depthbench.research.environments import ENVIRONMENTS
from depthbench.research.study.claims import Claim
from depthbench.research.study.doubts import of_sides, of_training, upward
from depthbench.research.study.estimates import above, below, mean

MANIA = "Mania, Guy & Recht 2018, arXiv:1803.07055"
BJORCK = "Bjorck, Gomes & Weinberger 2021, arXiv:2106.01151"
PROTOCOL = (
    "actor and critic of 32 units each, 350 updates of 32 worlds × 16 steps by Adam, 3 "
    "seeds, the best of 2 or more rates by 200 further episodes, 200 test episodes; the "
    "drawn policies play an episode each, as many steps as the net in all or 4,096 "
    "policies, and the best ten 200 more"
)

AHEAD = 10.0  # more of return than this is more
NET = ("environment", "architecture", "activation", "depth")


def deeper(rows):
    """Nets of 16 layers beside those of one: by how much their return is better."""
    by = ("environment", "architecture", "activation")
    return comparisons.against({"depth": 16}, {"depth": 1}, by)(rows)


def _shallow_in(row, environment):
    """Whether a row is of a net of the least depth, of any activation, there."""
    return row["depth"] == 1 and row["environment"] == environment


def overtaken(row):
    """The doubts of a net that may come ahead: not of what has all that there is."""
    most = ENVIRONMENTS[row["environment"]].returns[1]
    return of_training(row) if row["strong"] + AHEAD < most else ""


CLAIMS = (
    Claim(
        "mania2018.linear-search-keeps-up",
        "a net with one hidden layer after the first that learns by policy gradients, of "
        "ReLU or sigmoids, returns at most 10 more than the best of the linear policies "
        "that are drawn at random and played in as many steps",
        MANIA,
        protocol=PROTOCOL,
        differs="augmented random search on MuJoCo's walkers, against TRPO and others",
        estimate=scores.gap,
        allows=below(AHEAD),
        doubt=overtaken,
        moves=upward,
        published="matches their sample efficiency",
        scope=lambda row: row["depth"] == 1,
        label=NET,
    ),
    Claim(
        "bjorck2021.deeper-nets-do-worse",
        "ReLU nets of 16 hidden layers after the first, taken for those of one as they "
        "are, return less",
        BJORCK,
        protocol=PROTOCOL,
        differs="soft actor–critic from pixels, convolutions, normalised transformers",
        estimate=scores.gap,
        allows=below(0.0),
        moves=of_sides,
        published="instabilities and poor performance",
        scope=lambda row: row["activation"] == "relu",
        label=("environment", "architecture"),
        of=deeper,
    ),
    Claim(
        "popular.policy-gradients-balance-a-pole",
        "a policy gradient balances the pole on a cart, by a net with one hidden layer "
        "after the first, of ReLU or sigmoids: a mean return of 475 or more",
        "Gymnasium's CartPole-v1: reward threshold 475",
        protocol=PROTOCOL,
        differs="100 episodes in a row of any method, with no word on its net",
        estimate=scores.score,
        allows=above(475.0),
        moves=upward,
        published="475 of 500",
        scope=lambda row: _shallow_in(row, "cartpole"),
        label=NET,
    ),
    Claim(
        "popular.policy-gradients-swing-up",
        "a policy gradient swings up the Acrobot, by a net with one hidden layer after "
        "the first, of ReLU or sigmoids: a mean return of −100 or more",
        "Gymnasium's Acrobot-v1: reward threshold −100",
        protocol=PROTOCOL,
        differs="100 episodes in a row of any method, with no word on its net",
        estimate=scores.score,
        allows=above(-100.0),
        moves=upward,
        published="−100",
        scope=lambda row: _shallow_in(row, "acrobot"),
        label=NET,
    ),
    Claim(
        "depthbench.deep-sigmoid-never-acts",
        "depthbench's own bar: sigmoid nets of 16 layers without skips return at most "
        "50 more than random actions do",
        "depthbench's own bar, a tenth of the longest episode",
        protocol=PROTOCOL,
        estimate=lambda row: mean(
            row["score"] - row["trivial"], row["score_se"], row["seeds"]
        ),
        allows=below(50.0),
        moves=upward,
        scope=lambda row: (
            row["depth"] >= 16
            and (row["activation"], row["architecture"]) == ("sigmoid", "mlp")
        ),
        label=("environment", "depth"),
    ),
)
