"""How `self_play` is shown: points by depth, and a game with what the net thinks of it."""

from depthbench.experiments import by_depth, scores
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np

SHOWN = 8  # positions of a game
HIGH = 1.6  # cells, of a bar that is all of a policy
NAMES = {1: "red", -1: "yellow"}
SOUGHT = {  # columns of forced wins: with or without search, width of line, dots' face
    "wins_named": ("without", 1.3, None),
    "wins_found": ("with", 0.8, "white"),
}
COLOURS = {1: "#d1495b", -1: "#edae49", 0: "#ffffff"}  # of who began, of who answered


def headline(scoring, rows):
    """Points against pure search, what depth does to them, and the forced wins that the
    nets name."""
    answer, worst = scoring.headline(rows)
    done = measured(rows)
    by = ("board", "architecture", "activation")
    kind = lambda pair: scores.words(pair["architecture"])
    if deeper := by_depth.told(scoring, done, by, kind):
        answer += f" {deeper}"
    best = scoring.best(done)
    shares = sorted(row["wins_named"] for row in done)
    named = " to ".join(dict.fromkeys(f"{one:.0%}" for one in (shares[0], shares[-1])))
    answer += (
        f" Without search the policies name {named} of forced wins in three plies, random "
        f"moves {best['wins_by_chance']:.0%}, pure search {best['wins_pure']:.0%}."
    )
    answer += (
        f" A move costs {best['move_ms']:.2g} ms with the net, {best['pure_ms']:.2g} ms "
        "without."
    )
    return Headline(answer, worst)


def figures_of(scoring, sizes, rows, profiles):
    """sizes: rows, columns and stones of a line, by board."""
    caption = (
        "Third: the share of forced wins in three plies that the policy names without "
        "search (dots) and with it (rings); dashed pure search, dotted random moves."
    )
    done = measured(rows)
    best = scoring.best(done)
    text = (
        "A game of the net that serves best (red, which begins after the opening's moves) "
        "against pure search (yellow). Bars: what its policy gives each column for the "
        "player to move, from the lower grey line (0) to the upper (1); above: the value "
        "it expects for red, from -1 to 1, and in the end who won."
    )
    return [
        scoring.figure(done, caption, draw_wins(scoring, done)),
        Figure("game", text, lambda: draw_game(profiles(best), sizes[best["board"]])),
    ]


def draw_wins(scoring, rows):
    """Draws forced wins by depth."""

    def draw(figure, axes):
        names = list(dict.fromkeys(row["architecture"] for row in rows))
        for place, name in enumerate(names):
            some = sorted(
                (row for row in rows if row["architecture"] == name),
                key=lambda row: row["depth"],
            )
            at = [row["depth"] for row in some]
            for column, (word, width, face) in SOUGHT.items():
                axes.plot(
                    *(at, [row[column] for row in some], "o-"),
                    ms=4,
                    mfc=face or f"C{place}",
                    lw=width,
                    color=f"C{place}",
                    label=f"{scores.words(name)}, {word} search",
                )
        pure, chance = rows[0]["wins_pure"], rows[0]["wins_by_chance"]
        axes.axhline(pure, color="black", ls="--", lw=1, label=scoring.strong)
        axes.axhline(chance, color="black", ls=":", lw=1, label=scoring.trivial)
        places = sorted({row["depth"] for row in rows})
        axes.set_xscale("log", base=2)
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.minorticks_off()
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("depth")
        axes.set_title("forced wins seen", loc="left")
        axes.grid(alpha=0.25, lw=0.5)
        for each in figure.axes[1:]:
            figures.legend_below(each)

    return draw


def draw_game(kept, size):
    """Some positions of a game, from the first of the net's to the last. size: as `sizes`
    of `figures_of`."""
    board, policy = np.asarray(kept["board"]), np.asarray(kept["policy"])
    value, moves = np.asarray(kept["value"]), np.asarray(kept["moves"])
    first = min(4, len(board) - 1)  # after the opening
    places = np.unique(np.linspace(first, len(board) - 1, SHOWN).astype(int))
    figure = figures.new(1.7 * min(4, len(places)), 2.4 * (-(-len(places) // 4)))
    panels = figure.subplots(-(-len(places) // 4), min(4, len(places)), squeeze=False)
    for axes in panels.ravel():
        axes.set_axis_off()
    for axes, ply in zip(panels.ravel(), places, strict=False):
        sign = 1 if ply % 2 == 0 else -1  # red began, and is to move at even plies
        last = None if ply == 0 else int(moves[ply - 1])
        over = ply == len(board) - 1
        draw_board(axes, sign * board[ply], last, None if over else policy[ply])
        told = (
            ended(sign * board[ply], last, size[2])
            if over
            else f"red {sign * value[ply]:+.2f}"
        )
        axes.set_title(f"{ply} moves, {told}", fontsize=7, loc="left")
    return figure


def ended(board, last, line):
    """Who won, if anybody: the last to move, with a line of so many stones.

    board: red's stones are 1 [rows, columns]. last: the last move's column.
    """
    row = int(np.sum(board[:, last] != 0)) - 1
    mover = board[row, last]
    if longest(board == mover, row, last) >= line:
        return f"{NAMES[int(mover)]} wins"
    return "a draw"


def longest(own, row, column):
    """The most stones in a line through a cell of own ones [rows, columns]."""

    def run(up, right):
        at, count = (row + up, column + right), 0
        while all(0 <= n < size for n, size in zip(at, own.shape, strict=True)):
            if not own[at]:
                break
            at, count = (at[0] + up, at[1] + right), count + 1
        return count

    ways = ((0, 1), (1, 0), (1, 1), (1, -1))
    return max(1 + run(*way) + run(-way[0], -way[1]) for way in ways)


def draw_board(axes, board, last, policy):
    """Stones, the last one ringed, and above the board the policy of who is to move."""
    rows, columns = board.shape
    for row in range(rows):
        for column in range(columns):
            colour = COLOURS[int(board[row, column])]
            place = (column, row)
            axes.plot(*place, "o", ms=9, mfc=colour, mec="#888888", mew=0.4)
    if last is not None:
        top = int(np.sum(board[:, last] != 0)) - 1
        axes.plot(last, top, "o", ms=9, mfc="none", mec="black", mew=1.2)
    if policy is not None:
        low = rows - 0.3
        axes.bar(range(columns), HIGH * policy, bottom=low, width=0.7, color="C0")
        for level in (low, low + HIGH):
            axes.axhline(level, color="#bbbbbb", lw=0.6, zorder=0)
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_ylim(-0.6, rows - 0.2 + HIGH)
    axes.set_aspect("equal")
