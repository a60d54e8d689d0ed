"""How faces are shown: the first features over the mean face, and what is found in a
photograph."""

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import counted, measured
from depthbench.research.study.tables import number

with lazily():
    import numpy as np

    from depthbench.experiments.vision import faces_found
    from depthbench.research.datasets import face_windows

SHOWN = 256  # pixels of the side at which the photograph is kept
BOXES, FEATURES = 12, 3  # at most
CALLED = {"cascade": "cascade", "cnn": "CNN"}
MARKS = ("o", "^", "D", "v", "P", "X", "s")  # of depths
TOUCHING = 0.3  # common area over that of both: of such boxes one is kept


def shown(detector, highest, rival, count):
    """What pictures need of a detector: what it finds in a photograph, what the strong
    baseline finds there, and the detector's first features.

    highest: score of windows without a face that were held out. rival, count: as of
    `faces_found.above_windows`.
    """
    whole = face_windows.photograph(faces_found.PHOTOGRAPH)
    step = len(whole) // SHOWN
    small = whole.reshape(SHOWN, step, SHOWN, step).mean(axis=(1, 3))
    found = {
        "boxes": faces_found.above_windows(detector.score, highest, count),
        "rival": rival,
    }
    arrays = {
        "photograph": np.round(255 * small).astype(np.uint8),
        "mean": faces_found.divided(0).train.mean(axis=0).astype(np.float32),
        **{
            name: np.asarray(apart(*each), np.float32).reshape(-1, 3) / step
            for name, each in found.items()
        },
    }
    if "rectangles" in detector.more:
        arrays["passed"] = np.asarray(detector.more["passed"], np.float32)
        arrays["kept"] = np.asarray(detector.more["kept"], np.float32)
        for n, rectangles in enumerate(detector.more["rectangles"][:FEATURES]):
            arrays[f"feature_{n}"] = np.asarray(rectangles, np.int16)
    return arrays


def apart(boxes, score):
    """The highest of boxes that touch, at most BOXES [boxes, 3]."""
    kept = []
    for n in np.argsort(-score, kind="stable"):
        if all(_touch(boxes[n], other) < TOUCHING for other in kept):
            kept.append(boxes[n])
        if len(kept) == BOXES:
            break
    return kept


def _touch(one, other):
    left, top = np.maximum(one[:2], other[:2])
    right, bottom = np.minimum(one[:2] + one[2], other[:2] + other[2])
    both = max(right - left, 0) * max(bottom - top, 0)
    return both / (one[2] ** 2 + other[2] ** 2 - both)


def headline(scoring, rows):
    """Which detector finds most faces, and what a window costs each."""
    done = measured(rows)
    shown_rows = best_of_kinds(scoring, done)
    best = scoring.best(done)
    strong = f"{scoring.strong} {scoring.write(best['strong'])}"
    said = [f"{scoring.name(r)} {scoring.write(r['score'])}" for r in shown_rows]
    verdict = scoring.verdict(best)
    behind = [r["detector"] for r in shown_rows if scoring.verdict(r) == "loses"]
    if verdict == "wins":
        answer = f"The {scoring.name(best)} is ahead in {scoring.noun}: {strong}, "
    elif len(behind) == len(shown_rows):
        answer = f"The strong baseline is ahead in {scoring.noun}: {strong}, "
    elif behind:
        other = next(r["detector"] for r in shown_rows if r["detector"] not in behind)
        answer = (
            f"The strong baseline is ahead of the {CALLED[behind[0]]} in {scoring.noun}, "
            f"and of the {CALLED[other]} not surely: {strong}, "
        )
    else:
        answer = f"No detector is surely ahead in {scoring.noun}: {strong}, "
    costs = [best["strong_scan_kflop"], *(row["scan_kflop"] for row in shown_rows)]
    costs = ", ".join(f"{c:,.0f}" if c >= 100 else number(c) for c in costs)
    answer += f"{', '.join(said)}; thousands of operations a window: {costs}."
    worst = scoring.worst(done)
    last = f"Worst: {scoring.write(worst['score'])} ({scoring.name(worst)})"
    trivial = f"{scoring.trivial}: {scoring.write(worst['trivial'])}."
    return Headline(answer, f"{last}; {trivial}")


def best_of_kinds(scoring, rows):
    """The best cascade, of more than one stage if there is any, and the best net."""
    staged = [r for r in rows if r["detector"] == "cascade" and r["depth"] > 1]
    boosted = staged or [row for row in rows if row["detector"] == "cascade"]
    learned = [row for row in rows if row["detector"] == "cnn"]
    return [scoring.best(own) for own in (boosted, learned) if own]


def draw_costs(scoring, rows):
    """Draws faces found against operations, with intervals; marks are depths."""

    def draw(figure, axes):
        done = measured(rows)
        marks = dict(
            zip(sorted({row["depth"] for row in done}), MARKS * 9, strict=False)
        )
        for place, kind in enumerate(CALLED):
            for row in [row for row in done if row["detector"] == kind]:
                at, style = row["scan_kflop"], {"color": f"C{place}"}
                ends = scoring.ends(row)
                if None not in ends:
                    axes.plot((at, at), ends, lw=1, alpha=0.5, **style)
                axes.plot([at], [row["score"]], marks[row["depth"]], ms=4.5, **style)
        cost, found = done[0]["strong_scan_kflop"], done[0]["strong"]
        axes.plot([cost], [found], "k*", ms=8)
        axes.set_xscale("log")
        axes.set_xlabel("thousands of operations a window, in a scan")
        axes.set_title("faces found, by what a window costs", loc="left")
        axes.grid(alpha=0.25, lw=0.5)
        kinds = dict.fromkeys(row["detector"] for row in done)
        _name_marks(axes, scoring, [kind for kind in CALLED if kind in kinds], marks)

    return draw


