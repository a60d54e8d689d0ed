"""Vibrations of a machine whose bearing or gear wears, as a sensor on its housing has them.

A shaft turns 20 to 30 times a second. What is always there: its imbalance (once a turn),
a gear of 23 teeth (its mesh and two harmonics), noise. What wear adds, after Randall &
Antoni 2011, Mech. Syst. Signal Process. 25:485:

- outer race: a ball strikes the fault n/2 (1 − d/D) times a turn; each strike rings the
  housing, a damped oscillation. Balls slip, so strikes are not quite periodic.
- inner race: n/2 (1 + d/D) times a turn, and the fault turns through the load's zone, so
  that strikes grow and fade once a turn.
- tooth: once a turn the mesh weakens for a tooth's time, and the housing rings.

How far wear has gone, speed, phases, the housing's frequency and the noise are drawn for
each signal, and each is brought to a mean square of 1: its loudness tells nothing.
"""

from typing import NamedTuple

import numpy as np

from depthbench.research.datasets.contract import Data, Splits

STATES = ("sound", "outer race", "inner race", "tooth")
RATE, SAMPLES = 4096, 512  # samples a second; of a signal
FRAME = 8  # samples that a net reads at a step
SIGNALS, TRAIN = 2000, 1600
TEETH, BALLS, RATIO = 23, 8, 0.2  # RATIO: a ball's diameter over that of their circle
SLIP = 0.015  # deviation of the time between strikes, as a share
DAMPING = 0.06  # of the housing, as a share of the critical


class Conditions(NamedTuple):
    """What is drawn for a signal, but its noise."""

    turns: float  # a second
    rings: float  # the housing's frequency, in Hz
    wear: float
    phases: np.ndarray
    mesh: np.ndarray


def load() -> Splits:
    """x: [signals, 64, 8], a step's samples. y: the machine's state, of STATES."""
    x, y = signals(SIGNALS)
    x = x.reshape(len(x), SAMPLES // FRAME, FRAME).astype(np.float32)
    parts = (slice(None, TRAIN), slice(TRAIN, None))
    return Splits(*(Data(x[part], y[part], len(STATES)) for part in parts))


def signals(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(signals [count, SAMPLES] of mean square 1, states [count]), which take turns."""
    random = np.random.RandomState(seed)
    y = (np.arange(count) % len(STATES)).astype(np.int32)
    x = np.stack([_signal(random, STATES[state]) for state in y])
    return x / np.sqrt(np.mean(x**2, axis=1, keepdims=True)), y


def _signal(random: np.random.RandomState, state: str) -> np.ndarray:
    drawn = random.random_sample(4)
    at = Conditions(
        turns=20 + 10 * drawn[0],
        rings=1100 + 500 * drawn[1],
        wear=1.5 * 3 ** drawn[2],
        phases=2 * np.pi * random.random_sample(5),
        mesh=0.3 + 0.7 * random.random_sample(3),
    )
    noise = (0.3 + 0.3 * drawn[3]) * random.standard_normal(SAMPLES)
    time = np.arange(SAMPLES) / RATE
    turn = 2 * np.pi * at.turns * time
    mesh = sum(
        size * np.sin(TEETH * n * turn + phase)
        for n, (size, phase) in enumerate(
            zip(at.mesh, at.phases, strict=False), start=1
        )
    )
    strikes, loads = _strikes(random, state, at)
    if state == "tooth":
        mesh = mesh * (1 - 0.5 * at.wear / 4.5 * _at_tooth(turn + at.phases[4]))
    return (
        noise + mesh + 0.5 * np.sin(turn + at.phases[3]) + _ringing(strikes, loads, at)
    )


def _strikes(
    random: np.random.RandomState, state: str, at: Conditions
) -> tuple[np.ndarray, np.ndarray]:
    """(when the housing is struck, in s; how hard), from before the signal begins."""
    often = {
        "sound": 0.0,
        "outer race": BALLS / 2 * (1 - RATIO),
        "inner race": BALLS / 2 * (1 + RATIO),
        "tooth": 1.0,
    }[state]
    if not often:
        return np.zeros(0), np.zeros(0)
    apart = 1 / (often * at.turns)
    count = int(1.3 * SAMPLES / RATE / apart) + 4
    slips = SLIP * (state != "tooth") * random.standard_normal(count)
    first = at.phases[4] / (2 * np.pi)
    times = apart * (np.cumsum(1 + slips) - 2 + first)
    loads = at.wear * np.ones(count)
    if state == "inner race":
        loads = loads * np.maximum(
            np.cos(2 * np.pi * at.turns * times + at.phases[3]), 0
        )
    return times, loads


def _at_tooth(angle: np.ndarray) -> np.ndarray:
    """1 where the worn tooth meshes, once a turn, else 0; smooth."""
    off = np.angle(np.exp(1j * angle)) / (2 * np.pi / TEETH)
    return np.exp(-(off**2))


def _ringing(times: np.ndarray, loads: np.ndarray, at: Conditions) -> np.ndarray:
    """The housing's answer to strikes [SAMPLES]: Σ of damped oscillations."""
    since = np.arange(SAMPLES)[None] / RATE - times[:, None]
    speed = 2 * np.pi * at.rings
    after = np.maximum(since, 0)
    each = np.exp(-DAMPING * speed * after) * np.sin(speed * after)
    return (loads[:, None] * each).sum(axis=0)
