"""What an engineer reads off a signal: moments, bands of its spectrum and its envelope's.

Randall & Antoni 2011, Mech. Syst. Signal Process. 25:485: a fault's strikes are seen in
the spectrum of the envelope of what rings, above what turns and meshes; the frequency that
it rings at does not move it.
"""

import numpy as np
import scipy.signal

BANDS = 16  # of equal width, of the spectrum
SLOW = 32  # frequencies of the envelope, from the slowest on


def read(x: np.ndarray) -> np.ndarray:
    """[signals, features] of [signals, time, channels].

    >>> read(np.random.RandomState(0).standard_normal((3, 64, 2))).shape
    (3, 120)
    """
    signal = np.moveaxis(np.asarray(x, np.float64), 2, 1)
    centred = signal - signal.mean(axis=2, keepdims=True)
    parts = [*_moments(signal), *_bands(centred), *_envelope(centred)]
    return np.stack(parts, axis=2).reshape(len(signal), -1)


def _moments(signal: np.ndarray) -> list[np.ndarray]:
    """Of each channel [signals, channels] each: twelve numbers, none of them nan."""
    spread = signal.std(axis=2)
    safe = np.maximum(spread, 1e-9)
    scaled = (signal - signal.mean(axis=2, keepdims=True)) / safe[..., None]
    half = signal.shape[2] // 2
    return [
        signal.mean(axis=2),
        spread,
        np.mean(scaled**3, axis=2),
        np.mean(scaled**4, axis=2),
        signal.min(axis=2),
        signal.max(axis=2),
        np.abs(scaled).max(axis=2),
        np.median(signal, axis=2),
        signal[..., half:].mean(axis=2) - signal[..., :half].mean(axis=2),
        np.mean(np.abs(np.diff(scaled, axis=2)), axis=2),
        np.mean(scaled[..., 1:] * scaled[..., :-1], axis=2),
        np.argmax(signal, axis=2) / signal.shape[2],
    ]


def _bands(signal: np.ndarray) -> list[np.ndarray]:
    """The logarithm of the power in each band [signals, channels] each."""
    power = np.abs(np.fft.rfft(signal, axis=2)[..., 1:]) ** 2
    parts = np.array_split(power, BANDS, axis=2)
    return [np.log(1e-6 + part.sum(axis=2)) for part in parts]


def _envelope(signal: np.ndarray) -> list[np.ndarray]:
    """The same of how fast the upper half of the spectrum grows and fades."""
    spectrum = np.fft.rfft(signal, axis=2)
    spectrum[..., : spectrum.shape[2] // 2] = 0
    fast = np.fft.irfft(spectrum, n=signal.shape[2], axis=2)
    envelope = np.abs(scipy.signal.hilbert(fast, axis=2)) ** 2
    size = np.maximum(envelope.mean(axis=2, keepdims=True), 1e-9)
    power = np.abs(np.fft.rfft(envelope / size - 1, axis=2)[..., 1 : SLOW + 1]) ** 2
    return list(np.moveaxis(np.log(1e-3 + power), 2, 0))
