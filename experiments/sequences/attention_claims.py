"""What is claimed of translators with and without attention."""

from depthbench.experiments import scores
from depthbench.experiments.comparisons import against
from depthbench.experiments.sequences.translated import LONG, SHORT
from depthbench.research.study.claims import Claim
from depthbench.research.study.doubts import of_sides, upward
from depthbench.research.study.estimates import above, below, mean_of

PROTOCOL = (
    "numbers below 10⁹ in words from English, 4,000 pairs with lengths in balance, 32 "
    "units, 850 steps of 32 by Adam, a quarter to warm up, gradients clipped to 1, 3 "
    "seeds, the first seed's best of 3 or more rates by 300 other pairs; with attention "
    "GRUs read the source both ways, without it one way"
)
PLAIN, LOOKING = {"architecture": "seq2seq"}, {"architecture": "seq2seq_attention"}
SOFTWARE = (
    "texts of Plone's interface from English, up to 12 words, about 1,700 pairs, 32 units, "
    "850 steps of 32 by Adam, a quarter to warm up, gradients clipped to 1, 3 seeds, the "
    "first seed's best of 3 or more rates by 300 other pairs"
)
BY = ("corpus", "language", "depth")


def better(of, one=LOOKING, other=PLAIN, higher=True):
    """From rows to pairs: by how much a column is better in one than in the other."""
    return against(one, other, BY, of, higher)


def numbers(row):
    """Of number words, whose lengths are in balance."""
    return row["corpus"] == "numbers"


def software(row):
    """Of texts that people wrote."""
    return not numbers(row)


CLAIMS = (
    Claim(
        "bahdanau2015.vector-is-bottleneck",
        f"without attention a translator loses more of what it says exactly from sentences "
        f"of up to {SHORT} words to those of {LONG} or more than with it",
        "Bahdanau, Cho & Bengio 2015, arXiv:1409.0473, abstract",
        estimate=mean_of("gap"),
        allows=above(0.0),
        protocol=PROTOCOL,
        differs="English and French sentences, 1,000 units, BLEU",
        published="the fixed-length vector is conjectured to be a bottleneck",
        scope=numbers,
        label=("language", "depth"),
        of=better("fall", higher=False),
    ),
    Claim(
        "bahdanau2015.long-is-no-worse",
        f"with attention, sentences of {LONG} words or more are said exactly as often as "
        f"those of up to {SHORT}, to 5 points",
        "Bahdanau, Cho & Bengio 2015, arXiv:1409.0473, section 5.1",
        estimate=mean_of("fall"),
        allows=below(0.05),
        protocol=PROTOCOL,
        differs="BLEU, of sentences of 50 words and more, with nets that had seen such "
        "long ones",
        published="more robust to the length; of the net trained on up to 50 words no "
        "deterioration even at 50 or more",
        scope=lambda row: numbers(row) and row["architecture"] == "seq2seq_attention",
        label=("language", "depth"),
    ),
    Claim(
        "cho2014.degrades-with-length",
        f"without attention sentences of {LONG} words or more are said exactly less often "
        f"than those of up to {SHORT}, by more than 10 points",
        "Cho et al. 2014, arXiv:1409.1259, abstract",
        estimate=mean_of("fall"),
        allows=above(0.1),
        protocol=PROTOCOL,
        differs="English and French sentences, one layer, BLEU",
        published="performance degrades rapidly as the length increases",
        scope=lambda row: numbers(row) and row["architecture"] == "seq2seq",
        label=("language", "depth"),
    ),
    Claim(
        "bahdanau2015.attention-translates-better",
        "a GRU with attention says more sentences exactly than one without",
        "Bahdanau, Cho & Bengio 2015, arXiv:1409.0473, table 1",
        estimate=mean_of("gap"),
        allows=above(0.0),
        moves=of_sides,
        protocol=PROTOCOL,
        differs="English and French sentences, 1,000 units, BLEU",
        published="26.75 against 17.82 of nets trained on up to 50 words",
        scope=numbers,
        label=("language", "depth"),
        of=better("score"),
    ),
    Claim(
        "bahdanau2015.attention-on-software",
        "a GRU with attention says more texts of software exactly than one without",
        "Bahdanau, Cho & Bengio 2015, arXiv:1409.0473, table 1",
        estimate=mean_of("gap"),
        allows=above(0.0),
        moves=of_sides,
        protocol=SOFTWARE,
        differs="English and French sentences, 1,000 units, BLEU",
        published="26.75 against 17.82 of nets trained on up to 50 words",
        scope=software,
        label=BY,
        of=better("score"),
    ),
    Claim(
        "koehn2017.few-pairs-suit-phrases",
        "after fewer than 2,000 pairs of software's texts a net says fewer others exactly "
        "than a phrase table does",
        "Koehn & Knowles 2017, arXiv:1706.03872",
        estimate=scores.gap,
        allows=below(0.0),
        moves=upward,
        protocol=SOFTWARE,
        differs="sentences of other fields, larger nets, BLEU",
        published="a steeper learning curve, worse quality in low-resource settings",
        scope=software,
        label=("corpus", "architecture", "language", "depth"),
    ),
)
