"""The catalogue of baselines: methods, and the grids they are tuned over."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.lazy import lazily
from depthbench.research.learning.tuning import Steps

with lazily():
    import sklearn.discriminant_analysis as discriminant_analysis
    import sklearn.dummy as dummy
    import sklearn.ensemble as ensemble
    import sklearn.kernel_ridge as kernel_ridge
    import sklearn.linear_model as linear_model
    import sklearn.naive_bayes as naive_bayes
    import sklearn.neighbors as neighbors
    import sklearn.svm as svm
    import sklearn.tree as tree

    from depthbench.research.learning import splines

TREES = 100
LEVELS = ("each", "alike")


class Baseline(NamedTuple):
    """A method of fitting labels or numbers.

    task: whether targets are labels [examples] or numbers [examples, outputs].
    make: (seed, spread, **setting) -> what has scikit-learn's fit and predict; spread is
      the sum of the inputs' variances as the method reads them.
    grid: by the name of each number that is chosen.
    scalings: of inputs: "each" feature to mean 0 and variance 1; "alike", by one factor
      for all, which keeps what differs between pixels; "none". The best is chosen.
    inputs, most: how many features, and how many examples, it can have.
    """

    name: str
    task: Literal["classes", "numbers"]
    make: Callable[..., Any]
    grid: Mapping[str, Steps]
    source: str
    scalings: tuple[str, ...] = ("none",)
    inputs: float = math.inf
    most: float = math.inf


def _decades(low: int, high: int, step: int = 1, **ends: Any) -> Steps:
    """Powers of ten."""
    return Steps(tuple(10.0**n for n in range(low, high + 1, step)), **ends)


_NEIGHBOURS = Steps((1, 3, 9, 27), least=1, whole=True, counts=True)
_LEAVES = Steps((8, 16, 32, 64, 128), least=2, whole=True)
_SHARES = Steps((0.03, 0.1, 0.3), least=0.001, most=1.0)
_WIDTHS = Steps((0.1, 0.3, 1.0, 3.0))


def _support_vectors(seed: int, spread: float, C: float, gamma: float) -> Any:
    # 1 / spread is what scikit-learn calls "scale".
    return svm.SVC(C=C, gamma=gamma / spread, cache_size=500)


def _kernel_ridge(seed: int, spread: float, penalty: float, gamma: float) -> Any:
    return kernel_ridge.KernelRidge(kernel="rbf", alpha=penalty, gamma=gamma / spread)


def _forest(kind: str) -> Callable[..., Any]:
    """features: the share of them that a split chooses from."""
    return lambda seed, spread, features: getattr(ensemble, kind)(
        n_estimators=TREES, max_features=features, random_state=seed
    )


BASELINES: Catalogue[Baseline] = Catalogue(
    "baseline",
    [
        Baseline(
            "majority",
            "classes",
            lambda seed, spread: dummy.DummyClassifier(strategy="prior"),
            {},
            "the trivial answer: always the commonest label",
        ),
        Baseline(
            "logistic",
            "classes",
            lambda seed, spread, C: linear_model.LogisticRegression(C=C, max_iter=1000),
            {"C": _decades(-3, 1)},
            "Cox 1958, J. R. Stat. Soc. B 20:215; L2 penalty: scikit-learn's",
            ("each",),
        ),
        Baseline(
            "linear_svm",
            "classes",
            lambda seed, spread, C: svm.LinearSVC(C=C, random_state=seed),
            {"C": _decades(-4, 0)},
            "Fan et al. 2008, LIBLINEAR, JMLR 9:1871",
            ("each",),
        ),
        Baseline(
            "svm",
            "classes",
            _support_vectors,
            {"C": _decades(0, 2), "gamma": _WIDTHS},
            "Cortes & Vapnik 1995, Mach. Learn. 20:273; Chang & Lin 2011, LIBSVM",
            LEVELS,
        ),
        Baseline(
            "nearest",
            "classes",
            lambda seed, spread, neighbours: neighbors.KNeighborsClassifier(neighbours),
            {"neighbours": _NEIGHBOURS},
            "Cover & Hart 1967, IEEE Trans. Inf. Theory 13:21",
            LEVELS,
        ),
        Baseline(
            "tree",
            "classes",
            lambda seed, spread, leaves: tree.DecisionTreeClassifier(
                max_leaf_nodes=leaves, random_state=seed
            ),
            {"leaves": _LEAVES},
            "Breiman et al. 1984, Classification and Regression Trees",
        ),
        Baseline(
            "forest",
            "classes",
            _forest("RandomForestClassifier"),
            {"features": _SHARES},
            "Breiman 2001, Mach. Learn. 45:5",
        ),
        Baseline(
            "naive_bayes",
            "classes",
            lambda seed, spread, smoothing: naive_bayes.GaussianNB(
                var_smoothing=smoothing
            ),
            {"smoothing": _decades(-4, 0)},
            "Zhang 2004, FLAIRS: the optimality of naive Bayes",
            ("each",),
        ),
        Baseline(
            "lda",
            "classes",
            lambda seed, spread, shrinkage: (
                discriminant_analysis.LinearDiscriminantAnalysis(
                    solver="lsqr", shrinkage=shrinkage
                )
            ),
            {"shrinkage": _decades(-3, 0, most=1.0)},
            "Fisher 1936, Ann. Eugenics 7:179; shrunk: Friedman 1989, JASA 84:165",
            ("each",),
        ),
        Baseline(
            "perceptron",
            "classes",
            lambda seed, spread, penalty: linear_model.Perceptron(
                penalty="l2", alpha=penalty, random_state=seed
            ),
            {"penalty": _decades(-6, -2)},
            "Rosenblatt 1958, Psychol. Rev. 65:386; L2 penalty: scikit-learn's",
            ("each",),
        ),
        Baseline(
            "mean",
            "numbers",
            lambda seed, spread: dummy.DummyRegressor(),
            {},
            "the trivial answer: always the mean",
        ),
        Baseline(
            "least_squares",
            "numbers",
            lambda seed, spread: linear_model.LinearRegression(),
            {},
            "Legendre 1805; Gauss 1809",
            ("each",),
        ),
        Baseline(
            "ridge",
            "numbers",
            lambda seed, spread, penalty: linear_model.Ridge(alpha=penalty),
            {"penalty": _decades(-3, 4)},
            "Hoerl & Kennard 1970, Technometrics 12:55",
            ("each",),
        ),
        Baseline(
            "kernel_ridge",
            "numbers",
            _kernel_ridge,
            {"penalty": _decades(-4, 0), "gamma": _WIDTHS},
            "Saunders, Gammerman & Vovk 1998, ICML: ridge regression in dual variables",
            LEVELS,
            most=10000,
        ),
        Baseline(
            "spline",
            "numbers",
            lambda seed, spread, penalty: splines.Spline(penalty),
            {"penalty": _decades(-8, 0)},
            "Wahba 1990, Spline Models for Observational Data, SIAM",
            ("each",),
            inputs=1,
        ),
        Baseline(
            "nearest_numbers",
            "numbers",
            lambda seed, spread, neighbours: neighbors.KNeighborsRegressor(neighbours),
            {"neighbours": _NEIGHBOURS},
            "Stone 1977, Ann. Stat. 5:595",
            LEVELS,
        ),
        Baseline(
            "tree_numbers",
            "numbers",
            lambda seed, spread, leaves: tree.DecisionTreeRegressor(
                max_leaf_nodes=leaves, random_state=seed
            ),
            {"leaves": Steps((2, 4, 8, 16, 32), least=2, whole=True)},
            "Breiman et al. 1984, Classification and Regression Trees",
        ),
        Baseline(
            "forest_numbers",
            "numbers",
            _forest("RandomForestRegressor"),
            {"features": _SHARES},
            "Breiman 2001, Mach. Learn. 45:5",
        ),
    ],
)
