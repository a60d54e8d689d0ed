"""What cells share, such as baselines, is made once."""

import functools
import threading
from collections.abc import Callable
from typing import Any


def once(function: Callable) -> Callable:
    """The function, which makes what it gives for the same arguments once.

    Units are measured side by side: threads that ask meanwhile wait for it.
    """
    kept, lock = functools.cache(function), threading.RLock()

    @functools.wraps(function)
    def waiting(*arguments: Any, **keywords: Any) -> Any:
        with lock:
            return kept(*arguments, **keywords)

    waiting.cache_clear = kept.cache_clear  # as of what functools caches
    return waiting
