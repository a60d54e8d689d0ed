"""How `self_play` is shown: points by depth, and a game with what the net thinks of it."""

from depthbench.experiments import by_depth, scores
from depthbench.research.lazy import lazily
from depthbench.research.report import figures
from depthbench.research.study.declaration import Figure, Headline
from depthbench.research.study.headlines import measured

with lazily():
    import numpy as np

SHOWN = 8  # positions of a game
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


def figures_of(scoring, rows, profiles):
    caption = (
        "Third: the share of forced wins in three plies that the policy names without "
        "search (solid) and with it (dashed); dotted, pure search; grey, a move at random."
    )
    done = measured(rows)
    text = (
        "A game of the net that serves best (red, which begins after the opening's moves) "
        "against pure search. Bars: what its policy gives each column for the player to "
        "move; above: the value it expects for red."
    )
    return [
        scoring.figure(done, caption, draw_wins(done)),
        Figure("game", text, lambda: draw_game(profiles(scoring.best(done)))),
    ]


def draw_wins(rows):
    """Draws forced wins by depth."""

    def draw(figure, axes):
        names = list(dict.fromkeys(row["architecture"] for row in rows))
        for place, name in enumerate(names):
            some = sorted(
                (row for row in rows if row["architecture"] == name),
                key=lambda row: row["depth"],
            )
            at = [row["depth"] for row in some]
            for column, style in (("wins_named", "-"), ("wins_found", "--")):
                axes.plot(
                    *(at, [row[column] for row in some], "o"),
                    ls=style,
                    ms=3,
                    color=f"C{place}",
                    label=scores.words(name) if style == "-" else None,
                )
        axes.axhline(rows[0]["wins_pure"], color="black", ls=":", lw=1)
        axes.axhline(rows[0]["wins_by_chance"], color="#888888", ls="-.", lw=1)
        places = sorted({row["depth"] for row in rows})
        axes.set_xscale("log", base=2)
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.minorticks_off()
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("depth")
        axes.set_title("forced wins seen", loc="left")
        axes.grid(alpha=0.25, lw=0.5)
        figures.legend_below(axes)

    return draw


def draw_game(kept):
    """Some positions of a game, from the first of the net's to the last."""
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
        told = "the end" if over else f"red {sign * value[ply]:+.2f}"
        axes.set_title(f"{ply} moves, {told}", fontsize=7, loc="left")
    return figure


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
        axes.bar(range(columns), 1.6 * policy, bottom=rows - 0.3, width=0.7, color="C0")
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_ylim(-0.6, rows + 1.5)
    axes.set_aspect("equal")
