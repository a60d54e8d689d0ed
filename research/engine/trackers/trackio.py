"""Trackio: a database in the folder, which `TRACKIO_DIR=FOLDER trackio show` shows."""

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

PLACE = "TRACKIO_DIR"


class TrackioRun:
    """A run of the project "depthbench". Raises RuntimeError where the package was imported
    for another folder: it reads the place once in a process."""

    def __init__(self, folder: Path, title: str) -> None:
        here = str(folder.resolve())
        if "trackio" in sys.modules and os.environ.get(PLACE) != here:
            raise RuntimeError(
                f"this process writes to {os.environ.get(PLACE)} already"
            )
        os.environ[PLACE] = here
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        trackio: Any = importlib.import_module("trackio")
        for name in ("trackio", "trackio.run", "trackio.utils"):
            module: Any = importlib.import_module(name)
            module.print = lambda *texts, **how: None  # what it prints is no result
        self._image = trackio.Image
        self._run = trackio.init(
            project="depthbench", embed=False, auto_log_gpu=False, auto_log_cpu=False
        )

    def scalars(self, step: int, values: Mapping[str, float | str]) -> None:
        self._run.log(dict(values), step=step)

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._run.log({name: self._image(pixels)}, step=step)

    def close(self) -> None:
        self._run.finish()


def opened(folder: Path, title: str) -> TrackioRun:
    """A sink that writes below a folder."""
    return TrackioRun(folder, title)
