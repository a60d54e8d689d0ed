"""What nets are compared with: a simple method, tuned with the care that nets are.

One setting of a grid in logarithmic steps is chosen by cross-validation of what is
trained on; `fit` is given nothing else. Where the best is at the grid's edge the grid is
made wider, by the rule that learning rates have: `selection.beyond`. Folds are
stratified, and fixed by the seed: 5, and 3 from 1,000 examples on; from 4,000 on it is
one fifth that is held out. The method is then fitted again to all examples.

Kohavi 1995, IJCAI 2:1137 (stratified cross-validation); Pedregosa et al. 2011, JMLR
12:2825 (scikit-learn, whose methods these are).
"""

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

from depthbench.research.catalogues.catalogue import DataError
from depthbench.research.lazy import lazily
from depthbench.research.learning import selection, tuning
from depthbench.research.learning.methods import BASELINES as BASELINES
from depthbench.research.learning.methods import Baseline as Baseline
from depthbench.research.learning.tuning import Setting
from depthbench.research.machine import threads

with lazily():
    import numpy as np
    import sklearn.exceptions as exceptions
    import sklearn.model_selection as model_selection

FEW, MANY = 1000, 4000  # examples from which on there are 3 folds, and 1


@dataclass(frozen=True, eq=False)
class Fitted:
    """A baseline that was fitted.

    setting: what was chosen, by name; plain data.
    at_edge: whether the best is still at an edge of the grid, made wider.
    note: what is not as one would expect; "" where all is.
    classes: the labels in the order of `scores`, [classes]; None of numbers.
    shape: of one example.
    """

    name: str
    setting: Setting
    at_edge: bool
    note: str
    classes: Any
    shape: tuple[int, ...]
    learned: "ScaledModel"

    @property
    def probabilities(self) -> bool:
        """Whether `scores` are probabilities, which decision values are not."""
        return self.classes is not None and hasattr(self.learned.model, "predict_proba")

    def predict(self, x: Any) -> Any:
        """Labels [examples], or numbers in the form of the y that was fitted.

        Raises DataError unless x is finite, and of the shape that was fitted.
        """
        return self.learned.predict(self._read(x))

    def scores(self, x: Any) -> Any:
        """Probabilities or decision values [examples, classes]; None of numbers.

        Raises DataError as `predict` does.
        """
        if self.classes is None:
            return None
        model, inner = self.learned.model, self.learned.inner(self._read(x))
        if self.probabilities:
            return model.predict_proba(inner)
        values = model.decision_function(inner)
        # Of two classes there is one decision value: that for the second.
        return values if values.ndim == 2 else np.stack([-values, values], axis=1)

    def _read(self, x: Any) -> Any:
        array = np.asarray(x)
        if array.shape[1:] != self.shape or not len(array):
            wanted = ", ".join(map(str, ("examples", *self.shape)))
            raise DataError(
                f"{self.name}: x is {list(array.shape)}; must be [{wanted}], not empty"
            )
        return _finite(self.name, "x", array.reshape(len(array), -1))


class ScaledModel(NamedTuple):
    """A fitted model, with how it reads x [examples, features] and what it gives."""

    model: Any
    centre: Any
    deviation: Any
    scale: tuple[Any, Any] | None  # mean and deviation of y [outputs], of numbers

    def inner(self, x: Any) -> Any:
        """x as the model reads it [examples, features]."""
        return (x - self.centre) / self.deviation

    def predict(self, x: Any) -> Any:
        """Labels [examples], or numbers in the units and form of y."""
        given = self.model.predict(self.inner(x))
        if self.scale is None:
            return given
        mean, deviation = self.scale
        return given.reshape(len(x), *np.shape(mean)) * deviation + mean


