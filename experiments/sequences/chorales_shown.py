"""What `chorales` shows: a piano roll of what a net wrote, and Bach's, both to hear."""

from depthbench.experiments import scores
from depthbench.research.lazy import lazily
from depthbench.research.report import sounds
from depthbench.research.study.declaration import Recording

with lazily():
    import numpy as np

EIGHTH, RATE, HEARD = 0.28, 8000, 32  # seconds; samples a second; eighths of a wave
COLOURS = ("C3", "C1", "C2", "C0")  # soprano to bass


def draw_rolls(scoring, rows, profiles):
    """Draws what the best net wrote above how the chorale goes on."""

    def draw(figure, axes):
        kept = profiles(scoring.best(rows))
        given, apart = int(kept["given"]), 50
        for up, name in ((apart, "made"), (0, "bach")):
            for note in sounds.held_notes(kept[name]):
                span = [note.start + 0.1, note.end - 0.1]
                level = [note.pitch - 36 + up] * 2
                axes.plot(span, level, lw=2.2, color=COLOURS[note.voice])
        words = {apart + 47: "what the net wrote", 47: "the chorale"}
        for level, text in words.items():
            axes.text(0, level, text, fontsize=7, va="center")
        axes.axvline(given, color="#888888", lw=0.8)
        axes.set_xlim(-1, len(kept["bach"]) + 1)
        axes.set_ylim(-2, 2 * apart)
        axes.set_yticks([])
        axes.set_xlabel("eighths; what is before the grey line was given")
        axes.set_title("a chorale, and what a net made of it", loc="left")

    return draw


def figures_of(scoring, rows, profiles):
    if not scores.scored(rows):
        return []
    caption = (
        "Third: a chorale of the test, and above it what the best net wrote after its "
        "first notes, drawn note by note; soprano red, alto orange, tenor green, bass blue."
    )
    return [scoring.figure(rows, caption, draw_rolls(scoring, rows, profiles))]


def recordings_of(scoring, rows, profiles):
    """What the best net wrote, as notes and as a wave, and the chorale's notes."""
    if not scores.scored(rows):
        return []
    row = scoring.best(rows)
    net = f"the {scoring.name(row)}"

    def notes(name):
        return np.asarray(profiles(row)[name])

    def wave():
        return sounds.wav(sounds.played(notes("made")[:HEARD], EIGHTH, RATE), RATE)

    return [
        Recording(
            "made.mid",
            f"What {net} wrote after a chorale's first notes.",
            lambda: sounds.midi(notes("made")),
        ),
        Recording("made.wav", "The first four bars of it, synthesised.", wave),
        Recording(
            "bach.mid",
            "How the chorale goes on in Bach.",
            lambda: sounds.midi(notes("bach")),
        ),
    ]
