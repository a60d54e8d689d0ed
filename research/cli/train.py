"""`depthbench train`: one net, or an ensemble of its seeds and numbers, trained."""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from research.architectures import ARCHITECTURES
from research.architectures.family import ANY_DEPTH, Family
from research.architectures.loops import LOOPS
from research.catalogues.activations import ACTIVATIONS
from research.catalogues.initializers import INITIALIZERS
from research.catalogues.normalizers import NORMALIZERS
from research.catalogues.optimizers import OPTIMIZERS
from research.catalogues.schedules import SCHEDULES
from research.cli.options import one_of
from research.datasets import DATASETS, Dataset, find
from research.lazy import lazily
from research.learning import sharding
from research.report import training_report
from research.report.rendering import FORMATS
from research.store.folder import Folder
from research.study import families
from research.study.axes import Axis, flag_of
from research.study.errors import Refusal
from research.study.trials import DEFAULTS

with lazily():
    from research.engine import trainer

DEPTH, WIDTH = 20, 64
DTYPES = ("float32", "bfloat16")
AUGMENTATIONS = ("flip", "crop")


def _count(help: str, value: int | None, high: float = 10**9, low: int = 1) -> Axis:
    return Axis(help, (value,), kind="integer", low=low, high=high, single=True)


def _number(help: str, high: float = 1e6, value: float | None = None) -> Axis:
    return Axis(help, (value,), kind="number", low=0, high=high)


def _name(help: str, value: str | None, choices: Any) -> Axis:
    return Axis(help, (value,), choices, single=True)


AXES = {
    "architecture": _name("how layers are joined", "mlp", ARCHITECTURES),
    "depth": _count(
        f"number of layers; {DEPTH} or what the net is published with", None
    ),
    "width": _count(f"units or channels; {WIDTH} or as published", None, high=10**6),
    "activation": _name("the nonlinearity; relu or as published", None, ACTIVATIONS),
    "initializer": _name("how weights are drawn", "he_normal", INITIALIZERS),
    "normalizer": _name("normaliser; none or as published", None, NORMALIZERS),
    "optimizer": _name("rule of a step", "adam", OPTIMIZERS),
    "schedule": _name("of the learning rate", "constant", SCHEDULES),
    "batch": _count("examples in a step", 64, high=10**6),
    "steps": _count("how many", 2000),
    "seeds": _count("runs of each setting", 1, high=10**4),
    "accumulate": _count("parts a batch is taken in", 1, high=10**6),
    "loop": _name("how layers are gone through", "scan", LOOPS),
}
# What is traced: several values are several runs of one program.
NUMBERS = {
    "learning_rate": _number("step size; the optimizer's own otherwise"),
    "momentum": _number("decay of the gradient's average, β₁", 1.0),
    "decay": _number("decay of the squared gradient's average, β₂", 1.0),
    "weight_decay": _number("share of the weights taken off, × learning rate"),
    "clip": _number("largest norm of the gradient"),
    "warmup": _number("steps of linear warm-up", 1e9),
    "sigma_w2": _number("weight variance × fan-in, instead of the initialiser's"),
    "sigma_b2": _number("bias variance, instead of the initialiser's"),
}


def arguments(parser) -> None:
    for name, axis in AXES.items():
        value = axis.values[0]
        names = f"; one of {', '.join(axis.choices)}" if axis.choices else ""
        standard = "" if value is None else f"; standard: {value}"
        metavar = "NAME" if axis.choices else "N"
        parser.add_argument(
            flag_of(name), metavar=metavar, help=axis.help + names + standard
        )
    for name, axis in NUMBERS.items():
        parser.add_argument(flag_of(name), metavar="X,Y,…", help=axis.help)
    sets = f"{', '.join(DATASETS)}, or tfds:NAME; standard: digits"
    parser.add_argument("--dataset", metavar="NAME", default="digits", help=sets)
    parser.add_argument(
        "--data-dir", metavar="DIR", default="", help="where data are prepared"
    )
    parser.add_argument(
        "--dtype", default="float32", help=f"of products: {', '.join(DTYPES)}"
    )
    parser.add_argument(
        "--augment", metavar="A,B", default="", help=", ".join(AUGMENTATIONS)
    )
    parser.add_argument(
        "--report-every",
        metavar="N",
        help="steps between reports; standard: 1/20 of all",
    )
    parser.add_argument(
        "--checkpoint-seconds", metavar="S", default="60", help="standard: 60"
    )
    parser.add_argument(
        "--mesh",
        metavar="A=N,…",
        help="devices along cells (runs), data (the batch), parameters (fully sharded)",
    )
    parser.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="of process 0 of several; or cluster: Slurm, Open MPI or a TPU pod says",
    )
    parser.add_argument("--num-processes", metavar="N", help="that are one run")
    parser.add_argument("--process-id", metavar="I", help="this one's, from 0")
    parser.add_argument("--out", metavar="DIR", help="standard: runs/train")
    parser.add_argument("--format", default="table", help=", ".join(FORMATS))
    parser.add_argument(
        "--accept-changes",
        action="store_true",
        help="go on in a folder that other code or another machine began",
    )


