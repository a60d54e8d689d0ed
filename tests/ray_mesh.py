"""Runs docs/mesh_on_ray.py, with its flags, on a Ray of two nodes on loopback."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "docs" / "mesh_on_ray.py"

if __name__ == "__main__":
    os.environ |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 2**27}
    head = {**node, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(**node)
    environment = {**os.environ, "RAY_ADDRESS": cluster.address}
    command = [sys.executable, str(SCRIPT), *sys.argv[1:]]
    sys.exit(subprocess.run(command, env=environment).returncode)
