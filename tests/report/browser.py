"""A headless Chromium that takes pictures of pages, spoken to through two pipes."""

import base64
import contextlib
import io
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Gives the browser its two pipes where it looks for them. A process of its own does it:
# jax has threads, and Python may not run code of ours in a fork of them.
START = """
import os, sys
ends = [os.dup(os.dup(os.dup(int(end)))) for end in sys.argv[1:3]]
for place, end in enumerate(ends, 3):
    os.dup2(end, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
PATIENCE = 60.0  # seconds that one answer may take on a loaded machine


def program() -> str | None:
    """The browser's path; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A page that is shown at any size, light or dark. Chrome's DevTools protocol:
    JSON messages that end with a zero byte, on file descriptors 3 and 4."""

    def __init__(self, sending: int, receiving: int):
        self._sending, self._receiving = sending, receiving
        self._number, self._buffer, self._session = 0, b"", None

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a command. Raises RuntimeError where it is an error."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._sending, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        ends = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            left = max(0.0, ends - time.monotonic())
            if not select.select([self._receiving], [], [], left)[0]:
                raise TimeoutError(f"no answer in {PATIENCE:.0f} s")
            data = os.read(self._receiving, 2**20)
            if not data:
                raise RuntimeError("the browser ended")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def show(self, path: Path, width: int, scheme: str, height: int = 900) -> None:
        """Loads a file in a window of this width; scheme: "light" or "dark"."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call("Page.navigate", url=path.resolve().as_uri())
        ends = time.monotonic() + PATIENCE
        while self.value("document.readyState") != "complete":
            if time.monotonic() > ends:
                raise TimeoutError(f"{path} is not loaded after {PATIENCE:.0f} s")
            time.sleep(0.01)

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript is on the page."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, whole: bool = False) -> bytes:
        """What the window shows as PNG, or the whole page."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Browser]:
    """A browser with its profile in a folder; it ends with the block."""
    to_browser, sending = os.pipe()
    receiving, from_browser = os.pipe()
    ends = to_browser, from_browser
    flags = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--hide-scrollbars", "--disable-dev-shm-usage", "--remote-debugging-pipe"),
        f"--user-data-dir={folder}",
    )
    process = subprocess.Popen(
        [sys.executable, "-ISc", START, *map(str, ends), str(program()), *flags],
        pass_fds=ends,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for end in ends:
        os.close(end)
    try:
        browser = Browser(sending, receiving)
        browser.attach()
        yield browser
    finally:
        process.kill()
        process.wait()
        os.close(sending)
        os.close(receiving)


def pixels(png: bytes) -> np.ndarray:
    """[height, width, 3] from 0 to 1."""
    from matplotlib.image import imread

    return np.asarray(imread(io.BytesIO(png), format="png"))[..., :3]
