"""TensorBoard's event files, by tensorboardX or by torch's writer."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from depthbench.research.catalogues.mistakes import Mistake
from depthbench.research.catalogues.packages import install

FLUSHED = 5.0  # seconds until what is written can be seen


class EventFiles:
    """A file of events in a folder. Words are texts, each below its own name."""

    def __init__(self, folder: Path) -> None:
        # Shards of a run may begin in the same second, which is in a file's name.
        self._writer = writer()(str(folder), filename_suffix=f".{os.getpid()}")
        # tensorboardX writes in a thread, which a full disk ends: what is then added waits
        # for it for ever. What writes here is told of it instead.
        self._events = getattr(self._writer.file_writer, "event_writer", None)
        direct = getattr(self._events, "_ev_writer", None)
        if self._events is not None and direct is not None:
            self._events.add_event = direct.write_event
        self._flushed = time.monotonic()

    def scalars(self, step: int, values: Mapping[str, float | str]) -> None:
        for name, value in values.items():
            if isinstance(value, str):
                self._writer.add_text(name, value, step)
            else:
                self._writer.add_scalar(name, value, step)
        if time.monotonic() - self._flushed > FLUSHED:
            self._writer.flush()
            self._flushed = time.monotonic()

    def picture(self, step: int, name: str, pixels: np.ndarray) -> None:
        self._writer.add_image(name, pixels, step, dataformats="HWC")

    def close(self) -> None:
        try:
            self._writer.close()
        except OSError:
            if self._events is not None:  # or it is tried again as Python ends
                self._events._closed = True
            raise


def opened(folder: Path, title: str) -> EventFiles:
    """A sink that writes below a folder."""
    return EventFiles(folder)


def writer() -> Any:
    """A class of writers: tensorboardX's, or torch's. Raises Mistake."""
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ModuleNotFoundError:
            raise Mistake(
                "write(folder) needs tensorboardX or torch's writer: "
                f"{install('tensorboardX')}"
            ) from None
    return SummaryWriter
