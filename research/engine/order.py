"""What is asked of a training run, and the manifest that its folder keeps of it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from research.datasets.record import differs
from research.engine import console
from research.learning import sharding
from research.machine import host
from research.store import folder as folders
from research.store import provenance
from research.store.folder import Folder
from research.study.errors import Refusal

LAYOUT = 2  # of states and reports on disk: 1 had parameters beside the step, no tree


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
    module: str = "research.cli.train"

    @property
    def steps(self) -> int:
        return self.settings["steps"]


def note(folder: Folder, event: dict[str, Any], **changed: Any) -> None:
    """Adds an event to the manifest's history, with what it changed."""
    manifest = folders.read_manifest(folder) or {}
    history = [*manifest["history"], event]
    folders.write_manifest(folder, {**manifest, **changed, "history": history})


def prepare(order: Order, folder: Folder, data: Mapping[str, str]) -> None:
    """Writes the folder's manifest, or compares: Refusal if it is another run's.

    data: what is trained on, by name and contents.
    """
    environment = host.environment() | {"dtype": order.settings.get("dtype", "float32")}
    environment["matmul_precision"] = "default"
    settings = {**order.settings, "report_every": order.report_every}
    fresh = {
        "study": "train",
        "settings": {
            n: list(v) if isinstance(v, tuple) else v for n, v in settings.items()
        },
        "schema": folders.SCHEMA,
        "code": provenance.code(order.module, map(str, order.settings.values())),
        "environment": environment,
        "data": dict(data),
        "mesh": str(order.mesh or sharding.Shape()),
        "layout": LAYOUT,
        "history": [],
    }
    manifest = folders.read_manifest(folder)
    if manifest is None:
        folders.write_manifest(folder, fresh)
        return
    if manifest["study"] != "train":
        raise Refusal(
            f"{folder.path}: contains {manifest['study']}, not a training run; "
            "choose another --out"
        )
    if manifest.get("layout", 1) != LAYOUT:
        raise Refusal(
            f"{folder.path}: begun by a version whose states are laid out otherwise: "
            "resume it with that version, or choose another --out"
        )
    _same_settings(folder, manifest.get("settings", {}), fresh["settings"])
    other = differs(manifest.get("data", {}), data)
    if other and not order.accept:
        raise Refusal(
            f"{folder.path}: {other}; train on the data that it was begun with, use a "
            "new --out, or --accept-changes"
        )
    changes = folders.differences(manifest, fresh["code"], environment)
    changes += [other] if other else []
    if changes and not order.accept:
        raise Refusal(
            f"{folder.path}: made with other code or on another machine: {changes[0]}; "
            "use a new --out, or --accept-changes"
        )
    if changes:
        names = ("code", "environment", "data")
        changed = {name: fresh[name] for name in names}
        note(folder, {"accepted": changes}, **changed)
    before = manifest.get("mesh", str(sharding.Shape()))
    if before != fresh["mesh"]:  # the same run: what it computes is what it was
        note(folder, {"mesh": [before, fresh["mesh"]]}, mesh=fresh["mesh"])
        console.say(
            f"begun on {before}, resumed on another mesh, {fresh['mesh']}: each step "
            "agrees to float tolerance, no longer bit for bit, and many let that grow"
        )


def _same_settings(
    folder: Folder, old: dict[str, Any], settings: dict[str, Any]
) -> None:
    """Raises Refusal for the first setting that the folder's run has another value of."""
    for name, value in settings.items():
        if name == "data_dir":  # data are compared by what they are, wherever they lie
            continue
        if old.get(name) != value:
            raise Refusal(
                f"{folder.path}: contains another run: its {name} is "
                f"{_shown(old.get(name))}, not {_shown(value)}; choose another --out"
            )


def _shown(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    return ", ".join("not set" if v is None else str(v) for v in values)
