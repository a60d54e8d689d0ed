"""Sentences, and whether they speak well or badly of something.

`vader:films`, `vader:tweets`, `vader:products`, `vader:news`: sentences that Hutto &
Gilbert (2014, ICWSM, "VADER: a parsimonious rule-based model for sentiment analysis of
social media text") had rated by twenty people each, from −4 to 4. They are read where
their user has put them, and are no part of this project: the source archive of
vaderSentiment 3.3.2 (MIT licence) holds them. A sentence is good if its mean rating is
above 0, bad if it is below.

`opinions`: sentences of a generator, for those who have no others. A clause says that a
thing is good or bad, more or less, or that it is not; after "but" a clause counts twice.
A word's presence alone does not tell.
"""

import functools
import io
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from depthbench.research.datasets.contract import Data, DataError, Dataset, Splits

PREFIX = "vader:"
FILES = {
    "films": "movieReviewSnippets",
    "tweets": "tweets",
    "products": "amazonReviewSnippets",
    "news": "nytEditorialSnippets",
}
INNER = "hutto_ICWSM_2014.tar.gz"
GET = "pip download --no-deps --no-binary :all: vaderSentiment==3.3.2"
LONG, MOST = 32, 3000  # words that are read of a sentence; words that are known
NOTHING, UNKNOWN = 0, 1  # the numbers of no word, and of one that is not known
WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|[!?]|[:;]-?[()dp]")

# Of the generator: what is spoken of, and what is said of it.
THINGS = "film plot cast food room staff book phone screen sound price view".split()
GOOD = "good fine lovely great superb clever warm bright".split()
BAD = "bad poor dull awful weak cold ugly slow".split()
DEGREES = {"slightly": 0.5, "rather": 1.0, "very": 2.0}
NEGATIONS = ("not", "never", "hardly")
MADE = 4000


class Sentences(NamedTuple):
    """Texts, and for each 1 where it is good, 0 where it is bad."""

    texts: tuple[str, ...]
    good: np.ndarray


class DividedSentences(NamedTuple):
    """Sentences to learn from and to judge by, and the words that are known."""

    train: Sentences
    test: Sentences
    words: tuple[str, ...]

    def numbers(self, texts: Iterable[str]) -> np.ndarray:
        """Words as numbers [texts, LONG]; NOTHING fills what is shorter."""
        place = {word: n for n, word in enumerate(self.words)}
        every = [[place.get(w, UNKNOWN) for w in split(t)[:LONG]] for t in texts]
        tokens = np.full((len(every), LONG), NOTHING, np.int32)
        for row, known in zip(tokens, every, strict=True):
            row[: len(known)] = known
        return tokens


def split(text: str) -> list[str]:
    """The words of a text in small letters, with what stands for a tone of voice.

    >>> split("Not GOOD, isn't it? :)")
    ['not', 'good', "isn't", 'it', '?', ':)']
    """
    return WORD.findall(text.lower())


def find(name: str, data_dir: str | PathLike[str] | None) -> Dataset:
    """The declaration of vader:NAME. Raises DataError for another, or without a folder."""
    if name.removeprefix(PREFIX) not in FILES:
        known = ", ".join(PREFIX + one for one in FILES)
        raise DataError(f"{name}: must be one of {known}")
    return Dataset(
        name,
        "opinions:load",
        (LONG, MOST),
        2,
        "Hutto & Gilbert 2014, ICWSM: sentences that people rated",
        stored="int32",
        arguments=(name, None if data_dir is None else str(data_dir)),
    )


def load(name: str = "opinions", data_dir: str | None = None) -> Splits:
    """x: [sentences, 32] numbers of words. y: 1 where a sentence is good.

    Raises DataError where the sentences are not there, with how they are got.
    """
    read = parts(name, data_dir)
    return Splits(
        *(
            Data(read.numbers(part.texts), part.good.astype(np.int32), 2)
            for part in (read.train, read.test)
        )
    )


