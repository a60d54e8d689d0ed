"""Axes of a study, and the check of names that are typed."""

from collections.abc import Mapping
from typing import Any

from depthbench.research.catalogues.axes import Axis, Value, flag_of
from depthbench.research.catalogues.catalogue import nearest
from depthbench.research.study.errors import Refusal

__all__ = ["Axis", "Value", "check_names", "flag_of"]


def check_names(names: Mapping[str, Any], allowed: Mapping[str, Any], what: str):
    """Raises Refusal for the first name that is not allowed."""
    for name in names:
        if name not in allowed:
            raise Refusal(f"unknown {what} {name!r}: {nearest(name, allowed)}")
