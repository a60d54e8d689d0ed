"""Ray: jobs are its tasks, on this machine or on a cluster that is there.

Ray ends a process after each task that has a GPU, unless it is told not to (`max_calls`):
what is compiled would be lost. Its servers run code for whoever speaks to them, and what
protects them is a token: one is always asked for. On this machine they listen to it alone.
"""

import atexit
import contextlib
import functools
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from depthbench.research.engine import signals
from depthbench.research.engine.engines import driving, jobs
from depthbench.research.engine.engines.jobs import Job, Said
from depthbench.research.engine.engines.seam import Begin, Done, Station, Workload
from depthbench.research.machine import host, settings
from depthbench.research.study.declaration import Study, Unit
from depthbench.research.study.errors import LATER, Refusal

HERE = ""  # the address of a cluster of this process's own
AUTO = "auto"  # that of the cluster which this machine is part of
CURRENT = Path("/tmp/ray/ray_current_cluster")  # where `ray start` leaves it
STORE = 2**28  # bytes of its store of objects: rows are small
REACHED = 5.0  # seconds in which a head answers, or is taken to be gone
PATIENCE = 30.0  # seconds in which a head answers a stranger, or is taken not to
# Asks for the list of nodes, as whoever has no token.
STRANGER = (
    "import sys; from ray._raylet import GcsClient; "
    "GcsClient(address=sys.argv[1]).get_all_node_info(timeout=5)"
)
WATCHED = 2.0  # seconds between two looks at the head
LINES = 3  # of what a lost process wrote last
# What a cluster's processes are to have of this one's environment.
PASSED = ("JAX_", "XLA_FLAGS", "XLA_PYTHON_CLIENT_", *settings.BELOW)


class RayRequest(NamedTuple):
    """What is asked of Ray. address: HERE, "auto" or HOST:PORT. gpus: of each job; None for
    one where there are any. workers: jobs at a time; None for as many as there is room for.
    """

    address: str = HERE
    gpus: float | None = None
    cpus: float = 1
    workers: int | None = None
    insecure: bool = False


class OnRay:
    """A Ray that is begun or joined; its jobs are tasks. head: HOST:PORT of its head."""

    def __init__(self, asked: RayRequest, head: str):
        self.asked, self.head = asked, head
        self.gone = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        """Looks whether the head is there, until it is not."""
        failures = 0
        while failures < 2:
            time.sleep(WATCHED)
            failures = 0 if self.answers() else failures + 1
        self.gone.set()

    def answers(self) -> bool:
        """Whether the head is there now: Ray's own calls wait for one that is not, for a
        minute, and then end this process."""
        try:
            check_reached(self.head)
        except Refusal:
            return False
        return True

    def check_head(self) -> None:
        """Raises Refusal once the head does not answer any more."""
        if self.gone.is_set():
            raise Refusal(
                f"the head of Ray at {self.head} is gone; finished cells are saved, and "
                "the same command resumes from there",
                LATER,
            )

    def place(self, study: Study, units: Sequence[Unit], memory: int | None) -> Station:
        nodes = _nodes()
        gpus = gpus_of(self.asked, nodes)
        cpus = self.asked.cpus
        if study.timings:  # a job has its machine, one of the largest, for itself
            cpus = max(1.0, *(node.get("CPU", 0.0) for node in nodes))
        slots = [slots_of(node, cpus, gpus) for node in nodes]
        room = sum(slots)
        if not room:
            whole = ", ".join(_described(node) for node in nodes) or "no node"
            raise Refusal(
                f"--on {self.asked.address or 'ray'}: no node has {cpus:g} CPUs "
                f"and {gpus:g} GPUs for a job (there is {whole})"
            )
        workers = min(self.asked.workers or room, room)
        seen = self._looked(gpus)
        if gpus and seen["environment"]["platform"] == "cpu":
            raise Refusal(
                "a worker that was given a GPU has a jax that finds none there"
            )
        beside = max(1, min(workers, sharing(max(slots), gpus)))
        self.options = self._options(cpus, gpus)
        return Station(
            seen["environment"], (memory or seen["memory"]) // beside, workers
        )

    def run(
        self, work: Workload, stop: threading.Event, begin: Begin
    ) -> Iterator[Done]:
        return driving.finished(work, self._send, stop, begin)

    def _send(self, job: Job) -> "RayTask":
        self.check_head()
        return RayTask(self._perform.remote(job), self)

    @functools.cached_property
    def _perform(self) -> Any:
        """The task, made once: the head is asked to keep each that is made."""
        import ray

        return ray.remote(max_calls=0)(jobs.perform).options(**self.options)

    def _options(self, cpus: float, gpus: float) -> dict[str, Any]:
        return {
            "num_returns": "streaming",
            "num_cpus": cpus,
            "num_gpus": gpus,
            "max_retries": 0,
            **_environment(self.asked.address),
        }

    def _looked(self, gpus: float) -> dict[str, Any]:
        """What a worker finds where it is."""
        if self.asked.address == HERE and not gpus:
            return dict(jobs.look())
        import ray
        from ray import exceptions

        task = ray.remote(max_calls=0)(jobs.look).options(
            num_cpus=self.asked.cpus,
            num_gpus=gpus,
            **_environment(self.asked.address),
        )
        try:
            return dict(ray.get(task.remote()))
        except exceptions.RayError as error:
            raise Refusal(
                f"a worker of Ray cannot begin: {_line(error)}", LATER
            ) from None


