"""What `speech` shows: spectrograms with what was said and heard, and a word to hear."""

from depthbench.experiments import scores
from depthbench.research.datasets import spoken
from depthbench.research.lazy import lazily
from depthbench.research.report import sounds
from depthbench.research.study.declaration import Recording

with lazily():
    import numpy as np

ACROSS, GAP = 3, 8  # words in a row; frames between them


def draw_words(scoring, rows, profiles):
    """Draws spectrograms of test words, with what net and baseline took them for."""

    def draw(figure, axes):
        kept = profiles(scoring.best(rows))
        tiles = kept["spectrogram"]  # [words, frames, bands]
        frames, bands = tiles.shape[1:]
        high, wide = bands + 14, frames + GAP
        down = -(-len(tiles) // ACROSS)
        picture = np.full((high * down, wide * ACROSS - GAP), np.nan)
        for number, tile in enumerate(tiles):
            row, column = divmod(number, ACROSS)
            top, left = high * row + 13, wide * column
            shown = (tile - tile.min()) / (tile.max() - tile.min())
            picture[top : top + bands, left : left + frames] = shown.T[::-1]
            said, net, base = (
                int(kept[n][number]) for n in ("said", "net", "baseline")
            )
            lines = (
                (10.5, f"“{spoken.WORDS[said]}”", "black"),
                (6.5, f"net: {spoken.WORDS[net]}", "C2" if net == said else "C3"),
                (2.5, f"base: {spoken.WORDS[base]}", "C2" if base == said else "C3"),
            )
            for above, text, colour in lines:
                at = left, top - above
                axes.text(*at, text, fontsize=6, color=colour, va="center")
        axes.imshow(picture, cmap="magma", aspect="auto", interpolation="nearest")
        axes.set_ylim(high * down - 0.5, -1)
        axes.set_title("words in noise, by unheard voices", loc="left")
        axes.set_axis_off()

    return draw


def figures_of(scoring, rows, profiles):
    if not scores.scored(rows):
        return []
    caption = (
        "Third: the first words of the test as the nets read them (time to the right, "
        "pitch upwards), with what the best net and the baseline (base) took them for: "
        "green where right, red where wrong."
    )
    return [scoring.figure(rows, caption, draw_words(scoring, rows, profiles))]


def recordings_of(scoring, rows, profiles):
    """A test word in its noise, as a net was given it, and without."""
    if not scores.scored(rows):
        return []
    row = scoring.best(rows)
    said = f"“{row['asked']}” by a voice that no net had heard"
    heard = f"the {scoring.name(row)} heard “{row['answered']}”"

    def made(place):
        return lambda: sounds.wav(profiles(row)["waves"][place], spoken.RATE)

    return [
        Recording("word_in_noise.wav", f"{said}, in its noise: {heard}.", made(0)),
        Recording("word.wav", f"{said}, without the noise.", made(1)),
    ]
