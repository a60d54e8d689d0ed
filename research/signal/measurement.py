"""Measurement and theory side by side: one network setting, one row of numbers.

The scripts that sweep signal propagation share this: how a cell's settings become
ensemble members, which theory stands beside them, and what is read off the profiles.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from depthbench.research.architectures import ARCHITECTURES
from depthbench.research.catalogues.activations import ACTIVATIONS
from depthbench.research.catalogues.initializers import (
    INITIALIZERS,
    NoCriticalPoint,
    Rule,
)
from depthbench.research.datasets import Dataset, find
from depthbench.research.signal import ensembles, mixed, profiles
from depthbench.research.signal.ensembles import Member, Program, signals
from depthbench.research.signal.measured import Measured
from depthbench.research.signal.probes import Signal
from depthbench.research.theory import mean_field, trajectories
from depthbench.research.theory.activation import kinked_at_zero

CellSettings = Mapping[str, Any]


def member(settings: CellSettings) -> Member:
    """The variances of the first and of the hidden layers.

    sigma_w2 and sigma_b2, where given, replace the initialiser's in every layer.
    Raises NoCriticalPoint.

    >>> member({"initializer": "he_normal", "activation": "relu"}).hidden.sigma_w2
    2.0
    """
    initializer = INITIALIZERS[settings["initializer"]]
    activation = ACTIVATIONS[settings["activation"]]
    sigma_w2, sigma_b2 = settings.get("sigma_w2"), settings.get("sigma_b2")

    def unless_given(rule: Rule) -> Rule:
        if sigma_w2 is not None:
            rule = rule._replace(sigma_w2=sigma_w2, average_w2=0.0)
        if sigma_b2 is not None:
            rule = rule._replace(sigma_b2=sigma_b2, shared_b2=0.0)
        return rule

    return Member(
        unless_given(initializer.first(activation)),
        unless_given(initializer.hidden(activation)),
    )


def at_fixed_point(settings: CellSettings) -> Member:
    """The same, but the first layer's output has the length that theory ends at.

    Where that is 0 or infinite, lengths start at 1.

    >>> net = {"initializer": "he_normal", "activation": "relu", "width": 64}
    >>> at_fixed_point(net).first.sigma_w2
    1.0
    """
    hidden = member(settings).hidden
    activation = ACTIVATIONS[settings["activation"]]
    width = settings["width"]
    q_star = mean_field.fixed_point(activation, *hidden(width, width)).q_star
    start = q_star if 0 < q_star < np.inf else 1.0
    return Member(Rule(start), hidden)


def at_length(settings: CellSettings) -> Member:
    """χ₁ = 1 at the length `q_star`, where all lengths start; without one as above.

    Raises NoCriticalPoint where no variances keep that length.

    >>> at_length({"activation": "tanh", "q_star": 0.25}).first.sigma_w2
    0.25
    """
    q = settings.get("q_star")
    if q is None:
        return at_fixed_point(settings)
    line = mean_field.critical_line(ACTIVATIONS[settings["activation"]], q)
    if line.sigma_b2 < -1e-9 * q:
        raise NoCriticalPoint(f"χ₁ = 1 at q* = {q:g} needs a bias variance below 0")
    if line.slope > 1 + 1e-9:
        raise NoCriticalPoint(f"lengths move away from q* = {q:g} where χ₁ = 1")
    sigma_b2 = max(float(line.sigma_b2), 0.0)
    return Member(Rule(q), Rule(float(line.sigma_w2), sigma_b2))


def program_of(
    settings: CellSettings, activations: tuple[str, ...], capacity: int
) -> Program:
    """The compiled program that serves these settings and others like them."""
    names = ("architecture", "normalizer", "width", "batch", "dataset")
    fields = {name: settings[name] for name in names}
    fields["data_dir"] = settings.get("data_dir", "")
    return Program(activations=activations, capacity=capacity, **fields)


def measure(
    cells: Sequence[CellSettings],
    program: Program,
    seeds_at_a_time: int,
    member: Callable[[CellSettings], Member] = member,
) -> list[Measured]:
    """A Measured for each cell; cells differ in initialiser and variances alone.

    On an accelerator they run side by side. On a CPU in turn, although that takes
    longer: a cell's bits then do not depend on which others are run with it.
    """
    together = jax.default_backend() != "cpu"
    calls = [list(cells)] if together else [[cell] for cell in cells]
    return [
        result
        for call in calls
        for result in _measure(call, program, seeds_at_a_time, member)
    ]


def _measure(
    cells: Sequence[CellSettings],
    program: Program,
    seeds_at_a_time: int,
    member: Callable[[CellSettings], Member],
) -> list[Measured]:
    results: dict[int, Measured] = {}
    runnable: dict[int, Member] = {}
    for number, settings in enumerate(cells):
        try:
            runnable[number] = member(settings)
        except NoCriticalPoint as error:
            values: dict[str, Any] = {"verdict": "no fixed point"}
            results[number] = Measured("no_fixed_point", str(error), values, {})
    if runnable:
        shared = cells[0]
        depth, seeds = shared["depth"], shared["seeds"]
        draw = INITIALIZERS[shared["initializer"]].draw
        parts = [
            signals(
                program,
                shared["activation"],
                draw,
                depth,
                list(runnable.values()),
                range(first, min(first + seeds_at_a_time, seeds)),
            )
            for first in range(0, seeds, seeds_at_a_time)
        ]
        for position, number in enumerate(runnable):
            of_seeds = [part[position] for part in parts]
            joined = jax.tree.map(lambda *arrays: np.concatenate(arrays), *of_seeds)
            one = result(cells[number], runnable[number], joined)
            if "dtype" in cells[number]:
                numbers = cells[number], program, runnable[number], seeds_at_a_time
                one = in_dtype(one, *numbers)
            results[number] = one
    return [results[number] for number in range(len(cells))]


def in_dtype(
    exact: Measured,
    settings: CellSettings,
    program: Program,
    member: Member,
    seeds_at_a_time: int,
) -> Measured:
    """A cell's result, and beside it what its dtype keeps of the gradient."""
    draw, seeds = INITIALIZERS[settings["initializer"]].draw, settings["seeds"]
    net = program, settings["activation"], draw, settings["depth"], member
    parts = [
        mixed.gradients(
            *net,
            range(first, min(first + seeds_at_a_time, seeds)),
            settings["dtype"],
            settings.get("log2_scale"),
        )
        for first in range(0, seeds, seeds_at_a_time)
    ]
    measured = jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)
    values = {**exact.values, **mixed.columns(measured)}
    names = ("log10_exact", "log10_plain", "log10_entry", "zeros", "cosine")
    arrays = {f"{name}_of_dtype": getattr(measured, name) for name in names}
    return exact._replace(values=values, profiles={**exact.profiles, **arrays})


