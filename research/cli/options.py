"""Values of flags that several commands have."""

from collections.abc import Sequence

from research.catalogues.catalogue import nearest
from research.study.errors import Refusal

SIZES = ("smoke", "standard", "full")
TABLE_OR_JSON = ("table", "json")


def one_of(flag: str, value: str, allowed: Sequence[str]) -> None:
    """Raises Refusal when the value is not one of those allowed."""
    if value not in allowed:
        raise Refusal(f"{flag} {value}: {nearest(value, allowed)}")


def bytes_of_gib(text: str | None) -> int | None:
    """Bytes from a number of GiB. Raises Refusal."""
    if text is None:
        return None
    try:
        gib = float(text)
    except ValueError:
        gib = -1.0
    if not 0 < gib < 1e9:
        raise Refusal(f"--memory {text}: must be a number of GiB above 0")
    return int(gib * 2**30)
