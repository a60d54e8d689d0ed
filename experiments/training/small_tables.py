"""Three small tables that come with scikit-learn: numbers of patients, wines, tumours."""

import functools
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.lazy import lazily

with lazily():
    import numpy as np
    import sklearn.datasets as datasets

    from depthbench.research.learning import held_out


class SmallTable(NamedTuple):
    """source: what it is. rows: how many. classes: 0 where what is asked is a number."""

    name: str
    source: str
    rows: int
    classes: int

    @property
    def most(self) -> int:
        """Rows that can be learned from and chosen by; the others judge."""
        return self.rows - self.rows // 4


TABLES: Catalogue[SmallTable] = Catalogue(
    "table",
    [
        SmallTable("diabetes", "Efron et al. 2004: progress in a year", 442, 0),
        SmallTable("wine", "Forina et al. 1991: three cultivars", 178, 3),
        SmallTable("breast_cancer", "Street et al. 1993: malignant or not", 569, 2),
    ],
)


@functools.cache
def parts(name: str, count: int, seed: int) -> Any:
    """So many rows of a table, of which a fifth is held out to choose by; and a test part.

    The test part is always the same; the seed draws the rows. Columns have mean 0 and
    deviation 1 over the rows that are learned from, as has a number that is asked for.
    """
    table = TABLES[name]
    loaded = getattr(datasets, f"load_{name}")()
    order = np.random.RandomState(0).permutation(table.rows)
    drawn = np.random.RandomState(seed).permutation(order[: table.most])[:count]
    learned = count - count // 5
    places = drawn[:learned], drawn[learned:], order[table.most :]
    numbers = loaded.target.astype(np.float64)
    x = _scaled(loaded.data, places[0])
    y = numbers.astype(np.int32) if table.classes else _scaled(numbers, places[0])
    train, valid, test = (
        held_out.Share(x[at].astype(np.float32), _kept(y[at])) for at in places
    )
    return held_out.Divided(train, valid, test, table.classes)


def _scaled(values: Any, places: Any) -> Any:
    deviation = values[places].std(axis=0)
    return (values - values[places].mean(axis=0)) / np.where(
        deviation > 0, deviation, 1
    )


def _kept(y: Any) -> Any:
    return y if y.dtype == np.int32 else y.astype(np.float32)


def score(predicted: Any, y: Any) -> float:
    """The share of labels that are right; of numbers R², the share of variance told."""
    predicted, y = np.asarray(predicted), np.asarray(y)
    if y.dtype == np.int32:
        return float(np.mean(predicted == y))
    apart = np.mean((np.float64(predicted) - y) ** 2)
    return float(1 - apart / np.var(y.astype(np.float64)))
