"""The command line: `depthbench COMMAND …`. Mistakes get one line and exit status 2."""

import argparse
import importlib
import importlib.metadata
import platform
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from depthbench.research.catalogues.catalogue import Mistake, nearest
from depthbench.research.cli import caching, output, plugging, words
from depthbench.research.engine import console, signals
from depthbench.research.machine import limits
from depthbench.research.study.errors import (
    INTERRUPTED,
    USAGE,
    Refusal,
    mended_outside,
    missing,
)


class Command(NamedTuple):
    """A subcommand, which is the file of its name in this folder."""

    name: str
    help: str


COMMANDS = (
    Command("run", "run a benchmark or an experiment"),
    Command("probe", "the gradient in a net of your own, at several depths"),
    Command("train", "train one net, or an ensemble of its runs"),
    Command("claims", "every published claim beside what was measured"),
    Command("theory", "infinite-width theory of one activation"),
    Command("list", "benchmarks, experiments and every catalogue"),
    Command("report", "regenerate a run's report, or README and docs"),
    Command("export", "a run's rows as Parquet, or for TensorBoard"),
    Command("status", "how much of a run is done, by whom, and how to go on"),
    Command("merge", "join the folders of a study that was run in parts"),
    Command("compare", "what differs between two runs beyond noise"),
    Command("verify", "rerun some cells and compare bit for bit"),
    Command("reproduce", "run a published table's cells again and compare"),
    Command("doctor", "devices, versions, memory, optional packages"),
)


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are Refusals."""

    def __init__(self, *args, **keywords):
        super().__init__(*args, allow_abbrev=False, **keywords)

    def error(self, message: str) -> NoReturn:
        raise Refusal(f"{message} (see {self.prog} --help)")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The options. Raises Refusal, naming the nearest flag, for one not known."""
        options, unknown = self.parse_known_args(arguments)
        flags = [s for action in self._actions for s in action.option_strings]
        for word in unknown:
            if word.startswith("-"):
                hint = nearest(word.split("=")[0], [f for f in flags if len(f) > 2])
                raise Refusal(f"unknown flag {word}: {hint}")
            raise Refusal(f"unexpected {word!r} (see {self.prog} --help)")
        for action in self._actions:
            value = getattr(options, action.dest, None)
            name = (*action.option_strings, action.metavar, action.dest)[0]
            if isinstance(value, list) and action.nargs != "+":  # of --flag=--
                raise Refusal(f"{name} '--': is no value (see {self.prog} --help)")
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, str) and not each.strip():
                    raise Refusal(f"{name} {each!r}: is empty (see {self.prog} --help)")
        return options


def overview() -> str:
    lines = [f"  {command.name:<9} {command.help}" for command in COMMANDS]
    return (
        "usage: depthbench COMMAND …\n\nHow deep can a network be made, does its "
        "gradient survive, and what does it cost?\n\n" + "\n".join(lines) + "\n\n"
        "depthbench COMMAND --help for details; start with depthbench run gradient_flow.\n"
        "depthbench --version: its own, and those of jax and Python (doctor has all)."
    )


def versions() -> str:
    """A line for a bug report, of packages that are not imported for it."""
    known = []
    for name in ("depthbench", "jax"):
        try:
            known.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            known.append(f"{name} (not installed)")
    return ", ".join([*known, f"Python {platform.python_version()}"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit status; prints no traceback for what
    the user can mend."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    return output.guarded(lambda: status(arguments))


def status(arguments: list[str]) -> int:
    """The exit status of a command line, after a line on what was wrong with it."""
    try:
        return dispatch(arguments)
    except (Refusal, Mistake) as refusal:
        console.say(words.shortened(str(refusal), arguments))
        return getattr(refusal, "status", USAGE)
    except ModuleNotFoundError as error:
        console.say(str(missing(error)))
        return USAGE
    except KeyboardInterrupt:
        console.say("interrupted")
        return INTERRUPTED
    except Exception as error:
        refusal = mended_outside(error)
        console.say(words.shortened(str(refusal), arguments))
        return refusal.status


def dispatch(arguments: list[str]) -> int:
    words.check(arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        console.write(*overview().split("\n"))
        return 0
    if arguments == ["--version"]:
        console.write(versions())
        return 0
    names = [command.name for command in COMMANDS]
    if arguments[0] not in names:
        known = [*names, "--help", "--version"]
        raise Refusal(
            f"unknown command {arguments[0]!r}: {nearest(arguments[0], known)}"
        )
    limits.check()
    command = COMMANDS[names.index(arguments[0])]
    words_left = arguments[1:]
    if command.name in plugging.COMMANDS:
        words_left = plugging.loaded(command.name, words_left)
    module = importlib.import_module(f"depthbench.research.cli.{command.name}")
    parser = Parser(prog=f"depthbench {command.name}", description=command.help)
    if command.name in plugging.COMMANDS:
        plugging.flag(parser)
    if command.name in caching.COMMANDS:
        caching.flag(parser)
    take: Callable = getattr(module, "take", None) or _take
    options = take(parser, module, words_left)
    with caching.kept(command.name, options):
        return module.main(options)


def _take(parser: Parser, module, arguments: list[str]) -> argparse.Namespace:
    module.arguments(parser)
    return parser.parse(arguments)


def script(name: str) -> NoReturn:
    """`python -m benchmarks.NAME …` is `depthbench run NAME …`."""
    listener = signals.listen()
    listener.ended = main(["run", name, *sys.argv[1:]])
    sys.exit(listener.ended)
