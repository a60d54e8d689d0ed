"""Letters of five scripts, drawn by Pillow from the DejaVu fonts inside matplotlib.

Nothing is downloaded, and no font of the system is used. The fonts are free to use and
to copy: LICENSE_DEJAVU beside them (Bitstream Vera's licence; DejaVu's own changes are in
the public domain). Only drawings are made of them here, no font is handed on.

A letter is drawn large, and what is darker than half is its ink. From that mask on, all
is whole numbers and the four operations, so that another FreeType gives the same bytes.
"""

import functools
import io
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from depthbench.research.datasets.contract import Data, DataError, Splits
from depthbench.research.datasets.pixels import scale_of

FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSansMono-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
)
SCRIPTS = ("latin", "greek", "cyrillic", "armenian", "georgian")
COUNT, DRAWINGS, TRAIN = 300, 20, 16  # letters; drawings of each, of them to train on
SIDE, FINE = 16, 4  # pixels of a side; points that are looked up along a pixel's side
LARGE = 128  # pixels an em, of the letters that drawings are made of
ALIKE = 9  # per cent between two pictures, below which letters look alike
LENGTH = (10.0, 13.0)  # of a letter's longer side, in pixels
TILT, SHIFT = 0.1, 1.0  # up to: tan of half the angle (11 degrees); pixels each way

# The letters that do not look alike, in the order of Unicode: what `distinct` finds.
DISTINCT = {
    "latin": (
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghijkmnpqrtuyÆØÞßæðþĸŁłŊŒœƁƂƄ"
        "ƆƇƈƊƋƍƎƏƐƑƒƓƔƕƚƛƜƝƢƣƤƦƧƩƪƫƭƮƱƴƶƷƸƺƻƼƽƾƿǁǂǃǶȜȡȤȥȴȵȶȸȹȺȻȾȿɀɁɄɍ"
        "ɐɑɒɕɖɗɘɚɜɝɞɟɠɥɧɩɬɭɮɯɰɱɲɳɵɷɸɹɺɻɼɾɿʁʂʃʇʈʊʋʌʍʎʐʑʓʔʕʖʗʚʛʝʞʠʣʤʥʦʧ"
        "ʨʩʪʫʬʭʮᴈᴔᴖᴗᴝᴞᴟᵷᵻᶅⱤⱮⱵⱷⱹⱾⱿꞐꞪ"
    ),
    "greek": "ΓΔΞΦΨΩβδζθμνξςσφχωϗϘϙϚϛϝϞϟϠϡϺϻϼϾ",
    "cyrillic": "ЂЉЊЋЏДЖИЛЧЩЪЫЭЮЯцщъюђєљњћѢѣҐґҕҖҘҙҚҢҤҪҫҬұҲҺӃӇӋӌ",
    "armenian": "ԲԳԴԵԶԷԸԹԺԻԽԾԿՀՁՃՄՅՆՇՉՊՋՌՎՏՐՒՔՖբդեըթիխծձճմնշչջվփֆ",
    "georgian": "აბგდევზთიკლმნოპჟრსტუფქღყჩცძჭჯჰჱჲჳჴჵჶჸჹჺ",
}


class Letters(NamedTuple):
    """Drawings by letter: script by script, as in `SCRIPTS`, in the order of Unicode.

    So take letters at random, not the first ones, where scripts must not matter.

    x: [letters, drawings, 16, 16, 1] uint8, ink is 255.
    font: [letters, drawings] numbers of `FONTS`. Each letter has each font once among
      its first 12 drawings, once more among the next 12, and so on.
    script: [letters] names, of `SCRIPTS`.
    characters: [letters].
    """

    x: np.ndarray
    font: np.ndarray
    script: np.ndarray
    characters: np.ndarray


def load() -> Splits:
    """300 letters: 16 drawings of each to train on and 4 to test, [.., 16, 16, 1] uint8.

    y: the letter's number in `letters()`. Always answering one is right 1/300 of the
    time. Raises DataError as `letters` does.
    """
    x = letters().x
    train, test = x[:, :TRAIN], x[:, TRAIN:]
    scale = scale_of(train.reshape(-1, SIDE, SIDE, 1))
    return Splits(*(_labelled(part, scale) for part in (train, test)))


