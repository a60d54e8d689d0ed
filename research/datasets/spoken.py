"""Words spoken by espeak-ng in four English accents, as spectrograms of noisy seconds.

The words are the 30 of Speech Commands (Warden 2018, arXiv:1804.03209, its first
version); the voices are espeak-ng's own. Nothing is downloaded: the package
espeakng_loader holds library and voices (GPL 3, which does not reach what it says).
Each word begins anywhere in a second of noise, so that no pixel of the spectrogram means
the same twice. Voices and accents of the test are in no other part.

>>> FRAMES, BANDS, len(WORDS)
(21, 24, 30)
"""

import functools
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np

from depthbench.research.catalogues.packages import need
from depthbench.research.datasets.contract import DataError
from depthbench.research.lazy import lazily

with lazily():
    import espeakng_loader
    import scipy.fft as fft
    import scipy.signal as signal

WORDS = (
    "yes no up down left right on off stop go zero one two three four five six seven "
    "eight nine bed bird cat dog happy house marvin sheila tree wow"
).split()
ACCENTS = ("en-us", "en-gb-x-rp", "en-029", "en-gb-scotland")
VARIANTS = (
    "m1 m2 m3 m4 f1 f2 f3 Andy Denis Gene Jacky Lee Michael Andrea Annie linda steph Hugo "
    "rob zac m5 f4 paul Alicia pedro m6 m7 f5 max victor belinda"
).split()
RATE = 11_025  # samples a second, half of espeak-ng's
CLIP = RATE  # samples of an example: a second
FRAME, HOP = 768, 512  # samples of a window, and from one to the next
FRAMES = 1 + (CLIP - FRAME) // HOP
BANDS = 24
LOWEST = 60.0  # hertz
FLOOR = 1e-6  # power below which all is silence
AROUND, CEPSTRA = 13, 13  # frames and coefficients of an aligned word
_ONE = threading.Lock()  # cells in two threads share what is spoken


class Speakers(NamedTuple):
    """Which voices a part is spoken by, and where its noise begins."""

    accents: tuple[str, ...]
    variants: tuple[str, ...]
    seed: int


PARTS = {
    "train": Speakers(ACCENTS[:2], tuple(VARIANTS[:20]), 1),
    "heard": Speakers(ACCENTS[:2], tuple(VARIANTS[:20]), 4),  # the same in other noise
    "valid": Speakers(ACCENTS[2:3], tuple(VARIANTS[20:25]), 2),
    "test": Speakers(ACCENTS[3:], tuple(VARIANTS[25:]), 3),
}


class Spoken(NamedTuple):
    """Seconds with a word in each.

    x: [examples, frames, bands] log mel powers, float32. y: the word's number in WORDS.
    wave: what was heard [examples, samples] float32. onset: where the word begins, in
    samples. voice: whose it is, such as en-us+m1.
    """

    x: np.ndarray
    y: np.ndarray
    wave: np.ndarray
    onset: np.ndarray
    voice: np.ndarray


def waves() -> dict[str, list[np.ndarray]]:
    """Every word by every voice, [samples] float32 of power 1 while it is spoken.

    Raises DataError where the package is missing, or does not speak.
    """
    need("spoken words", "espeakng_loader")
    with _ONE:
        return _waves()


