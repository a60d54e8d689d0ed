"""The flag --plugin: the user's entries are in their catalogues before names are read."""

from collections.abc import Sequence
from importlib import metadata

from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.engine import console
from depthbench.research.study.errors import Refusal

# Of these, the second row reads names that are typed; the first what folders record, for
# which no package's plugin is imported that it was not made with.
FOLDERS = ("verify", "report", "export", "compare", "merge", "status")
COMMANDS = (*FOLDERS, "run", "train", "theory", "list", "claims")
FLAG = "--plugin"
GROUP = "depthbench.plugins"  # of entry points


def flag(parser) -> None:
    """Declares the flag, for --help and for mistyped ones: it is taken out before."""
    parser.add_argument(
        FLAG,
        metavar="FILE|MODULE",
        help="Python file or module whose ENTRIES join depthbench's own; may be repeated. "
        "One thing of a module is named without it: --activation my.module:name",
    )


def loaded(command: str, words: Sequence[str]) -> list[str]:
    """The words without the plugins, which are loaded, as are those of packages.

    Raises Refusal, Mistake.
    """
    texts, left = taken(words)
    points = () if command in FOLDERS else metadata.entry_points(group=GROUP)
    if texts or points:
        from depthbench.research.study import plugins

        for text in texts:
            try:
                plugins.load(text)
            except Mistake as error:
                raise Refusal(f"{FLAG} {error}") from None
        for line in plugins.load_installed(points):
            console.say(line)
    return left


def taken(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """(the values of --plugin, all other words). Raises Refusal where one has no value.

    >>> taken(["tanh", "--plugin", "a.py", "--plugin=b", "--", "--plugin"])
    (['a.py', 'b'], ['tanh', '--', '--plugin'])
    """
    texts, left = [], []
    todo = list(words)
    while todo:
        word = todo.pop(0)
        if word == "--":
            return texts, [*left, word, *todo]
        if word == FLAG:
            if not todo or todo[0].startswith("-"):
                raise Refusal(f"argument {FLAG}: expected one argument")
            texts.append(todo.pop(0))
        elif word.startswith(f"{FLAG}="):
            texts.append(word.partition("=")[2])
        else:
            left.append(word)
    for text in texts:
        if not text.strip():
            raise Refusal(f"{FLAG} {text!r}: is empty")
    return texts, left
