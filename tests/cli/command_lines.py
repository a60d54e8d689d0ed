"""Command lines that are wrong somewhere, made from the parsers, and struck in process.

`python -m tests.cli.command_lines COUNT` strikes so many of them, drawn evenly, or all
if COUNT is 0, and prints what failed as JSON. It is a process of its own, in which jax is
never imported: where a command would import it, its work begins, and the command line was
accepted.
"""

import argparse
import contextlib
import importlib
import importlib.abc
import io
import json
import math
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from depthbench.research.catalogues.axes import Axis, flag_of
from depthbench.research.cli import plugging, probe, run, theory
from depthbench.research.cli.main import COMMANDS, Parser, main
from depthbench.research.learning.recipe import FIELDS
from depthbench.research.report import published
from depthbench.research.study.studies import studies

HEAVY = ("jax", "jaxlib", "flax", "optax", "orbax", "scipy", "matplotlib", "sklearn")

# No flag takes these, whatever it is for.
NEVER = {
    "nothing": "",
    "a space": " ",
    "300 characters": "n" * 300,
    "6,000 characters": "/d" * 3000,
    "nobody's home": "~nouser/x",
    "NUL": "a\0b",
    "a newline": "a\nb",
    "a return": "a\rb",
    "an escape": "\x1b[31mred",
    "a line separator": "a\u2028b",
    "no UTF-8": "caf\udce9",
    "below a file": "../../file/below",
    "a file": "../../file",
    "a device": "/dev/null",
}
# Some flag takes each of these; `allowed` says which.
SOMETIMES = {
    text: text
    for text in (
        *("nan", "inf", "-inf", "1e400", "1e-400", "0x10", "1_000", "1e3", "5.0"),
        *("+5", "-0", "-1", "0", "1e-10", "900000000", "1,2", "1/2", "2/1"),
        *("١٢", "²", "½", "default", "all", "all,relu", "rleu", "%s", "{0}", "<b>"),
        *("None", "h:99999", "data=2", "=", "x.png", "../.."),
        *(",", "1,,2", "relu,", "tfds:", "tfds:../x", "digits", "--", "-x"),
        *(
            "no.such:name",
            "math:pi",
            "json:nothing",
            "json:decoder",
            "a:b:c",
        ),
    )
}
SOMETIMES |= {"5,000 digits": "1" + "0" * 5000, "400 digits": "9" * 400}
VALUES = NEVER | SOMETIMES
SLOW, LONGEST = 4, 30  # seconds of CPU time, and by the clock
PAIRS = 200  # for each command, and each study of `run`

# What a command line has beside the flag that is tried.
BEFORE = {
    "theory": ["tanh"],
    "probe": [
        "depthbench.benchmarks.own_model.example:make",
        "--dry-run",
        "--size",
        "smoke",
    ],
    "compare": [str(published.folders()["digits"]), "nowhere"],
    "verify": ["nowhere"],
    "status": ["nowhere"],
    "merge": ["nowhere", "--out", "joined"],
    "report": ["nowhere"],
    "export": ["nowhere"],
    "reproduce": ["README", "--dry-run"],
    "claims": ["--only", "he2015.gradient-kept"],
}


class Line(NamedTuple):
    """A command line. tried: (flag or argument, value), of which one is wrong or more."""

    words: list[str]
    tried: tuple[tuple[str, str], ...]


class Begun(BaseException):
    """The command line was accepted, and its work would begin."""


def overdue(*_) -> None:
    """Ends a command line that has no answer yet."""
    raise TimeoutError(f"no answer in {LONGEST} s")