@functools.cache
def _waves() -> dict[str, list[np.ndarray]]:
    voices = [f"{accent}+{variant}" for accent in ACCENTS for variant in VARIANTS]
    asked = {
        "library": espeakng_loader.get_library_path(),
        "data": espeakng_loader.get_data_path(),
        "voices": voices,
        "words": WORDS,
    }
    script = Path(__file__).with_name("espeak.py")
    done = subprocess.run(
        [sys.executable, "-I", str(script)],
        input=json.dumps(asked).encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        why = lines[-1] if lines else f"it ended with {done.returncode}"
        raise DataError(f"spoken words: espeak-ng does not speak: {why}")
    lengths, _, block = done.stdout.partition(b"\n")
    ends = np.cumsum(json.loads(lengths))
    said = [
        _half(np.frombuffer(block[end - length : end], np.int16))
        for length, end in zip(json.loads(lengths), ends, strict=True)
    ]
    count = len(WORDS)
    return {v: said[n * count : (n + 1) * count] for n, v in enumerate(voices)}


def _half(samples: np.ndarray) -> np.ndarray:
    """At half the rate, without the silence around it, of power 1."""
    wave = signal.resample_poly(samples.astype(np.float32), 1, 2)
    loud = np.flatnonzero(np.abs(wave) > 0.01 * np.abs(wave).max())
    wave = wave[loud[0] : loud[-1] + 1]
    return wave / np.sqrt(np.mean(wave**2))


def spoken(
    part: str,
    copies: int,
    snr: tuple[float, float] = (5.0, 15.0),
    voices: int | None = None,
) -> Spoken:
    """A part of PARTS, each word so often in other noise, in random order.

    snr: decibels of the word's power over the noise's, the least and the most; noise is
    white. voices: of each accent, all unless given. Raises DataError as `waves` does.
    """
    accents, variants, seed = PARTS[part]
    some = variants[:voices]
    names = [f"{accent}+{variant}" for accent in accents for variant in some]
    every = waves()
    pairs = [(v, word) for v in names for word in range(len(WORDS))] * copies
    random = np.random.RandomState(seed)
    pairs = [pairs[n] for n in random.permutation(len(pairs))]
    clips = np.empty((len(pairs), CLIP), np.float32)
    onsets = np.empty(len(pairs), np.int64)
    for number, (voice, word) in enumerate(pairs):
        wave = every[voice][word][:CLIP]
        onsets[number] = random.randint(CLIP - len(wave) + 1)
        noise = 10 ** (-random.uniform(*snr) / 20)
        clips[number] = noise * random.standard_normal(CLIP)
        clips[number, onsets[number] : onsets[number] + len(wave)] += wave
    labels = np.array([word for _, word in pairs], np.int32)
    speakers = np.array([voice for voice, _ in pairs])
    return Spoken(spectrogram(clips), labels, clips, onsets, speakers)


def spectrogram(wave: np.ndarray) -> np.ndarray:
    """log mel powers [examples, frames, bands] of waves [examples, samples], float32.

    Hann windows; Davis & Mermelstein 1980, IEEE Trans. ASSP 28:357, without the cosine
    transform.

    >>> spectrogram(np.zeros((1, CLIP), np.float32)).shape
    (1, 21, 24)
    """
    window = np.asarray(signal.get_window("hann", FRAME), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(wave, FRAME, axis=1)[:, ::HOP]
    filters = mel_filters()
    made = [
        np.abs(np.fft.rfft(part * window, axis=-1)).astype(np.float32) ** 2 @ filters
        for part in np.array_split(frames, max(1, len(wave) // 64))
    ]
    powers = np.concatenate(made) / np.sum(window**2)
    return np.log(np.maximum(powers, FLOOR)).astype(np.float32)


@functools.cache
def mel_filters() -> np.ndarray:
    """[frequencies, bands]: triangles at equal steps of mel, each of weight 1.

    Stevens, Volkmann & Newman 1937; 2595 log10(1 + f / 700), O'Shaughnessy 1987.
    """
    ends = 2595 * np.log10(1 + np.array([LOWEST, RATE / 2]) / 700)
    mel = np.linspace(ends[0], ends[1], BANDS + 2)
    hertz = 700 * (10 ** (mel / 2595) - 1)
    at = np.fft.rfftfreq(FRAME, 1 / RATE)[:, None]
    low, middle, high = hertz[:-2], hertz[1:-1], hertz[2:]
    rise, fall = (at - low) / (middle - low), (high - at) / (high - middle)
    triangles = np.maximum(0, np.minimum(rise, fall))
    return (triangles / triangles.sum(axis=0)).astype(np.float32)


def statistics(x: np.ndarray) -> np.ndarray:
    """What each band does over time, whenever it does it [examples, 6 × bands].

    x: [examples, frames, bands]. Mean, deviation, ends, mean step, upper quartile.
    """
    steps = np.abs(np.diff(x, axis=1)).mean(axis=1)
    ends = x.mean(axis=1), x.std(axis=1), x.max(axis=1), x.min(axis=1)
    return np.concatenate([*ends, steps, np.quantile(x, 0.75, axis=1)], axis=1)


def aligned(x: np.ndarray) -> np.ndarray:
    """Cepstra of the frames around each word's middle [examples, AROUND × CEPSTRA].

    x: [examples, frames, bands]. The middle is the centre of the power above the noise,
    whose level is the 30 % quietest frame's: it needs to know that there is one word.
    Davis & Mermelstein 1980 for the cepstra.

    >>> x = np.zeros((1, 21, 24), np.float32)
    >>> x[0, 3:6] = 5.0
    >>> bool(np.allclose(aligned(x), aligned(np.roll(x, 8, axis=1))))
    True
    """
    power = np.exp(x).sum(axis=2)
    louder = np.maximum(power - np.quantile(power, 0.3, axis=1, keepdims=True), 0)
    total = np.maximum(louder.sum(axis=1), 1e-12)
    middle = np.round((louder * np.arange(x.shape[1])).sum(axis=1) / total).astype(int)
    around = np.arange(AROUND) - AROUND // 2
    at = (middle[:, None] + around) % x.shape[1]
    words = np.take_along_axis(x, at[:, :, None], axis=1)
    cepstra = np.asarray(fft.dct(words, axis=2, norm="ortho"))[:, :, :CEPSTRA]
    return cepstra.reshape(len(x), -1)
