"""Driven Hamiltonians beside a regular set of parameters: Lyapunov exponents of the flow, and break times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

from qnnsym.checks.check import FAIL, PASS, Check, Context
from qnnsym.errors import InputError
from qnnsym.phase_space.classical.breaking import BreakTimes, break_time
from qnnsym.phase_space.limits.subject import Subject, depends_on_hbar, not_separable
from qnnsym.solvers.lyapunov import Exponents, lyapunov_spectrum
from qnnsym.solvers.solution import as_times

BENETTIN = "G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn, Meccanica 15, 9 (1980)"
BERMAN = "G. P. Berman, G. M. Zaslavsky, Physica A 91, 450 (1978)"
# Steps of the tangent map between two orthonormalisations; distance of the neighbour; length of a step.
EVERY, APART, STEP = 20, 1e-7, 0.05
# Between these times the growths of the tangent map and of a neighbouring distance are compared.
ALIGNED = (20.0, 60.0)


def _no_drive(model: Any) -> str | None:
    reason = not_separable(model, driven=True)
    if reason is None and not Subject.of(model).driven:
        return "It is formulated for an H that depends on time."
    if reason is None and model.times is not None and as_times(model.times)[0] != 0:
        return "The flow begins at t = 0, where the phase of the drive is not that of the run."
    return reason


def _with(model: Any, values: Mapping[str, float]) -> Any:
    unknown = sorted(set(values) - {s.name for s in model.space.defaults})
    if unknown:
        raise InputError(
            f"regular names {', '.join(unknown)}, which is no parameter of {model.name}; use "
            f"{', '.join(s.name for s in model.space.defaults) or 'space.parameters(...) first'}."
        )
    kept = {k: v for k, v in model.values.items() if str(k) not in values}
    return model.changed(values={**kept, **values})


class _Flow:
    """Hamilton's equations of a driven H and their tangent map, for one point."""

    def __init__(self, model: Any) -> None:
        subject, (x,), (p,), t = Subject.of(model), model.space.x, model.space.p, model.space.t
        numbers = subject.numbers(model.hbar)
        put = {s: sp.Float(v) for s, v in numbers.items()}

        def function(expression: sp.Expr, symbol: sp.Symbol) -> Callable[..., float]:
            return sp.lambdify([symbol, t], expression.xreplace(put), "math")

        T, U = subject.kinetic, subject.potential
        self.v, self.vv = function(sp.diff(T, p), p), function(sp.diff(T, p, 2), p)
        self.f, self.ff = function(-sp.diff(U, x), x), function(-sp.diff(U, x, 2), x)
        self.start = np.array([1.0, 0.0])
        if hasattr(model.state, "extent"):
            at, _, momentum, _ = model.state.extent(model.space)[0]
            self.start = np.array([float(sp.sympify(e).subs(numbers)) for e in (at, momentum)])

    def rates(self, t: float, y: np.ndarray, V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, p = y
        tangent = np.stack([self.vv(p, t) * V[:, 1], self.ff(x, t) * V[:, 0]], axis=1)
        return np.array([self.v(p, t), self.f(x, t)]), tangent

    def exponents(self, duration: float, step: float) -> Exponents:
        return lyapunov_spectrum(
            self.rates, self.start, 2, duration=duration, step=step, every=EVERY, progress=False, autonomous=False
        )  # fmt: skip

    def neighbours(self, duration: float, period: float) -> np.ndarray:
        """Growth ln(distance) of a neighbour that is put back to the distance APART after each period."""

        def rate(t: float, z: np.ndarray) -> list[float]:
            x, p, other, momentum = z
            return [self.v(p, t), self.f(x, t), self.v(momentum, t), self.f(other, t)]

        z, grown = np.concatenate([self.start, self.start + np.array([APART, 0.0])]), [0.0]
        for k in range(int(duration / period)):
            found = solve_ivp(rate, (k * period, (k + 1) * period), z, method="DOP853", rtol=1e-11, atol=1e-13)
            z = found.y[:, -1]
            apart = z[2:] - z[:2]
            size = float(np.linalg.norm(apart))
            z = np.concatenate([z[:2], z[:2] + apart * APART / size])
            grown.append(grown[-1] + np.log(size / APART))
        return np.array(grown)


@dataclass(frozen=True)
class lyapunov:
    """Neighbouring points of the driven flow part exponentially; with the regular parameters only as a power of time.

    Arguments:
        regular: {name: number}, parameters with which the flow from the same point is regular.
        duration: of the flow.
        step: of the tangent map.
        tolerance: between the growths of the tangent map and of a neighbouring distance, relative.
    """

    regular: Mapping[str, float] = field(default_factory=dict)
    duration: float = 400.0
    step: float = STEP
    tolerance: float = 0.02
    name: str = "Lyapunov exponent"

    def applies(self, model: Any) -> str | None:
        return _no_drive(model)

    def run(self, context: Context) -> list[Check]:
        flows = {"chaotic": _Flow(context.model), "regular": _Flow(_with(context.model, self.regular))}
        found = {label: flow.exponents(self.duration, self.step) for label, flow in flows.items()}
        period = EVERY * self.step
        # Later on rounding makes another orbit of each, earlier directions have not aligned.
        first, last = (round(t / period) for t in ALIGNED)
        grown = flows["chaotic"].neighbours(last * period, period)
        chaotic, calm = found["chaotic"], found["regular"]
        shear = float(np.log(self.duration))
        x0, p0 = flows["chaotic"].start
        where = f"from (x, p) = ({x0:g}, {p0:g}) over t = {self.duration:g}"
        shown = ", ".join(f"{k} = {v:g}" for k, v in self.regular.items())
        curves = {label: np.cumsum(e.running[:, 0]) * EVERY * self.step for label, e in found.items()}
        context.figures.append(
            {
                "kind": "expectation", "name": "tangent_growth", "t": chaotic.times, "curves": curves, "xlabel": "t",
                "ylabel": "ln |M|", "caption": f"Growth of the tangent map, beside that with {shown}.",
                "alt": "A line that rises to a slope, with steps, and one that stays near zero.",
            }
        )  # fmt: skip
        tangent, neighbour = float(np.sum(chaotic.running[first:last, 0]) * period), float(grown[last] - grown[first])
        return [
            _bound(
                self.name, "largest exponent over its uncertainty", float(chaotic[0] / chaotic.uncertainty[0]), 3.0,
                True, BENETTIN, f"tangent map, {chaotic}, {where}",
            ),
            Check.close(
                self.name, "growth of the distance to a neighbouring trajectory over that of the tangent map", 1.0,
                neighbour / tangent, self.tolerance, BENETTIN,
                f"t = {ALIGNED[0]:g} to {ALIGNED[1]:g}; ln of the growth {neighbour:.4f}, no derivative of the force",
            ),
            Check.below(
                self.name, "sum of the exponents", float(sum(chaotic)), 1e-6, "Liouville: det M = 1", where
            ),
            _bound(
                self.name, f"growth ln|M| over ln t in the regular case, {shown}",
                float(calm[0]) * self.duration / shear, 3.0, False, BENETTIN,
                f"shear gives 1; the chaotic case has {float(chaotic[0]) * self.duration / shear:.3g}",
            ),
        ]  # fmt: skip


def _bound(
    name: str, quantity: str, found: float, bound: float, above: bool, source: str, detail: str = ""
) -> Check:  # fmt: skip
    holds = found > bound if above else found < bound
    return Check(
        name, quantity, f"{'>' if above else '<'} {bound:g}", found, bound, PASS if holds else FAIL, source, detail
    )


@dataclass(frozen=True)
class chaotic_breaking:
    """<x> of the exact evolution leaves the classical one sooner where the flow is chaotic than where it is regular.

    In the chaotic case the time grows slowly, by no more than two Lyapunov times for a factor e in hbar; the ladder is
    too short to tell the logarithm that theory gives from a power.

    Arguments:
        regular: {name: number}, parameters with which the flow from the same state is regular.
        hbars: values of hbar; the packets have the widths sqrt(hbar).
        threshold: gap in <x> that counts as broken.
        longest: time at which the search ends; what is not broken then is counted as broken at this time.
        duration: over which the Lyapunov exponent is measured.
    """

    regular: Mapping[str, float] = field(default_factory=dict)
    hbars: tuple[float, ...] = (0.08, 0.056, 0.04)
    threshold: float = 0.05
    longest: float = 10.8
    duration: float = 400.0
    name: str = "break time, chaotic beside regular"

    def applies(self, model: Any) -> str | None:
        return _no_drive(model) or depends_on_hbar(model)

    def run(self, context: Context) -> list[Check]:
        # The regular case breaks late and is slow to search: at the ends of the ladder, unless all of it is wanted.
        ends = self.hbars if context.full else (max(self.hbars), min(self.hbars))
        found = {
            "chaotic": self._times(context.model, self.hbars),
            "regular": self._times(_with(context.model, self.regular), ends),
        }
        chaotic, regular = (
            np.where(np.isfinite(found[label].times), found[label].times, self.longest) for label in found
        )
        beside = chaotic[np.isin(found["chaotic"].hbars, found["regular"].hbars)]
        listed = "; ".join(
            f"{label}: " + ", ".join(f"{h:g}: {t:.3g}" for h, t in zip(b.hbars, b.times, strict=True))
            for label, b in found.items()
        )
        shown = ", ".join(f"{k} = {v:g}" for k, v in self.regular.items())
        detail = f"gap {self.threshold:g}, nan: beyond {self.longest:g}; {listed}; regular: {shown}"
        x = np.log(1 / found["chaotic"].hbars)
        context.figures.append(
            {
                "kind": "expectation", "name": "break_times", "t": x,
                "curves": {
                    "chaotic": chaotic,
                    "regular": np.interp(x, np.log(1 / found["regular"].hbars), regular),
                },
                "xlabel": "ln(1/hbar)", "ylabel": "t",
                "caption": f"Time after which exact and classical mean position differ by {self.threshold:g}; "
                f"{self.longest:g} stands for what is not broken then.",
                "alt": "A curve that rises with ln(1/hbar), and above it that of the regular case.",
            }
        )  # fmt: skip
        curves = found["chaotic"].curves
        smallest, largest = min(curves), max(curves)
        for h in (largest, smallest):
            at, quantum, classical = curves[h]
            context.figures.append(
                {
                    "kind": "expectation", "name": f"mean_position_{h:g}".replace(".", "_"), "t": at,
                    "curves": {"quantum": quantum, "classical": classical}, "xlabel": "t", "ylabel": "<x>",
                    "caption": f"Exact and classical mean position in the chaotic case, hbar = {h:g}.",
                    "alt": "Two curves that agree at first and part.",
                }
            )  # fmt: skip
        falls = int(np.sum(np.diff(chaotic) < 0))
        exponent = _Flow(context.model).exponents(self.duration, STEP)
        slope = float(np.polyfit(x, chaotic, 1)[0]) if np.isfinite(found["chaotic"].times).all() else np.inf
        return [
            _bound(
                self.name, "largest break time in the chaotic case over that in the regular one, same hbar",
                float(np.max(beside / regular)), 1.0, False, BERMAN, detail,
            ),
            Check(
                self.name, "steps by which the break time falls with hbar, chaotic", 0, falls, 0.0,
                FAIL if falls else PASS, BERMAN, detail,
            ),
            _bound(
                self.name, "slope of the break time against ln(1/hbar) times the Lyapunov exponent, chaotic",
                slope * float(exponent[0]), 2.0, False, BERMAN,
                f"slope {slope:.3g}, exponent {float(exponent[0]):.3g} +- {float(exponent.uncertainty[0]):.2g}; the "
                "logarithmic law gives about 1, which so short a ladder does not tell from a power",
            ),
        ]  # fmt: skip

    def _times(self, model: Any, hbars: tuple[float, ...]) -> BreakTimes:
        subject = Subject.of(model)
        values = {s.name: v for s, v in subject.numbers(1.0).items() if s in model.space.defaults}
        return break_time(
            subject.equation.hamiltonian, model.space.x[0], subject.coherent(), model.space, hbars,
            threshold=self.threshold, longest=self.longest, values=values,
        )  # fmt: skip