@threads.single()
def fit(baseline: str | Baseline, x: Any, y: Any, seed: int = 0) -> Fitted:
    """The baseline at its best setting, fitted to x [examples, …] and y.

    y: labels [examples], or numbers [examples] or [examples, outputs]. Raises
    UnknownName for a name that is no baseline's, and DataError for x and y that do not
    fit together or the method, or are not finite, and for labels that are all the same.

    >>> fitted = fit("nearest", [[0.0], [0.1], [0.2], [1.0], [1.1]], [0, 0, 0, 1, 1])
    >>> fitted.predict([[0.05], [2.0]]).tolist(), fitted.setting["neighbours"]
    ([0, 1], 1)
    """
    entry = BASELINES[baseline] if isinstance(baseline, str) else baseline
    shape = np.shape(x)[1:]
    x, y = _checked(entry, x, y)
    parts = _parts(entry, y, seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        setting, edge, note = _chosen(entry, x, y, parts, seed)
        caught.clear()  # of settings that were not chosen
        learned = _learn(entry, x, y, setting, seed)
    said = dict.fromkeys([note, *map(_words, caught)])
    note = "; ".join(words for words in said if words)
    classes = np.unique(y) if entry.task == "classes" else None
    return Fitted(entry.name, setting, edge, note, classes, shape, learned)


def _words(warning: warnings.WarningMessage) -> str:
    """A line on what a method warned of."""
    if issubclass(warning.category, exceptions.ConvergenceWarning):
        return "the solver stopped before it converged"
    return str(warning.message).partition("\n")[0]


def _checked(entry: Baseline, x: Any, y: Any) -> tuple[Any, Any]:
    """(x [examples, features] float64, y). Raises DataError."""
    x, y = np.asarray(x), np.asarray(y)
    name, form = entry.name, f"{y.dtype} {list(y.shape)}"
    if x.ndim < 2 or 0 in x.shape:
        raise DataError(
            f"{name}: x is {list(x.shape)}; must be [examples, …], not empty"
        )
    if len(x) != (len(y) if y.ndim else -1):
        raise DataError(
            f"{name}: x has {len(x)} examples, y is {form}; must be as many"
        )
    x = _finite(name, "x", x.reshape(len(x), -1))
    if x.shape[1] > entry.inputs or len(x) > entry.most:
        most = f"at most {entry.most:g}" if np.isfinite(entry.most) else "any number of"
        each = f"{entry.inputs:g}" if np.isfinite(entry.inputs) else "any count of"
        allowed = f"{most} examples of {each} numbers"
        raise DataError(f"{name}: x is {list(x.shape)}; must be {allowed}")
    if entry.task == "numbers":
        if y.ndim not in (1, 2) or 0 in y.shape:
            raise DataError(f"{name}: y is {form}; must be [examples, outputs]")
        return x, _finite(name, "y", y)
    if y.ndim != 1 or y.dtype.kind not in "biuU":
        raise DataError(f"{name}: y is {form}; must be integer labels [examples]")
    if len(np.unique(y)) < 2:
        raise DataError(
            f"{name}: every label is {y[0]}; must be of two classes or more"
        )
    return x, y


def _finite(name: str, what: str, values: Any) -> Any:
    """The values as float64. Raises DataError where they are no finite numbers."""
    if values.dtype.kind not in "biuf":
        raise DataError(f"{name}: {what} is {values.dtype}; must be numbers")
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        place = tuple(map(int, np.argwhere(~np.isfinite(values))[0]))
        bad = f"{values[place]} in example {place[0]}"
        raise DataError(f"{name}: {what} has {bad}; must be finite")
    return values


def _parts(entry: Baseline, y: Any, seed: int) -> list[tuple[Any, Any]]:
    """Places to (learn from, be judged by) of each fold; none where there are too few."""
    numbers = entry.task == "numbers"
    least = len(y) if numbers else int(np.unique(y, return_counts=True)[1].min())
    if least < 2:
        return []
    places = np.zeros((len(y), 1))
    if len(y) >= MANY:
        kind = "ShuffleSplit" if numbers else "StratifiedShuffleSplit"
        split = getattr(model_selection, kind)(1, test_size=0.2, random_state=seed)
        return list(split.split(places, y))
    folds = min(5 if len(y) < FEW else 3, least)
    kind = "KFold" if numbers else "StratifiedKFold"
    split = getattr(model_selection, kind)(folds, shuffle=True, random_state=seed)
    return list(split.split(places, y))


def _learn(entry: Baseline, x: Any, y: Any, setting: Setting, seed: int) -> ScaledModel:
    """The method fitted to these examples, scaled by their own statistics."""
    numbers = dict(setting)
    how = numbers.pop("scaling", entry.scalings[0])
    centre, deviation = np.zeros(1), np.ones(1)
    if how != "none":
        centre, deviation = x.mean(axis=0), x.std(axis=0)
    if how == "alike":
        deviation = np.sqrt(np.mean(deviation**2, keepdims=True))
    # A constant feature stays one, also where rounding gives it some deviation.
    deviation = np.where(deviation > 1e-12 * np.abs(centre), deviation, 1.0)
    scale = None
    if entry.task == "numbers":
        scale = y.mean(axis=0), _positive(y.std(axis=0))
        y = (y - scale[0]) / scale[1]
    inner = (x - centre) / deviation
    spread = float(_positive(inner.var(axis=0).sum()))
    model = entry.make(seed=seed, spread=spread, **numbers).fit(inner, y)
    return ScaledModel(model, centre, deviation, scale)


def _positive(deviations: Any) -> Any:
    return np.where(deviations > 0, deviations, 1.0)


def _outcome(entry, x, y, parts, setting, seed) -> selection.Outcome:
    """What a setting gives on the held-out examples of all folds."""
    right, errors = [], []
    for learn, judge in parts:
        given = _learn(entry, x[learn], y[learn], setting, seed).predict(x[judge])
        if entry.task == "classes":
            right.append(given == y[judge])
        else:
            errors.append(((given - y[judge]) / _positive(y.std(axis=0))) ** 2)
    if entry.task == "classes":
        return selection.Outcome(accuracy=float(np.mean(np.concatenate(right))))
    return selection.Outcome(loss=float(np.mean(np.concatenate(errors))))


def _chosen(entry, x, y, parts, seed) -> tuple[Setting, bool, str]:
    """(setting, whether it is at an edge, a note)."""
    learns = min((len(learn) for learn, _ in parts), default=len(y))
    grid = {name: tuning.within(steps, learns) for name, steps in entry.grid.items()}
    middle = {name: s.values[len(s.values) // 2] for name, s in grid.items()}
    scalings = [{"scaling": how} for how in entry.scalings if len(entry.scalings) > 1]
    if not grid or not parts:
        few = "a class has" if entry.task == "classes" else "there is"
        note = f"not tuned, the grid's middle: {few} one example" if grid else ""
        return {**middle, **(scalings[0] if scalings else {})}, False, note
    by = "accuracy" if entry.task == "classes" else "loss"

    def outcome(setting: Setting) -> selection.Outcome:
        return _outcome(entry, x, y, parts, setting, seed)

    scaling: Setting = {}
    if scalings:
        outcomes = [outcome({**middle, **each}) for each in scalings]
        scaling = scalings[selection.best(outcomes, by)]
    setting, edge = tuning.tuned(
        grid, lambda numbers: outcome({**numbers, **scaling}), by
    )
    return {**setting, **scaling}, edge, ""
