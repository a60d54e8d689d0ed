"""What needs no net where labels are few: the largest class, and label spreading."""

import functools

from depthbench.experiments.once import once
from depthbench.research.lazy import lazily

with lazily():
    import numpy as np
    import sklearn.semi_supervised as semi_supervised

    from depthbench.research.learning import baselines, few_labels, held_out


@functools.cache
def majority(dataset, data_dir):
    parts = held_out.parts(dataset, data_dir=data_dir)
    fitted = baselines.fit("majority", *parts.train)
    return float(np.mean(fitted.predict(parts.test.x) == parts.test.y))


@once
def spread(dataset, data_dir, labels, seeds):
    """Label spreading's test accuracy of each seed, at what is best for those held out."""
    parts = held_out.parts(dataset, data_dir=data_dir)
    train, valid, test = (part.x.reshape(len(part.y), -1) for part in parts[:3])
    found = {}
    for neighbours in (4, 7, 12, 20, 35):
        for alpha in (0.1, 0.5, 0.9):
            right = []
            for seed in range(seeds):
                order = few_labels.labelled(parts.train.y, labels, seed)
                y = np.full(len(order), few_labels.UNLABELLED)
                y[order[:labels]] = parts.train.y[order[:labels]]
                model = semi_supervised.LabelSpreading(
                    "knn", n_neighbors=neighbours, alpha=alpha, max_iter=200
                ).fit(train, y)
                # Where no label has come near, nothing is likelier: the first class.
                with np.errstate(invalid="ignore"):
                    given = model.predict(valid), model.predict(test)
                right.append(
                    [
                        np.mean(given[0] == parts.valid.y),
                        np.mean(given[1] == parts.test.y),
                    ]
                )
            found[neighbours, alpha] = np.array(right)
    best = max(found.values(), key=lambda right: right[:, 0].mean())
    return [float(share) for share in best[:, 1]]