def gpus_of(asked: RayRequest, nodes: Sequence[dict[str, float]]) -> float:
    """The GPUs of each job. Raises Refusal where no node has as many."""
    most = max((node.get("GPU", 0.0) for node in nodes), default=0.0)
    if asked.gpus is None:
        return min(1.0, most)
    if asked.gpus > most:
        raise Refusal(
            f"--on ray,gpus={asked.gpus:g}: no node of this Ray has as many "
            f"(the most is {most:g})"
        )
    return asked.gpus


def _environment(address: str) -> dict[str, Any]:
    """What tasks on another's cluster are given of this process's environment."""
    named = {n: v for n, v in os.environ.items() if n.startswith(PASSED)}
    if address == HERE or not named:  # Ray's processes are this one's own
        return {}
    return {"runtime_env": {"env_vars": named}}


class RayTask:
    """A job that Ray has."""

    def __init__(self, stream: Any, engine: OnRay):
        self.stream, self.engine = stream, engine
        self.failure, self.over = "", False

    def said(self) -> Iterator[Said]:
        import ray
        from ray import exceptions

        while not self.over:
            self.engine.check_head()
            ready, _ = ray.wait([self.stream], timeout=0)
            if not ready:
                return
            try:
                said: Any = ray.get(next(self.stream))
                yield said
            except StopIteration:
                self.over = True
            except exceptions.RayError as error:
                self.over, self.failure = True, _line(error)

    def ended(self) -> bool:
        return self.over

    def last_lines(self) -> str:
        return self.failure

    def cancel(self) -> None:
        import ray

        if not self.engine.answers():
            return
        with contextlib.suppress(Exception):
            ray.cancel(self.stream, force=True)


