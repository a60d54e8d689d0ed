"""A Ray cluster of a head and two nodes on loopback, whose workers and nodes are lost.

`python -m tests.ray_cluster OUT KILLS SEED WORDS…` runs `depthbench run WORDS…` on it, and
meanwhile kills a worker with -9, or removes a busy node and adds another, so many times.
Prints what was done as JSON.
"""

import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

TURN = 0.2  # seconds
PATIENCE = 60.0  # for a row, before something is lost again


def main(out: Path, kills: int, seed: int, words: list[str]) -> dict:
    os.environ |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    from ray.cluster_utils import Cluster

    chance = random.Random(seed)
    node = {"num_cpus": 1, "object_store_memory": 2**27}
    head = {**node, "num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [cluster.add_node(**node) for _ in range(2)]
    command = [sys.executable, "-m", "depthbench", "run", *words, "--out", str(out)]
    command += ["--on", f"ray:{cluster.address}"]
    done = {"workers": 0, "nodes": 0, "status": 0, "said": ""}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as driver:
        since, rows = time.monotonic(), 0
        while driver.poll() is None:
            now = len(list(out.glob("cells/*.json")))
            waited = time.monotonic() - since
            lost = done["workers"] + done["nodes"]
            if now and lost < kills and (now > rows or waited > PATIENCE):
                time.sleep(chance.uniform(0, 1))
                since, rows = time.monotonic(), now
                if chance.random() < 0.5:
                    done["workers"] += kill_a_worker(chance)
                else:
                    old = nodes.pop(chance.randrange(2))
                    cluster.remove_node(old, allow_graceful=False)
                    nodes.append(cluster.add_node(**node))
                    done["nodes"] += 1
            time.sleep(TURN)
        assert driver.stderr is not None
        done |= {"status": driver.returncode, "said": driver.stderr.read()}
    cluster.shutdown()
    return done


def kill_a_worker(chance: random.Random) -> int:
    """Kills a process that measures; 1 if there was one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            title = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::perform"):
            found.append(int(process.name))
    if not found:
        return 0
    os.kill(chance.choice(found), signal.SIGKILL)
    return 1


if __name__ == "__main__":
    out, kills, seed, *words = sys.argv[1:]
    print(json.dumps(main(Path(out), int(kills), int(seed), words)))
