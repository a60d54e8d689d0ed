"""A folder that is gone on with: what has changed since it was begun, and its manifest."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from depthbench.research.datasets.record import differs, differs_in_common
from depthbench.research.machine import host
from depthbench.research.store import manifest
from depthbench.research.store.manifest import Event, Foreign, Manifest
from depthbench.research.study.errors import Refusal


def joined(
    before: Manifest | None, fresh: Manifest, accept: bool, path: Path
) -> Manifest:
    """The manifest of a folder that is begun, or gone on with.

    Raises Refusal when code, environment or the contents of a data set have changed
    since, unless accepted; then the manifest says what was accepted.
    """
    if before is None:
        return fresh
    changes, other = changed(before, fresh)
    if other and not accept:
        raise Refusal(
            f"{path}: {other}; go on with the data that it was begun with, use a new "
            "--out, or --accept-changes"
        )
    changes += [other] if other else []
    if changes and not accept:
        raise Refusal(
            f"{path}: made with other code or on another machine: "
            f"{shortened(changes)}; use a new --out, or --accept-changes"
        )
    return together(before, fresh, changes)


def changed(before: Manifest, fresh: Manifest) -> tuple[list[str], str]:
    """(what of code and environment has changed, what of the data), in words."""
    of_both = differs if _is_training(fresh) else differs_in_common
    return manifest.differences(before, fresh), of_both(before.data, fresh.data)


def _is_training(one: Manifest) -> bool:
    """Whether it is one training's, which has no cells that other data were for."""
    return one.layout is not None


def shortened(changes: Sequence[str]) -> str:
    """The first two, and how many more there are."""
    more = f" (and {len(changes) - 2} more)" if len(changes) > 2 else ""
    return f"{'; '.join(changes[:2])}{more}"


def together(before: Manifest, fresh: Manifest, changes: Sequence[str]) -> Manifest:
    """The manifest of the cells of both; changes are those that were accepted.

    What only the earlier one speaks of stays: its rows are compared with it again.
    """
    accepted = [Event(accepted=list(changes))] if changes else []
    further = host.FURTHER.values()
    latest, other = (fresh, before) if changes else (before, fresh)
    imported = {n: v for n, v in other.environment.items() if n in further}
    return replace(
        before,
        history=[*before.history, *accepted],
        environment={**imported, **latest.environment},
        code={**before.code, **fresh.code},
        data=fresh.data if _is_training(fresh) else {**before.data, **fresh.data},
        data_dir=fresh.data_dir or before.data_dir,
        cells=sorted({*before.cells, *fresh.cells}),
        grid=manifest.wider(before.grid, fresh.grid),
        plugins=both(before.plugins, fresh.plugins),
    )


def both(
    before: Mapping[str, Foreign], fresh: Mapping[str, Foreign]
) -> dict[str, Foreign]:
    """The plugins of a folder with further cells; what was moved is where it is now."""
    gone = {(name, place) for name, place, _ in manifest.moved(before, fresh)}
    every: dict[str, Foreign] = {}
    for place in sorted({*before, *fresh}):
        there = [one[place] for one in (before, fresh) if place in one]
        names = {name for one in there for name in one.entries}
        if left := sorted(name for name in names if (name, place) not in gone):
            every[place] = replace(there[-1], entries=left)
    return every
