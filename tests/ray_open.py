"""A Ray on loopback that asks for no token, and a run that is to join it.

`python -m tests.ray_open OUT WORDS…` prints what became of it as JSON.
"""

import json
import os
import subprocess
import sys

LATE = 120.0  # seconds


def main(out: str, words: list[str]) -> dict:
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": 2**27, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    command = [sys.executable, "-m", "depthbench", "run", *words, "--out", out]
    command += ["--on", f"ray:{cluster.address}"]
    environment = {n: v for n, v in os.environ.items() if not n.startswith("RAY_AUTH")}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=LATE
    )
    cluster.shutdown()
    return {"status": done.returncode, "stderr": done.stderr}


if __name__ == "__main__":
    out, *words = sys.argv[1:]
    print(json.dumps(main(out, words)))
