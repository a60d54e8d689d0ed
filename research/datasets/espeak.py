"""espeak-ng through ctypes, in a process of its own: run as a script, it speaks.

The library keeps state between words (an oscillator's phase, random numbers) that no call
resets: the same word is another wave the second time. So whoever wants the same waves
always starts this file anew, with all that is to be spoken in one order. Nor is the
library safe in threads. What it is to say comes in as JSON, and the waves go out as one
block of 16-bit numbers behind their lengths.
"""

import ctypes
import json
import sys

RATE = 22_050  # samples a second
SEED = 1
SYNCHRONOUS, UTF8, KEEP_GOING = 2, 1, 0x8000  # of espeak-ng's speak_lib.h
Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
)


class Espeak:
    """The library, once in a process. Raises OSError where it is not as expected."""

    def __init__(self, library: str, data: str):
        self.pieces: list[bytes] = []
        self.library = ctypes.CDLL(library)
        rate = self.library.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), KEEP_GOING)
        if rate != RATE:
            raise OSError(f"espeak-ng speaks at {rate} samples a second, not {RATE}")
        # Or breath is random by the second that it is.
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(SEED))
        self.callback = Callback(self._heard)  # kept: the library holds its address
        self.library.espeak_SetSynthCallback(self.callback)

    def _heard(self, samples: int | None, count: int, events: int | None) -> int:
        if samples and count:
            self.pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    def voice(self, name: str) -> None:
        """Speaks by a voice from now on: an accent, "+" and a variant."""
        if self.library.espeak_SetVoiceByName(name.encode()):
            raise OSError(f"espeak-ng has no voice {name}")

    def said(self, word: str) -> bytes:
        """A word as 16-bit samples."""
        self.pieces.clear()
        text = word.encode() + b"\0"
        size = ctypes.c_size_t(len(text))
        if self.library.espeak_Synth(text, size, 0, 0, 0, UTF8, None, None):
            raise OSError(f"espeak-ng could not say {word}")
        return b"".join(self.pieces)


def main() -> None:
    """Speaks each word by each voice, in order, from a request on standard input."""
    asked = json.load(sys.stdin)
    espeak = Espeak(asked["library"], asked["data"])
    waves = []
    for voice in asked["voices"]:
        espeak.voice(voice)
        waves += [espeak.said(word) for word in asked["words"]]
    lengths = json.dumps([len(wave) for wave in waves]).encode()
    sys.stdout.buffer.write(lengths + b"\n" + b"".join(waves))


if __name__ == "__main__":
    main()