class Watch(importlib.abc.MetaPathFinder):
    """Ends a command where it would import what takes long."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            raise Begun(name)


def subjects() -> list[list[str]]:
    """What is typed before the flags: commands, and each study of `run`."""
    lines = [[command.name] for command in COMMANDS if command.name != "run"]
    return lines + [["run", name] for name in studies()]


def actions(subject: list[str]) -> list[argparse.Action]:
    """The flags and arguments of a command, from its parser."""
    parser = Parser()
    if subject[0] == "run":
        run.arguments(parser, studies()[subject[1]])
    else:
        importlib.import_module(f"depthbench.research.cli.{subject[0]}").arguments(
            parser
        )
    if subject[0] in plugging.COMMANDS:
        plugging.flag(parser)
    return [a for a in parser._actions if a.dest != "help"]


def lines() -> Iterator[Line]:
    """All command lines that are tried."""
    for subject in subjects():
        before = [*subject, *BEFORE.get(subject[0], [])]
        if subject[0] == "run":
            before += ["--dry-run", "--size", "smoke"]
        places = iter(range(len(subject), len(before)))
        for action in actions(subject):
            if action.option_strings:
                yield from of_flag(before, action)
                continue
            place = next(places, len(before))
            for value in VALUES.values():
                if not value.startswith("-"):  # a flag, or the end of all flags
                    words = [*before[:place], value, *before[place + 1 :]]
                    name = str(action.metavar or action.dest)
                    yield Line(words, ((name, value),))
        for value in NEVER.values():
            yield Line([*before, value], (("", value),))
            if value:  # -- alone is the end of all flags
                yield Line([*before, f"--{value}"], (("", value),))
            yield Line([*subject[:-1], value], (("", value),))
        yield from pairs(before, actions(subject))
        yield from largest(before)


def of_flag(before: list[str], action: argparse.Action) -> Iterator[Line]:
    """A flag with each value, in both of the ways in which it can be typed."""
    flag = action.option_strings[0]
    for value in VALUES.values():
        yield Line([*before, f"{flag}={value}"], ((flag, value),))
        if action.nargs != 0 and not value.startswith("-"):
            yield Line([*before, flag, value], ((flag, value),))
    if action.nargs != 0:
        yield Line([*before, flag], ((flag, ""),))


def largest(before: list[str]) -> Iterator[Line]:
    """Each count of a study at its bound and beyond; then all at once, and every name."""
    axes = studies()[before[1]].axes if before[0] == "run" else {}
    most = {
        flag_of(name): str(int(axis.high)) if axis.kind == "integer" else "all"
        for name, axis in axes.items()
        if axis.kind == "integer" or (axis.choices is not None and not axis.single)
    }
    for flag, text in most.items():
        for value in (text, f"{text}1"):
            yield Line([*before, flag, value], ((flag, value),))
    words = [word for pair in most.items() for word in pair]
    yield Line([*before, *words], tuple(most.items()))


def pairs(before: list[str], actions: list[argparse.Action]) -> Iterator[Line]:
    """Two flags, or a flag and one argument too many, with values drawn for both."""
    draw = random.Random(" ".join(before[:2]))
    flags = [action.option_strings[0] for action in actions if action.option_strings]
    for _ in range(PAIRS if len(flags) > 1 else 0):
        one, other = draw.sample(flags, 2)
        a, b = draw.choice([*VALUES.values()]), draw.choice([*VALUES.values()])
        yield Line([*before, f"{one}={a}", f"{other}={b}"], ((one, a), (other, b)))
        if b and not b.startswith("-"):
            yield Line([*before, b, f"{one}={a}"], ((one, a), ("", b)))


NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
PATHS = {"--out", "--data-dir", "--figure", "--profile", "--parquet", "--tensorboard"}
AXES = {
    ("theory", "--sigma-w2"): theory.SIGMA_W2._replace(single=True),
    ("theory", "--sigma-b2"): theory.SIGMA_B2._replace(single=True),
}


def within(axis: Axis, text: str) -> bool:
    """Whether a value may be one of an axis: written again, so as not to agree with its
    own mistakes."""
    if axis.kind == "text":
        return True
    items = {item.strip() for item in text.split(",")}
    if axis.single and len(items) > 1:
        return False
    if axis.choices is not None:
        names = {*axis.choices, *(["default"] if None in axis.values else [])}
        return items <= names or (text == "all" and not axis.single)
    return all(
        (item == "default" and None in axis.values) or _number(axis, item)
        for item in items
    )


def _number(axis: Axis, item: str) -> bool:
    if not NUMBER.fullmatch(item) or len(item) > 300:
        return False
    if axis.kind == "integer" and not re.fullmatch(r"[+-]?[0-9]+", item):
        return False
    value = float(item)
    if value == 0 and re.search("[1-9]", item.lower().partition("e")[0]):
        return False
    return (
        axis.low <= value <= axis.high
        and axis.above < value < axis.below
        and math.isfinite(value)
    )


def allowed(line: Line) -> bool:
    """Whether the command line may be accepted: of values that are right for their flags,
    the net, the data or the folder may still be wrong."""
    return all(right(line.words, flag, value) for flag, value in line.tried)


def right(words: list[str], flag: str, text: str) -> bool:
    """Whether a command's flag takes a value."""
    if text in NEVER.values():
        return False
    if flag in PATHS:
        return True
    command, name = words[0], flag[2:].replace("-", "_")
    axis = AXES.get((command, flag))
    if command in ("run", "probe"):
        study = words[1] if command == "run" else probe.STUDY
        axis = studies()[study].axes.get(name)
    if command == "train" and name in FIELDS:
        axis = FIELDS[name].axis
    if axis is not None:
        return within(axis, text)
    match command, flag:
        case (("run" | "probe"), "--shard"):
            return text == "1/2"
        case (("run" | "probe" | "reproduce"), "--memory"):
            return _number(Axis("", (), kind="number", low=0.001, high=1e6), text)
        case "run", "--workers":
            return _number(Axis("", (), kind="integer", low=1, high=10**4), text)
        case "train", "--report-every":
            return _number(Axis("", (), kind="integer", low=1, high=2000), text)
        case "train", "--checkpoint-seconds":
            return _number(Axis("", (), kind="number", low=0.1, high=1e6), text)
        case "train", "--mesh":
            return text == "data=2"
        case "verify", "--cells" | "--seed":
            low = 1 if flag == "--cells" else 0
            return _number(Axis("", (), kind="integer", low=low, high=10**6), text)
        case "list", "what":
            return text == "all"
        case ("claims", "--only") | ("reproduce", "TABLE"):
            return text == "digits"
    return False