def _name_marks(axes, scoring, kinds, marks):
    """Below a panel: a colour for each kind, a mark for each depth, the baseline's star."""
    from matplotlib.lines import Line2D

    colours = {kind: f"C{place}" for place, kind in enumerate(CALLED)}
    named = [(CALLED[kind], "s", colours[kind]) for kind in kinds]
    named += [(scoring.strong, "*", "black")]
    named += [(f"{depth} deep", mark, "grey") for depth, mark in marks.items()]
    for label, mark, colour in named:
        line = Line2D([], [], ls="", marker=mark, ms=5, color=colour, label=label)
        axes.add_line(line)
    figures.legend_below(axes)


def in_words(rows):
    return [{**row, "detector": CALLED[row["detector"]]} for row in rows]


def figures_of(scoring, rows, profiles):
    caption = (
        "Third: the same against the operations of a window in a scan, with 95 % "
        "intervals; depth is the most stages that there may be, or layers."
    )
    return [
        scoring.figure(in_words(rows), caption, draw_costs(scoring, rows)),
        detections(scoring, rows, profiles),
    ]


def detections(scoring, rows, profiles):
    """The picture `detections`: what each kind of detector, and the strong baseline,
    finds in a photograph."""

    def draw():
        best = best_of_kinds(scoring, measured(rows))
        kept = [profiles(row) for row in best]
        found = [
            (scoring.name(row), own["boxes"])
            for row, own in zip(best, kept, strict=True)
        ]
        if "rival" in kept[0]:
            found.append((scoring.strong, kept[0]["rival"]))
        figure = figures.new(2.9 * len(found) + 3.2, 3.7)
        panels = figure.subplots(1, len(found) + 1)
        figure.get_layout_engine().set(h_pad=0.15)
        for axes, (name, boxes) in zip(panels, found, strict=False):
            draw_found(axes, kept[0]["photograph"], boxes, name)
        cascades = [own for own in kept if "feature_0" in own]
        if cascades:
            draw_features(panels[-1], cascades[0])
        else:
            panels[-1].set_axis_off()
        return figure

    text = (
        "A photograph that no detector learned from. Frames: windows that score higher "
        f"than every face-free validation window, the highest of those that touch, {BOXES} "
        "at most; solid where the face is (hits), dashed elsewhere (false alarms). Right: "
        "the first "
        "features that boosting picked, over the mean face; a feature is the sum over "
        "white rectangles less that over black ones."
    )
    return Figure("detections", text, draw)


def draw_found(axes, photograph, boxes, name):
    """A photograph with frames, and how many are hits and false alarms."""
    axes.imshow(photograph, cmap="gray", vmin=0, vmax=255)
    hit = hits(boxes, photograph.shape)
    for (left, top, side), right in zip(boxes, hit, strict=True):
        frame = _frame((left, top), side, "C2" if right else "C1")
        frame.set(linestyle="-" if right else "--", linewidth=1.8 if right else 1.2)
        axes.add_patch(frame)
    false = len(hit) - sum(hit)
    said = f"{counted(sum(hit), 'hit')}, {counted(false, 'false alarm')}"
    axes.set_title(f"{name}:\n{said}", loc="left")
    axes.set_axis_off()


def hits(boxes, shape):
    """Which frames [boxes, 3] show the face: their middle is in the head's box, and their
    side from half as long as the head is wide to one and a half times."""
    top, bottom, left, right = face_windows.FACE
    high, wide = shape
    head = (right - left) * wide
    return [
        left * wide < x + side / 2 < right * wide
        and top * high < y + side / 2 < bottom * high
        and 0.5 * head <= side <= 1.5 * head
        for x, y, side in np.asarray(boxes).tolist()
    ]


def draw_features(axes, kept):
    """The mean face, side by side under each of a cascade's first features."""
    names = [f"feature_{n}" for n in range(FEATURES) if f"feature_{n}" in kept]
    side, gap = len(kept["mean"]), 2
    wide = side * len(names) + gap * (len(names) - 1)
    picture = np.full((side, wide), np.nan)
    for n, name in enumerate(names):
        left = n * (side + gap)
        picture[:, left : left + side] = kept["mean"]
        for sign, top, start, bottom, end in kept[name]:
            corner = (left + start - 0.5, top - 0.5)
            colour = "white" if sign > 0 else "black"
            box = _frame(corner, end - start, "C1", bottom - top)
            box.set(facecolor=colour, alpha=0.75, fill=True)
            axes.add_patch(box)
    axes.imshow(picture, cmap="gray")
    axes.set_title("first features, over the mean face", loc="left")
    axes.set_axis_off()


def _frame(corner, wide, colour, high=None):
    from matplotlib.patches import Rectangle

    return Rectangle(corner, wide, high or wide, fill=False, edgecolor=colour, lw=1.2)
