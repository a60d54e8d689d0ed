"""What a machine of two classes says, by matrix products."""

import numpy as np
from sklearn import svm

from depthbench.research.learning import support_vectors


def test_the_decision_is_that_of_scikit_learn(monkeypatch):
    monkeypatch.setattr(support_vectors, "AT_A_TIME", 64)  # in several parts
    x = np.random.RandomState(0).standard_normal((150, 5))
    model = svm.SVC(C=3.0, gamma=0.2, class_weight="balanced").fit(x, x[:, 0] > 0.5)
    other = np.random.RandomState(1).standard_normal((201, 5))
    found = support_vectors.decision(model, other)
    # Squared distances by products lose some digits of float64.
    np.testing.assert_allclose(found, model.decision_function(other), atol=1e-10)
