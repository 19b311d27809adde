"""What must hold for phase-space models: exact flows, the classical limit, Schrodinger's equation, conservation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.checks.check import FAIL, Check, Context
from qnnsym.checks.orders import order_check
from qnnsym.phase_space.equation import MoyalEquation, check_hamiltonian, moyal_equation
from qnnsym.phase_space.numerics import evolve_wigner
from qnnsym.phase_space.oracle import schroedinger_wigner
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import CatState, GaussianState
from qnnsym.solvers.compositions import COMPOSITIONS
from qnnsym.solvers.tableaus import DOP853

CASE = "W. B. Case, Am. J. Phys. 76, 937 (2008)"
ORDER_ONE_HALF = "T_1/W ~ hbar^2 U''' d_p^3 W/W with W of width sqrt(hbar): hbar^(1/2)"


def _separable(model: Any) -> str | None:
    equation = moyal_equation(check_hamiltonian(model.hamiltonian, model.space), model.space, 0)
    if not equation.separable or model.space.dimension != 1 or equation.hamiltonian.has(model.space.t):
        return "Grid evolution is for autonomous H = T(p) + U(x) with one degree of freedom."
    return None


def _numbers(model: Any, hbar: float) -> dict[sp.Symbol, float]:
    given = {str(k): v for k, v in model.values.items()}
    values = {s: float(given.get(s.name, d)) for s, d in model.space.defaults.items()}
    return {**values, model.space.hbar: hbar}


def _function(expression: sp.Expr, symbols: tuple[sp.Symbol, ...], numbers: dict) -> Callable[..., np.ndarray]:
    """A NumPy function that broadcasts, of an expression with its parameters put in."""
    raw = sp.lambdify(symbols, expression.subs(numbers), "numpy")
    return lambda *arguments: raw(*arguments) + sum(0.0 * a for a in arguments)


def _equation(model: Any) -> MoyalEquation:
    return moyal_equation(check_hamiltonian(model.hamiltonian, model.space), model.space)


def _centre(model: Any) -> tuple[float, float]:
    """Where the model's state is, as the centre of the states of the limits."""
    numbers = _numbers(model, float(model.hbar))
    if hasattr(model.state, "extent"):
        x, _, p, _ = model.state.extent(model.space)[0]
        return float(sp.sympify(x).subs(numbers)), float(sp.sympify(p).subs(numbers))
    return 1.0, 0.0


