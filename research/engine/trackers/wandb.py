"""Weights & Biases, offline unless WANDB_MODE says otherwise: `wandb sync` sends later."""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


class WandbRun:
    """A run in FOLDER/wandb. What a step is given in several calls is one row of it."""

    def __init__(self, folder: Path, title: str) -> None:
        mode = os.environ.get("WANDB_MODE") or "offline"
        if mode != "online":  # its package reports its own errors, when it is imported
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        wandb: Any = importlib.import_module("wandb")

        self._image = wandb.Image
        self._run = wandb.init(
            project="depthbench",
            name=title,
            dir=str(folder),
            mode=mode,
            reinit="create_new",
            # Numbers alone: no output, code, or measures of the machine.
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                disable_code=True,
                x_disable_stats=True,
            ),
        )

    def scalars(self, step: int, values: Mapping[str, float | str]) -> None:
        self._run.log(dict(values), step=step)

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._run.log({name: self._image(pixels)}, step=step)

    def close(self) -> None:
        self._run.finish()


def opened(folder: Path, title: str) -> WandbRun:
    """A sink that writes below a folder."""
    return WandbRun(folder, title)
