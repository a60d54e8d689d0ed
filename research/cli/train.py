"""`depthbench train`: one net, or an ensemble of its seeds and numbers, trained."""

import argparse
import functools
import math
from collections.abc import Mapping
from typing import Any

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.architectures.family import Family
from depthbench.research.catalogues import axes
from depthbench.research.catalogues.axes import Axis, flag_of
from depthbench.research.catalogues.initializers import NoCriticalPoint
from depthbench.research.catalogues.losses import LOSSES
from depthbench.research.cli import profiling, tracking
from depthbench.research.cli.options import (
    continued,
    existing_folder,
    integer,
    number,
    one_of,
    path_of_folder,
)
from depthbench.research.datasets import Dataset, find
from depthbench.research.engine import joining, runner
from depthbench.research.engine import profiling as profiles
from depthbench.research.engine.observers import Observer, Several
from depthbench.research.lazy import lazily
from depthbench.research.learning import recipe, sharding
from depthbench.research.learning.recipe import FIELDS, NUMBERS, Field
from depthbench.research.report import trained, training_report
from depthbench.research.report.rendering import FORMATS
from depthbench.research.store import folder as folders
from depthbench.research.store.folder import Folder
from depthbench.research.study import families, plugins, trials
from depthbench.research.study.errors import Refusal

with lazily():
    from depthbench.research.engine import console, trainer
    from depthbench.research.engine import order as orders
    from depthbench.research.learning import feed, supervised, training


SECONDS = Axis("", (60.0,), kind="number", low=0.1, high=1e6, single=True)
PORTS = 65535
MOST_RUNS = 100_000  # of one training: what lists them stays small

# What is run, whose code a training folder records.
RUNS = (
    "depthbench.research.engine.trainer:run_all",
    "depthbench.research.cli.train:work",
)


def arguments(parser) -> None:
    for name, one in FIELDS.items():
        parser.add_argument(flag_of(name), metavar=_metavar(one), help=_help(one))
    parser.add_argument(
        "--report-every",
        metavar="N",
        help="steps between reports; default: 1/20 of all",
    )
    parser.add_argument(
        "--checkpoint-seconds",
        metavar="S",
        default="60",
        help="seconds between checkpoints; default: 60",
    )
    parser.add_argument(
        "--mesh",
        metavar="A=N,…",
        help="devices along cells (runs), data (the batch), parameters (fully sharded)",
    )
    parser.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="of process 0; or cluster, to ask Slurm, Open MPI or a TPU pod",
    )
    parser.add_argument(
        "--num-processes", metavar="N", help="number of processes of the run"
    )
    parser.add_argument(
        "--process-id", metavar="I", help="number of this process, from 0"
    )
    parser.add_argument(
        "--out", default="runs/train", metavar="DIR", help="default: runs/train"
    )
    parser.add_argument("--format", default="table", help=", ".join(FORMATS))
    tracking.flag(parser)
    parser.add_argument(profiling.FLAG, metavar="DIR[:STEPS]", help=profiling.HELP)
    parser.add_argument(
        "--accept-changes",
        action="store_true",
        help="resume a folder begun by other code or on another machine",
    )


def _metavar(one: Field) -> str:
    if one.role == "number":
        return "X,Y,…"
    if one.several:
        return "A,B"
    return {"integer": "N", "number": "X"}.get(one.axis.kind, "NAME")


def _help(one: Field) -> str:
    names = f"; one of {', '.join(one.axis.choices)}" if one.axis.choices else ""
    value = one.value if one.typed is None else one.typed
    untyped = one.published or value in (None, "", ())
    return one.axis.help + names + ("" if untyped else f"; default: {value}")


def main(options: argparse.Namespace) -> int:
    one_of("--format", options.format, FORMATS)
    settings = check(options)
    members = trained.members(settings)
    tracking.check(options.track, len(members))
    out = path_of_folder("--out", options.out)
    profile = None
    if options.profile is not None:
        kept = lambda path: out.is_dir() and path.name in profiling.TRACE
        profile = profiling.asked(options.profile, settings["steps"], kept)
    mesh = None
    if options.mesh is not None:
        mesh = sharding.parse(options.mesh)
        batch, accumulate = settings["batch"], settings["accumulate"]
        sharding.check(mesh, batch, accumulate, len(members))
    started = processes(options)
    order = orders.Order(
        settings=settings,
        mesh=mesh,
        report_every=report_every(options.report_every, settings["steps"]),
        checkpoint_seconds=seconds(options.checkpoint_seconds),
        accept=options.accept_changes,
    )
    folders.look(out, trained.STUDY)
    orders.check(order, out)
    if started is not None:
        joining.join(started)
    runner.begin()
    ready = functools.partial(work, order, members)
    seen: list[Observer] = [tracking.of_training(options.track, out, settings)]
    if profile is not None:
        every, total = order.report_every, order.steps
        seen.append(profiles.ProfiledTraining(*profile, every, total))
    status = trainer.main(order, ready, out, written, Several(*seen))
    if not status and sharding.leads():
        training_report.present(trained.opened(out), options.format)
    if profile is not None and (profile.folder / profiles.OPERATIONS).is_file():
        profiling.present(profile.folder, options.format)
    return status


def written(folder: Folder) -> None:
    """Writes the report of a training that has ended."""
    training_report.write(trained.opened(folder.path))


