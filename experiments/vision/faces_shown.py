"""How faces are shown: the first features over the mean face, and what is found in a
photograph."""

from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import measured
from depthbench.research.study.tables import number

with lazily():
    import numpy as np

    from depthbench.experiments.vision import faces_found
    from depthbench.research.datasets import face_windows

PHOTOGRAPH, SHOWN = "astronaut", 256  # and the side at which it is kept
BOXES, FEATURES = 12, 3  # at most
CALLED = {"cascade": "cascade", "cnn": "CNN"}
TOUCHING = 0.3  # common area over that of both: of such boxes one is kept


def shown(detector, count):
    """What pictures need of a detector: what it finds in a photograph, and its first
    features."""
    x, boxes = face_windows.scan(PHOTOGRAPH)
    score = detector.score(face_windows.normal(x))
    limit = np.max(detector.score(faces_found.windows(count).valid))
    whole = face_windows.photograph(PHOTOGRAPH)
    kept = apart(boxes[score > limit], score[score > limit])
    step = len(whole) // SHOWN
    small = whole.reshape(SHOWN, step, SHOWN, step).mean(axis=(1, 3))
    arrays = {
        "photograph": np.round(255 * small).astype(np.uint8),
        "boxes": np.asarray(kept, np.float32).reshape(-1, 3) / step,
        "mean": faces_found.divided(0).train.mean(axis=0).astype(np.float32),
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
    alike = f"likeness to the mean face: {scoring.write(worst['template'])}."
    return Headline(answer, f"{last}; {alike}")


def best_of_kinds(scoring, rows):
    """The best cascade, of more than one stage if there is any, and the best net."""
    staged = [r for r in rows if r["detector"] == "cascade" and r["depth"] > 1]
    boosted = staged or [row for row in rows if row["detector"] == "cascade"]
    learned = [row for row in rows if row["detector"] == "cnn"]
    return [scoring.best(own) for own in (boosted, learned) if own]


def draw_costs(rows):
    """Draws faces found against operations."""

    def draw(figure, axes):
        done = measured(rows)
        for place, kind in enumerate(("cascade", "cnn")):
            own = [row for row in done if row["detector"] == kind]
            at = [row["scan_kflop"] for row in own]
            axes.plot(at, [r["score"] for r in own], "o", ms=4, color=f"C{place}")
            for row in own:
                text = f" {row['depth']}"
                axes.annotate(text, (row["scan_kflop"], row["score"]), fontsize=6)
        cost, found = done[0]["strong_scan_kflop"], done[0]["strong"]
        axes.plot([cost], [found], "k*", ms=8)
        axes.annotate("HOG + SVM ", (cost, found), fontsize=6, ha="right", va="bottom")
        axes.set_xscale("log")
        axes.set_xlabel("thousands of operations a window, in a scan")
        axes.set_title("faces found, by what a window costs", loc="left")
        axes.grid(alpha=0.25, lw=0.5)

    return draw


def figures_of(scoring, rows, profiles):
    caption = (
        "Third: the same against the operations of a window in a scan; numbers are "
        "the most stages that there may be, or layers."
    )
    return [
        scoring.figure(rows, caption, draw_costs(rows)),
        detections(scoring, rows, profiles),
    ]


def detections(scoring, rows, profiles):
    """The picture `detections`: what each kind of detector finds in a photograph."""

    def draw():
        best = best_of_kinds(scoring, measured(rows))
        cascades = [row for row in best if row["detector"] == "cascade"]
        figure = figures.new(3.3 * len(best) + 3.2, 3.7)
        panels = figure.subplots(1, len(best) + 1)
        figure.get_layout_engine().set(h_pad=0.15)
        for axes, row in zip(panels, best, strict=False):
            kept = profiles(row)
            axes.imshow(kept["photograph"], cmap="gray", vmin=0, vmax=255)
            for left, top, side in kept["boxes"]:
                axes.add_patch(_frame((left, top), side, "C1"))
            axes.set_title(scoring.name(row), loc="left")
            axes.set_axis_off()
        if cascades:
            draw_features(panels[-1], profiles(cascades[0]))
        else:
            panels[-1].set_axis_off()
        return figure

    text = (
        "A photograph that no detector learned from: framed is what scores above all "
        "windows of the photographs that settings are chosen by. Right: the first "
        "features that boosting picked, over the mean face; a feature is the sum over "
        "white rectangles less that over black ones."
    )
    return Figure("detections", text, draw)


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
