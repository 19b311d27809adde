"""How classical points move, for grids: Hamilton's equations, drift, pushes that stand for diffusion, and kicks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from qnnsym.errors import InputError

MOST_STEPS = 20_000
# The noise that leads furthest changes its strength on the way, the push that stands for it does not.
PUSH = 1.4


@dataclass(frozen=True)
class Rules:
    """How classical points move."""

    velocity: Callable[..., Any]
    slope: Callable[..., Any]
    began: float
    duration: float
    circle: bool
    rates: tuple[float, ...]
    pushes: tuple[float, float]
    kick: Callable[..., Any] | None = None
    kinetic: bool = False
    period: float = 0.0
    extra: Any = 0.0

    def kicked(self, points: np.ndarray, t: float, first: bool) -> np.ndarray:
        """Points after a kick, the first with the orders of diffraction beyond the classical kick."""
        x, p = points
        assert self.kick is not None
        further, now = (self.extra if first else 0.0), np.float64(t)
        return np.array(
            [x + self.kick(p, now) + further, p] if self.kinetic else [x, p - self.kick(x, now) + further]
        )

    def stretches(self) -> list[tuple[float, bool]]:
        """(duration, kicked at its start), until the end."""
        if self.kick is None:
            return [(self.duration, False)]
        near = 1e-9 * self.period
        first = math.ceil((self.began - near) / self.period) * self.period - self.began
        kicks = [max(t, 0.0) for t in np.arange(first, self.duration - near, self.period)]
        edges = [*([0.0] if not kicks or kicks[0] > near else []), *kicks, self.duration]
        return [(b - a, bool(kicks) and a >= kicks[0]) for a, b in pairwise(edges)]


def outwards(values: np.ndarray) -> np.ndarray:
    return np.where(values < np.mean(values), -1.0, 1.0)


def apart(first: np.ndarray, second: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    direction = np.where(first[axis] < second[axis], -0.5, 0.5)
    return direction, -direction


def diffraction(
    phase: Callable[..., Any], jump: Callable[..., Any], low: float, high: float, hbar: float, tolerance: float
) -> float:
    """How far exp(-i kick/hbar) moves amplitudes of the size `tolerance` beyond the classical kick.

    A weak kick diffracts: into orders n hbar q with Bessel amplitudes where the classical one moves by less than one.
    """
    at, half = np.linspace(low, high, 4096), (high - low) / 2
    window = np.exp(-math.log(1 / tolerance) * ((at - (low + high) / 2) / half) ** 2)
    now = np.float64(0.0)
    kicked, plain = (
        np.abs(np.fft.fft(window * np.exp(-1j * f / hbar), 2**15)) for f in (phase(at, now), np.zeros_like(at))
    )
    shifts = np.abs(2 * np.pi * hbar * np.fft.fftfreq(2**15, at[1] - at[0]))
    reach, own = (float(shifts[s > tolerance * s.max()].max()) for s in (kicked, plain))
    # Later kicks diffract what the first one did.
    return 1.5 * max(0.0, reach - own - float(np.max(np.abs(jump(at, now)))))


def pushes_of(rates: Sequence[float], reach: float, duration: float) -> tuple[float, float]:
    """Constant forces along the motion that take points as far as diffusion takes the amplitude exp(-reach^2).

    A path of the noise u(t) with int u^2 dt/4D = reach^2 has this amplitude; it is spread over the whole time, or over
    the time after which friction has forgotten it.
    """
    diffusions = rates[2], rates[3]
    forgotten = 2 / max(rates[0] + rates[1], 1e-300)
    span = max(min(abs(duration), forgotten), 1e-300)
    # Where friction forgets, a steady push goes too far already; two pushes share the amplitude.
    share = (1.0 if forgotten < abs(duration) else PUSH) / (math.sqrt(2) if all(diffusions) else 1.0)
    in_x, in_p = (share * 2 * reach * math.sqrt(d / span) for d in diffusions)
    return in_x, in_p


def trajectories(start: np.ndarray, pushed: int, rules: Rules) -> Iterator[np.ndarray]:
    """Classical points (2, number) after each step of the integrator; the first `pushed` of them feel diffusion."""
    from scipy.integrate import RK45

    number = start.shape[1]
    scale = np.ptp(start, axis=1)
    far = 1e3 * (np.abs(start).max(axis=1) + scale)
    if rules.circle:
        far[0] = math.inf
    (a, b, *_), (push_x, push_p) = rules.rates, rules.pushes
    pushes = np.where(np.arange(number) < pushed, 1.0, 0.0)

    def along(rate: np.ndarray) -> np.ndarray:
        """The direction of the motion, outwards where there is none."""
        return np.where(rate < 0, -1.0, 1.0) * pushes

    def rates(t: float, flat: np.ndarray) -> np.ndarray:
        now, x, p = np.float64(began + t), flat[:number], flat[number:]
        dx, dp = rules.velocity(p, now), -rules.slope(x, now)
        # Up the potential, and along the motion: both raise the energy.
        uphill, forward = (-dp if dp.any() else x), p
        if push_x:
            dx = dx + push_x * along(uphill)
        if push_p:
            dp = dp + push_p * along(forward)
        return np.concatenate([dx - a * x if a else dx, dp - b * p if b else dp])

    atol = 1e-6 * np.repeat(scale, number)
    now, began, steps, untouched = start, rules.began, 0, True
    with np.errstate(all="ignore"):
        for span, kicked in rules.stretches():
            if kicked:
                now, untouched = rules.kicked(now, began, untouched), False
                yield now
            most = abs(rules.duration) / 32
            solver = RK45(rates, 0.0, now.ravel(), span, max_step=most, rtol=1e-6, atol=atol)
            while solver.status == "running":
                message, steps = solver.step(), steps + 1
                now = solver.y.reshape(2, number)
                lost = message or not np.isfinite(now).all() or (np.abs(now).max(axis=1) > far).any()
                if lost or steps > MOST_STEPS:
                    raise InputError(
                        "Classical points of the state escape to infinity, or move too fast to follow, at t = "
                        f"{began - rules.began + solver.t:.3g} after the start: no grid holds the state for that long. "
                        "Shorten the times, or give grid=(x, p)."
                    )
                yield now
            began += span
