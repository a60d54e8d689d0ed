"""Translation by a trained encoder-decoder: sentences as arrays, and how nets are asked.

>>> pairs = [Pair(("one", "two"), ("un", "deux"))]
>>> code = coded(pairs, pairs)
>>> code.arrays(pairs)["inputs"]  # the source from the right, the target after a start
array([[4, 5, 1, 5, 4]], dtype=int32)
>>> code.arrays(pairs)["targets"]  # which ends; a -1 would not be asked
array([[5, 4, 2]], dtype=int32)
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from depthbench.research.architectures import contract, sentences
from depthbench.research.architectures.contract import Variables
from depthbench.research.architectures.walk import fold
from depthbench.research.catalogues.losses import NOT_ASKED
from depthbench.research.datasets.translations import Pair, Sentence
from depthbench.research.learning.fits import FittedNet, Net
from depthbench.research.learning.recipe import Recipe
from depthbench.research.learning.supervised import Task
from depthbench.research.machine import compiled

PAD, START, END, UNKNOWN = range(4)  # before all words
SPECIAL = ("", "<s>", "</s>", "<unk>")
WORTH = 2  # times that a word is seen in training, so that it has a number
NEVER = -1e9  # the logarithm of no chance at all


class Code(NamedTuple):
    """Words' numbers in both languages, and how many steps a sentence has at most."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    steps: tuple[int, int]

    def task(self) -> Task:
        """What a net is asked: the next word of the target at each of its steps."""
        words = len(self.source), len(self.target)
        change = sentences.reader(self.steps[0], words)
        return Task((sum(self.steps),), words[1], "tokens", change)

    def arrays(self, pairs: Sequence[Pair]) -> dict[str, np.ndarray]:
        """inputs [pairs, steps], source and target so far; targets [pairs, of target]."""
        known = [{w: n for n, w in enumerate(words)} for words in self[:2]]
        before, after = self.steps
        inputs = np.full((len(pairs), before + after), PAD, np.int32)
        targets = np.full((len(pairs), after), NOT_ASKED, np.int32)
        for row, pair in enumerate(pairs):
            read, said = (
                [words.get(word, UNKNOWN) for word in sentence]
                for words, sentence in zip(known, pair, strict=True)
            )
            inputs[row, before - len(read) : before] = read
            inputs[row, before : before + len(said) + 1] = [START, *said]
            targets[row, : len(said) + 1] = [*said, END]
        return {"inputs": inputs, "targets": targets}

    def sentences(self, said: np.ndarray) -> list[Sentence]:
        """The targets' words [pairs, steps], up to the end of each."""
        return [tuple(self.target[n] for n in row[: _length(row)]) for row in said]


def _length(row: np.ndarray) -> int:
    ends = np.flatnonzero(row == END)
    return int(ends[0]) if len(ends) else len(row)


def coded(train: Iterable[Pair], every: Iterable[Pair], worth: int = 1) -> Code:
    """The code of words seen so often in training, for the longest of all sentences."""
    train, every = list(train), list(every)
    steps = [max(len(pair[side]) for pair in every) for side in (0, 1)]
    known = []
    for side in (0, 1):
        counts: dict[str, int] = {}
        for pair in train:
            for word in pair[side]:
                counts[word] = counts.get(word, 0) + 1
        known.append((*SPECIAL, *sorted(w for w, n in counts.items() if n >= worth)))
    return Code(known[0], known[1], (steps[0], steps[1] + 1))


def net(code: Code, recipe: Recipe) -> Net:
    """The net of a recipe, one of `sentences.READ`, that translates."""
    return Net(recipe, code.task())


# ---------------------------------------------------------------------- how it is asked


