"""Generated vibrations: what strikes how often, and what an engineer reads of it."""

import numpy as np
import pytest

from depthbench.research.datasets import vibration
from depthbench.research.learning import signal_features

AT = vibration.Conditions(25.0, 1200.0, 1.0, np.zeros(5), np.ones(3))


@pytest.mark.parametrize(
    ("state", "often"),
    [("outer race", 4 * 0.8 * 25), ("inner race", 4 * 1.2 * 25), ("tooth", 25)],
)
def test_strikes_come_as_often_as_geometry_says(state, often):
    random = np.random.RandomState(0)
    times, loads = vibration._strikes(random, state, AT)
    apart = np.diff(times)
    # Slips of 1.5 % over ten strikes or more: half a per cent of the mean.
    assert np.mean(apart) == pytest.approx(1 / often, rel=0.02)
    assert times[0] < 0 and times[-1] > vibration.SAMPLES / vibration.RATE
    assert (np.std(apart) > 1e-6) == (state != "tooth")
    assert (np.std(loads) > 1e-6) == (state == "inner race")


def test_nothing_strikes_a_sound_machine():
    times, loads = vibration._strikes(np.random.RandomState(0), "sound", AT)
    assert not vibration._ringing(times, loads, AT).any() and not len(times)


def test_a_strike_rings_at_the_housings_frequency_and_fades():
    ring = vibration._ringing(np.zeros(1), np.ones(1), AT)
    power = np.abs(np.fft.rfft(ring)) ** 2
    highest = np.argmax(power) * vibration.RATE / vibration.SAMPLES
    # Bins are 8 Hz; damping moves the peak by less than another.
    assert highest == pytest.approx(1200, abs=16)
    tenth = vibration.SAMPLES // 10
    assert np.abs(ring[-tenth:]).max() < 1e-3 * np.abs(ring[:tenth]).max()


def test_loudness_tells_nothing_and_features_tell_much():
    x, y = vibration.signals(480)
    np.testing.assert_allclose(np.mean(x**2, axis=1), 1)
    assert np.bincount(y).tolist() == [120] * 4
    features = signal_features.read(x[:, :, None])
    centre, spread = features[:360].mean(0), features[:360].std(0) + 1e-9
    scaled = (features - centre) / spread
    means = np.stack([scaled[:360][y[:360] == label].mean(0) for label in range(4)])
    apart = np.sum((scaled[360:, None] - means[None]) ** 2, axis=2)
    # Nearest means of 120 signals: chance is 0.25, with a standard error of 0.04.
    assert np.mean(apart.argmin(axis=1) == y[360:]) > 0.4


def test_strikes_are_seen_in_the_envelope():
    """A carrier of 1,400 Hz that swells 80 times a second: its tenth frequency of 8 Hz."""
    time = np.arange(vibration.SAMPLES) / vibration.RATE
    swell = 1 + 0.8 * np.sin(2 * np.pi * 80 * time)
    signal = swell * np.sin(2 * np.pi * 1400 * time) + 3 * np.sin(2 * np.pi * 40 * time)
    features = signal_features.read(signal[None, :, None])[0]
    assert np.argmax(features[-signal_features.SLOW :]) == 80 // 8 - 1