def _gap(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@dataclass(frozen=True)
class harmonic:
    """A harmonic oscillator rotates every Wigner function rigidly.

    Arguments:
        tolerance: largest error relative to the largest |W|.
    """

    tolerance: float = 1e-10
    name: str = "harmonic oscillator"

    def applies(self, model: Any) -> str | None:
        return None if model.space.dimension == 1 else "It is formulated for one degree of freedom."

    def run(self, context: Context) -> list[Check]:
        space = PhaseSpace("x", "p")
        (x,), (p,) = space.x, space.p
        hbar, state = 0.2, CatState(a=0.5, b=0.8)
        solution = evolve_wigner(
            p**2 / 2 + x**2 / 2, state, [0.0, 0.7, 2.0], hbar=hbar, space=space, tolerance=self.tolerance / 20
        )
        w0 = _function(state.wigner(space), (x, p), {space.hbar: hbar})
        gx, gp = solution.grid[0][:, None], solution.grid[1][None, :]
        worst = 0.0
        for t, w in zip(solution.times, solution.states, strict=True):
            exact = w0(gx * np.cos(t) - gp * np.sin(t), gp * np.cos(t) + gx * np.sin(t))
            worst = max(worst, float(np.max(np.abs(w - exact)) / np.max(np.abs(exact))))
        detail = f"cat state, hbar = {hbar}, grid {gx.size} x {gp.size}, t = 0.7 and 2"
        return [Check.below(self.name, "largest error of W, rotated rigidly", worst, self.tolerance, CASE, detail)]


@dataclass(frozen=True)
class free:
    """A free particle shears every Wigner function.

    Arguments:
        tolerance: largest error relative to the largest |W|.
    """

    tolerance: float = 1e-10
    name: str = "free particle"

    def applies(self, model: Any) -> str | None:
        return None if model.space.dimension == 1 else "It is formulated for one degree of freedom."

    def run(self, context: Context) -> list[Check]:
        space = PhaseSpace("x", "p")
        (x,), (p,) = space.x, space.p
        hbar, state, m, t = 0.2, GaussianState(a=0.6, x0=-0.3, p0=0.5), 1.3, 1.0
        solution = evolve_wigner(p**2 / (2 * sp.Float(m)), state, (0, t, 2), hbar=hbar, space=space, tolerance=1e-12)
        w0 = _function(state.wigner(space), (x, p), {space.hbar: hbar})
        gx, gp = solution.grid[0][:, None], solution.grid[1][None, :]
        exact = w0(gx - gp * t / m, gp)
        worst = float(np.max(np.abs(solution.final - exact)) / np.max(np.abs(exact)))
        detail = f"Gaussian, m = {m}, t = {t}"
        return [Check.below(self.name, "largest error of W(x - p t/m, p)", worst, self.tolerance, CASE, detail)]


@dataclass(frozen=True)
class classical:
    """The exact evolution approaches the Liouville flow as hbar goes to zero, at the rate its widths allow.

    Arguments:
        hbars: values of hbar, at least four.
        time: at which both are compared.
    """

    hbars: tuple[float, ...] = (0.05, 0.04, 0.032, 0.0256, 0.02)
    time: float = 1.0
    name: str = "classical limit"

    def applies(self, model: Any) -> str | None:
        return _separable(model)

    def run(self, context: Context) -> list[Check]:
        model, (x0, p0) = context.model, _centre(context.model)
        equation = _equation(model)
        fixed = GaussianState(a=sp.Rational(1, 2), x0=x0, p0=p0, c=sp.Rational(1, 2))
        coherent = GaussianState(a=sp.sqrt(model.space.hbar), x0=x0, p0=p0)
        gaps: dict[str, list[float]] = {"fixed widths": [], "coherent": [], "<x>, coherent": []}
        for hbar in self.hbars:
            numbers = _numbers(model, hbar)
            for label, state in (("fixed widths", fixed), ("coherent", coherent)):
                # The gap of fixed widths is itself of order hbar^2.
                tolerance = 1e-8 if label == "fixed widths" else 1e-9
                solution = evolve_wigner(
                    equation.hamiltonian, state, (0, self.time, 2), hbar=hbar, space=model.space,
                    values=model.values, tolerance=tolerance, e_ops={"x": model.space.x[0]},
                )  # fmt: skip
                flow = _Flow(equation, numbers)
                w0 = _function(state.wigner(model.space), (*model.space.x, *model.space.p), numbers)
                gx, gp = np.meshgrid(*solution.grid, indexing="ij")
                transported = flow.transported(w0, gx, gp, self.time)
                gaps[label].append(_gap(solution.final, transported))
                if label == "coherent":
                    mean = flow.mean_position(state, model.space, numbers, self.time)
                    gaps["<x>, coherent"].append(abs(solution.expect["x"][-1] - mean))
                    if hbar == self.hbars[0]:
                        context.figures.append(_panels(solution.grid, solution.final, transported, hbar, self.time))
        expected = {"fixed widths": 2.0, "coherent": 0.5, "<x>, coherent": 2.0}
        quantities = {
            "fixed widths": "order in hbar of |W - W_cl|/|W|, widths a = c = 1/2",
            "coherent": "order in hbar of |W - W_cl|/|W|, coherent state",
            "<x>, coherent": "order in hbar of <x> - <x>_cl, coherent state",
        }
        floors = {"fixed widths": 2e-8, "coherent": 1e-8, "<x>, coherent": 1e-8}
        figure = {
            "kind": "order", "name": "classical_limit", "h": np.array(self.hbars), "xlabel": "hbar",
            "ylabel": "distance from the classical flow", "errors": {k: np.array(v) for k, v in gaps.items()},
            "slopes": expected, "caption": f"Distance between exact and Liouville evolution at t = {self.time:g}.",
            "alt": "Distances against hbar in double logarithmic axes, with lines of the expected slopes.",
        }  # fmt: skip
        context.figures.append(figure)
        sources = {"fixed widths": CASE, "coherent": ORDER_ONE_HALF, "<x>, coherent": CASE}
        return [
            order_check(self.name, quantities[k], self.hbars, gaps[k], expected[k], sources[k], floor=floors[k])
            for k in gaps
        ]


class _Flow:
    """The classical flow of T(p) + U(x) by an eighth-order Runge-Kutta method on arrays of points."""

    def __init__(self, equation: MoyalEquation, numbers: dict[sp.Symbol, float]) -> None:
        (x,), (p,) = equation.space.x, equation.space.p
        assert equation.kinetic is not None and equation.potential is not None
        self.velocity = _function(equation.kinetic.diff(p), (p,), numbers)
        self.force = _function(-equation.potential.diff(x), (x,), numbers)

    def move(self, x: np.ndarray, p: np.ndarray, t: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Points after time t (negative: before)."""
        h, count = t / steps, DOP853.stages
        for _ in range(steps):
            dx, dp = [], []
            for row in DOP853.a[:count]:
                at_x = x + h * sum((a * v for a, v in zip(row, dx, strict=False) if a), np.zeros_like(x))
                at_p = p + h * sum((a * v for a, v in zip(row, dp, strict=False) if a), np.zeros_like(p))
                dx.append(self.velocity(at_p))
                dp.append(self.force(at_x))
            x = x + h * sum(b * v for b, v in zip(DOP853.b, dx, strict=True))
            p = p + h * sum(b * v for b, v in zip(DOP853.b, dp, strict=True))
        return x, p

    def transported(self, w0: Callable, x: np.ndarray, p: np.ndarray, t: float) -> np.ndarray:
        """W_0 at the points that the flow carries here: constant along characteristics."""
        with np.errstate(over="ignore", invalid="ignore"):
            w = w0(*self.move(x, p, -t, 24))
        return np.where(np.isfinite(w), w, 0.0)  # points that came from infinity bring nothing

    def mean_position(self, state: Any, space: PhaseSpace, numbers: dict, t: float) -> float:
        """<x> of the transported density by Gauss-Hermite quadrature over its Gaussian."""
        x0, a, p0, w = (float(sp.sympify(v).subs(numbers)) for v in state.extent(space)[0])
        nodes, weights = np.polynomial.hermite.hermgauss(40)
        x, _ = self.move(*np.meshgrid(x0 + a * nodes, p0 + w * nodes, indexing="ij"), t, 48)
        return float(weights @ x @ weights / np.pi)


def _panels(grid: Any, quantum: np.ndarray, liouville: np.ndarray, hbar: float, t: float) -> dict[str, Any]:
    return {
        "kind": "wigner", "name": "exact_and_classical", "x": grid[0], "p": grid[1],
        "panels": [(f"exact, hbar = {hbar:g}", quantum), ("classical", liouville)], "xlabel": "x", "plabel": "p",
        "caption": f"Exact and classical evolution of the coherent state at t = {t:g}.",
        "alt": "Two panels: the exact Wigner function with negative fringes, and the classical density without.",
    }  # fmt: skip


@dataclass(frozen=True)
class schroedinger:
    """The exact evolution equals Schrodinger's equation in a basis followed by the Wigner transform.

    Arguments:
        tolerance: largest error relative to W in L2.
    """

    tolerance: float = 1e-8
    name: str = "Schrodinger equation"

    def applies(self, model: Any) -> str | None:
        if model.options.get("order", "exact") != "exact":
            return "The run is truncated in hbar, so Schrodinger's equation does not hold."
        return _separable(model)

    def run(self, context: Context) -> list[Check]:
        model, equation, solution = context.model, _equation(context.model), context.solution
        numbers = _numbers(model, float(model.hbar))
        (x,), (p,) = model.space.x, model.space.p
        expression = model.state.wigner(model.space) if hasattr(model.state, "wigner") else model.state
        assert equation.kinetic is not None and equation.potential is not None
        at = [len(solution.times) // 2, len(solution.times) - 1]
        oracle = schroedinger_wigner(
            _function(expression, (x, p), numbers),
            _function(equation.kinetic, (p,), numbers),
            _function(equation.potential, (x,), numbers),
            [float(solution.times[n] - solution.times[0]) for n in at],
            solution.grid,
            float(model.hbar),
        )
        gap = max(_gap(solution.states[n], w) for n, w in zip(at, oracle.states, strict=True))
        when = " and ".join(f"{solution.times[n]:g}" for n in at)
        detail = f"{oracle.size} basis functions, converged to {oracle.error:.1e}; t = {when}"
        source = "D. T. Colbert, W. H. Miller, J. Chem. Phys. 96, 1982 (1992)"
        context.figures.append(_snapshots(solution, float(model.hbar)))
        row = Check.below(self.name, "|W - W_Schrodinger|/|W|", gap, self.tolerance, source, detail)
        if oracle.error > self.tolerance:
            detail = f"the basis is too small to tell: {detail}"
            return [Check(self.name, row.quantity, 0.0, gap, self.tolerance, FAIL, source, detail)]
        return [row]


def _snapshots(solution: Any, hbar: float) -> dict[str, Any]:
    at = [0, len(solution.times) // 2, len(solution.times) - 1]
    return {
        "kind": "wigner", "name": "evolution", "x": solution.grid[0], "p": solution.grid[1],
        "panels": [(f"t = {solution.times[n]:g}", solution.states[n]) for n in at], "xlabel": "x", "plabel": "p",
        "caption": f"The Wigner function at three times, hbar = {hbar:g}.",
        "alt": "Wigner functions: red where positive, blue where negative.",
    }  # fmt: skip


@dataclass(frozen=True)
class _Conserved:
    """Named quantities keep their value along the run."""

    quantities: tuple[str, ...]
    tolerance: float = 1e-8
    name: str = "conservation"

    def applies(self, model: Any) -> str | None:
        return _separable(model)

    def run(self, context: Context) -> list[Check]:
        solution = context.solution
        rows = []
        for quantity in self.quantities:
            values = solution.expect[quantity]
            scale = max(float(np.max(np.abs(values))), 1e-300)
            found = float(np.max(np.abs(values - values[0]))) / scale
            source = "d<A>/dt = iint {{H, A}} W vanishes" if quantity == "energy" else "both factors have modulus one"
            rows.append(Check.below(self.name, f"relative drift of {quantity}", found, self.tolerance, source))
        wanted = {k: v for k, v in solution.expect.items() if k not in ("norm", "purity", "energy")}
        figure = {"kind": "expectation", "name": "expectation_values", "t": solution.times, "curves": wanted}
        figure |= {"xlabel": "t", "ylabel": "expectation value", "caption": "Expectation values over time."}
        context.figures.append({**figure, "alt": "Curves of expectation values against time."})
        return rows


def conserved(*quantities: str, tolerance: float = 1e-8) -> _Conserved:
    """Named quantities keep their value along the run: "energy", "purity", "norm"."""
    return _Conserved(quantities or ("energy", "purity", "norm"), tolerance)


@dataclass(frozen=True)
class splitting_orders:
    """Every composition converges with its order in the time step on the model's own Hamiltonian.

    Arguments:
        time: length of the evolution.
    """

    time: float = 1.0
    name: str = "order of the splitting"

    def applies(self, model: Any) -> str | None:
        return _separable(model)

    def run(self, context: Context) -> list[Check]:
        model, grid = context.model, context.solution.grid
        equation = _equation(model)

        def final(method: str, count: int) -> np.ndarray:
            return evolve_wigner(
                equation.hamiltonian, model.state, (0, self.time, 2), hbar=model.hbar, space=model.space, grid=grid,
                values=model.values, method=method, step=self.time / count,
            ).final  # fmt: skip

        reference = final("blanes_moan6", 160)
        rows = []
        counts = {
            "strang": (32, 45, 64, 90, 128), "yoshida4": (24, 32, 44, 60, 80), "blanes_moan4": (10, 14, 20, 28, 38),
            "blanes_moan6": (6, 7, 8, 10, 12),
        }  # fmt: skip
        for composition in COMPOSITIONS.values():
            h = [self.time / n for n in counts[composition.name]]
            gaps = [_gap(final(composition.name, n), reference) for n in counts[composition.name]]
            quantity = f"order in the step, {composition.name}"
            rows.append(order_check(self.name, quantity, h, gaps, composition.order, composition.source, floor=1e-11))
        return rows


@dataclass(frozen=True)
class truncated:
    """Cutting the series at hbar^2: exact where the series ends, else an error of order hbar^4 for fixed widths.

    Arguments:
        hbars: values of hbar, at least four.
        time: of the comparison.
    """

    hbars: tuple[float, ...] = (0.2, 0.16, 0.128, 0.1024, 0.08)
    time: float = 1.0
    name: str = "truncation at hbar^2"

    def applies(self, model: Any) -> str | None:
        return _separable(model)

    def run(self, context: Context) -> list[Check]:
        model, equation = context.model, _equation(context.model)
        x0, p0 = _centre(model)
        state = GaussianState(a=sp.Rational(1, 2), x0=x0, p0=p0, c=sp.Rational(1, 2))
        gaps = []
        for hbar in self.hbars:
            exact = evolve_wigner(
                equation.hamiltonian, state, (0, self.time, 2), hbar=hbar, space=model.space,
                values=model.values, tolerance=1e-10,
            )  # fmt: skip
            cut = evolve_wigner(
                equation.hamiltonian, state, (0, self.time, 2), hbar=hbar, space=model.space, order=2,
                values=model.values, tolerance=1e-10, grid=exact.grid,
            )  # fmt: skip
            gaps.append(_gap(cut.final, exact.final))
        source = "Moyal's series, derived above"
        quantity = "|W_2 - W|/|W| of the evolution cut at hbar^2"
        same = sp.expand(equation.split(2)[1] - equation.split()[1]) == 0
        if same and sp.expand(equation.split(2)[0] - equation.split()[0]) == 0:
            detail = "the series ends at hbar^2: cutting is exact"
            return [Check.below(self.name, quantity, max(gaps), 1e-9, source, detail)]
        return [
            order_check(
                self.name, "order in hbar of |W_2 - W|/|W|, fixed widths", self.hbars, gaps, 4.0, source, floor=1e-9
            )
        ]

