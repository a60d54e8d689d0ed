"""What cells share, such as baselines, is made once, and beside their training."""

import functools
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

from depthbench.research.machine import precision


class once:
    """The function, which makes what it gives for the same arguments once.

    Units are measured side by side: threads that ask meanwhile wait for it.
    """

    def __init__(self, function: Callable):
        self._function, self._lock = function, threading.Lock()
        self._kept: dict[Hashable, Future] = {}
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        future, make = self._asked(arguments, keywords)
        if make:
            make()
        return future.result()

    def begin(self, *arguments: Any, **keywords: Any) -> Callable[[], Any]:
        """() -> what it gives, which a thread of its own begins to make now.

        Begun before a net is trained, it takes the time in which that is compiled.
        """
        future, make = self._asked(arguments, keywords)
        if make:
            threading.Thread(target=make, daemon=True).start()
        return future.result

    def cache_clear(self) -> None:
        """As of what functools caches."""
        with self._lock:
            self._kept.clear()

    def _asked(
        self, arguments: tuple, keywords: dict
    ) -> tuple[Future, Callable[[], None] | None]:
        """(what will be there, what makes it, where nobody was asked to yet)."""
        key = arguments, tuple(sorted(keywords.items()))
        with self._lock:
            if key in self._kept:
                return self._kept[key], None
            future = self._kept[key] = Future()

        def make() -> None:
            try:
                with precision.exact():  # as in the thread that measures
                    future.set_result(self._function(*arguments, **keywords))
            except BaseException as error:
                with self._lock:
                    self._kept.pop(key, None)  # who asks later, tries anew
                future.set_exception(error)

        return future, make