def main(options: argparse.Namespace) -> int:
    one_of("--format", options.format, FORMATS)
    settings = check(options)
    members = training_report.members(settings)
    mesh = None
    if options.mesh is not None:
        mesh = sharding.parse(options.mesh)
        batch, accumulate = settings["batch"], settings["accumulate"]
        sharding.check(mesh, batch, accumulate, len(members))
    started = processes(options)
    order = trainer.Order(
        settings=settings,
        members=members,
        mesh=mesh,
        report_every=report_every(options.report_every, settings["steps"]),
        checkpoint_seconds=seconds(options.checkpoint_seconds),
        accept=options.accept_changes,
    )
    if started is not None:
        sharding.start(started)
    out = Path(options.out or "runs/train")
    status = trainer.main(order, out, training_report.write)
    if not status and sharding.leads():
        training_report.present(Folder(out), options.format)
    return status


def processes(options: argparse.Namespace) -> sharding.Processes | None:
    """The processes that this one is of; None where it is alone. Raises Refusal."""
    names = ("coordinator", "num_processes", "process_id")
    given = [name for name in names if getattr(options, name) is not None]
    if not given:
        return None
    coordinator = str(options.coordinator)
    if options.mesh is None:
        raise Refusal(f"{flag_of(given[0])}: say with --mesh what the processes share")
    if given == ["coordinator"] and coordinator == sharding.CLUSTER:
        return sharding.Processes(coordinator)
    if len(given) < len(names):
        missing = ", ".join(flag_of(name) for name in names if name not in given)
        raise Refusal(f"{flag_of(given[0])}: needs {missing}")
    if not re.fullmatch(r".+:\d{1,5}", coordinator):
        raise Refusal(f"--coordinator {coordinator}: must be HOST:PORT of process 0")
    (count,) = _count("", None, high=10**5).parse(
        "--num-processes", options.num_processes
    )
    (number,) = _count("", None, high=int(count or 1) - 1, low=0).parse(
        "--process-id", options.process_id
    )
    return sharding.Processes(coordinator, int(number or 0), int(count or 1))


def check(options: argparse.Namespace) -> dict[str, Any]:
    """All settings of the run: numbers as tuples, the rest as values. Raises Refusal."""
    settings = dict(DEFAULTS)
    for name, axis in AXES.items():
        text = getattr(options, name)
        (settings[name],) = axis.parse(flag_of(name), text) if text else axis.values
    for name, axis in NUMBERS.items():
        text = getattr(options, name)
        settings[name] = axis.parse(flag_of(name), text) if text else (None,)
    one_of("--dtype", options.dtype, DTYPES)
    settings["dtype"] = options.dtype
    settings["augment"] = tuple(filter(None, re.split(r"[, ]+", options.augment)))
    for name in settings["augment"]:
        one_of("--augment", name, AUGMENTATIONS)
    settings["data_dir"] = options.data_dir
    dataset = find(options.dataset, options.data_dir or None)
    settings["dataset"] = dataset.name
    family = ARCHITECTURES[settings["architecture"]]
    settings["judged"] = family.task(dataset.task) in ("classes", "tokens")
    settings |= published(family, dataset, settings)
    fits(family, dataset, settings)
    return settings


def published(
    family: Family, dataset: Dataset, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What was not given: as the net is published, or the standard value."""
    depth = DEPTH if family.depths is ANY_DEPTH else family.depths.examples[0]
    if family.takes == "sequence" and not family.space:  # depth is time: read it all
        depth = dataset.shape[0] if len(dataset.shape) > 1 else 1
    own = {
        "depth": depth,
        "width": family.width or WIDTH,
        "activation": family.published_activation,
        "normalizer": family.published_normalizer,
    }
    return {name: v for name, v in own.items() if settings[name] is None}


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
    if dataset.sizes and batch > dataset.sizes[0]:
        raise Refusal(
            f"--batch {batch}: {dataset.name} has {dataset.sizes[0]} examples to train on"
        )
    if batch % parts:
        raise Refusal(f"--accumulate {parts}: must divide the batch of {batch}")
    if settings["augment"] and len(dataset.shape) != 3:
        raise Refusal(
            f"--augment: {dataset.name} has no images to {settings['augment'][0]}"
        )


def report_every(text: str | None, steps: int) -> int:
    """Steps between two reports. Raises Refusal."""
    if text is None:
        return max(1, steps // 20)
    (every,) = _count("", None, high=steps).parse("--report-every", text)
    return int(every or 1)


def seconds(text: str) -> float:
    """Seconds between two checkpoints. Raises Refusal."""
    (value,) = Axis("", (None,), kind="number", low=0.1, high=1e6, single=True).parse(
        "--checkpoint-seconds", text
    )
    return float(value or 60)
