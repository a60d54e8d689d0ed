"""What nets that differ in one number are called together: the name without the number."""

from collections.abc import Sequence

JOINTS = ("of", "in", "from", "at")  # before a number that is left out

WORDS = {  # of nets in sentences; others are called by their catalogue's name
    "mlp": "plain",
    "residual_mlp": "residual",
    "residual_mlp_scaled": "scaled residual",
    "cnn_1d": "convolutional",
    "residual_cnn_1d_scaled": "scaled residual convolutional",
    "stacked_gru": "GRU",
    "music_transformer": "music Transformer",
    "transformer_causal": "causal Transformer",
    "relu": "ReLU",
    "gelu": "GELU",
}


def words(name: str) -> str:
    """A catalogue's name in a sentence: "residual", "ReLU", "leaky relu"."""
    return WORDS.get(name, name.replace("_", " "))


def common(names: Sequence[str], axis: str = "") -> str:
    """What names have in common, without the number they differ in and what it counts.

    axis: a word before the number, which goes with it. Nothing where a name begins with
    what differs.

    >>> common(["ReLU net of 1 layer, 4 wide", "ReLU net of 4 layers, 4 wide"])
    'ReLU net, 4 wide'
    >>> common(["GRU, lag 10", "GRU, lag 20"], "lag"), common(["GRU of 2 layers"])
    ('GRU', 'GRU of 2 layers')
    """
    first, *others = ([*name.split()] for name in dict.fromkeys(names))
    if not others:
        return names[0]
    shortest = min(len(each) for each in (first, *others))
    begin = _alike(first, others, shortest)
    turned = [each[::-1] for each in others]
    end = _alike(first[::-1], turned, shortest - begin)
    differs, after = first[begin : len(first) - end], first[len(first) - end :]
    while after and (_number(differs[-1]) or differs[-1] in ("a", "hidden")):
        differs.append(after.pop(0))  # what is counted
    before = " ".join(first[:begin])
    while (last := before.rpartition(" ")[2]) in (*JOINTS, axis) and last:
        before = before.removesuffix(last).rstrip(" ,")
    before = before.rstrip(",")
    if not before or not after:
        return before
    return f"{before}{',' * differs[-1].endswith(',')} {' '.join(after)}"


def _number(word: str) -> bool:
    return word.replace(".", "").replace(",", "").isdigit()


def _alike(first: Sequence[str], others: Sequence[Sequence[str]], most: int) -> int:
    """How many words, up to so many, all begin with."""
    for place in range(most):
        if any(each[place] != first[place] for each in others):
            return place
    return most
