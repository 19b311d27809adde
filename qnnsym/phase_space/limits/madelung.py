"""Madelung's fluid in the Wigner function of a pure state: pressure, its two equations, and Bohm's trajectories.

The moments of W over p at fixed x are the fluid: rho = int W dp, its momentum P = int p W dp/rho, and the variance of
p. Nothing here solves an equation for psi; W comes from the run, the equations from `madelung`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.checks.check import FAIL, Check, Context
from qnnsym.checks.orders import order_check
from qnnsym.phase_space.limits.subject import Subject, not_separable, numbers_of
from qnnsym.phase_space.numerics import evolve_wigner
from qnnsym.phase_space.polar_form import Madelung
from qnnsym.phase_space.polar_form import madelung as polar_form
from qnnsym.solvers.solution import Solution, as_times

MADELUNG = "E. Madelung, Z. Phys. 40, 322 (1927)"
TAKABAYASI = "T. Takabayasi, Prog. Theor. Phys. 8, 143 (1952)"
BOHM = "D. Bohm, Phys. Rev. 85, 166 (1952)"
# Waves of rho and j whose amplitude is smaller than this, relative to the largest one, are rounding.
ROUNDING = 1e-12
# Steps of the central differences, in units of the largest one.
SHARES = (1.0, 0.75, 0.55, 0.4)
# Cumulated probabilities whose positions are followed.
QUANTILES = (0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95)
# Times at which the moments are known to the interpolation in time, at the least.
INTERVALS = 160
# Points of the figures.
DRAWN = 400


class _Axis:
    """Derivatives along x of periodic arrays by their Fourier series, and the series itself."""

    def __init__(self, x: np.ndarray) -> None:
        self.x, self.length = x, x.size * (x[1] - x[0])
        self.k = 2 * np.pi * np.fft.rfftfreq(x.size, x[1] - x[0])

    def series(self, f: np.ndarray) -> np.ndarray:
        """Coefficients of exp(ikx), rounding left out."""
        c = np.fft.rfft(f, axis=-1)
        return np.where(np.abs(c) > ROUNDING * np.max(np.abs(c)), c, 0.0)

    def derivative(self, f: np.ndarray, n: int) -> np.ndarray:
        return np.fft.irfft(self.series(f) * (1j * self.k) ** n, n=self.x.size, axis=-1)

    def value(self, series: np.ndarray, at: np.ndarray, n: int = 0) -> np.ndarray:
        """The n-th derivative of a real series at any points; n = -1 is the integral from the start of the axis."""
        weights = np.where((self.k == 0) | (2 * np.arange(self.k.size) == self.x.size), 1.0, 2.0) / self.x.size
        waves = np.exp(1j * self.k * (at[:, None] - self.x[0]))
        if n >= 0:
            return np.real(waves * (1j * self.k) ** n @ (weights * series))
        inner = np.real((waves[:, 1:] - 1) / (1j * self.k[1:]) @ (weights * series)[1:])
        return inner + (at - self.x[0]) * np.real(weights[0] * series[0])


@dataclass(frozen=True)
class _Moments:
    """rho, the momentum density and int p^2 W dp of some Wigner functions, each (times, nx)."""

    rho: np.ndarray
    j: np.ndarray
    square: np.ndarray

    @classmethod
    def of(cls, states: np.ndarray, p: np.ndarray) -> _Moments:
        dp = p[1] - p[0]
        return cls(*(states @ (p**n) * dp for n in range(3)))


@dataclass(frozen=True)
class madelung:
    """The moments over p of a pure state's W are Madelung's fluid.

    Arguments:
        tolerance: of the equations, relative, in L2 weighted with the density.
        step: longest step of the differences in time.
        floor: densities below this share of the largest one are left out, where rho divides.
        paths: largest distance between Bohm's trajectories and the quantiles of rho, relative to the width of rho.
    """

    tolerance: float = 1e-6
    step: float = 0.01
    floor: float = 1e-3
    paths: float = 1e-4
    name: str = "Madelung hydrodynamics"

    def applies(self, model: Any) -> str | None:
        reason = not_separable(model, driven=True)
        if reason is not None:
            return reason
        (p,) = model.space.p
        kinetic = Subject.of(model).kinetic
        if not kinetic.is_polynomial(p) or sp.Poly(kinetic, p).degree() > 2:
            return "With a kinetic energy beyond p^2 the momentum of the fluid is not all that its equations need."
        if model.options.get("order", "exact") not in ("exact", None):
            return "The run is cut in hbar, so that Schrodinger's equation does not hold for it."
        if model.state is None or model.times is None:
            return "The model has no state or no times."
        return None

    def run(self, context: Context) -> list[Check]:
        fluid = _Fluid.of(context.model, self._run(context), self.floor)
        at = sorted({round(share * (len(fluid.times) - 1)) for share in (0.5, 1.0)} - {0})
        if not at:
            return [Check(self.name, "the fluid", 0.0, "", None, FAIL, MADELUNG, "the run has no time but its first")]
        when = ", ".join(f"{fluid.times[n]:g}" for n in at)
        where = f"rho above {self.floor:g} of its maximum; t = {when}"
        rows = [
            self._schroedinger(fluid),
            Check.below(
                self.name, "sigma_p^2 + (hbar^2/4) (ln rho)''", max(fluid.pressure(n) for n in at), self.tolerance,
                TAKABAYASI, where,
            ),
            *self._equations(fluid, at, where),
            self._paths(fluid, context),
        ]  # fmt: skip
        context.figures[-1:-1] = fluid.figures()
        return rows

    def _run(self, context: Context) -> Solution:
        """The run, or one of its own where the run kept no states or too few times."""
        model, solution = context.model, context.solution
        if solution is not None and solution.states is not None and len(solution.times) > INTERVALS:
            return solution
        times = as_times(model.times)
        options = {k: v for k, v in model.options.items() if k in ("grid", "method", "step", "tolerance")}
        start = model.state
        if solution is not None:
            options["grid"] = solution.grid
            options.setdefault("tolerance", solution.provenance.get("tolerance", 1e-8))
            if solution.states is not None:
                start = solution.states[0]
        return evolve_wigner(
            model.hamiltonian, start, (times[0], times[-1], INTERVALS + 1), hbar=model.hbar, space=model.space,
            values=model.values, **options,
        )  # fmt: skip

    def _schroedinger(self, fluid: _Fluid) -> Check:
        gap = fluid.schroedinger_gap()
        return Check(
            self.name, "psi (Hamilton-Jacobi) - (i hbar/2R^2) psi (continuity) - Schrodinger's equation", "0",
            sp.sstr(gap), None, "pass" if gap == 0 else FAIL, MADELUNG, "symbolic, psi = R exp(iS/hbar)",
        )  # fmt: skip

    def _equations(self, fluid: _Fluid, at: list[int], where: str) -> list[Check]:
        """Continuity and Euler's equation, by differences in time of order two and extrapolated."""
        steps = np.array(SHARES) * self.step
        plain, best = zip(*(fluid.residuals(n, steps) for n in at), strict=True)
        rows = []
        for i, what in enumerate(("continuity of rho", "gradient of the Hamilton-Jacobi equation")):
            gaps = np.max([gap[i] for gap in plain], axis=0)
            rows += [
                order_check(
                    self.name, f"order in the time step, {what}", steps, gaps, 2.0, MADELUNG,
                    floor=0.1 * self.tolerance,
                ),
                Check.below(
                    self.name, f"residual of the {what}", max(gap[i] for gap in best), self.tolerance, MADELUNG,
                    f"extrapolated from steps of {steps[0]:g} to {steps[-1]:g}; {where}",
                ),
            ]  # fmt: skip
        return rows

    def _paths(self, fluid: _Fluid, context: Context) -> Check:
        paths, quantiles = fluid.trajectories(), fluid.quantiles()
        width = fluid.width()
        context.figures.append(
            {
                "kind": "trace", "name": "trajectories", "t": fluid.times,
                "curves": {f"{q:g}": path for q, path in zip(QUANTILES, paths.T, strict=True)},
                "xlabel": "t", "ylabel": "x",
                "caption": "Trajectories along the velocity of the fluid; the legend names the probability to their "
                "left, which each of them keeps.",
                "alt": "Curves of position against time that never cross.",
            }
        )  # fmt: skip
        gap = float(np.max(np.abs(paths - quantiles)))
        return Check.below(
            self.name, "distance of trajectories along j/rho from quantiles of rho", gap / width, self.paths, BOHM,
            f"{len(QUANTILES)} trajectories over t = {fluid.times[-1] - fluid.times[0]:g}, in widths of rho",
        )