def exactly(fit: FittedNet, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Whether each pair's translation is said word for word [pairs], greedily.

    Of the true words so far the next one has to be the likeliest at every step: then
    they are the words that greedy decoding has said. A word without a number is never
    said, whatever a net gives for all of them.
    """
    targets = arrays["targets"]
    right = fit.outputs(arrays["inputs"]).argmax(axis=-1) == targets
    right &= targets != UNKNOWN
    return np.all(right | (targets == NOT_ASKED), axis=1)


def said(fit: FittedNet, code: Code, inputs: Any, beam: int = 1) -> np.ndarray:
    """The likeliest words [pairs, steps] of sources that a search of so many finds."""
    run = _search(fit.net, code.steps, beam)
    source = np.asarray(inputs)[:, : code.steps[0]]
    return np.asarray(jax.device_get(run(fit.variables, source)))


@functools.lru_cache(maxsize=32)
def _search(net: Net, steps: tuple[int, int], beam: int) -> Any:
    """(variables, source [pairs, steps]) -> words [pairs, steps of the target], jitted.

    Beam search: of all continuations of so many beginnings the likeliest so many are
    kept; those that have ended stay as they are. The decoder reads all words so far at
    every step anew, so that any decoder will do.
    """
    architecture, last = net.parts.net, steps[1]

    @functools.partial(jax.jit, compiler_options=compiled.lightly())
    def search(variables, source):
        memory = _encoded(architecture, variables, source, last)
        memory = jnp.repeat(memory, beam, axis=0)
        source = jnp.repeat(source, beam, axis=0)
        pairs = len(source) // beam

        def following(words, step):
            x = jnp.concatenate([source, words.reshape(-1, last)], axis=1)
            logits = _next(architecture, variables, x, memory, step)
            chances = jax.nn.log_softmax(logits.astype(jnp.float32))
            return chances.reshape(pairs, beam, -1)

        def one(kept, step):
            words, score, ended = kept
            chances = following(words, step)
            stay = jnp.where(jnp.arange(chances.shape[-1]) == END, 0.0, NEVER)
            chances = jnp.where(ended[..., None], stay[None, None], chances)
            every = (score[..., None] + chances).reshape(pairs, -1)
            score, place = jax.lax.top_k(every, beam)
            parent, word = jnp.divmod(place, chances.shape[-1])
            words = jnp.take_along_axis(words, parent[..., None], axis=1)
            ended = jnp.take_along_axis(ended, parent, axis=1) | (word == END)
            room = jnp.arange(last) == step + 1  # what is said is read one step late
            words = jnp.where(room[None, None], word[..., None], words)
            return (words, score, ended), word[:, 0]

        words = jnp.full((pairs, beam, last), PAD).at[:, :, 0].set(START)
        score = jnp.full((pairs, beam), NEVER).at[:, 0].set(0.0)
        ended = jnp.zeros((pairs, beam), bool)
        (words, _, _), ends = jax.lax.scan(
            one, (words, score, ended), jnp.arange(last, dtype=jnp.int32)
        )
        return jnp.concatenate([words[:, 0, 1:], ends[-1][:, None]], axis=1)

    return search


def _parts(architecture: Any, variables: Variables) -> tuple[Any, list, list]:
    stem, encoder, *rest = contract.links(architecture, variables, train=False)
    return stem, [encoder], rest


def _encoded(architecture: Any, variables: Variables, source: Any, last: int) -> Any:
    """The memory [pairs, steps, width] of sources."""
    stem, encoder, _ = _parts(architecture, variables)
    x = jnp.pad(source, ((0, 0), (0, last)))
    return fold([stem, *encoder], x)[0]["memory"]


def _next(architecture: Any, variables: Variables, x: Any, memory: Any, step: Any):
    """What is said of the word after a step [pairs, words]."""
    stem, _, (decoder, head) = _parts(architecture, variables)
    target = fold([stem], x)[0]["target"]
    state = fold([decoder], {"memory": memory, "target": target})[0]
    at = jax.lax.dynamic_slice_in_dim(state["target"], step, 1, axis=1)
    return fold([head], {**state, "target": at})[0][:, 0]


def reach(net: Net, variables: Variables, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """‖∂ loss of the first target word / ∂ vector of each source word‖ [pairs, steps]."""
    assert net.task.shape[0] > arrays["targets"].shape[1]
    run = _reaching(net)
    return np.asarray(run(variables, arrays["inputs"], arrays["targets"][:, 0]))


@functools.lru_cache(maxsize=64)
def _reaching(net: Net) -> Callable:
    """(variables, sources [pairs, …], first words [pairs]) -> what `reach` gives: one
    program for all seeds."""
    architecture = net.parts.net

    @functools.partial(jax.jit, compiler_options=compiled.lightly(0))
    def run(variables, sources, firsts):
        stem, encoder, rest = _parts(architecture, variables)

        def loss(memory, state, first):
            logits = fold([*encoder, *rest], {**state, "memory": memory})[0][0, 0]
            return -jax.nn.log_softmax(logits)[first]

        def one(x, first):
            state = fold([stem], x[None])[0]
            slope = jax.grad(loss)(state["memory"], state, first)
            return jnp.linalg.norm(slope[0], axis=-1)

        return jax.vmap(one)(sources, firsts)

    return run