def strike(words: list[str]) -> tuple[object, str, str]:
    """A command line's exit status, or what it began or raised; and both outputs."""
    out, err = io.StringIO(), io.StringIO()
    signal.alarm(LONGEST)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status: object = main(words)
        except Begun:
            status = "begun"
        except SystemExit as end:
            status = f"exit {end.code}"
        except BaseException as error:
            status = f"{type(error).__name__}: {error}"[:200]
        finally:
            signal.alarm(0)
    return status, out.getvalue(), err.getvalue()


def fault(line: Line, status: object, out: str, err: str) -> str:
    """What is wrong with an answer; nothing if it is right."""
    if any(name in sys.modules for name in HEAVY):
        return "jax was imported"
    if status in (0, "begun"):
        return "" if allowed(line) else "was accepted"
    if status != 2:
        return f"status {status}"
    if not err.startswith("depthbench: ") or len(err.splitlines()) != 1:
        return "not one line"
    if out:
        return "something was printed"
    if len(err) > 5000 or any(len(v) > 200 and v in err for _, v in line.tried):
        return f"a line of {len(err)} characters"
    names = allowed(line) or any(named(*each, err) for each in line.tried)
    return "" if names else "names neither flag nor value"


def named(flag: str, value: str, err: str) -> bool:
    """Whether a message names the flag, or the value, or how a long one begins."""
    written = [value, repr(value)[1:-1]]
    if not value.strip(" ,"):
        written = [repr(value), f"--{value}", f"{value}: "]
    return bool(flag and flag in err) or any(each[:30] in err for each in written)


def strike_all(cases: list[Line]) -> list[tuple[str, list[str], str]]:
    """What failed, in a folder that is empty and must stay so."""
    sys.meta_path.insert(0, Watch())
    signal.signal(signal.SIGALRM, overdue)
    failed = []
    with tempfile.TemporaryDirectory() as scratch:
        top = Path(scratch)
        (top / "file").write_text("mine")
        (top / "a" / "b").mkdir(parents=True)
        before = sorted(top.rglob("*"))
        os.chdir(top / "a" / "b")
        for line in cases:
            began = time.process_time()
            status, out, err = strike(line.words)
            took = time.process_time() - began
            why = fault(line, status, out, err)
            if sorted(top.rglob("*")) != before:
                why = "left something in the folder"
            if took > SLOW:
                why = why or f"took {took:.1f} s"
            if why:
                failed.append(
                    (
                        why,
                        [w if len(w) < 100 else w[:100] + "…" for w in line.words],
                        err[:300],
                    )
                )
        os.chdir("/")
    return failed


if __name__ == "__main__":
    cases, count = list(lines()), int(sys.argv[1])
    if count:
        cases = random.Random(count).sample(cases, count)
    print(json.dumps({"tried": len(cases), "failed": strike_all(cases)}, indent=1))
