"""Which engine is meant: "local", "ray:auto", "slurm:PARTITION,gpus=1"."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from depthbench.research.catalogues.axes import integer, number
from depthbench.research.catalogues.catalogue import nearest
from depthbench.research.catalogues.packages import need
from depthbench.research.engine.engines import on_ray, on_slurm
from depthbench.research.engine.engines.seam import Engine
from depthbench.research.engine.engines.threads import Threads
from depthbench.research.study.errors import Refusal

FLAG = "--on"
FORMS = "local, ray, ray:auto, ray:HOST:PORT, slurm:PARTITION,gpus=1,time=60"
MOST = 10_000  # workers, and what else is counted here
HEAD = re.compile(r"(\[[0-9a-fA-F:]+\]|[\w.-]+):(\d{1,5})")
WORD = re.compile(r"[\w.@-]+")


class EngineRequest(NamedTuple):
    """An engine that is asked for: its name, its place, and its options as typed."""

    name: str
    place: str
    options: Mapping[str, Any]
    workers: int | None
    insecure: bool


def count(text: str) -> int:
    """A whole number from 1. Raises ValueError."""
    return _within(integer(text), 1)


def _or_none(text: str) -> int:
    return _within(integer(text), 0)


def _share(text: str) -> float:
    return _within(number(text), 0)


def _within(value: Any, low: int) -> Any:
    if value is None or not low <= value <= MOST:
        raise ValueError(value)
    return value


def _word(text: str) -> str:
    if not WORD.fullmatch(text):
        raise ValueError(text)
    return text


def _cluster(text: str) -> str:
    if text not in ("slurm", "local"):
        raise ValueError(text)
    return text


# The options of each engine: how they are read, and what is allowed in words.
WHOLE = f"a whole number from 1 to {MOST:,}"
OPTIONS: dict[str, dict[str, tuple[Callable[[str], Any], str]]] = {
    "local": {},
    "ray": {
        "gpus": (_share, "GPUs of each job, from 0; a half is shared by two"),
        "cpus": (count, WHOLE),
    },
    "slurm": {
        "gpus": (_or_none, "a whole number from 0"),
        "cpus": (count, WHOLE),
        "time": (count, f"{WHOLE}, in minutes"),
        "account": (_word, "a name"),
        "qos": (_word, "a name"),
        "constraint": (_word, "a name"),
        "cluster": (_cluster, "slurm, or local for processes on this machine"),
    },
}


def parse(
    text: str, workers: int | None = None, insecure: bool = False
) -> EngineRequest:
    """The engine that a text means. Raises Refusal.

    >>> parse("slurm:gpu,gpus=1").options
    {'gpus': 1}
    """
    head, *typed = text.split(",")
    name, _, place = head.partition(":")
    if name not in OPTIONS:
        raise Refusal(f"{FLAG} {text}: {nearest(name, list(OPTIONS))}; forms: {FORMS}")
    options = dict(_option(text, name, word) for word in typed)
    keys = [word.partition("=")[0] for word in typed]
    for key in {key for key in keys if keys.count(key) > 1}:
        raise Refusal(f"{FLAG} {text}: {key} stands there twice")
    if insecure and name != "ray":
        raise Refusal(f"--insecure: is of {FLAG} ray alone, and not of {text}")
    chosen = EngineRequest(name, place, options, workers, insecure)
    _check_place(text, chosen)
    if name == "ray":
        need(f"{FLAG} {text}", "ray")
    if name == "slurm":
        need(f"{FLAG} {text}", "submitit")
    return chosen


def _option(text: str, name: str, word: str) -> tuple[str, Any]:
    key, _, value = word.partition("=")
    known = OPTIONS[name]
    if key not in known:
        hint = nearest(key, list(known)) if known else f"{name} has no options"
        raise Refusal(f"{FLAG} {text}: unknown option {key!r}: {hint}")
    read, allowed = known[key]
    try:
        return key, read(value)
    except ValueError:
        raise Refusal(f"{FLAG} {text}: {key}={value}: must be {allowed}") from None


def _check_place(text: str, chosen: EngineRequest) -> None:
    name, place = chosen.name, chosen.place
    if name == "local" and place:
        raise Refusal(f"{FLAG} {text}: local has no place; forms: {FORMS}")
    if name == "slurm" and not WORD.fullmatch(place):
        raise Refusal(f"{FLAG} {text}: name a partition: slurm:PARTITION")
    match = HEAD.fullmatch(place)
    port = int(match[2]) if match else 0
    if name == "ray" and place not in ("", "auto") and not 0 < port < 2**16:
        raise Refusal(f"{FLAG} {text}: must be ray, ray:auto or ray:HOST:PORT")


@contextlib.contextmanager
def opened(chosen: EngineRequest, out: Path, share: str | None) -> Iterator[Engine]:
    """The engine, until the block ends. out: the run's folder. Raises Refusal.

    share: "I/N" of a run that is one of several.
    """
    workers, options = chosen.workers, chosen.options
    if chosen.name == "local":
        yield Threads(workers)
        return
    with _jax_on_cpu():
        if chosen.name == "ray":
            asked = on_ray.RayRequest(
                chosen.place, **options, workers=workers, insecure=chosen.insecure
            )
            with on_ray.begun(asked) as engine:
                yield engine
        else:
            asked = on_slurm.SlurmRequest(chosen.place, **options, workers=workers)
            with on_slurm.begun(asked, out, share or "") as engine:
                yield engine


@contextlib.contextmanager
def _jax_on_cpu() -> Iterator[None]:
    """Keeps this process's own jax from taking a GPU that workers need."""
    import jax

    before = jax.config.values["jax_platforms"]
    if not os.environ.get("JAX_PLATFORMS"):
        jax.config.update("jax_platforms", "cpu")
    try:
        yield
    finally:
        jax.config.update("jax_platforms", before)