def work(order: Any, members: list[dict[str, Any]], mesh: Any) -> Any:
    """The runs of a recipe, and the data that they learn. Raises Refusal, DataError."""
    settings = order.settings
    chosen = recipe.of(settings)
    plugins.looked_at({name: one.axis for name, one in FIELDS.items()}, [settings])
    source = feed.source(chosen, order.report_every, mesh)
    for line in source.notes if sharding.leads() else ():
        console.say(line)
    too_few(chosen.batch, chosen.dataset, source.count)
    try:
        runs = [
            training.run_of({**settings, **member}, member["seed"])
            for member in members
        ]
    except NoCriticalPoint as error:
        raise Refusal(f"--initializer critical: {error}") from None
    memory = trials.COPIES * families.cost(settings, chosen.depth).memory
    return trainer.Work(supervised.system(chosen, mesh), source, runs, memory)


def processes(options: argparse.Namespace) -> sharding.Processes | None:
    """The processes that this one is of; None where it is alone. Raises Refusal."""
    names = ("coordinator", "num_processes", "process_id")
    typed = [name for name in names if getattr(options, name) is not None]
    if not typed:
        return None
    coordinator = str(options.coordinator)
    if options.mesh is None:
        raise Refusal(
            f"{flag_of(typed[0])}: needs --mesh, to say what the processes share"
        )
    if typed == ["coordinator"] and coordinator == sharding.CLUSTER:
        return sharding.Processes(coordinator)
    if len(typed) < len(names):
        missing = ", ".join(flag_of(name) for name in names if name not in typed)
        raise Refusal(f"{flag_of(typed[0])}: needs {missing}")
    host, _, port = coordinator.rpartition(":")
    if not host.strip() or not 1 <= (axes.integer(port) or 0) <= PORTS:
        raise Refusal(
            f"--coordinator {coordinator}: must be HOST:PORT of process 0, a port from "
            f"1 to {PORTS}"
        )
    count = integer("--num-processes", options.num_processes, high=10**5)
    process = integer("--process-id", options.process_id, low=0, high=count - 1)
    return sharding.Processes(coordinator, process, count)


def check(options: argparse.Namespace) -> dict[str, Any]:
    """All settings of the run: numbers as tuples, the rest as values. Raises Refusal."""
    settings = {
        name: chosen(one, flag_of(name), getattr(options, name))
        for name, one in FIELDS.items()
    }
    if options.data_dir is not None:
        settings["data_dir"] = str(path_of_folder("--data-dir", options.data_dir))
    runs = settings["seeds"] * math.prod(len(settings[name]) for name in NUMBERS)
    if runs > MOST_RUNS:
        raise Refusal(
            f"{runs:,} runs (seeds × settings): at most {MOST_RUNS:,} at once"
        )
    wanted = continued(settings["dataset"], path_of_folder("--out", options.out))
    dataset = find(wanted, settings["data_dir"] or None)
    if options.data_dir is not None:
        existing_folder("--data-dir", options.data_dir)
    settings["dataset"] = dataset.name
    family = ARCHITECTURES[settings["architecture"]]
    settings["judged"] = LOSSES[family.task(dataset.task)].judged
    settings |= published(family, dataset, settings)
    fits(family, dataset, settings)
    return settings


def chosen(one: Field, flag: str, text: str | None) -> Any:
    """A field's value as it is typed, or its standard one; None where it follows the
    net. Of a number all values, one for each run. Raises Mistake."""
    if text is None:
        if one.published:
            return None
        standard = one.value if one.typed is None else one.typed
        return (standard,) if one.role == "number" else standard
    values = one.axis.parse(flag, text)
    return values if one.several or one.role == "number" else values[0]


def published(
    family: Family, dataset: Dataset, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What was not given: as the net is published, or the standard value."""
    return {
        name: one.published(family, dataset)
        for name, one in FIELDS.items()
        if one.published and settings[name] is None
    }


def fits(family: Family, dataset: Dataset, settings: Mapping[str, Any]) -> None:
    """Raises Refusal where net, data and batch do not go together."""
    why = families.untrainable(family, dataset) or family.refuses(
        settings["depth"],
        settings["activation"],
        settings["normalizer"],
        settings["width"],
        families.side(family, dataset.shape),
    )
    if why:
        raise Refusal(why)
    batch, parts = settings["batch"], settings["accumulate"]
    too_few(batch, dataset.name, dataset.sizes and dataset.sizes[0])
    if batch % parts:
        raise Refusal(f"--accumulate {parts}: must divide the batch size {batch}")
    one = batch == parts and settings["normalizer"] == "batch"
    if one and family.takes == "vector":  # images have pixels to take them over
        raise Refusal(
            f"--batch {batch}: batch norm needs 2 examples or more at a time, as the "
            "variance of one is 0"
        )
    why = recipe.refused(settings) or families.unbiased(
        family, settings["normalizer"], settings["sigma_b2"]
    )
    if why:
        raise Refusal(why)
    if settings["augment"] and len(dataset.shape) != 3:
        raise Refusal(
            f"--augment {settings['augment'][0]}: needs images, which {dataset.name} is not"
        )


def too_few(batch: int, name: str, count: int | None) -> None:
    """Raises Refusal where a set has not as many examples as a batch."""
    if count is not None and batch > count:
        has = f"{count} example{'s' * (count != 1)}"
        raise Refusal(f"--batch {batch}: {name} has {has} to train on")


def report_every(text: str | None, steps: int) -> int:
    """Steps between two reports. Raises Refusal."""
    if text is None:
        return max(1, steps // 20)
    return integer("--report-every", text, high=steps)


def seconds(text: str) -> float:
    """Seconds between two checkpoints. Raises Refusal."""
    return number("--checkpoint-seconds", text, SECONDS)
