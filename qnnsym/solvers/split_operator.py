"""Split-operator propagation of a Wigner function on a grid: two exact factors, composed to any of several orders.

    kinetic     W^(k, p)     <- exp(-i K(p, k) h) W^(k, p),       W^(k, p) = int e^{-ikx} W dx
    potential   W^(x, theta) <- exp(+i V(x, theta) h) W^(x, theta), W^(x, theta) = int e^{-ip theta} W dp

Both factors have modulus one, so that every step keeps the L2 norm (the purity), and local errors add up at most
linearly: the sum of the measured ones bounds the error of the whole.

Where a field depends on time, time is one more coordinate that the kinetic flow carries along: the potential flow finds
it standing still, and every composition keeps its order without commutators (S. Blanes, F. Casas, J. Phys. A 39, 5405
(2006)). A kinetic field commutes with itself at all times, so that its flow is exp(-i int K dt), by quadrature.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft

from qnnsym.errors import InputError
from qnnsym.solvers.compositions import BLANES_MOAN_4, BLANES_MOAN_6, COMPOSITIONS, STRANG, Composition
from qnnsym.solvers.progress import Progress
from qnnsym.solvers.solution import Solution, Status, as_times, finite_array

Field = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Driven:
    """A field that depends on time.

    Arguments:
        field: called as (first, second, t), the arrays as those of a field that does not.
    """

    field: Callable[[np.ndarray, np.ndarray, float], np.ndarray]




@dataclass(frozen=True)
class DrivenOperator:
    """An observable that depends on time.

    Arguments:
        values: function of t that gives its (nx, np) array.
    """

    values: Callable[[float], np.ndarray]


Operators = Mapping[str, "np.ndarray | DrivenOperator | Callable[[np.ndarray], float]"]

MAX_STEPS = 1_000_000
# Most steps between two measurements of the local error, each of which costs a step; fewer while the error grows.
LONGEST_GAP = 8
# Columns transformed at once: 128 columns of 512 points stay in the second-level cache.
BLOCK = 128
# Factors kept: those of a step and of the one twice as long, for the longest composition, with room to spare.
KEPT_FACTORS = 64
# A gap above this, relative to W: the step is too long for its error to follow a power of it.
SATURATED = 0.05
# Gauss's rule for the integral of a driven kinetic field over a stage, of order 8: nodes and weights on (0, 1).
NODES, WEIGHTS = (np.polynomial.legendre.leggauss(4)[0] + 1) / 2, np.polynomial.legendre.leggauss(4)[1] / 2
# Diagnostics of the four edges of the grid, and the share of the points of an axis that counts as its edge.
EDGES = ("edge_x", "edge_k", "edge_p", "edge_theta")
EDGE = 1 / 32
# States above this size are refused before memory runs out half-way.
LARGEST_RESULT = 8 * 2**30


class SplitPropagator:
    """The two exact flows on one grid.

    Arguments:
        grid: (x, p), uniform, endpoints excluded.
        kinetic: K(p, k) on broadcast arrays p[None, :], k[:, None].
        potential: V(x, theta) on broadcast arrays x[:, None], theta[None, :].
        workers: threads of the transforms.

    Attributes:
        limited: (nx, ntheta) where V is not finite, or None; the factor is one there.
        transforms: how many real transforms of the whole grid were done, forward or back.
    """

    def __init__(
        self,
        grid: tuple[np.ndarray, np.ndarray],
        kinetic: Field | Driven,
        potential: Field | Driven,
        workers: int = 1,
        start: float = 0.0,
    ) -> None:
        x, p = grid
        self.shape = (x.size, p.size)
        self.workers = workers
        self.k = 2 * np.pi * fft.rfftfreq(x.size, x[1] - x[0])
        self.theta = 2 * np.pi * fft.rfftfreq(p.size, p[1] - p[0])
        self._axes = ((p[None, :], self.k[:, None]), (x[:, None], self.theta[None, :]))
        self._fields = (kinetic, potential)
        self.driven = tuple(isinstance(f, Driven) for f in self._fields)
        self.limited: np.ndarray | None = None
        self._rates = tuple(self._rate(flow, start) for flow in (0, 1))
        self._idle = tuple(not (driven or r.any()) for driven, r in zip(self.driven, self._rates, strict=True))
        self._factors: dict[tuple[int, float], np.ndarray] = {}
        self.transforms = 0

    def _rate(self, flow: int, t: float) -> np.ndarray:
        """-K or V at a time, on the grid."""
        field, axes = self._fields[flow], self._axes[flow]
        shape = (self.k.size, self.shape[1]) if flow == 0 else (self.shape[0], self.theta.size)
        with np.errstate(all="ignore"):
            values = field.field(*axes, t) if isinstance(field, Driven) else field(*axes)
        rate = _filled(values, shape, ("kinetic", "potential")[flow])
        finite = np.isfinite(rate)
        if flow == 0:
            if not finite.all():
                raise InputError(
                    "The kinetic factor K(p, k) is not finite on the whole grid: the kinetic energy is singular or "
                    "overflows within reach of p +- hbar k/2. Give a grid that is narrower in p or coarser in x."
                )
            rate = -rate
        elif not finite.all():
            # V takes the potential at x +- hbar theta/2, far outside the grid; where it overflows a state has no
            # amplitude, and any factor of modulus one will do. `_Record` measures that the amplitude is indeed absent.
            self.limited = ~finite if self.limited is None else self.limited | ~finite
            rate[~finite] = 0.0
        # The Nyquist mode cos(pi n) stands for k and -k at once, where an odd symbol takes opposite values: a factor
        # other than a real one would make W complex, and of these only one keeps the norm and is continuous in time.
        if self.shape[flow] % 2 == 0:
            rate[(-1, slice(None)) if flow == 0 else (slice(None), -1)] = 0.0
        return rate

    def factor(self, flow: int, duration: float, t: float = 0.0) -> np.ndarray:
        """exp(i rate duration) of the kinetic (0) or potential (1) flow from time t; kept if it holds at all times."""
        found = None if self.driven[flow] else self._factors.get((flow, duration))
        if found is not None:
            return found
        if not self.driven[flow]:
            phase = self._rates[flow] * duration
        elif flow == 1:
            phase = self._rate(flow, t) * duration
        else:
            phase = sum(w * self._rate(flow, t + c * duration) for c, w in zip(NODES, WEIGHTS, strict=True)) * duration
        found = np.empty(phase.shape, complex)
        np.cos(phase, out=found.real)
        np.sin(phase, out=found.imag)
        if not self.driven[flow]:
            if len(self._factors) >= KEPT_FACTORS:
                self._factors.clear()
            self._factors[flow, duration] = found
        return found

    def flow(self, w: np.ndarray, flow: int, duration: float, t: float = 0.0) -> np.ndarray:
        """Apply one exact factor, from time t; w may be overwritten, so use what is returned."""
        if self._idle[flow]:
            return w
        factor, length, workers = self.factor(flow, duration, t), self.shape[flow], self.workers
        self.transforms += 2
        if flow == 1 or workers != 1:
            hat = fft.rfft(w, axis=flow, workers=workers)
            hat *= factor
            return fft.irfft(hat, length, axis=flow, overwrite_x=True, workers=workers)
        # The transform along the strided axis is the dear one; in blocks of columns it stays in the cache.
        for start in range(0, self.shape[1], BLOCK):
            columns = slice(start, start + BLOCK)
            hat = fft.rfft(w[:, columns], axis=0)
            hat *= factor[:, columns]
            w[:, columns] = fft.irfft(hat, length, axis=0, overwrite_x=True)
        return w

    def advance(self, w: np.ndarray, composition: Composition, h: float, steps: int, t: float = 0.0) -> np.ndarray:
        """`steps` steps of length h from time t; w may be overwritten.

        The last flow of each step is merged with the first of the next.
        """
        a, b = composition.a, composition.b
        w, now = self.flow(w, 0, a[0] * h, t), t + a[0] * h
        for n in range(steps):
            for stage, coefficient in enumerate(b):
                w = self.flow(w, 1, coefficient * h, now)
                inside = stage + 1 < len(b) or n + 1 == steps
                share = a[stage + 1] if inside else a[-1] + a[0]
                w, now = self.flow(w, 0, share * h, now), now + share * h
        return w


def propagate_split(
    W0: Any,
    grid: tuple[np.ndarray, np.ndarray],
    times: Any,
    kinetic: Field | Driven,
    potential: Field | Driven,
    *,
    hbar: float,
    method: str | None = None,
    step: float | None = None,
    tolerance: float = 1e-8,
    e_ops: Operators | None = None,
    store_states: bool = True,
    progress: bool | None = None,
    workers: int = 1,
    label: str = "propagating",
    give_up: float | None = None,
) -> Solution:
    """Propagate a Wigner function by split operators.

    Arguments:
        W0: (nx, np) at the first time, iint W dx dp = 1.
        grid: (x, p) arrays, uniform, ascending, endpoints excluded (the grid is periodic).
        times: output times, or (start, stop, number); descending times run backwards.
        kinetic: K(p, k), called with p[None, :] and k[:, None]; rate of change -i K of W^(k, p).
        potential: V(x, theta), called with x[:, None] and theta[None, :]; rate of change +i V of W^(x, theta).
            Either may be `Driven`, and is then also given the time.
        hbar: in the units of x p; used for the purity 2 pi hbar iint W^2 alone.
        method: name of a composition; None takes the one that reaches the tolerance with the least work.
        step: longest step; None chooses it from the measured local error.
        tolerance: wanted bound of the error in time of the last state, relative to its L2 norm.
        e_ops: {name: (nx, np) array or DrivenOperator, integrated against W dx dp, or function of W}.
        store_states: keep the states at the output times; False keeps expectation values only.
        progress: show a bar; None: on a terminal, after a second.
        workers: threads of the transforms.
        label: what the bar calls the work.
        give_up: share; end at the first output time at which more than this is at an edge of the grid.

    Returns:
        Solution with states (times, nx, np); expect norm, purity, negativity and e_ops; statistics steps, transforms
        and seconds; diagnostics (largest values over the output times)
            estimated_error  sum of the measured local errors in time, relative to the L2 norm of W,
            boundary_mass    share of iint |W| in the outermost 1/32 of the grid on each side, in x or p (the larger of
                             edge_x and edge_p),
            aliasing         share, in the L2 norm, of the upper third of the wave numbers k or theta,
            edge_k, edge_theta  the same of the highest 1/16 of them,
            norm_drift, purity_drift  relative to the first value,
            limited          share, in the L2 norm, of W where V overflows (present only if it does).

    Raises:
        InputError: for an unknown method; a step, tolerance or hbar that is not positive; a grid that is not
            uniform; a W0 that does not fit the grid or has amplitude where the potential is infinite.

    Source: M. D. Feit, J. A. Fleck, A. Steiger, J. Comput. Phys. 47, 412 (1982), in the representations of W. B. Case,
        Am. J. Phys. 76, 937 (2008); step choice by step doubling.
    """
    times = as_times(times)
    _check_uniform(grid)
    x, p = (np.asarray(axis, dtype=float) for axis in grid)
    w = finite_array(W0, (x.size, p.size), "The initial Wigner function")
    for name, value in (("hbar", hbar), ("tolerance", tolerance), ("step", 1.0 if step is None else step)):
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} is {value!r}; give a positive number.")
    if not w.any():
        raise InputError("The initial Wigner function is zero on the whole grid; give a grid that covers the state.")
    if method is not None and method not in COMPOSITIONS:
        raise InputError(f"The method {method!r} is not known; use one of {', '.join(COMPOSITIONS)}, or None.")
    if store_states and times.size * w.nbytes > LARGEST_RESULT:
        raise InputError(
            f"{times.size} states of {x.size} x {p.size} points take {times.size * w.nbytes / 2**30:.0f} GiB; give "
            "store_states=False, fewer times or a coarser grid."
        )
    if step is not None and abs(times[-1] - times[0]) / step > MAX_STEPS:
        raise InputError(
            f"A step of {step:g} over t = {abs(times[-1] - times[0]):g} makes more than {MAX_STEPS} steps; give a "
            "longer step, or none to have it chosen."
        )
    propagator = SplitPropagator((x, p), kinetic, potential, workers, float(times[0]))
    record = _Record((x, p), propagator, hbar, e_ops or {}, times.size)
    kept = np.empty((times.size, *w.shape)) if store_states else None
    began, status, done = time.perf_counter(), Status.SUCCESS, 1
    record.measure(0, w, times[0])
    if record.limited > tolerance:
        raise InputError(
            f"The potential is not finite at x +- hbar theta/2, where the initial state has the share "
            f"{record.limited:.1e} of its coherences: it is singular, or overflows. Give a smaller grid, or a "
            "potential that is finite there."
        )
    if kept is not None:
        kept[0] = w
    run = _Steps(propagator, COMPOSITIONS[method] if method else None, step, tolerance, times)
    with Progress(label, progress) as bar:
        try:
            n, share = 1, 0.0
            while n < times.size:
                for fraction, part in run.interval(w, n, times[n - 1], times[n] - times[n - 1], share):
                    w = part
                    bar.update((n - 1 + fraction) / (times.size - 1))
                if run.exhausted:
                    status = Status.STEP_TOO_SMALL
                    break
                if run.back is not None:
                    # What was recorded since is not good enough, and is recorded anew.
                    (w, n, share), done, run.back = run.back, run.back[1], None
                    continue
                share = 0.0
                record.measure(n, w, times[n])
                if kept is not None:
                    kept[n] = w
                done = n + 1
                if not np.isfinite(record.values["norm"][n]):
                    status = Status.NON_FINITE
                lost = give_up is not None and max(record.edges.values()) > give_up
                if lost or status is Status.NON_FINITE:
                    break
                n += 1
        except KeyboardInterrupt:
            status = Status.INTERRUPTED
    statistics = {
        "steps": float(run.steps),
        "transforms": float(propagator.transforms),
        "seconds": time.perf_counter() - began,
    }
    solution = Solution(times[:done], None if kept is None else kept[:done], status, statistics, grid=(x, p))
    solution.expect = {name: values[:done] for name, values in record.values.items()}
    solution.diagnostics = {"estimated_error": run.total_error(), **record.diagnostics(done)}
    solution.warnings = _warnings(solution.diagnostics, tolerance, run)
    if status is not Status.SUCCESS:
        solution.warnings.insert(0, f"Reached t = {times[done - 1]:.6g}. {status.value}")
    solution.provenance = {
        "method": run.composition.name,
        "order_in_time": run.composition.order,
        "hbar": float(hbar),
        "tolerance": float(tolerance),
        "longest_step": run.longest,
    }
    return solution


class _Steps:
    """Chooses the composition and the steps from measured local errors, and adds these up.

    A pair of steps is held against one of twice the length: their gap is (2^(q+1) - 2) local errors of the order-q
    method, and the pair counts as work done.
    """

    def __init__(
        self,
        propagator: SplitPropagator,
        composition: Composition | None,
        step: float | None,
        tolerance: float,
        times: np.ndarray,
    ) -> None:
        self.propagator, self.fixed = propagator, step is not None
        self.composition = composition or BLANES_MOAN_6
        self.candidates = (composition,) if composition else (BLANES_MOAN_6, BLANES_MOAN_4, STRANG)
        span = abs(float(times[-1] - times[0]))
        self.rate = 0.5 * tolerance / span  # half: the steps between two measurements are not seen
        self.typical = span / (times.size - 1)
        self.h = step or 0.0
        self.floor = 0.0  # error per unit time that no shorter step removes: the grid's, or rounding
        self.refused: list[tuple[float, float]] = []  # steps and errors per unit time refused since the last pair
        self.sum, self.coefficient = 0.0, 0.0  # the local error of a step h is coefficient * h^(q+1)
        # Since the last measurement: number of steps, sum of their h^(q+1), sum of their h.
        self.unmeasured, self.weight, self.elapsed = 0, 0.0, 0.0
        self.gap, self.chosen_h = 2, math.inf
        self.steps, self.longest, self.exhausted = 0, 0.0, False
        # W, interval, share of it done and steps at the last measurement; where to begin again, after `interval` ended.
        self.safe: tuple[np.ndarray, int, float, int] | None = None
        self.back: tuple[np.ndarray, int, float] | None = None

    def total_error(self, rounding: bool = True) -> float:
        """The sum of local errors so far, and of rounding, relative to the norm of W."""
        # A transform with its factor was found to round by a quarter of the machine precision.
        rounded = np.finfo(float).eps / 4 * self.propagator.transforms if rounding else 0.0
        return self.sum + self.weight * self.coefficient + rounded

    def interval(
        self, w: np.ndarray, n: int, start: float, duration: float, done: float = 0.0
    ) -> Iterator[tuple[float, np.ndarray]]:
        """Advance by output interval n from a time on, a share of it done; yields (share done, W), the last with 1.

        The steps of an interval are equal unless the tolerance asks for shorter ones on the way. Where those of an
        earlier interval turn out to have been too long, it ends with `back` set to where they began.
        """
        sign, length = (1.0 if duration > 0 else -1.0), abs(float(duration))
        count = 0
        while done < 1:
            now = start + done * duration
            if not self.h:
                self._pilot(w, sign, now)
            power = self.composition.order + 1
            if not count:
                count = max(1, math.ceil((1 - done) * length / self.h * (1 - 1e-12)))
            if not self.fixed and count > MAX_STEPS:
                self.exhausted = True
                return
            h = (1 - done) * length / count
            if not self.steps or self.unmeasured >= self.gap:
                # A lone step is replaced, and measured, by its two halves.
                taken, small = (2, h) if count > 1 else (1, h / 2)
                after, error = self._pair(w, self.composition, sign * small, now)
                # Unmeasured steps count as the worse of their two neighbours.
                coefficient = error / small**power if small**power else 0.0  # an interval too short to matter
                behind = self.weight * max(self.coefficient, coefficient)
                refused = not self.fixed and self._too_large(error, small, h)
                again = self.safe if behind > 2 * self.rate * self.elapsed and not self.floor else None
                if refused or again:
                    count = 0
                    if again:
                        # The unmeasured steps behind were too long: they are taken again.
                        shorter = 0.8 * (self.rate * self.elapsed / behind) ** (1 / self.composition.order)
                        self.h = min(self.h, shorter * self.elapsed / self.unmeasured)
                        self.weight, self.elapsed, self.unmeasured = 0.0, 0.0, 0
                    if self.h < 0.3 * self.chosen_h and not self.floor:
                        # Where so much shorter steps are needed, another composition may be cheaper.
                        self._pilot(w, sign, now)
                    if again:
                        (w, begun, done, self.steps), self.safe = again, None
                        if begun != n:
                            self.back = w, begun, done
                            return
                    continue
                w = after
                self.sum += behind + 2 * error
                if coefficient < 2 * self.coefficient:
                    self.gap = min(LONGEST_GAP, max(1, 2 * self.gap))
                else:
                    # While it grows that fast every step is looked at; given steps stay whole, in pairs.
                    self.gap = 0 if self.coefficient and not self.fixed else 2
                self.coefficient, self.weight, self.elapsed, self.unmeasured = coefficient, 0.0, 0.0, 0
            else:
                taken = min(count, self.gap - self.unmeasured)
                w = self.propagator.advance(w, self.composition, sign * h, taken, now)
                self.unmeasured += taken
                self.weight += taken * h**power
                self.elapsed += taken * h
            self.steps += taken
            self.longest = max(self.longest, h)
            done = 1.0 if taken == count else done + (1 - done) * taken / count
            count -= taken
            if not self.unmeasured and not self.fixed:
                self.safe = (w.copy(), n, done, self.steps)
            yield done, w

    def _pair(self, w: np.ndarray, composition: Composition, h: float, t: float) -> tuple[np.ndarray, float]:
        """(W after two steps of h from time t, local error of one of them relative to the norm of W)."""
        coarse = self.propagator.advance(w.copy(), composition, 2 * h, 1, t)
        fine = self.propagator.advance(w.copy(), composition, h, 2, t)
        coarse -= fine
        gap = float(np.linalg.norm(coarse) / np.linalg.norm(fine))
        return fine, gap / (2.0 ** (composition.order + 1) - 2)

    def _too_large(self, error: float, small: float, h: float) -> bool:
        """Whether the pair has to be repeated with a shorter step; sets the length of the steps that follow."""
        q = self.composition.order
        found = error / small
        wanted = small * (self.rate / max(found, 1e-3 * self.rate)) ** (1 / q)
        if found <= self.rate or (found <= 2 * self.floor and not self.refused):
            self.refused.clear()
            if found < 0.01 * self.rate:
                # Far too good. Anything less keeps its step, and with it the factors that belong to the step.
                self.h = min(0.9 * wanted, 2 * h)
            elif small < h and not self.floor:
                # Halves were measured in place of a lone step; the steps that nobody measures must be no worse.
                self.h = min(self.h, max(small, 0.9 * wanted))
            return False
        saturated = error * 2.0 ** (q + 1) > SATURATED
        useless = any(small < 0.75 * longer and found / small > rate / longer for longer, rate in self.refused[-1:])
        self.refused.append((small, found))
        if useless and not saturated:
            # Less is gained than by a method of first order: the rest is the grid's error, or rounding. Go back to the
            # longest step that is about as good.
            least = min(rate for _, rate in self.refused)
            self.h, self.floor = max(pair for pair in self.refused if pair[1] <= 3 * least)
            self.refused.clear()
        else:
            self.h = min(max(0.8 * wanted, small / 5), 0.7 * small)
        return True

    def _pilot(self, w: np.ndarray, sign: float, t: float) -> None:
        """Take the composition that needs the least work per output interval, and its step."""
        self.sum, self.coefficient, self.weight = self.total_error(rounding=False), 0.0, 0.0
        before, least, h = self.composition, math.inf, min(self.typical / 2, 4 * self.h) if self.h else self.typical / 2
        for composition in self.candidates:
            q, wanted = composition.order, h
            for _ in range(12):
                _, error = self._pair(w, composition, sign * h, t)
                wanted = 0.9 * h * (self.rate / max(error / h, 1e-6 * self.rate)) ** (1 / q)
                # Where the leading power of h rules, one measurement tells the step well enough to compare the work.
                if error * 2.0 ** (q + 1) < SATURATED and (wanted > h / 10 or composition is not self.candidates[0]):
                    break
                h = min(self.typical / 2, max(wanted, h / 8))
            work = composition.stages * math.ceil(self.typical / wanted)
            if work < least:
                least, self.composition, self.h = work, composition, min(wanted, self.typical)
        self.chosen_h = self.h
        if self.composition is not before:
            self.refused.clear()


def _edge(points: int) -> int:
    return max(1, round(points * EDGE))


def _filled(values: Any, shape: tuple[int, int], name: str) -> np.ndarray:
    try:
        return np.array(np.broadcast_to(np.asarray(values, dtype=float), shape))
    except (TypeError, ValueError):
        raise InputError(
            f"The {name} field has the shape {np.shape(values)} or is not real; it has to broadcast to {shape}."
        ) from None


def _check_uniform(grid: tuple[np.ndarray, np.ndarray]) -> None:
    for axis in grid:
        steps = np.diff(np.asarray(axis, dtype=float))
        if np.ndim(axis) != 1 or steps.size < 3 or not (steps > 0).all() or np.ptp(steps) > 1e-8 * steps.mean():
            raise InputError("The grid is not a pair of uniform, ascending arrays (x, p) of at least four points each.")


class _Record:
    """Expectation values and watched qualities at the output times."""

    def __init__(
        self,
        grid: tuple[np.ndarray, np.ndarray],
        propagator: SplitPropagator,
        hbar: float,
        e_ops: Operators,
        count: int,
    ) -> None:
        x, p = grid
        self.cell = (x[1] - x[0]) * (p[1] - p[0])
        self.propagator, self.hbar = propagator, hbar
        self.e_ops = {
            name: op
            if callable(op) or isinstance(op, DrivenOperator)
            else finite_array(op, propagator.shape, f"The observable {name}")
            for name, op in e_ops.items()
        }
        self.values = {n: np.full(count, np.nan) for n in ("norm", "purity", "negativity", *e_ops)}
        self.aliasing, self.limited = 0.0, 0.0
        self.edges = dict.fromkeys(EDGES, 0.0)

    def measure(self, n: int, w: np.ndarray, t: float) -> None:
        size = np.abs(w)
        total = size.sum()
        square = float(np.vdot(w, w))
        self.values["norm"][n] = w.sum() * self.cell
        self.values["purity"][n] = 2 * np.pi * self.hbar * square * self.cell
        self.values["negativity"][n] = (total * self.cell - 1) / 2
        for name, operator in self.e_ops.items():
            if isinstance(operator, DrivenOperator):
                self.values[name][n] = np.vdot(operator.values(t), w) * self.cell
            else:
                self.values[name][n] = operator(w) if callable(operator) else np.vdot(operator, w) * self.cell
        for axis, (plain, spectral) in enumerate((EDGES[:2], EDGES[2:])):
            across = np.moveaxis(size, axis, 0)
            width = _edge(len(across))
            self._raise(plain, (across[:width].sum() + across[-width:].sum()) / total)
            hat = fft.rfft(w, axis=axis, workers=self.propagator.workers)
            power = hat.real**2 + hat.imag**2
            if axis == 1 and self.propagator.limited is not None:
                lost = power[self.propagator.limited].sum() / power.sum()
                self.limited = max(self.limited, math.sqrt(float(lost)))
            # Each mode but the constant one stands for two, so that shares can be taken of the halves as they are.
            weight = power.sum(axis=1 - axis)
            self._raise(spectral, math.sqrt(weight[-_edge(self.propagator.shape[axis]) :].sum() / weight.sum()))
            self.aliasing = max(self.aliasing, math.sqrt(float(weight[-(len(weight) // 3) :].sum() / weight.sum())))

    def _raise(self, name: str, value: float) -> None:
        self.edges[name] = max(self.edges[name], float(value))

    def diagnostics(self, done: int) -> dict[str, float]:
        drifts = {}
        for name in ("norm", "purity"):
            values = self.values[name][:done]
            drifts[f"{name}_drift"] = float(np.max(np.abs(values / values[0] - 1)))
        boundary = max(self.edges["edge_x"], self.edges["edge_p"])
        found = {"boundary_mass": boundary, "aliasing": self.aliasing, **self.edges, **drifts}
        return found if self.propagator.limited is None else {**found, "limited": self.limited}


def _warnings(diagnostics: Mapping[str, float], tolerance: float, run: _Steps) -> list[str]:
    found = []
    error = diagnostics["estimated_error"]
    if not error <= tolerance:
        remedy = (
            "no shorter step lowers it: it comes from the grid (give a finer or larger one) or from rounding"
            if run.floor
            else "give a smaller step, or none"
        )
        found.append(f"The estimated error {error:.1e} exceeds the tolerance {tolerance:g}; {remedy}.")
    if not diagnostics["boundary_mass"] <= tolerance:
        found.append(
            f"A share {diagnostics['boundary_mass']:.1e} of |W| reached the edge of the grid, where it enters again on "
            "the other side; give a larger grid."
        )
    sharp = max(diagnostics["edge_k"], diagnostics["edge_theta"])
    if not sharp <= tolerance:
        found.append(
            f"The grid's highest wave numbers hold the share {sharp:.1e} of W, so that it has finer structure than the "
            "grid; give a finer grid."
        )
    for name in ("norm", "purity"):
        if not diagnostics[f"{name}_drift"] <= max(tolerance, 1e-12):
            found.append(
                f"The {name} drifted by {diagnostics[f'{name}_drift']:.1e}, although every step keeps it; the grid "
                "does not hold the state."
            )
    if diagnostics.get("limited", 0.0) > tolerance:
        found.append(
            f"A share {diagnostics['limited']:.1e} of W lies where the potential overflows, and is not moved by it; "
            "give a smaller grid."
        )
    return found
