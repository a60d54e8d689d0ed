"""What --on takes, and what it says of what it does not."""

import importlib.util
import subprocess
import sys

import pytest

from depthbench.research.cli.main import main
from depthbench.research.engine.engines import chosen, on_ray, on_slurm
from depthbench.research.study.errors import LATER, Refusal
from depthbench.research.study.studies import studies

NO_SUBMITIT = importlib.util.find_spec("submitit") is None
WRONG = {
    "rai": "did you mean ray",
    "": "forms: local, ray",
    "local:4": "local has no place",
    "local,gpus=1": "local has no options",
    "ray:head": "must be ray, ray:auto or ray:HOST:PORT",
    "ray:head:0": "must be ray, ray:auto or ray:HOST:PORT",
    "ray:head:99999": "must be ray, ray:auto or ray:HOST:PORT",
    "ray,gpu=1": "unknown option 'gpu': did you mean gpus",
    "ray,gpus=many": "gpus=many: must be GPUs of each job, from 0",
    "ray,gpus=-1": "gpus=-1: must be",
    "ray,cpus=1_0": "cpus=1_0: must be a whole number from 1",
    "ray,gpus=nan": "gpus=nan: must be GPUs",
    "ray,cpus=0": "cpus=0: must be a whole number from 1",
    "slurm": "name a partition",
    "slurm:a b": "name a partition",
    "slurm:gpu,time=1h": "time=1h: must be a whole number from 1 to 10,000, in minutes",
    "slurm:gpu,cluster=pbs": "must be slurm, or local",
    "slurm:gpu,gpus": "gpus=: must be a whole number from 0",
    "slurm:gpu,time=60,time=70": "time stands there twice",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_engine_is_one_line(text, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(chosen, "need", lambda what, module: None)
    words = ["--on", text] if text else ["--on="]
    out = tmp_path / "run"
    assert main(["run", "gradient_flow", *words, "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert WRONG[text] in line or (not text and "is empty" in line)
    assert not out.exists()


def test_what_is_for_ray_alone_is_refused_elsewhere(tmp_path, capsys):
    out = str(tmp_path / "run")
    assert main(["run", "gradient_flow", "--insecure", "--out", out]) == 2
    assert "--insecure: is of --on ray alone" in capsys.readouterr().err


def test_times_are_of_one_kind_of_machine(tmp_path, capsys):
    words = ["--mixed", "--size", "smoke", "--out", str(tmp_path / "run")]
    assert main(["run", "throughput", *words]) == 2
    assert "times machines, which must be of one kind" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "many", "99999999"])
def test_a_wrong_number_of_workers_is_one_line(text, tmp_path, capsys):
    words = [f"--workers={text}", "--out", str(tmp_path / "run")]
    assert main(["run", "gradient_flow", *words]) == 2
    assert "must be a whole number from 1 to 10,000" in capsys.readouterr().err


@pytest.mark.parametrize("text, module", [("ray", "ray"), ("slurm:gpu", "submitit")])
def test_an_engine_that_is_not_installed_is_one_line(text, module, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Exception, match=f"needs {module}, which is not installed"):
        chosen.parse(text)


def test_an_address_where_nothing_listens_is_one_line_and_passes_by_itself():
    with pytest.raises(Refusal, match="no head of Ray answers there") as caught:
        on_ray.check_reached("127.0.0.1:1")
    assert caught.value.status == LATER


def test_a_machine_of_no_cluster_is_one_line_and_one_whose_head_is_gone(
    monkeypatch, tmp_path
):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(on_ray, "CURRENT", tmp_path / "ray_current_cluster")
    with pytest.raises(Refusal, match="this machine is part of no Ray; join one with"):
        on_ray.address_of("auto")
    on_ray.CURRENT.write_text("127.0.0.1:1\n")  # as a cluster that was killed leaves it
    left = on_ray.RayRequest("auto")
    with pytest.raises(Refusal, match="no head of Ray answers"), on_ray.begun(left):
        pass
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert on_ray.address_of("auto") == "10.0.0.1:6379"


def test_a_ray_without_a_token_is_refused(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(
        Refusal, match="could run code as you; unset it, or add --insecure"
    ):
        on_ray.secured(False)
    on_ray.secured(True)


def test_each_cluster_of_this_process_has_a_token_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    tokens = set()
    for _ in range(2):
        on_ray.secured(False)
        import os

        assert os.environ["RAY_AUTH_MODE"] == "token"
        tokens.add(os.environ.pop("RAY_AUTH_TOKEN"))
    assert len(tokens) == 2 and all(len(token) == 64 for token in tokens)


CPUS, GPUS = {"CPU": 8.0}, {"CPU": 8.0, "GPU": 2.0}


def test_a_job_has_a_gpu_where_there_are_any_and_as_many_as_are_asked_for():
    given = on_ray.RayRequest()
    assert on_ray.gpus_of(given, [CPUS, CPUS]) == 0
    assert on_ray.gpus_of(given, [CPUS, GPUS]) == 1
    assert on_ray.gpus_of(given._replace(gpus=0.5), [GPUS]) == 0.5
    assert on_ray.gpus_of(given._replace(gpus=0), [GPUS]) == 0
    with pytest.raises(Refusal, match="no node of this Ray has as many"):
        on_ray.gpus_of(given._replace(gpus=1), [CPUS])


def test_a_node_has_room_for_as_many_jobs_as_its_cpus_and_gpus():
    assert on_ray.slots_of(GPUS, cpus=2, gpus=0) == 4
    assert on_ray.slots_of(GPUS, cpus=2, gpus=1) == 2
    assert on_ray.slots_of(GPUS, cpus=2, gpus=0.5) == 4
    assert on_ray.slots_of(CPUS, cpus=1, gpus=1) == 0
    assert on_ray.slots_of({}, cpus=1, gpus=0) == 0  # a head without CPUs


def test_a_study_that_times_machines_has_one_of_the_largest_for_each_job(monkeypatch):
    """A head without CPUs, a small node, and two large ones that could run eight jobs."""
    nodes = [{}, {"CPU": 4.0}, CPUS, CPUS]
    monkeypatch.setattr(on_ray, "_nodes", lambda: nodes)
    look = {"environment": {"platform": "cpu"}, "memory": 800, "cores": 8}
    monkeypatch.setattr(on_ray.jobs, "look", lambda: look)
    study = studies()["gradient_flow"]
    for timings, workers in (((), 20), (("ms",), 2)):
        engine = on_ray.OnRay(on_ray.RayRequest(), "127.0.0.1:1")
        place = engine.place(study._replace(timings=timings), [], None)
        assert place.workers == workers
        assert engine.options["num_cpus"] == (8 if timings else 1)
        assert place.memory == (800 if timings else 100)


@pytest.mark.parametrize(
    "gpus, workers, memory",
    [(1, None, 800), (2, None, 800), (0.5, None, 400), (0.3, None, 266), (0.5, 1, 800)],
)
def test_jobs_that_share_a_gpu_share_its_memory(gpus, workers, memory, monkeypatch):
    monkeypatch.setattr(on_ray, "_nodes", lambda: [CPUS, GPUS])
    engine = on_ray.OnRay(on_ray.RayRequest(gpus=gpus, workers=workers), "127.0.0.1:1")
    look = {"environment": {"platform": "gpu"}, "memory": 800, "cores": 8}
    monkeypatch.setattr(engine, "_looked", lambda gpus: look)
    assert engine.place(studies()["gradient_flow"], [], None).memory == memory


def test_a_cluster_is_told_how_jax_is_to_take_a_gpus_memory(monkeypatch):
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    told = on_ray._environment("10.0.0.1:6379")["runtime_env"]["env_vars"]
    assert told["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


SINFO = "cpu* (null)\ngpu (null)\ngpu gpu:a100:4\ngpu_old (null)\n\n"


def sinfo(monkeypatch, text=SINFO, status=0):
    """A SLURM of which there is a list of partitions."""
    script = f"import sys; sys.stdout.write({text!r}); sys.exit({status})"
    real = subprocess.run

    def run(command, **keywords):
        assert command[0] == "sinfo"
        return real([sys.executable, "-c", script], **keywords)

    monkeypatch.setattr(on_slurm.subprocess, "run", run)
    monkeypatch.setattr(on_slurm.shutil, "which", lambda name: f"/usr/bin/{name}")


def test_partitions_are_looked_up_before_anything_is_sent(monkeypatch):
    sinfo(monkeypatch)
    on_slurm.check(on_slurm.SlurmRequest("cpu"))
    on_slurm.check(on_slurm.SlurmRequest("gpu", gpus=2))
    with pytest.raises(Refusal, match="no such partition; one of cpu, gpu, gpu_old"):
        on_slurm.check(on_slurm.SlurmRequest("gpus"))
    for name in ("cpu", "gpu_old"):
        with pytest.raises(Refusal, match="it has no GPU"):
            on_slurm.check(on_slurm.SlurmRequest(name, gpus=1))


@pytest.mark.skipif(NO_SUBMITIT, reason="submitit is not installed")
def test_what_sbatch_refuses_is_one_line(monkeypatch, tmp_path):
    """At the first job it is a mistake; later it may be a limit, which passes."""
    from submitit.core.utils import FailedJobError

    why = "sbatch: error: Batch job submission failed: Invalid qos specification"

    class Refusing:
        def submit(self, *arguments):
            raise FailedJobError(f"Command failed\n{why}\nand more")

    engine = on_slurm.OnSlurm(on_slurm.SlurmRequest("cpu"), tmp_path / "jobs")
    monkeypatch.setattr(engine, "_executor", Refusing)
    with pytest.raises(Refusal, match=r"slurm:cpu: sbatch: error: .* qos") as first:
        engine.place(studies()["gradient_flow"], [], None)
    with pytest.raises(Refusal, match=r"Invalid qos specification$") as later:
        engine._send(None)
    assert (first.value.status, later.value.status) == (2, LATER)


def test_a_slurm_that_does_not_answer_passes_by_itself(monkeypatch):
    sinfo(monkeypatch, "", 1)
    with pytest.raises(Refusal, match="sinfo") as caught:
        on_slurm.check(on_slurm.SlurmRequest("cpu"))
    assert caught.value.status == LATER


@pytest.mark.parametrize("text", ["", "12", "12 x", "--user=root 0", "\xff 0"])
def test_the_number_of_a_job_that_was_not_written_whole_stops_no_run(
    text, monkeypatch, tmp_path
):
    """Its driver was killed at it, or the disk was full: the folder is removed."""
    sinfo(monkeypatch)  # which nothing but sinfo may be run with
    left = tmp_path / "1" / "00000" / on_slurm.ID
    left.parent.mkdir(parents=True)
    left.write_text(text, encoding="latin-1")
    on_slurm._put_away(tmp_path / "1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error", [subprocess.TimeoutExpired("scancel", 30), OSError(8, "Exec format error")]
)
def test_a_scancel_that_does_not_answer_stops_no_run(error, monkeypatch, tmp_path):
    sent = []

    def run(command, **_):
        sent.append(command)
        raise error

    sinfo(monkeypatch)
    monkeypatch.setattr(on_slurm.subprocess, "run", run)
    for number in (1, 2):
        left = tmp_path / "1" / f"{number:05}" / on_slurm.ID
        left.parent.mkdir(parents=True)
        left.write_text(f"{number} 0")
    on_slurm._put_away(tmp_path / "1")
    assert sorted(command[-1] for command in sent) == ["1", "2"]
    assert list(tmp_path.iterdir()) == []


def test_without_slurm_there_is_one_line(monkeypatch):
    monkeypatch.setattr(on_slurm.shutil, "which", lambda name: None)
    with pytest.raises(Refusal, match="sbatch is not found"):
        on_slurm.check(on_slurm.SlurmRequest("cpu"))
