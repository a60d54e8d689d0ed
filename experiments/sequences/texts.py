"""Texts that nets and n-gram models learn to go on with: windows of symbols, in parts."""

import functools
from typing import NamedTuple

from depthbench.research.datasets import find
from depthbench.research.lazy import lazily
from depthbench.research.study.errors import Refusal

with lazily():
    import jax
    import numpy as np

    from depthbench.research.datasets import corpus, sequences

LONG = 64  # symbols that a net reads, at each of which it is asked for the next
FIRST = 17  # symbols before the first that is judged: more than any n-gram reads
VALID, TEST = 512, 1024  # windows that settings are chosen by, and that are judged


class Texts(NamedTuple):
    """Windows [windows, 1 + LONG] of symbols, and how many symbols there are."""

    train: "np.ndarray"
    valid: "np.ndarray"
    test: "np.ndarray"
    symbols: int
    of_test: "np.ndarray"  # which text each window of the test is of [windows]


@functools.lru_cache(maxsize=2)
def every(name):
    """All windows of a set, (train, test, symbols), one after the other in its order."""
    dataset = find(name)
    train, test = (_cut(part) for part in dataset.split())
    return train, test, dataset.classes


def _cut(data):
    """Windows [windows, 1 + LONG]; each begins with the one before's last symbol."""
    whole = np.concatenate([data.x, data.y[:, -1:]], axis=1)
    starts = range(0, whole.shape[1] - LONG, LONG)
    return np.stack([whole[:, s : s + LONG + 1] for s in starts], 1).reshape(
        -1, LONG + 1
    )


@functools.lru_cache(maxsize=2)
def parts(name, count):
    """`count` windows to learn from, evenly of the first four fifths of the training
    part; its last fifth, other modules of a library, is what settings are chosen by."""
    train, test, symbols = every(name)
    # Walks do not go on: one begins with the last symbol of the one before by chance.
    of_test = np.arange(len(test)) if name == "grammar" else _texts(test)
    edge = _edge(train)
    return Texts(
        _evenly(train[:edge], count),
        _evenly(train[edge:], VALID),
        _evenly(test, TEST),
        symbols,
        _evenly(of_test, TEST),
    )


def _texts(windows):
    """The number of the text that each window is of: one begins where a window does not
    begin with the last symbol of the one before [windows]."""
    return np.append(0, np.cumsum(windows[1:, 0] != windows[:-1, -1]))


def _edge(windows):
    """The first place from four fifths on where a text begins: where a window does not
    with the last symbol of the one before. Four fifths if the next tenth has none."""
    low, high = len(windows) * 4 // 5, len(windows) * 9 // 10
    begins = windows[low:high, 0] != windows[low - 1 : high - 1, -1]
    return low + int(begins.argmax())  # of none that is true, the first


def _evenly(windows, count):
    places = np.linspace(0, len(windows) - 1, min(count, len(windows)))
    return windows[places.astype(int)]


def refuse_more(cells):
    """Raises Refusal where more windows are asked for than a text has."""
    for name, count in {(cell["dataset"], cell["windows"]) for cell in cells}:
        most = len(every(name)[0]) * 4 // 5
        if count > most:
            raise Refusal(f"--windows {count}: {name} has {most} to learn from")


def batch(windows, symbols):
    """As a net is trained and asked: one vector a symbol, and the next symbol."""
    ones = np.eye(symbols, dtype=np.float32)[windows[:, :-1]]
    return {"inputs": ones, "targets": np.asarray(windows[:, 1:], np.int32)}


@functools.cache
def drawn(size, symbols):
    """Batches drawn from all windows, {"windows": [windows, 1 + LONG]}, as vectors."""

    def feeds(data, first):
        windows = data["windows"]

        def feed(key, step):
            chosen = windows[jax.random.randint(key, (size,), 0, len(windows))]
            ones = jax.nn.one_hot(chosen[:, :-1], symbols)
            return {"inputs": ones, "targets": chosen[:, 1:]}

        return feed

    return feeds


# ---------------------------------------------------------------------- what is written


def allowed(before, after):
    """The share of the grammar's graph's symbols that it allows where they are drawn.

    before: [count, symbols] from its first state. A symbol that it does not allow leaves
    the state as it was.
    """
    right = 0
    for start, rest in zip(before, after, strict=True):
        state = 0
        for place, token in enumerate((*start, *rest)):
            ways = {
                sequences.TOKENS.index(name): to for name, to in sequences.WAYS[state]
            }
            state = ways.get(int(token), state)
            right += place >= len(start) and int(token) in ways
    return right / after.size


def surprise(walks):
    """Nats of every symbol to whoever knows the grammar's graph [walks, symbols].

    walks: [walks, symbols], whole ones from its first state. Raises KeyError for a symbol
    that the graph does not allow.
    """
    nats = -np.log([sequences.FIRST_WAY, 1 - sequences.FIRST_WAY])
    found = np.empty(walks.shape)
    for walk, row in zip(walks, found, strict=True):
        state = 0
        for place, token in enumerate(walk):
            ways = {
                sequences.TOKENS.index(name): (lost, to)
                for lost, (name, to) in zip(nats, sequences.WAYS[state], strict=True)
            }
            row[place], state = ways[int(token)]
    return found


def written(tokens):
    """The text that numbers of the library's characters are."""
    return "".join((corpus.CHARACTERS + "\N{REPLACEMENT CHARACTER}")[n] for n in tokens)


@functools.lru_cache(maxsize=2)
def words(count):
    """The words of three letters or more in what is learned from."""
    train = parts("stdlib", count).train
    return frozenset(word for window in train for word in _words(written(window)))


def known(after, count):
    """The share of words of three letters or more that are in what was learned from."""
    found = [word for tokens in after for word in _words(written(tokens))]
    return sum(word in words(count) for word in found) / max(1, len(found))


def _words(text):
    """Words but for the first and the last, which may be cut."""
    letters = "".join(c if c.isalpha() else " " for c in text)
    inner = letters.strip(" ") if letters[:1] == " " else letters.partition(" ")[2]
    whole = inner.rpartition(" ")[0]
    return [word for word in whole.split() if len(word) > 2]
