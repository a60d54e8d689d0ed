"""The flags --on, --workers, --mixed and --insecure: what measures a run's cells."""

import argparse

from depthbench.research.catalogues.axes import integer
from depthbench.research.engine.engines import chosen
from depthbench.research.engine.engines.chosen import EngineRequest
from depthbench.research.machine import host
from depthbench.research.study.declaration import Study
from depthbench.research.study.errors import Refusal


def flags(parser) -> None:
    """Declares the flags."""
    parser.add_argument(
        chosen.FLAG,
        default="local",
        metavar="ENGINE",
        help=f"where cells are run: {chosen.FORMS}; default: local, threads",
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        help="run at most so many at a time; default: what fits",
    )
    parser.add_argument(
        "--mixed",
        action="store_true",
        help="take workers of several kinds, with a folder and a table for each",
    )
    parser.add_argument(
        "--insecure", action="store_true", help="join a Ray that asks for no token"
    )


def asked(options: argparse.Namespace, study: Study) -> EngineRequest:
    """The engine that is asked for. Raises Refusal."""
    workers = None if options.workers is None else integer(options.workers)
    if options.workers is not None and not 1 <= (workers or 0) <= chosen.MOST:
        raise Refusal(
            f"--workers {options.workers}: must be a whole number from 1 to "
            f"{chosen.MOST:,}"
        )
    if options.mixed and study.timings:
        raise Refusal(
            f"--mixed: {study.name} times machines, which must be of one kind"
        )
    return chosen.parse(options.on, workers, options.insecure)


def workers(asked: EngineRequest, study: Study) -> int | None:
    """How many units are run at a time, as far as that is known before; None where it
    is what fits."""
    if asked.workers is None or asked.name != "local":
        return asked.workers
    return min(asked.workers, study.threads or host.cores())