def result(settings: CellSettings, member: Member, signal: Signal) -> Measured:
    """The row of one cell: what was measured, and what theory says of it."""
    theory, line = theory_of(settings, member)
    losses = [
        profiles.lost_at(q, apart)
        for q, apart in zip(signal.log10_length, signal.decorrelation, strict=True)
    ]
    lost = min((loss for loss in losses if loss), default=None)
    width = settings["width"]
    used = member.hidden(width, width)
    values: dict[str, Any] = {
        "sigma_w2_used": used.sigma_w2,
        "sigma_b2_used": used.sigma_b2,
        "signal_lost_at": lost[0] if lost else None,
        "signal_lost_how": lost[1] if lost else None,
        "saturated": _mean(signal.saturated[:, -1]),
        "log10_length": _mean(signal.log10_length[:, -1], signal.log10_length.shape[1]),
        "log10_length_se": _error(
            signal.log10_length[:, -1], signal.log10_length.shape[1]
        ),
        # Half a squared distance: what `lost_at` calls correlated is 0.
        "decorrelation": _mean(signal.decorrelation[:, -1], profiles.EPSILON),
        "decorrelation_se": _error(signal.decorrelation[:, -1], profiles.EPSILON),
        **theory,
    }
    arrays = {
        "log10_gradient": signal.log10_gradient.astype(np.float32),
        "log10_length": np.mean(signal.log10_length, 0, dtype=np.float64),
        "log10_length_of_seeds": signal.log10_length,
        "decorrelation": np.mean(signal.decorrelation, 0, dtype=np.float64),
        "saturated": np.mean(signal.saturated, 0, dtype=np.float64),
    }
    arrays = {name: np.asarray(a, np.float32) for name, a in arrays.items()}
    if line is not None:
        arrays["log10_gradient_theory"] = np.asarray(line, np.float32)
    finite = np.all(np.isfinite(signal.log10_gradient), axis=1)
    if kinked_at_zero(ACTIVATIONS[settings["activation"]]):
        # The slope at an underflowed zero is not the slope at the tiny number it was.
        finite &= [loss is None or loss[1] != "zero" for loss in losses]
    if not np.all(finite):
        status, reason = _without_gradient(lost, int(np.sum(~finite)), len(finite))
        values["verdict"] = "lost" if status == "lost" else status
        return Measured(status, reason, values, arrays)
    # A layer's decades are known to float32's precision: a ratio adds up its layers'.
    layers = signal.log10_gradient.shape[1] - 1
    ratios = profiles.over_seeds(profiles.ratio(signal.log10_gradient), layers)
    slopes = profiles.over_seeds(profiles.slope(signal.log10_gradient), 1.0)
    values |= {
        "log10_ratio": ratios.mean,
        "log10_ratio_se": ratios.error,
        "log10_slope": slopes.mean,
        "log10_slope_se": slopes.error,
        "verdict": profiles.verdict(ratios.mean),
    }
    return Measured("ok", "", values, arrays)


