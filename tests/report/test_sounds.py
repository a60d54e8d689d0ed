"""Files that can be listened to, read back."""

import io
import wave

import numpy as np
import pytest

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.report import sounds

STEPS = np.array([[72, 60], [72, 60], [74, 0], [74, 62], [72, 62], [0, 62]])
NOTES = {(0, 72, 0, 2), (0, 74, 2, 4), (0, 72, 4, 5), (1, 60, 0, 2), (1, 62, 3, 6)}


def test_a_wave_is_read_back():
    samples = np.sin(np.arange(800) / 10)
    with wave.open(io.BytesIO(sounds.wav(3 * samples, 8000))) as file:
        assert file.getparams()[:4] == (1, 2, 8000, 800)
        read = np.frombuffer(file.readframes(800), "<i2")
    np.testing.assert_allclose(read / 32767, 0.9 * samples / samples.max(), atol=1e-4)
    assert len(sounds.wav(np.zeros(10), 8000)) == 44 + 20


def test_notes_are_held_as_long_as_they_repeat():
    assert set(map(tuple, sounds.held_notes(STEPS))) == NOTES


def test_a_midi_file_is_read_back():
    mido = pytest.importorskip("mido", reason="pip install -e '.[systems]'")
    file = mido.MidiFile(file=io.BytesIO(sounds.midi(STEPS, beats=0.5, tempo=84)))
    assert len(file.tracks) == 2
    found = set()
    for voice, track in enumerate(file.tracks):
        now, sounding = 0, {}
        for message in track:
            now += message.time
            if message.type == "note_on":
                sounding[message.note] = now
            elif message.type == "note_off":
                start = sounding.pop(message.note)
                found.add((voice, message.note, start // 240, now // 240))
        assert not sounding
    assert found == NOTES
    # Six steps of half a beat, 84 beats a minute.
    assert np.isclose(file.length, 3 * 60 / 84, rtol=1e-3)


def test_what_is_played_has_the_notes_pitch():
    """A4 is 440 hertz, to the 5 hertz that a fifth of a second tells apart."""
    heard = np.abs(np.fft.rfft(sounds.played(np.array([[69]]), 0.2, 8000)))
    assert abs(np.argmax(heard) * 5 - 440) <= 5
    silent = sounds.played(np.array([[69], [0]]), 0.2, 8000)
    assert len(silent) == 3200 and not silent[1600:].any()


def test_without_the_package_it_is_one_line(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"a .mid file: needs mido.*pip install"):
        sounds.midi(STEPS)
