"""Modules of the user's own: imported where they are named, and by no other way.

The working folder is the last that Python then looks in: nothing in it hides a package
that is installed, and nothing of it is imported that was not named.
"""

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from research.catalogues.catalogue import Mistake, nearest

NAME = re.compile(
    r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
)


def is_name(text: str) -> bool:
    """Whether a text has the form "module:name".

    >>> is_name("my.module:make"), is_name("tfds:mnist:3.0.1"), is_name("tanh")
    (True, False, False)
    """
    return NAME.fullmatch(text) is not None


def named(text: str) -> Any:
    """What "module:name" names. Raises Mistake.

    >>> named("math:sqrt")(4.0)
    2.0
    """
    match = NAME.fullmatch(text)
    if match is None:
        raise Mistake(f"{text}: must be module:name, such as my.module:make")
    value: Any = module(match[1])
    for name in match[2].split("."):
        if not hasattr(value, name):
            public = [each for each in vars(value) if not each.startswith("_")]
            raise Mistake(f"{text}: {match[1]} has no {name}: {nearest(name, public)}")
        value = getattr(value, name)
    return value


def module(name: str) -> ModuleType:
    """The module of a dotted name, the working folder's too. Raises Mistake.

    >>> module("email.message").__name__
    'email.message'
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if name == error.name or name.startswith(f"{error.name}."):
            raise Mistake(f"{name}: no such module, here or installed") from None
        raise Mistake(f"{name}: {error}") from error
    except Exception as error:
        text = " ".join(str(error).split())
        raise Mistake(f"{name}: {type(error).__name__}: {text}") from error