def _labelled(x: np.ndarray, scale: tuple[np.ndarray, np.ndarray]) -> Data:
    """Drawings [letters, drawings, ...] in one row, so that every class comes in turn."""
    count, drawings = x.shape[:2]
    x = x.swapaxes(0, 1).reshape(-1, SIDE, SIDE, 1)
    return Data(x, np.tile(np.arange(count, dtype=np.int32), drawings), count, scale)


def letters(count: int = COUNT, drawings: int = DRAWINGS) -> Letters:
    """So many letters that do not look alike, and drawings of each, always the same.

    Scripts take turns, each in the order of Unicode, until there are enough. Each
    drawing has a font, size, tilt and place of its own; a letter's first ones are the
    same whatever the counts. The arrays are kept, and can only be read.
    Raises DataError where fonts are missing, or there are not so many letters.
    """
    if drawings < 1:
        raise DataError(f"glyphs: {drawings} drawings of a letter; must be 1 or more")
    return _letters(count, drawings)


@functools.cache
def _letters(count: int, drawings: int) -> Letters:
    every = _by_turns()
    if not 1 <= count <= len(every):
        most = f"1 to {len(every)}, as many as do not look alike"
        raise DataError(f"glyphs: {count} letters; must be {most}")
    chosen = every[:count]
    chosen.sort(key=lambda letter: (SCRIPTS.index(_script(letter)), letter))
    masks = _masks(chosen, _paths())
    fonts = [_fonts(letter, drawings) for letter in chosen]
    x = [
        _drawn([masks[letter][font] for font in order], letter)
        for letter, order in zip(chosen, fonts, strict=True)
    ]
    scripts = [_script(letter) for letter in chosen]
    made = (np.stack(x), np.stack(fonts), np.array(scripts), np.array(chosen))
    for array in made:
        array.setflags(write=False)
    return Letters(*made)


def _by_turns() -> list[str]:
    """All letters: the first of each script, then the second of each, and so on."""
    places = [(place, c) for own in DISTINCT.values() for place, c in enumerate(own)]
    return [c for _, c in sorted(places)]


