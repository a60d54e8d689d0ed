"""How many bytes a pass holds at its peak, of shapes alone."""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from depthbench.research.signal.equations import Listing


def peak(
    listing: Listing,
    forward: Sequence[Any],
    back: Sequence[Any],
    named: Collection[int],
) -> int:
    """Bytes of arrays that `states.measured` holds at most, parameters and input too.

    All states and what else segments hand on, until the end, and the cotangents that are
    in use at once. Beside it, while it runs, comes what is inside of one segment.

    forward, back: the Segments in the order in which they are gone through.
    named: the parameters that have a gradient.
    """
    handed = (segment.writes for segment in forward)
    values = {
        *(*listing.parameters, *listing.inputs, *listing.constants),
        *(value for writes in handed for value in writes),
    }
    return sum(_bytes(listing.avals[value]) for value in values) + _cotangents(
        listing, back, named
    )


def _cotangents(listing: Listing, back: Sequence[Any], named: Collection[int]) -> int:
    """Bytes of cotangents at the peak of the pass back, which it is simulated for."""
    size = lambda value: _bytes(listing.avals[value])
    readers = Counter(s.reads[place] for s in back for place in s.moved)
    pulled, now, most = {listing.loss}, size(listing.loss), 0
    for segment in back:
        given = [segment.reads[place] for place in segment.moved]
        most = max(most, now + sum(map(size, given)))
        readers.subtract(given)
        done = {segment.writes[place] for place in segment.made}
        done |= {v for v in given if v in named and not readers[v]}
        now += sum(size(v) for v in {*given} - pulled)
        pulled |= {*given}
        now -= sum(size(v) for v in done & pulled)
        pulled -= done
    return most


def _bytes(aval: Any) -> int:
    dtype = getattr(aval, "dtype", None)
    if dtype is None:
        return 0
    size = dtype.itemsize if hasattr(dtype, "itemsize") else 8  # random keys
    return math.prod(aval.shape) * size
