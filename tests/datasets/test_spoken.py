"""Spoken words: the spectrogram against scipy's, and what parts share."""

import importlib.util
import time

import numpy as np
import pytest
import scipy.signal as signal

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.datasets import spoken

speaks = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None,
    reason="no espeakng_loader here: pip install -e '.[systems]'",
)


def sine(hertz):
    return np.sin(2 * np.pi * hertz * np.arange(spoken.CLIP) / spoken.RATE)[None]


def test_a_sine_is_loudest_in_the_band_that_holds_it():
    at = np.fft.rfftfreq(spoken.FRAME, 1 / spoken.RATE)
    middles = at[np.argmax(spoken.mel_filters(), axis=0)]
    for hertz in (300.0, 1000.0, 3000.0):
        powers = spoken.spectrogram(sine(hertz))[0]
        nearest = np.argmin(np.abs(middles - hertz))
        # Triangles are wider as they are higher: the next may hold as much.
        assert np.all(np.abs(np.argmax(powers, axis=1) - nearest) <= 1)


def test_the_spectrogram_is_scipys():
    """Powers of scipy's STFT on the same windows, through the same filters; float32."""
    wave = np.random.RandomState(0).standard_normal((2, spoken.CLIP)).astype(np.float32)
    window = signal.get_window("hann", spoken.FRAME)
    # Its frames are around multiples of the hop, ours begin there.
    late = np.concatenate([np.zeros((2, spoken.FRAME // 2)), wave], axis=1)
    stft = signal.ShortTimeFFT(window, 1, spoken.RATE)
    at = spoken.FRAME + spoken.HOP * np.arange(spoken.FRAMES)
    powers = np.stack([np.abs(stft.stft(w, p0=0, p1=at[-1] + 1))[:, at] for w in late])
    powers = np.swapaxes(powers, 1, 2) ** 2 / np.sum(window**2)
    wanted = np.log(powers @ spoken.mel_filters())
    np.testing.assert_allclose(spoken.spectrogram(wave), wanted, atol=1e-4)


def test_aligned_words_do_not_mind_where_they_are():
    random = np.random.RandomState(1)
    x = np.zeros((3, spoken.FRAMES, spoken.BANDS), np.float32)
    x[:, 4:9] += 3 + random.standard_normal((3, 5, spoken.BANDS))
    moved = np.roll(x, 7, axis=1)
    assert np.allclose(spoken.aligned(x), spoken.aligned(moved), atol=1e-4)
    assert np.allclose(spoken.statistics(x)[:, :96], spoken.statistics(moved)[:, :96])
    assert not np.allclose(spoken.aligned(x), spoken.aligned(x[::-1]))


@speaks
def test_no_voice_and_no_accent_of_the_test_is_in_another_part():
    voices = {
        part: set(spoken.spoken(part, 1, voices=3).voice) for part in spoken.PARTS
    }
    apart = {
        part: {tuple(voice.split("+")) for voice in names}
        for part, names in voices.items()
    }
    for part in ("train", "valid", "heard"):
        for place in (0, 1):  # accent, variant
            one, other = ({v[place] for v in apart[p]} for p in (part, "test"))
            assert not one & other
    assert voices["heard"] == voices["train"]


@speaks
def test_the_same_words_are_spoken_the_same_way_again():
    """The library keeps state from word to word, a process of its own does not; and its
    breath is random by the second, unless it is told a seed."""
    first, second = spoken.waves(), time.time() // 1
    spoken._waves.cache_clear()
    time.sleep(max(0.0, second + 1.1 - time.time()))
    again = spoken.waves()
    assert first is not again and set(first) == set(again)
    for voice, words in first.items():
        for one, other in zip(words, again[voice], strict=True):
            assert np.array_equal(one, other), voice


@speaks
def test_a_word_lies_where_it_is_said_to_and_as_loud_as_asked():
    """To half a decibel: a second has 11,025 samples of noise."""
    made = spoken.spoken("test", 1, (0.0, 0.0), voices=1)
    word = spoken.waves()[made.voice[0]][made.y[0]]
    start, end = made.onset[0], made.onset[0] + len(word)
    rest = made.wave[0].copy()
    rest[start:end] -= word
    assert abs(10 * np.log10(np.mean(rest**2))) < 0.5
    assert np.isclose(np.mean(word**2), 1.0, rtol=1e-5)
    assert sorted(made.y) == list(range(len(spoken.WORDS)))


def test_a_missing_package_is_one_line(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"spoken words: needs espeakng_loader.*pip"):
        spoken.waves()


@speaks
def test_a_voice_that_is_not_there_is_one_line(monkeypatch):
    monkeypatch.setattr(spoken, "ACCENTS", ("no-such",))
    spoken._waves.cache_clear()
    with pytest.raises(DataError, match="espeak-ng has no voice no-such"):
        spoken.waves()
    spoken._waves.cache_clear()
