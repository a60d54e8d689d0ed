"""What can be listened to, as the bytes of files: waves, and notes."""

import io
import itertools
import wave
from typing import NamedTuple

import numpy as np

from depthbench.research.catalogues.packages import need
from depthbench.research.lazy import lazily

with lazily():
    import mido

LOUDEST = 0.9  # of what 16 bits can say
ORGAN = 19  # General MIDI's church organ


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


class Note(NamedTuple):
    """A note of one voice: its MIDI number, and from which step to before which."""

    voice: int
    pitch: int
    start: int
    end: int


def held_notes(steps: np.ndarray) -> list[Note]:
    """Notes of MIDI numbers [steps, voices], 0 where silent; what repeats is held.

    >>> held_notes(np.array([[60], [60], [0], [62]]))  # doctest: +NORMALIZE_WHITESPACE
    [Note(voice=0, pitch=60, start=0, end=2), Note(voice=0, pitch=62, start=3, end=4)]
    """
    found = []
    for voice, line in enumerate(np.asarray(steps).T):
        changes = np.flatnonzero(np.diff(line)) + 1
        ends = [0, *changes.tolist(), len(line)]
        spans = itertools.pairwise(ends)
        found += [Note(voice, int(line[a]), a, b) for a, b in spans if line[a] > 0]
    return found


def midi(steps: np.ndarray, beats: float = 0.5, tempo: int = 84) -> bytes:
    """A .mid file of MIDI numbers [steps, voices], a track for each voice (an organ).

    beats: of a step. tempo: beats a minute. Raises DataError without the package mido.
    """
    need("a .mid file", "mido")
    file = mido.MidiFile(ticks_per_beat=480)
    for voice in range(np.shape(steps)[1]):
        track = mido.MidiTrack()
        file.tracks.append(track)
        if voice == 0:
            track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo)))
        track.append(mido.Message("program_change", channel=voice, program=ORGAN))
        now = 0
        for note in (n for n in held_notes(steps) if n.voice == voice):
            for kind, step in (("note_on", note.start), ("note_off", note.end)):
                at = round(480 * beats * step)
                more = {"channel": voice, "note": note.pitch, "velocity": 72}
                track.append(mido.Message(kind, time=at - now, **more))
                now = at
    held = io.BytesIO()
    file.save(file=held)
    return held.getvalue()


def played(steps: np.ndarray, seconds: float, rate: int) -> np.ndarray:
    """Samples of MIDI numbers [steps, voices], by a synthesiser of six partials.

    seconds: of a step. rate: samples a second.
    """
    size = round(seconds * rate)
    wave = np.zeros(len(steps) * size)
    for note in held_notes(steps):
        count = (note.end - note.start) * size
        time = np.arange(count) / rate
        hertz = 440.0 * 2 ** ((note.pitch - 69) / 12)
        partials = [n for n in range(1, 7) if n * hertz < rate / 2]
        tone = sum(np.sin(2 * np.pi * n * hertz * time) / n**1.5 for n in partials)
        fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
        wave[note.start * size :][:count] += tone * fade
    return wave
