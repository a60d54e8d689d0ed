"""SLURM, through submitit: jobs are its batch jobs, and say what they do in spools.

Driver and jobs share a disk: what jobs say is in the run's folder, in `.jobs`. Jobs of a
driver that was killed end by themselves; the next driver in the folder cancels them before.
"""

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from depthbench.research.engine import console, signals
from depthbench.research.engine.engines import driving, jobs, spool
from depthbench.research.engine.engines.jobs import Job, Said
from depthbench.research.engine.engines.seam import Begin, Done, Station, Workload
from depthbench.research.files import regular
from depthbench.research.machine import host
from depthbench.research.store.folder import JOBS
from depthbench.research.study.declaration import Study, Unit
from depthbench.research.study.errors import LATER, USAGE, Refusal

NAME = "depthbench"  # of jobs
WORKERS = 8  # jobs at a time, where no other number is typed
MINUTES = 60  # of a job
START = 4.0  # seconds in which a job's process has begun jax, on a slow machine's disk
LINES = 3  # of what a lost job wrote last
ID = "id"  # the name of a file with a job's number, and its process's
TOUCHED = 10.0  # seconds from one touch of the driver's to the next


class SlurmRequest(NamedTuple):
    """What is asked of SLURM. time: minutes that a job may take. cluster: "slurm", or
    "local" for submitit's processes on this machine. others: further options of sbatch.
    """

    partition: str
    gpus: int = 0
    cpus: int = 1
    time: int = MINUTES
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    cluster: str = "slurm"
    workers: int | None = None


class OnSlurm:
    """Batch jobs, whose spools are in `folder`, which is this process's alone."""

    def __init__(self, asked: SlurmRequest, folder: Path):
        self.asked, self.folder = asked, folder
        self.alone, self.numbers, self.touched = False, itertools.count(), 0.0

    def place(self, study: Study, units: Sequence[Unit], memory: int | None) -> Station:
        self.alone = bool(study.timings)
        local = self.asked.cluster == "local"
        workers = self.asked.workers or (host.cores() if local else WORKERS)
        workers = 1 if self.alone and local else workers
        seen = self._looked()
        if self.asked.gpus and seen["environment"]["platform"] == "cpu":
            raise Refusal("a job that was given a GPU has a jax that finds none there")
        beside = workers if local else max(1, seen["cores"] // self.asked.cpus)
        beside = 1 if self.alone or self.asked.gpus else beside
        return Station(
            seen["environment"], (memory or seen["memory"]) // beside, workers
        )

    def run(
        self, work: Workload, stop: threading.Event, begin: Begin
    ) -> Iterator[Done]:
        self.attend()
        for left in self.folder.parent.iterdir():
            if left != self.folder:  # the run's folder is locked: its driver is gone
                _put_away(left)
        yield from driving.finished(work, self._send, stop, begin, START)

    def attend(self) -> None:
        """Lets jobs know that their driver is there."""
        if time.monotonic() - self.touched > TOUCHED:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / spool.ALIVE).touch()
            self.touched = time.monotonic()

    def _send(self, job: Job) -> "_Batch":
        spooled = self.folder / f"{next(self.numbers):05}"
        spooled.mkdir(parents=True)
        sent = self._submitted(LATER, spool.perform, job, spooled)
        (spooled / ID).write_text(f"{sent.job_id} {_process(sent)}")
        return _Batch(sent, spooled, self.attend)

    def _submitted(self, status: int, function: Callable, *arguments: Any) -> Any:
        """A job that SLURM has taken. Raises Refusal of a status with what it says."""
        from submitit.core.utils import FailedJobError

        try:
            return self._executor().submit(function, *arguments)
        except FailedJobError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            lines = lines or ["sbatch refuses a job, and does not say why"]
            why = next((s for s in lines if "error:" in s), lines[-1])[:300]
            raise Refusal(f"--on slurm:{self.asked.partition}: {why}", status) from None

    def _executor(self) -> Any:
        import submitit

        asked = self.asked
        executor = submitit.AutoExecutor(self.folder / "logs", cluster=asked.cluster)
        named = {n: getattr(asked, n) for n in ("account", "qos", "constraint")}
        executor.update_parameters(
            name=NAME,
            timeout_min=asked.time,
            gpus_per_node=asked.gpus,
            cpus_per_task=asked.cpus,
            slurm_partition=asked.partition,
            slurm_exclusive=self.alone or None,
            **{f"slurm_{n}": value for n, value in named.items() if value},
        )
        return executor

    def _looked(self) -> dict[str, Any]:
        """What a job finds where it is."""
        if self.asked.cluster == "local" and not self.asked.gpus:
            return dict(jobs.look())
        from submitit.core.utils import UncompletedJobError

        console.say("a first job looks at the machine")
        sent = self._submitted(USAGE, jobs.look)
        try:
            with signals.undone(sent.cancel):
                return dict(sent.result())
        except (UncompletedJobError, RuntimeError) as error:
            raise Refusal(f"the first job ended: {_last_lines(sent)}", LATER) from error