def _fonts(letter: str, drawings: int) -> np.ndarray:
    """The font of each drawing [drawings]: all of them before one comes again."""
    random = np.random.RandomState(ord(letter))
    rounds = -(-drawings // len(FONTS))
    orders = [random.permutation(len(FONTS)) for _ in range(rounds)]
    return np.concatenate(orders)[:drawings]


def _drawn(masks: Sequence[np.ndarray], letter: str) -> np.ndarray:
    """A drawing of each mask of a letter, [drawings, 16, 16, 1] uint8."""
    random = np.random.RandomState([ord(letter), 1])
    low, high = LENGTH
    drawings = []
    for mask, (size, *turned) in zip(
        masks, random.random_sample((len(masks), 4)), strict=True
    ):
        tilt, right, down = 2 * np.array(turned) - 1
        place = (SHIFT * right, SHIFT * down)
        inked = _inked(mask, low + (high - low) * size, TILT * tilt, place)
        drawings.append(inked * 255 // FINE**2)
    return np.stack(drawings)[..., None].astype(np.uint8)


def _inked(
    mask: np.ndarray,
    length: float,
    tilt: float = 0.0,
    place: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """How many of a pixel's 4 × 4 points are ink, [16, 16].

    mask: [height, width] bool. length: of its longer side, in pixels. tilt: tan of half
    the angle, which gives sine and cosine without a library's rounding. place: of its
    centre from the picture's, (right, down).
    """
    steps = (np.arange(SIDE * FINE) + 0.5) / FINE - SIDE / 2
    x, y = steps[None] - place[0], steps[:, None] - place[1]
    cosine, sine = (1 - tilt**2) / (1 + tilt**2), 2 * tilt / (1 + tilt**2)
    height, width = mask.shape
    scale = max(mask.shape) / length
    column = np.floor((cosine * x + sine * y) * scale + width / 2).astype(np.int64)
    row = np.floor((cosine * y - sine * x) * scale + height / 2).astype(np.int64)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    ink = inside & mask[row.clip(0, height - 1), column.clip(0, width - 1)]
    return ink.reshape(SIDE, FINE, SIDE, FINE).sum(axis=(1, 3))


def distinct() -> list[str]:
    """The letters that do not look alike, in Unicode's order, looked for anew.

    It takes seconds: `DISTINCT` is what it found. Alike are two letters where, upright
    and as large, one in any font and the other in any font have less than 9% between
    them: Σ (a − b)² over the mean of Σ a² and Σ b². So are o and O, Latin A and Greek
    Alpha, a sans serif's I and l; not E and F. The first in Unicode's order is kept.
    """
    paths = _paths()
    common = sorted(set.intersection(*map(_letters_of, paths)))
    masks = _masks(common, paths)
    pixels = np.zeros((len(common), len(FONTS), SIDE**2), np.float32)
    kept: list[str] = []
    for letter in common:
        # Those kept lie first; one that looks like them is overwritten by the next.
        new = len(kept)
        pixels[new] = _upright(masks[letter])
        if not _alike(pixels[new], pixels[:new].reshape(-1, SIDE**2)):
            kept.append(letter)
    return kept


def _upright(masks: Sequence[np.ndarray]) -> np.ndarray:
    """A letter's pictures by which it is compared, one a mask, [masks, pixels]."""
    return np.stack([_inked(mask, SIDE).ravel() for mask in masks]).astype(np.float32)


def _alike(own: np.ndarray, others: np.ndarray) -> bool:
    """Whether any two of [pictures, pixels] and [others, pixels] are; float32 numbers.

    They are whole, and their sums here below 2²⁴: exact in whatever order.
    """
    product = (own @ others.T).astype(np.int64)
    squares = [np.einsum("ij,ij->i", part, part) for part in (own, others)]
    both = (squares[0][:, None] + squares[1]).astype(np.int64)
    return bool(np.any(200 * (both - 2 * product) < ALIKE * both))


def _paths() -> list[Path]:
    """The fonts' files, in the order of `FONTS`. Raises DataError where one is missing."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    paths = [folder / f"{name}.ttf" for name in FONTS]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DataError(
            f"glyphs: {missing[0]} is missing ({len(missing)} of {len(FONTS)} fonts); "
            "they come with matplotlib: pip install --force-reinstall matplotlib"
        )
    return paths


def _letters_of(path: Path) -> set[str]:
    """The letters that a font has, of those that are drawn. Raises DataError."""
    from matplotlib.ft2font import FT2Font

    try:
        return {c for c in map(chr, FT2Font(str(path)).get_charmap()) if _is_letter(c)}
    except (OSError, RuntimeError) as error:
        raise _unreadable(path, error) from None


def _masks(
    characters: Sequence[str], paths: Sequence[Path]
) -> dict[str, list[np.ndarray]]:
    """Each letter's ink in each font, [height, width] bool. Raises DataError."""
    from PIL import ImageFont

    masks: dict[str, list[np.ndarray]] = {letter: [] for letter in characters}
    for path in paths:
        try:
            # Basic layout: Pillow is often built without the other one. The content, and
            # no path, for which Pillow would take a font of the system that it can read.
            basic, content = ImageFont.Layout.BASIC, io.BytesIO(path.read_bytes())
            font = ImageFont.truetype(content, LARGE, layout_engine=basic)
            for letter in characters:
                masks[letter].append(_mask(letter, font))
        except OSError as error:
            raise _unreadable(path, error) from None
    return masks


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"glyphs: {path} cannot be read ({error}); it comes with matplotlib: "
        "pip install --force-reinstall matplotlib"
    )


def _mask(letter: str, font: Any) -> np.ndarray:
    """A letter's ink [height, width] bool, without an empty row or column around it."""
    from PIL import Image, ImageDraw

    picture = Image.new("L", (3 * LARGE, 2 * LARGE))
    place = (LARGE, 3 * LARGE // 2)  # of the line that letters stand on
    ImageDraw.Draw(picture).text(place, letter, fill=255, font=font, anchor="ls")
    ink = picture.point([0] * 128 + [255] * 128)
    return np.asarray(ink.crop(ink.getbbox())) > 0


def _is_letter(character: str) -> bool:
    """Whether it is a letter of `SCRIPTS` without an accent: 16 pixels would lose it."""
    return (
        unicodedata.category(character) in ("Lu", "Ll", "Lo")
        and not unicodedata.decomposition(character)
        and _script(character) in SCRIPTS
    )


def _script(character: str) -> str:
    return unicodedata.name(character).split()[0].lower()
