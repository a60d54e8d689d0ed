"""Every entry of every catalogue has a name of its own and a source."""

import pytest

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.catalogue import Catalogue, UnknownName
from depthbench.research.catalogues.initializers import INITIALIZERS
from depthbench.research.catalogues.losses import LOSSES
from depthbench.research.catalogues.normalizers import NORMALIZERS
from depthbench.research.catalogues.optimizers import OPTIMIZERS
from depthbench.research.catalogues.schedules import SCHEDULES
from depthbench.research.datasets import DATASETS

CATALOGUES = (
    *(ACTIVATIONS, INITIALIZERS, NORMALIZERS, ARCHITECTURES, DATASETS),
    *(OPTIMIZERS, SCHEDULES, LOSSES),
)


ENTRIES = [(catalogue, name) for catalogue in CATALOGUES for name in catalogue]


@pytest.mark.parametrize(
    ("catalogue", "name"), ENTRIES, ids=[f"{c.noun}-{n}" for c, n in ENTRIES]
)
def test_an_entry_says_where_it_comes_from(catalogue, name):
    entry = catalogue[name]
    assert entry.name == name
    assert len(entry.source.strip()) > 10


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda c: c.noun)
def test_an_unknown_name_suggests_the_nearest(catalogue):
    name = next(iter(catalogue))
    mistyped = name[:-1] + "_"  # near enough for every name, and in no catalogue
    with pytest.raises(UnknownName) as caught:
        catalogue[mistyped]
    message = str(caught.value)
    assert f"unknown {catalogue.noun} {mistyped!r}: did you mean {name}" in message
    assert all(other in message for other in catalogue)


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda c: c.noun)
def test_a_name_is_given_once(catalogue):
    before = dict(catalogue)
    entry = next(iter(catalogue.values()))
    with pytest.raises(ValueError, match=f"two {catalogue.noun}s are named"):
        catalogue.add(entry)
    assert dict(catalogue) == before
    with pytest.raises(ValueError, match="two things are named"):
        Catalogue("thing", [entry, entry])
