"""What is asked of a training run, and the manifest that its folder keeps of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import replace

from depthbench.research.engine import console, resumption, runner
from depthbench.research.learning import sharding
from depthbench.research.machine import host
from depthbench.research.store import folder as folders
from depthbench.research.store import manifest as manifests
from depthbench.research.store import provenance, reports
from depthbench.research.store.folder import Folder
from depthbench.research.store.manifest import Event, Manifest
from depthbench.research.study import plugins
from depthbench.research.study.errors import Refusal

LAYOUT = 3  # of states and reports on disk


class Order(NamedTuple):
    """A requested training run. settings: what the folder's manifest records.

    mesh: the devices, where they are more than one.
    module: its RUNS say what is run, whose code the manifest records.
    """

    settings: dict[str, Any]
    report_every: int
    checkpoint_seconds: float
    accept: bool
    mesh: sharding.Shape | None = None
    module: str = "depthbench.research.cli.train"

    @property
    def steps(self) -> int:
        return self.settings["steps"]


def settings_of(order: Order) -> dict[str, Any]:
    """The settings as a manifest has them."""
    settings = {**order.settings, "report_every": order.report_every}
    return {n: list(v) if isinstance(v, tuple) else v for n, v in settings.items()}


def check(order: Order, path: Path) -> None:
    """Raises Refusal where a folder has another run; asks no jax."""
    before = manifests.read(path).manifest
    if before is None:
        return
    if before.layout != LAYOUT:
        raise Refusal(
            f"{path}: begun by a version whose states are laid out otherwise: "
            "resume it with that version, or choose another --out"
        )
    for name, value in settings_of(order).items():
        old = before.settings.get(name)
        if old != value and name != "data_dir":  # data are compared by what they are
            raise Refusal(
                f"{path}: contains another run: its {name} is {_shown(old)}, here it is "
                f"{_shown(value)}; choose another --out"
            )


def prepare(
    order: Order, folder: Folder, data: Mapping[str, str], loop: str = ""
) -> None:
    """Writes the folder's manifest, or compares: Refusal if it is another run's.

    data: what is trained on, by name and contents. loop: that which steps take through
    layers, where it is known: of "auto", what was chosen.
    """
    check(order, folder.path)
    environment = host.environment() | {"dtype": order.settings.get("dtype", "float32")}
    environment["matmul_precision"] = "default"
    if loop:
        environment["loop"] = loop
    own = plugins.used(v for v in order.settings.values() if isinstance(v, str))
    names = list(map(str, order.settings.values()))
    made_by = provenance.traced(order.module, names, foreign=own)
    fresh = Manifest(
        schema=manifests.SCHEMA,
        study=reports.STUDY,
        settings=settings_of(order),
        code=made_by.hashes,
        environment=host.of_imports(environment, made_by.imports),
        data=dict(data),
        mesh=str(order.mesh or sharding.Shape()),
        layout=LAYOUT,
        plugins=runner.recorded(own),
    )
    joined = lambda before: _joined(order, folder, before, fresh)
    for line in folders.write_manifest(folder, joined):
        console.say(f"damaged, moved to quarantine: {line}")
    for place in (folder.reports, folder.checkpoints):
        place.mkdir(exist_ok=True)


def _joined(
    order: Order, folder: Folder, before: Manifest | None, fresh: Manifest
) -> Manifest:
    """The manifest of a run that is begun or resumed. Raises Refusal."""
    joined = resumption.joined(before, fresh, order.accept, folder.path)
    if before is None or before.mesh == fresh.mesh:
        return joined
    # The same run: what it computes is what it was.
    console.say(
        f"begun on {before.mesh}, resumed on another mesh, {fresh.mesh}: each step "
        "agrees to float tolerance, no longer bit for bit, and many let that grow"
    )
    event = Event(mesh=[str(before.mesh), str(fresh.mesh)])
    return replace(joined, history=[*joined.history, event], mesh=fresh.mesh)


def _shown(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return ", ".join("not set" if v is None else str(v) for v in values)
