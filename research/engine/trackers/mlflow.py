"""MLflow: a database in the folder, which `mlflow ui --backend-store-uri` shows.

MLflow no longer takes a store of plain files (version 3.7 on), so that it is SQLite.
"""

import importlib
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 1000  # numbers of one call: MLflow takes no more


class MlflowRun:
    """A run of the experiment "depthbench". Its words are a tag of each step, as MLflow
    has numbers alone in time."""

    def __init__(self, folder: Path, title: str) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read on import
        entities: Any = importlib.import_module("mlflow.entities")
        clients: Any = importlib.import_module("mlflow.tracking")
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        here = folder.resolve()
        self._metric = entities.Metric
        self._client = clients.MlflowClient(tracking_uri=f"sqlite:///{here}/mlflow.db")
        before = self._client.get_experiment_by_name("depthbench")
        experiment = before and before.experiment_id
        if experiment is None:
            experiment = self._client.create_experiment(
                "depthbench", artifact_location=(here / "artifacts").as_uri()
            )
        self._run = self._client.create_run(experiment, run_name=title).info.run_id
        self._waiting: list = []

    def scalars(self, step: int, values: Mapping[str, float | str]) -> None:
        now = int(time.time() * 1000)
        words = [f"{n}={v}" for n, v in values.items() if isinstance(v, str)]
        if words:
            self._client.set_tag(self._run, f"step {step}", ", ".join(words))
        self._waiting += [
            self._metric(name, float(value), now, step)
            for name, value in values.items()
            if not isinstance(value, str)
        ]
        if len(self._waiting) >= BATCH:
            self._write()

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._client.log_image(self._run, pixels, key=name, step=step)

    def close(self) -> None:
        self._write()
        self._client.set_terminated(self._run)

    def _write(self) -> None:
        while self._waiting:
            part, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            self._client.log_batch(self._run, metrics=part)


def opened(folder: Path, title: str) -> MlflowRun:
    """A sink that writes below a folder."""
    return MlflowRun(folder, title)