def _line(error: Exception) -> str:
    """What Ray says of a lost process, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:LINES])[:300] or type(error).__name__


def _why(error: BaseException | None) -> str:
    """Why no Ray was begun or joined, in a line."""
    line = _line(error) if isinstance(error, Exception) else ""
    while error is not None:
        if "InvalidAuthToken" in str(error):
            return (
                "its token is another one: RAY_AUTH_TOKEN, or ~/.ray/auth_token, has it"
            )
        error = error.__cause__
    return line


def _nodes() -> list[dict[str, float]]:
    """What each node that is there has, by the name of the resource."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def slots_of(node: dict[str, float], cpus: float, gpus: float) -> int:
    """The jobs that a node has room for."""
    rooms = [node.get("CPU", 0) // cpus] + (
        [node.get("GPU", 0) // gpus] if gpus else []
    )
    return int(min(rooms))


def sharing(slots: int, gpus: float) -> int:
    """Of the jobs that a node has room for, those that share one memory.

    >>> sharing(8, gpus=0), sharing(8, gpus=1), sharing(8, gpus=2), sharing(8, gpus=0.3)
    (8, 1, 1, 3)
    """
    return min(slots, max(1, int(1 / gpus))) if gpus else slots


def _described(node: dict[str, float]) -> str:
    return f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs"


@contextlib.contextmanager
def begun(asked: RayRequest) -> Iterator[OnRay]:
    """Ray, until the block ends: one of this process's own, or that of an address.

    Raises Refusal where there is none, or where it asks for no token.
    """
    secured(asked.insecure)
    if asked.address != HERE:
        asked = asked._replace(address=address_of(asked.address))
        check_reached(asked.address)
        if os.environ["RAY_AUTH_MODE"] == "token":
            check_guarded(asked.address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # What its servers have to say is said here, in a line.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray

    try:
        ray.init(**_arguments(asked))
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        where = f"ray:{asked.address}" if asked.address else "ray"
        raise Refusal(f"--on {where}: cannot be begun: {_why(error)}", LATER) from None
    head = ray.get_runtime_context().gcs_address
    engine = OnRay(asked, head)
    try:
        with signals.undone(ray.shutdown):
            yield engine
    finally:
        if engine.answers():
            ray.shutdown()
        else:  # what waits for the head is left to end with this process
            atexit.unregister(ray.shutdown)


def _arguments(asked: RayRequest) -> dict[str, Any]:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if asked.address != HERE:
        return {"address": asked.address, **quiet}
    workers = asked.workers or host.cores()
    return {
        "address": "local",  # and not one that somebody has begun on this machine
        "num_cpus": int(workers * asked.cpus),
        "include_dashboard": False,
        "object_store_memory": STORE,
        "_node_ip_address": "127.0.0.1",
        **quiet,
    }


def secured(insecure: bool) -> None:
    """Has Ray ask for a token: the one that is there, or a new one of this process's own.

    Raises Refusal where the environment says that none is to be asked for.
    """
    mode = os.environ.get("RAY_AUTH_MODE", "token")
    if mode == "disabled" and insecure:
        return
    if mode != "token":
        raise Refusal(
            f"RAY_AUTH_MODE={mode}: whoever reaches Ray's ports could run code as you; "
            "unset it, or add --insecure"
        )
    os.environ["RAY_AUTH_MODE"] = "token"
    given = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    if not os.environ.get("RAY_AUTH_TOKEN") and not os.path.exists(given):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def address_of(address: str) -> str:
    """HOST:PORT of a head: as typed, or of the cluster that `ray start` has begun here.

    Raises Refusal where there is none.
    """
    if address != AUTO:
        return address
    found = os.environ.get("RAY_ADDRESS", AUTO)
    if found == AUTO and CURRENT.is_file():
        found = CURRENT.read_text().strip()
    if found == AUTO:
        raise Refusal(
            "--on ray:auto: this machine is part of no Ray; join one with "
            "`ray start --address=HOST:PORT`, or name its head: ray:HOST:PORT"
        )
    return found.removeprefix("ray://")


def check_guarded(address: str) -> None:
    """Raises Refusal where the Ray at HOST:PORT answers without any token.

    Asked by a process of its own: how a client speaks is settled once in each.
    """
    others = {n: v for n, v in os.environ.items() if not n.startswith("RAY_AUTH")}
    environment = {**others, "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-c", STRANGER, address]
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=PATIENCE
        )
        if done.returncode == 0:
            raise Refusal(
                f"--on ray:{address}: it asks for no token: whoever reaches it could run "
                "code there; begin it with RAY_AUTH_MODE=token, or join it with "
                "RAY_AUTH_MODE=disabled and --insecure"
            )


def check_reached(address: str) -> None:
    """Raises Refusal unless something listens at HOST:PORT."""
    name, _, port = address.rpartition(":")
    try:
        socket.create_connection((name.strip("[]"), int(port)), REACHED).close()
    except OSError as error:
        why = error.strerror or str(error)
        raise Refusal(
            f"--on ray:{address}: no head of Ray answers there: {why}", LATER
        ) from None
