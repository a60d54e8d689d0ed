"""One training over several nodes of a Ray cluster: a process of `depthbench train` each.

python docs/mesh_on_ray.py COUNT FLAGS…, such as: 2 --mesh data=2 --steps 200 --out runs/two
"""

import socket
import subprocess
import sys

import ray


@ray.remote(num_cpus=1)  # on a machine with GPUs also num_gpus=1
class Process:
    def address(self) -> str:
        """Where this process can be reached: of the first, what all others join."""
        with socket.socket() as free:
            free.bind(("", 0))
            return f"{ray.util.get_node_ip_address()}:{free.getsockname()[1]}"

    def train(self, number: int, count: int, coordinator: str, flags: list[str]) -> int:
        together = ["--coordinator", coordinator, "--num-processes", str(count)]
        command = ["-m", "depthbench", "train", *flags, *together]
        done = subprocess.run([sys.executable, *command, "--process-id", str(number)])
        return done.returncode


def main(count: int, flags: list[str]) -> int:
    ray.init(address="auto")
    group = [Process.remote() for _ in range(count)]
    coordinator = ray.get(group[0].address.remote())
    calls = [p.train.remote(n, count, coordinator, flags) for n, p in enumerate(group)]
    return max(ray.get(calls))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