@functools.lru_cache(maxsize=4)
def parts(name: str, data_dir: str | None = None) -> DividedSentences:
    """The sentences themselves; always the same fifth of them is to judge by.

    The words that are known are the commonest of those to learn from. Raises DataError.
    """
    whole = made() if name == "opinions" else rated(name, data_dir)
    order = np.random.RandomState(0).permutation(len(whole.texts))
    edge = len(order) * 4 // 5
    train, test = (
        Sentences(tuple(whole.texts[n] for n in part), whole.good[part])
        for part in (order[:edge], order[edge:])
    )
    counts = Counter(word for text in train.texts for word in split(text))
    known = sorted(counts, key=lambda word: (-counts[word], word))[: MOST - 2]
    return DividedSentences(train, test, ("", "?unknown?", *known))


def rated(name: str, data_dir: str | None) -> Sentences:
    """Rated sentences, each once, without those of rating 0. Raises DataError."""
    file = f"{FILES[name.removeprefix(PREFIX)]}_GroundTruth.txt"
    if data_dir is None:
        raise DataError(f"{name}: needs --data-dir FOLDER, where this put it: {GET}")
    lines = _content(name, Path(data_dir), file).decode("utf-8").splitlines()
    ratings: dict[str, float] = {}
    for number, line in enumerate(filter(None, lines), start=1):
        try:
            _, rating, text = line.split("\t")
            ratings.setdefault(text.strip(), float(rating))
        except ValueError:
            raise DataError(
                f"{name}: line {number} of {file} is no number, rating and text"
            ) from None
    kept = {text: rating for text, rating in ratings.items() if rating}
    return Sentences(tuple(kept), np.array([rating > 0 for rating in kept.values()]))


def _content(name: str, folder: Path, file: str) -> bytes:
    """A file in a folder, in one below it, or in an archive that lies there."""
    for path in (folder / file, *sorted(folder.glob(f"*/{file}"))):
        if path.is_file():
            return path.read_bytes()
    archives = [folder / INNER, *sorted(folder.glob("vaderSentiment-*.tar.gz"))]
    for path in filter(Path.is_file, archives):
        try:
            inner = path.read_bytes()
            if path.name != INNER:
                inner = _member(inner, INNER)
            return _member(inner, file)
        except (tarfile.TarError, KeyError, OSError, EOFError) as error:
            raise DataError(f"{name}: {path} cannot be read ({error})") from None
    raise DataError(f"{name}: {folder} has neither {file} nor its archive: {GET}")


def _member(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        for member in opened:
            if member.isfile() and Path(member.name).name == name:
                found = opened.extractfile(member)
                assert found is not None
                return found.read()
    raise KeyError(f"there is no {name} in it")


# ----------------------------------------------------------------------- the generator


def made(count: int = MADE) -> Sentences:
    """Sentences of one to three clauses, each once, as many good as bad."""
    random = np.random.RandomState(0)
    kept: dict[str, bool] = {}
    wanted = {True: count // 2, False: count - count // 2}
    while len(kept) < count:
        text, worth = _sentence(random)
        good = worth > 0
        if worth and text not in kept and wanted[good]:
            kept[text] = good
            wanted[good] -= 1
    return Sentences(tuple(kept), np.array(list(kept.values())))


def _sentence(random: np.random.RandomState) -> tuple[str, float]:
    """(a sentence, how good it is: below 0 where it is bad)."""
    text, worth = _clause(random)
    for _ in range(random.randint(0, 3)):
        more, own = _clause(random)
        but = random.randint(0, 2)
        text, worth = (
            f"{text} {'but' if but else 'and'} {more}",
            worth + own * (1 + but),
        )
    return text, worth


def _clause(random: np.random.RandomState) -> tuple[str, float]:
    thing = _one(random, THINGS)
    good = random.randint(0, 2)
    worth = 1.0 if good else -1.0
    said = [_one(random, GOOD if good else BAD)]
    if random.randint(0, 2):
        degree = _one(random, tuple(DEGREES))
        said, worth = [degree, *said], worth * DEGREES[degree]
    if random.randint(0, 5) < 2:
        said, worth = [_one(random, NEGATIONS), *said], -0.75 * worth
    return f"the {thing} was {' '.join(said)}", worth


def _one(random: np.random.RandomState, words: Sequence[str]) -> str:
    return words[random.randint(0, len(words))]
