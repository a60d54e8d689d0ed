"""Sentences and their translations: number words in many languages, and software's texts.

Numbers are written out by `num2words` (LGPL), which is asked when a study runs. Texts of
software are read from the .po files of a package that the user has installed: Django's
(BSD) or plone.app.locales' (GPL). Nothing of either is kept here.

>>> words("ninety-eight thousand, seven")
('ninety', 'eight', 'thousand', 'seven')
"""

import functools
import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.catalogues.packages import install, need

Sentence = tuple[str, ...]
DIGITS = 9  # numbers are below 10⁹
VANISH = (0.0, 0.0, 0.3, 0.6, 0.9)  # chances of a digit to be 0: so lengths differ
LANGUAGES = {  # whose number words are written apart
    "cy": "Welsh",
    "es": "Spanish",
    "fr": "French",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "vi": "Vietnamese",
}
PACKAGES = {
    # the module, the folder in it, and the files of a language below that
    "django": ("django", "", "locale/{}/LC_MESSAGES/django.po"),
    "plone": ("plone", "app/locales/locales", "{}/LC_MESSAGES/plone.po"),
}
LONGEST = 12  # words of a text; few are longer
FIELD = re.compile(r"%\(\w+\)\w|%[\w%]|\$?\{\w+\}|<[^>]*>")
TOKEN = re.compile(r"\{\}|\w+|[^\w\s]")


class Pair(NamedTuple):
    """A sentence and its translation, as words."""

    source: Sentence
    target: Sentence


class Parallel(NamedTuple):
    """Pairs to learn from, to choose by and to judge by; no source is in two of them."""

    train: list[Pair]
    valid: list[Pair]
    test: list[Pair]


def words(text: str) -> Sentence:
    """Number words, hyphens and commas left out."""
    return tuple(re.sub(r"[-,]", " ", text.lower()).split())


@functools.lru_cache(maxsize=8)
def numbers(language: str, train: int, held: int) -> Parallel:
    """Numbers below 10⁹ in English and another language, lengths in balance.

    train: pairs to learn from. held: pairs of each of the other parts. There are as many
    of each length in English as of any other, but for the shortest, of which there are
    not so many numbers.
    Raises DataError where num2words is not installed, or there are not so many numbers.
    """
    need("number words", "num2words")
    from num2words import num2words

    count = train + 2 * held
    random = np.random.RandomState(0)
    by_length: dict[int, list[tuple[int, Sentence]]] = {}
    for number in _drawn(random, 5 * count):
        english = words(num2words(int(number), lang="en"))
        by_length.setdefault(len(english), []).append((int(number), english))
    chosen = _balanced(list(by_length.values()), count)
    if len(chosen) < count:
        raise DataError(f"{count} pairs of number words; there are {len(chosen)}")
    pairs = [
        Pair(english, words(num2words(number, lang=language)))
        for number, english in chosen
    ]
    return divided([pairs[n] for n in random.permutation(count)], held)


def _drawn(random: np.random.RandomState, count: int) -> np.ndarray:
    """Different numbers, in no order."""
    digits = random.randint(0, 10, (count, DIGITS))
    length = random.randint(1, DIGITS + 1, (count, 1))
    kept = random.random_sample((count, DIGITS)) >= random.choice(VANISH, (count, 1))
    digits = digits * kept * (np.arange(DIGITS) < length)
    return random.permutation(np.unique(digits @ 10 ** np.arange(DIGITS)))


def _balanced(groups: list, count: int) -> list:
    """So many of all groups' elements, of each as many as can be."""
    chosen: list = []
    for place, group in enumerate(sorted(groups, key=len)):
        share = -(-(count - len(chosen)) // (len(groups) - place))
        chosen += group[: min(share, count - len(chosen))]
    return chosen


def divided(pairs: list[Pair], held: int) -> Parallel:
    """The first two parts of so many are held out."""
    return Parallel(pairs[2 * held :], pairs[held : 2 * held], pairs[:held])


# ------------------------------------------------------------------ texts of software


@functools.lru_cache(maxsize=8)
def software(package: str, language: str, train: int, held: int) -> Parallel:
    """Texts of a package's user interface in English and another language.

    Raises DataError where the package is not installed, or has not so many texts.
    """
    texts = [messages(path.read_text("utf-8")) for path in files(package, language)]
    cut = (_cut(each) for file in texts for each in file)
    fits = {
        pair.source: pair for pair in cut if all(0 < len(s) <= LONGEST for s in pair)
    }
    pairs = sorted(fits.values())
    if len(pairs) < 4 * held:
        raise DataError(
            f"{package}: has {len(pairs)} short texts in {language}; to hold out twice "
            f"{held} of them there must be {4 * held}"
        )
    order = np.random.RandomState(0).permutation(len(pairs))
    return divided([pairs[n] for n in order[: train + 2 * held]], held)


def files(package: str, language: str) -> list[Path]:
    """A package's .po files in a language; it is found and not imported.

    Raises DataError where there are none.
    """
    module, folder, file = PACKAGES[package]
    found = importlib.util.find_spec(module)
    roots = [] if found is None else list(found.submodule_search_locations or ())
    name = file.format(language)
    paths = [path for root in roots for path in (Path(root) / folder).rglob(name)]
    if not paths:
        raise DataError(
            f"{package}: no {name} is installed: {install(package)} brings some languages"
        )
    return sorted(paths)


def _cut(texts: tuple[str, str]) -> Pair:
    """Both as lower-case words and marks; whatever is filled in is "{}"."""
    source, target = (tuple(TOKEN.findall(FIELD.sub("{}", t).lower())) for t in texts)
    return Pair(source, target)


def messages(text: str) -> list[tuple[str, str]]:
    """(original, translation) of a .po file; those that are fuzzy or plural are left out.

    >>> messages('#, fuzzy\\nmsgid "a"\\nmsgstr "b"\\n\\nmsgid "yes"\\nmsgstr ""\\n"oui"')
    [('yes', 'oui')]
    """
    found = []
    for block in re.split(r"\n\s*\n", text):
        if re.search(r"^#,.*fuzzy|^msgid_plural", block, re.M):
            continue
        default = re.search(r'^#\. Default: "(.*)"$', block, re.M)
        parts = dict(re.findall(r'^(msgid|msgstr) ((?:"[^\n]*"\n?)+)', block, re.M))
        if {"msgid", "msgstr"} <= set(parts):
            both = [_joined(parts[name]) for name in ("msgid", "msgstr")]
            if default:  # Plone's identifiers are no texts: the original is a comment
                both[0] = _plain(default[1])
            if all(both):
                found.append((both[0], both[1]))
    return found


def _joined(lines: str) -> str:
    return "".join(_plain(line) for line in re.findall(r'^"(.*)"$', lines, re.M))


def _plain(text: str) -> str:
    return text.replace(r"\"", '"').replace(r"\n", " ").replace(r"\\", "\\")