def _mean(values: Any, scale: float = 1.0) -> float | None:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    return profiles.resolved(np.mean(finite, dtype=np.float64), scale)


def _error(values: Any, scale: float) -> float | None:
    """The standard error of the mean of values [seeds]; None where it has none."""
    error = profiles.over_seeds(values[np.isfinite(values)], scale).error
    return float(error) if np.isfinite(error) else None


def _without_gradient(lost: tuple[int, str] | None, bad: int, seeds: int):
    where = f"in {bad} of {seeds} seeds"
    if lost and lost[1] == "overflow":
        return "overflow", f"hidden state is not finite from layer {lost[0]}, {where}"
    if lost and lost[1] == "zero":
        return "lost", f"hidden state is exactly zero from layer {lost[0]}, {where}"
    return "lost", f"gradient is exactly zero, {where}"


THEORY = [
    "log10_slope_theory",
    "log10_ratio_theory",
    "log10_length_theory",
    "verdict_theory",
    "phase",
    "q_star",
    "chi_1",
    "c_star",
    "xi_c",
    "trainable_depth",
    "theory_reason",
]


def theory_of(settings: CellSettings, member: Member):
    """(columns by name, the gradient's line [states] or None) for a cell.

    The slope is ½ log10 χ₁ at the length's fixed point for a plain net; for others, and
    with a normaliser, it is the slope of the finite-depth recursion. None, with a
    reason, where there is no theory here.
    """
    values: dict[str, Any] = dict.fromkeys(THEORY)
    family = ARCHITECTURES[settings["architecture"]]
    activation = ACTIVATIONS[settings["activation"]]
    dataset = find(settings["dataset"], settings.get("data_dir") or None)
    width = settings["width"]
    sigma_w2, sigma_b2 = member.hidden(width, width)
    depth, normalizer = settings["depth"], settings["normalizer"]
    reason = _no_theory(settings)
    if reason:
        return {**values, "theory_reason": reason}, None
    assert family.branch is not None  # or there were a reason
    branch = family.branch(depth)
    line, length = _line(
        settings["activation"],
        float(sigma_w2),
        float(sigma_b2),
        _first_length(member.first(family.inputs(dataset.shape), width), dataset),
        depth,
        normalizer,
        branch,
    )
    values["log10_length_theory"] = (
        None if length is None else profiles.resolved(length, depth)
    )
    if line is not None:
        slope, ratio = profiles.slope(line[None])[0], line[0] - line[-1]
        # As what is measured beside them: a critical net's are 0, whatever is rounded.
        values["log10_slope_theory"] = profiles.resolved(slope)
        values["log10_ratio_theory"] = profiles.resolved(ratio, len(line) - 1)
    plain = branch == (0.0, 1.0) and normalizer == "none"
    if plain:
        values |= _infinite_depth(activation.name, float(sigma_w2), float(sigma_b2))
    if values["log10_ratio_theory"] is not None:
        values["verdict_theory"] = profiles.verdict(values["log10_ratio_theory"])
    return values, line


