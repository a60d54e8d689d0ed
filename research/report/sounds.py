"""What can be listened to, as the bytes of files: waves."""

import io
import wave

import numpy as np

LOUDEST = 0.9  # of what 16 bits can say


def wav(samples: np.ndarray, rate: int) -> bytes:
    """A .wav file of one channel in 16 bits. samples: [samples], of any scale.

    rate: samples a second. The loudest is brought to LOUDEST.

    >>> wav(np.zeros(100), 8000)[:4]
    b'RIFF'
    """
    samples = np.asarray(samples, np.float64)
    peak = max(float(np.max(np.abs(samples), initial=0.0)), 1e-12)
    numbers = np.round(samples * (LOUDEST * 32767 / peak)).astype("<i2")
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(numbers.tobytes())
    return held.getvalue()
