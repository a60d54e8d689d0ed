"""What is claimed of nets that learn a game by playing themselves, by depth and skips."""

from depthbench.experiments import comparisons, scores
from depthbench.research.study import doubts
from depthbench.research.study.claims import Claim
from depthbench.research.study.estimates import above, mean

SILVER = "Silver et al. 2017, Nature 550:354"
PROTOCOL = (
    "4 × 5 cells, lines of 4, dense nets of 64 units, 32 steps of 64 games against itself "
    "at 16 simulations a move and 24 updates, 3 seeds, the best of 2 or more rates, 128 "
    "test games a seed from the same 64 openings of four moves, by which no rate was chosen"
)


def named_more(row):
    """By how much more forced wins the policy names than pure search finds."""
    of_seeds, of_tests = row["wins_named_se"], row["more_named_test_se"]
    return mean(row["more_named"], of_seeds, row["seeds"], of_tests)


CLAIMS = (
    Claim(
        "silver2017.self-play-beats-pure-search",
        "search by a net of any depth that has only played itself scores more than half "
        "against search with as many simulations that plays random games",
        SILVER,
        protocol=PROTOCOL,
        differs="Go, convolutional nets, days of play; rivals with handmade parts",
        estimate=scores.gap,
        allows=above(0.0),
        scope=lambda row: True,
        label=("board", "architecture", "depth"),
        doubt=doubts.after_steps,
    ),
    Claim(
        "silver2017.residual-nets-play-better",
        "a net of 16 layers plays better with skips than without",
        f"{SILVER}, as Cazenave 2020, arXiv:2008.10080, has it: 600 Elo",
        protocol=PROTOCOL,
        differs="Go; convolutions with batch norm, and ratings of whole programs",
        published="600 Elo",
        estimate=scores.gap,
        allows=above(0.0),
        scope=lambda row: row["depth"] == 16,
        label=("board", "depth"),
        of=comparisons.against(
            {"architecture": "residual_mlp_scaled"},
            {"architecture": "mlp"},
            ("board", "activation", "depth"),
        ),
        doubt=doubts.after_steps,
    ),
    Claim(
        "cazenave2021.deeper-plays-better",
        "a residual net of 16 layers plays better than one of a single layer",
        "Cazenave 2021, arXiv:2102.03467: the standard is to go deeper",
        protocol=PROTOCOL,
        differs="Go, mobile and residual convolutional nets",
        estimate=scores.gap,
        allows=above(0.0),
        scope=lambda row: row["architecture"] == "residual_mlp_scaled",
        label=("board", "architecture"),
        of=comparisons.against(
            {"depth": 16}, {"depth": 1}, ("board", "architecture", "activation")
        ),
        doubt=doubts.after_steps,
    ),
    Claim(
        "depthbench.nets-name-forced-wins",
        "depthbench's own bar: without any search the policy of a net of any depth names "
        "a move that forces a win within three plies more often than pure search finds "
        "one",
        "depthbench's own bar",
        protocol=f"{PROTOCOL}; 104 positions whose forced wins are known",
        estimate=named_more,
        allows=above(0.0),
        scope=lambda row: True,
        label=("board", "architecture", "depth"),
        doubt=doubts.after_steps,
    ),
)