@dataclass
class _Fluid:
    """The fluid of a run: its moments at all times, and the equations of `madelung` as functions of arrays."""

    model: Any
    times: np.ndarray
    states: np.ndarray
    grid: tuple[np.ndarray, np.ndarray]
    moments: _Moments
    axis: _Axis
    floor: float
    polar: Madelung
    velocity: Callable[..., np.ndarray]
    accuracy: float

    @classmethod
    def of(cls, model: Any, solution: Solution, floor: float) -> _Fluid:
        assert solution.states is not None and solution.grid is not None
        x, p = solution.grid
        polar = polar_form(Subject.of(model).equation.hamiltonian, model.space)
        numbers = numbers_of(model, model.hbar)
        (momentum,) = model.space.p
        rate = sp.diff(polar.hamiltonian, momentum).xreplace({s: sp.Float(v) for s, v in numbers.items()})
        velocity = sp.lambdify([momentum, model.space.t], rate, "numpy")
        return cls(
            model, np.asarray(solution.times, float), solution.states, (x, p), _Moments.of(solution.states, p),
            _Axis(x), floor, polar, velocity, float(solution.provenance.get("tolerance", 1e-8)),
        )  # fmt: skip

    def inside(self, n: int) -> np.ndarray:
        return self.moments.rho[n] > self.floor * self.moments.rho[n].max()

    def width(self) -> float:
        """Standard deviation of rho at the start."""
        rho, x = self.moments.rho[0], self.axis.x
        weights = rho / rho.sum()
        return float(np.sqrt(weights @ (x - weights @ x) ** 2))

    def pressure(self, n: int) -> float:
        """|sigma_p^2 + (hbar^2/4)(ln rho)''| over |sigma_p^2|."""
        rho, inside = self.moments.rho[n], self.inside(n)
        with np.errstate(all="ignore"):
            spread = self.moments.square[n] / rho - (self.moments.j[n] / rho) ** 2
            first, second = (self.axis.derivative(rho, k) / rho for k in (1, 2))
            gap = spread + float(self.model.hbar) ** 2 / 4 * (second - first**2)
        return _size(gap, rho, inside) / _size(spread, rho, inside)

    def schroedinger_gap(self) -> sp.Expr:
        """Schrodinger's equation, put together from the two real ones and directly, over exp(iS/hbar)."""
        polar, space = self.polar, self.polar.space
        (x,), hbar, t = space.x, space.hbar, space.t
        R, S = polar.R, polar.S
        psi = R * sp.exp(sp.I * S / hbar)
        acted = sp.Integer(0)
        # T(p) + U(x): no order of factors, so that the symbol's powers of p are derivatives.
        (p,) = space.p
        for (n,), c in sp.Poly(polar.hamiltonian, p, domain=sp.EXRAW).terms():
            acted += c * (-sp.I * hbar) ** n * (sp.diff(psi, x, n) if n else psi)
        direct = acted - sp.I * hbar * sp.diff(psi, t)
        joined = psi * (polar.hamilton_jacobi - sp.I * hbar / (2 * R**2) * polar.continuity)
        return sp.simplify(sp.expand((direct - joined) * sp.exp(-sp.I * S / hbar)))

    def residuals(self, n: int, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(2, steps) residuals of continuity and of Hamilton and Jacobi's equation, and (2,) extrapolated ones."""
        evaluate, sides = self._equation(n), self._neighbours(n, steps)
        at = self.moments.rho[n], self.moments.j[n]
        rates = [[(u - d) / (2 * h) for u, d in zip(up, down, strict=True)] for h, (up, down) in sides]
        plain = np.array([evaluate(at, rate) for rate in rates]).T
        # The polynomial in h^2 through all of them, at zero.
        weights = [np.prod([b**2 / (b**2 - a**2) for b in steps if b != a]) for a in steps]
        best = [sum(w * rate[i] for w, rate in zip(weights, rates, strict=True)) for i in range(2)]
        return plain, np.array(evaluate(at, best))

    def _neighbours(self, n: int, steps: np.ndarray) -> list[tuple[float, Any]]:
        model, t = self.model, self.times[n]
        found = []
        for sign in (1, -1):
            run = evolve_wigner(
                model.hamiltonian, self.states[n], t + sign * np.array([0.0, *steps[::-1]]), hbar=model.hbar,
                space=model.space, values=model.values, grid=self.grid, tolerance=min(self.accuracy, 1e-9),
            )  # fmt: skip
            assert run.states is not None
            moments = _Moments.of(run.states[1:][::-1], self.grid[1])
            found.append(list(zip(moments.rho, moments.j, strict=True)))
        return [(h, (up, down)) for h, up, down in zip(steps, *found, strict=True)]

    def _equation(self, n: int) -> Callable[..., tuple[float, float]]:
        """The program's equations with R^2 = rho and dS/dx = j/rho; each is relative to its largest term."""
        polar, space = self.polar, self.polar.space
        (x,), t = space.x, space.t
        rho, j = sp.Function("rho", positive=True)(x, t), sp.Function("j", real=True)(x, t)
        forms = [_in_fluid(e, polar, rho, j) for e in (polar.continuity, sp.diff(polar.hamilton_jacobi, x))]
        fields = [sp.Derivative(f, (x, k)) if k else f for f in (rho, j) for k in range(4)]
        fields += [sp.diff(rho, t), sp.diff(j, t), sp.diff(rho, x, t), sp.diff(j, x, t)]
        names = sp.symbols(f"f:{len(fields)}")
        numbers = {s: sp.Float(v) for s, v in numbers_of(self.model, self.model.hbar).items()}
        # Derivatives first: the functions stand inside of them.
        order = sorted(zip(fields, names, strict=True), key=lambda pair: -int(pair[0].is_Derivative))
        terms = []
        for form in forms:
            put = form
            for field, name in order:
                put = put.xreplace({field: name})
            terms.append([sp.lambdify([x, t, *names], a.xreplace(numbers), "numpy") for a in sp.Add.make_args(put)])
        weight, inside, now, at_x = self.moments.rho[n], self.inside(n), self.times[n], self.axis.x

        def evaluate(at: Any, rate: Any) -> tuple[float, float]:
            arrays = [self.axis.derivative(f, k) if k else f for f in at for k in range(4)]
            arrays += [*rate, *(self.axis.derivative(r, 1) for r in rate)]
            sizes = []
            with np.errstate(all="ignore"):
                for form in terms:
                    values = [np.broadcast_to(term(at_x, now, *arrays), at_x.shape) for term in form]
                    sizes.append(
                        _size(sum(values), weight, inside) / max(_size(value, weight, inside) for value in values)
                    )
            return sizes[0], sizes[1]

        return evaluate

    def trajectories(self) -> np.ndarray:
        """(times, quantiles) positions along dH/dp at p = j/rho, started at the quantiles of the first rho."""
        from scipy.integrate import solve_ivp
        from scipy.interpolate import make_interp_spline

        series = np.stack([self.axis.series(self.moments.rho), self.axis.series(self.moments.j)], axis=1)
        kept = np.flatnonzero(np.abs(series).max(axis=(0, 1)) > 0)
        last = kept[-1] + 1
        # Quintic in time, exact in x.
        spline = make_interp_spline(self.times, series[:, :, :last], k=5)
        whole = np.zeros((2, self.axis.k.size), complex)

        def rate(t: float, at: np.ndarray) -> np.ndarray:
            whole[:, :last] = spline(t)
            rho, j = (self.axis.value(row, at) for row in whole)
            return np.broadcast_to(self.velocity(j / rho, t), at.shape)

        found = solve_ivp(
            rate, (self.times[0], self.times[-1]), self.quantiles()[0], method="DOP853", t_eval=self.times,
            rtol=1e-8, atol=1e-8,
        )  # fmt: skip
        if not found.success or found.y.shape[1] != self.times.size:
            return np.full((self.times.size, len(QUANTILES)), np.nan)
        return found.y.T

    def quantiles(self) -> np.ndarray:
        """(times, quantiles) positions to whose left lies the probability of each, by integration of rho."""
        found = []
        for rho in self.moments.rho:
            series = self.axis.series(rho)
            cumulated = self.axis.value(series, self.axis.x, -1)
            shares = np.array(QUANTILES) * self.axis.value(series, np.array([self.axis.x[0] + self.axis.length]), -1)
            at = np.interp(shares, np.maximum.accumulate(cumulated), self.axis.x)
            for _ in range(4):
                at = at - (self.axis.value(series, at, -1) - shares) / self.axis.value(series, at)
            found.append(at)
        return np.array(found)

    def figures(self) -> list[dict[str, Any]]:
        """rho and the quantum potential at some times."""
        space, numbers = self.polar.space, numbers_of(self.model, self.model.hbar)
        (x,) = space.x
        rho = sp.Function("rho", positive=True)(x)
        potential = self.polar.quantum_potential(sp.sqrt(rho))
        names = sp.symbols("f:3")
        for k in (2, 1, 0):
            potential = potential.xreplace({sp.diff(rho, x, k) if k else rho: names[k]})
        function = sp.lambdify([x, *names], potential.xreplace({s: sp.Float(v) for s, v in numbers.items()}), "numpy")
        seen = np.flatnonzero(self.moments.rho.max(axis=0) > 1e-3 * self.moments.rho.max())
        at = np.linspace(self.axis.x[seen[0]], self.axis.x[seen[-1]], DRAWN)
        densities, potentials = {}, {}
        for n in sorted({round(share * (len(self.times) - 1)) for share in (0, 1 / 3, 2 / 3, 1)}):
            label, series = f"t = {self.times[n]:.3g}", self.axis.series(self.moments.rho[n])
            values = [self.axis.value(series, at, k) for k in range(3)]
            densities[label] = values[0]
            with np.errstate(all="ignore"):
                found = np.broadcast_to(function(at, *values), at.shape)
            potentials[label] = np.where(values[0] > self.floor * values[0].max(), found, np.nan)
        common = {"kind": "expectation", "t": at, "xlabel": "x"}
        return [
            {
                **common, "name": "density", "curves": densities,
                "ylabel": "rho", "caption": "Density of the fluid.", "alt": "Densities against position.",
            },
            {
                **common, "name": "quantum_potential", "curves": potentials,
                "ylabel": "Q", "caption": f"Quantum potential, where rho exceeds {self.floor:g} of its maximum.",
                "alt": "Quantum potentials against position: a parabola that is bent and grows spikes.",
            },
        ]  # fmt: skip


def _size(values: Any, rho: np.ndarray, inside: np.ndarray) -> float:
    """L2 norm with the density as weight, where there is some."""
    return float(np.sqrt(np.sum(rho[inside] * np.asarray(values)[inside] ** 2)))


def _in_fluid(expression: sp.Expr, polar: Madelung, rho: Any, j: Any) -> sp.Expr:
    """An equation without S itself, in terms of rho = R^2 and j = R^2 dS/dx."""
    (x,) = polar.space.x
    replaced = {}
    for atom in expression.atoms(sp.Derivative):
        if atom.expr not in (polar.R, polar.S):
            continue
        counts = {variable: int(number) for variable, number in atom.variable_count}
        field = sp.sqrt(rho)
        if atom.expr == polar.S:
            field, counts[x] = j / rho, counts[x] - 1
        for variable, number in counts.items():
            field = sp.diff(field, variable, number) if number else field
        replaced[atom] = field
    return sp.expand(expression.xreplace(replaced).xreplace({polar.R: sp.sqrt(rho)}).doit())