class _Batch:
    """A job that SLURM has. attend: lets jobs know that they are asked."""

    def __init__(self, sent: Any, folder: Path, attend: Callable[[], None]):
        self.sent, self.folder, self.attend, self.read = sent, folder, attend, 0

    def said(self) -> Iterator[Said]:
        self.attend()
        for said in spool.said(self.folder, self.read):
            self.read += 1
            yield said

    def ended(self) -> bool:
        return self.sent.done()

    def last_lines(self) -> str:
        return _last_lines(self.sent)

    def cancel(self) -> None:
        with contextlib.suppress(Exception):
            self.sent.cancel(check=False)


def _process(sent: Any) -> int:
    """The number of the process of one of submitit's local jobs; 0 of others."""
    return getattr(getattr(sent, "_process", None), "pid", 0)


def _last_lines(sent: Any) -> str:
    """What a job wrote last, or its state."""
    try:
        lines = [line.strip() for line in (sent.stderr() or "").splitlines()]
    except Exception:  # no file, or one of a disk that is gone
        lines = []
    told = [line for line in lines if line and not line.startswith("srun:")][-LINES:]
    return " ".join([f"{sent.state}", *told])[:300]


def _put_away(folder: Path) -> None:
    """Cancels the jobs of a driver that is gone, and removes what they said."""
    for file in folder.glob(f"*/{ID}"):
        known = re.fullmatch(r"(\w+) (\d{1,9})", _read(file))
        if known is None:  # its driver ended as it wrote: the job ends by itself
            continue
        identity, process = known.groups()
        if process != "0":
            _kill(int(process), folder)
        elif shutil.which("scancel"):
            _cancel(identity)
    shutil.rmtree(folder, ignore_errors=True)


def _read(file: Path) -> str:
    """What is in a file; "" where it is none of ours."""
    try:
        return regular.read(file).decode("ascii")
    except (OSError, ValueError):
        return ""


def _cancel(identity: str) -> None:
    """Cancels a job of our name alone, as the folder may be a stranger's."""
    command = ["scancel", f"--name={NAME}", "--me", identity]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):  # it ends by itself
        subprocess.run(command, capture_output=True, timeout=30)


def _kill(process: int, folder: Path) -> None:
    """Ends a process, if its number is still that of a job of the folder."""
    with contextlib.suppress(OSError):
        command = Path(f"/proc/{process}/cmdline").read_bytes()
        if b"-m\0submitit." in command and str(folder).encode() in command:
            os.kill(process, signal.SIGTERM)


@contextlib.contextmanager
def begun(asked: SlurmRequest, out: Path, share: str) -> Iterator[OnSlurm]:
    """SLURM, until the block ends. out: the run's folder. share: "I/N", or "".

    Raises Refusal where there is none, or no such partition.
    """
    check(asked)
    shares = out.absolute() / JOBS / (share.replace("/", "-of-") or "all")
    engine = OnSlurm(asked, shares / f"{time.time_ns()}")
    there = out.exists()
    try:
        yield engine
    finally:
        shutil.rmtree(engine.folder, ignore_errors=True)
        empty = [shares, out / JOBS] + ([] if there else [out])
        with contextlib.suppress(OSError):  # others have something in it
            for folder in empty:
                folder.rmdir()


def check(asked: SlurmRequest) -> None:
    """Raises Refusal where the partition is not there, or has no GPU and one is wanted."""
    if asked.cluster == "local":
        return
    if shutil.which("sbatch") is None:
        raise Refusal(
            f"--on slurm:{asked.partition}: no SLURM here (sbatch is not found); run this "
            "on a login node"
        )
    known: dict[str, str] = {}  # the resources of each partition's nodes
    for line in filter(str.strip, _sinfo("%P %G")):
        name, *resources = line.split()
        name = name.rstrip("*")
        known[name] = " ".join([known.get(name, ""), *resources])
    if asked.partition not in known:
        names = ", ".join(sorted(known))
        raise Refusal(
            f"--on slurm:{asked.partition}: no such partition; one of {names}"
        )
    if asked.gpus and "gpu" not in known[asked.partition]:
        raise Refusal(f"--on slurm:{asked.partition},gpus={asked.gpus}: it has no GPU")


def _sinfo(form: str) -> list[str]:
    """SLURM's own list of partitions. Raises Refusal where its controller is gone."""
    try:
        done = subprocess.run(
            ["sinfo", "-h", "-o", form], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refusal(f"sinfo: {error}", LATER) from None
    if done.returncode:
        raise Refusal(f"sinfo: {done.stderr.strip()[:200]}", LATER)
    return done.stdout.splitlines()
