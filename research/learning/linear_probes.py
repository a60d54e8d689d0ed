"""What is read from features with few labels, by a linear classifier.

Alain & Bengio 2016, arXiv:1610.01644: linear classifier probes. Here it is ridge
regression on classes, whose penalty is chosen by leaving out one labelled example at a
time, so that ten labels are enough to be tuned by.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from depthbench.research.lazy import lazily
from depthbench.research.machine import threads

with lazily():
    import numpy as np
    import sklearn.linear_model as linear_model
    import sklearn.pipeline as pipeline
    import sklearn.preprocessing as preprocessing

PENALTIES = (-2, 6, 17)  # decades, the first and the last, and how many values


class Read(NamedTuple):
    """The layer that validation examples prefer, and the shares right of each layer.

    valid, test: [layers].
    """

    layer: int
    valid: Any
    test: Any

    @property
    def score(self) -> float:
        """The share right of test examples, of the layer that was chosen."""
        return float(self.test[self.layer])


@threads.single()
def classifier(x: Any, y: Any) -> Any:
    """Ridge regression on classes of x [examples, features], fitted."""
    low, high, count = PENALTIES
    ridge = linear_model.RidgeClassifierCV(np.logspace(low, high, count))
    return pipeline.make_pipeline(preprocessing.StandardScaler(), ridge).fit(x, y)


def read(
    learn: Sequence[Any], valid: Sequence[Any], test: Sequence[Any], y: Sequence[Any]
) -> Read:
    """Each layer by the same labels; which of them is best, by validation.

    learn, valid, test: features [examples, …] of each layer. y: the labels of the three.
    """
    shares = [[], []]
    for layer, x in enumerate(learn):
        fitted = classifier(x, y[0])
        for kept, part, right in zip(shares, (valid, test), y[1:], strict=True):
            kept.append(np.mean(fitted.predict(part[layer]) == right))
    by_valid, by_test = map(np.asarray, shares)
    return Read(int(np.argmax(by_valid)), by_valid, by_test)