def _first_length(variances: Any, dataset: Dataset) -> float:
    """q of the first layer, σ_w² E[x²] + σ_b², as of examples of the data set."""
    sigma_w2, sigma_b2 = variances
    square = ensembles.mean_square(dataset)
    return float(sum(variances)) if square == 1 else float(sigma_w2 * square + sigma_b2)


def _no_theory(settings: CellSettings) -> str | None:
    """Why no infinite-width theory here covers the setting; None where one does."""
    family = ARCHITECTURES[settings["architecture"]]
    if family.branch is None:
        return f"no mean-field theory of {family.name} here"
    if not INITIALIZERS[settings["initializer"]].independent:
        return f"{settings['initializer']} weights are not independent"
    if settings["normalizer"] not in trajectories.NORMALIZERS:
        return f"no mean-field theory of the normaliser {settings['normalizer']} here"
    if settings["normalizer"] == "batch" and family.branch(1).skip:
        return "no mean-field theory of batch norm in residual nets here"
    return None


@functools.lru_cache(maxsize=4096)
def _line(name, sigma_w2, sigma_b2, q_0, depth, normalizer, branch):
    """(log10 gradient norms [states] relative to the last, log10 q at the last).

    None past float64, either of them.
    """
    predicted = trajectories.trajectory(
        ACTIVATIONS[name],
        sigma_w2,
        sigma_b2,
        q_0,
        depth,
        normalizer=normalizer,
        skip=branch.skip,
        branch=branch.scale,
    )
    with np.errstate(divide="ignore"):
        gains = 0.5 * np.log10(predicted.chi)
        length = float(np.log10(predicted.length[-1]))
    length = length if np.isfinite(length) else None
    if not np.all(np.isfinite(gains)):
        return None, length
    return np.append(np.cumsum(gains[::-1])[::-1], 0.0), length


@functools.lru_cache(maxsize=4096)
def _infinite_depth(name: str, sigma_w2: float, sigma_b2: float) -> dict[str, Any]:
    """Theory's columns for a plain net of any depth."""
    theory = mean_field.theory(ACTIVATIONS[name], sigma_w2, sigma_b2)
    values: dict[str, Any] = {
        "phase": theory.phase,
        "q_star": theory.q_star,
        "c_star": theory.c_star,
        "chi_1": theory.chi_1,
        "xi_c": theory.xi_c,
        "trainable_depth": theory.trainable_depth,
        "theory_reason": theory.reason or None,
    }
    slope = 0.5 * np.log10(theory.chi_1) if theory.chi_1 > 0 else np.nan
    finite = np.isfinite(slope)
    values["log10_slope_theory"] = profiles.resolved(slope) if finite else None
    return values
