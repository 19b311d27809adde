"""What the limits take from a model: H in numbers, where its state is, how large a term of the series has to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import factorial, inf, sqrt
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.checks.check import FAIL, Check
from qnnsym.checks.orders import LEAST, order_check
from qnnsym.equations.numbers import exact_number
from qnnsym.phase_space.equation import MoyalEquation, check_hamiltonian, moyal_equation
from qnnsym.phase_space.numerics import BESIDE, evolve_wigner
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import GaussianState
from qnnsym.solvers.solution import Solution
from qnnsym.solvers.split_record import EDGES

CASE = "W. B. Case, Am. J. Phys. 76, 937 (2008)"
# A difference within this many times the solver's own error is not seen.
RESOLUTION = 10
# Where the solver resolves no more than this, its evolution is worth nothing.
HOPELESS = 1e-2
# The size of a term along the flow may be this much smaller than at the start.
MARGIN = 30


def beside(model: Any) -> dict[str, Any]:
    """What stands beside H in a model's options: open terms, kicks, the circle."""
    return {name: model.options[name] for name in BESIDE if model.options.get(name)}


def not_separable(model: Any, driven: bool = False, accompanied: bool = False) -> str | None:
    """The sentence why grid evolution says nothing about a model, or None.

    Arguments:
        driven: whether H may depend on time.
        accompanied: whether open terms, kicks or a circle may come beside it.
    """
    if model.space.dimension != 1:
        return "Grid evolution is for one degree of freedom."
    equation = moyal_equation(hamiltonian(model), model.space, 0)
    if not equation.separable:
        return "Grid evolution is for H = T(p) + U(x)."
    if equation.hamiltonian.has(model.space.t) and not driven:
        return "It is formulated for an autonomous H."
    if beside(model) and not accompanied:
        return f"It is formulated for H alone, and the model has {', '.join(beside(model))} beside it."
    return None


def depends_on_hbar(model: Any) -> str | None:
    """The sentence why orders in hbar say nothing about a model whose H changes with it, or None."""
    if hamiltonian(model).has(model.space.hbar):
        return "H itself depends on hbar, and with it the orders."
    return None


def hamiltonian(model: Any) -> sp.Expr:
    """H of a model, checked, with the numbers of symbols that its space does not declare."""
    declared = {s.name for s in model.space.defaults}
    given = {str(k): v for k, v in model.values.items() if str(k) not in declared}
    free = {s for s in sp.sympify(model.hamiltonian).free_symbols if s.name in given}
    return check_hamiltonian(
        sp.sympify(model.hamiltonian).xreplace({s: exact_number(given[s.name], s.name) for s in free}), model.space
    )


def numbers_of(model: Any, hbar: Any) -> dict[sp.Symbol, float]:
    """A number for every declared parameter of a model, and for hbar."""
    given = {str(k): v for k, v in model.values.items()}
    values = {s: float(given.get(s.name, default)) for s, default in model.space.defaults.items()}
    return {**values, model.space.hbar: float(hbar)}


@dataclass(frozen=True)
class Subject:
    """A model with H = T(p) + U(x)."""

    model: Any
    equation: MoyalEquation
    kinetic: sp.Expr
    potential: sp.Expr

    @classmethod
    def of(cls, model: Any) -> Subject:
        equation = moyal_equation(hamiltonian(model), model.space)
        assert equation.kinetic is not None and equation.potential is not None
        return cls(model, equation, equation.kinetic, equation.potential)

    @property
    def space(self) -> PhaseSpace:
        return self.model.space

    @property
    def driven(self) -> bool:
        """Whether H depends on time."""
        return self.equation.hamiltonian.has(self.space.t)

    def numbers(self, hbar: Any) -> dict[sp.Symbol, float]:
        """A number for every symbol but x and p."""
        return numbers_of(self.model, hbar)

    def degrees(self) -> tuple[float, float]:
        """Degrees of T in p and of U in x; infinite where these are no polynomials."""
        (x,), (p,) = self.space.x, self.space.p
        return _degree(self.kinetic, p), _degree(self.potential, x)

    def centre(self) -> tuple[float, float]:
        """Where the states of the limits start: where the model's state does, unless the leading term vanishes there.

        At a point with U''' = T''' = 0 (a fixed point of the potential) a narrow state sees a higher order of hbar.
        """
        x0, p0 = 1.0, 0.0
        numbers = self.numbers(self.model.hbar)
        if hasattr(self.model.state, "extent"):
            at, _, momentum, _ = self.model.state.extent(self.space)[0]
            x0, p0 = (float(sp.sympify(v).subs(numbers)) for v in (at, momentum))
        here, there = (self._size(1, x, p0, numbers) for x in (x0, x0 + 0.5))
        return (x0 + 0.5, p0) if here < 0.05 * there else (x0, p0)

    def fixed_widths(self) -> GaussianState:
        """W of the widths a = c = 1/2 whatever hbar is."""
        x0, p0 = self.centre()
        return GaussianState(a=sp.Rational(1, 2), x0=x0, p0=p0, c=sp.Rational(1, 2))

    def coherent(self) -> GaussianState:
        """A pure packet of the widths sqrt(hbar)."""
        x0, p0 = self.centre()
        return GaussianState(a=sp.sqrt(self.space.hbar), x0=x0, p0=p0)

    def _size(self, s: int, x0: float, p0: float, numbers: Mapping, a: float = 1.0, w: float = 1.0) -> float:
        n = 2 * s + 1
        total = 0.0
        for part, symbol, at, reach, width in (
            (self.potential, self.space.x[0], x0, a, w),
            (self.kinetic, self.space.p[0], p0, w, a),
        ):
            # Of a driven H at t = 0, where the states of the limits start.
            derivative = array_function(sp.diff(part, symbol, n).subs(self.space.t, 0), (symbol,), numbers)
            # One width aside: a zero of the derivative at the centre is not zero for the state.
            nearby = np.array([at]) if reach == 1.0 else np.array([at - reach, at, at + reach])
            total += float(np.max(np.abs(derivative(nearby)))) / width**n
        return total

    def predicted(self, s: int, hbar: float, state: GaussianState, time: float) -> float:
        """Size of the term T_s over a time, relative to W in L2, for a Gaussian at the start.

        T_s = (-1)^s (hbar/2)^2s/(2s+1)! U^(2s+1) d_p^(2s+1) W and |d_p^n W|^2/|W|^2 = (2n-1)!!/w^2n.
        """
        numbers = self.numbers(hbar)
        x0, a, p0, w = (float(sp.sympify(v).subs(numbers)) for v in state.extent(self.space)[0])
        n = 2 * s + 1
        moment = sqrt(float(np.prod(np.arange(1.0, 2 * n, 2))))
        return (hbar / 2) ** (2 * s) / factorial(n) * moment * time * self._size(s, x0, p0, numbers, a, w)

    def evolved(self, state: GaussianState, time: float, hbar: float, **options: Any) -> Solution:
        """The state after a time, by the propagator that is checked."""
        model = self.model
        return evolve_wigner(
            model.hamiltonian, state, (0, time, 2), hbar=hbar, space=model.space, values=model.values, **options
        )


def _degree(expression: sp.Expr, symbol: sp.Symbol) -> float:
    if not expression.is_polynomial(symbol):
        return inf
    return max(0.0, float(sp.Poly(expression, symbol).degree()))


def array_function(
    expression: Any, symbols: tuple[sp.Symbol, ...], numbers: Mapping[sp.Symbol, float]
) -> Callable[..., np.ndarray]:
    """A NumPy function that broadcasts, of an expression with its parameters put in."""
    parameters = list(numbers)
    raw = sp.lambdify([*symbols, *parameters], expression, modules=["scipy", "numpy"])
    values = [numbers[s] for s in parameters]
    return lambda *arrays: np.array(
        np.broadcast_to(raw(*arrays, *values), np.broadcast_shapes(*(np.shape(a) for a in arrays))), dtype=float
    )


def own_error(solution: Solution) -> float:
    """What the solver itself says about its error: in time, and by what reached the edges of the grid."""
    return float(sum(solution.diagnostics[name] for name in ("estimated_error", *EDGES)))


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    """|found - expected|/|expected| in L2."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def order_row(
    name: str,
    quantity: str,
    hbars: Sequence[float],
    gaps: Sequence[float],
    expected: float,
    source: str,
    *,
    tolerance: float,
    floor: float,
    predicted: float,
    note: str,
) -> Check:
    """The order in hbar; differences that cannot be seen are a defect unless theory says that they are that small.

    Arguments:
        floor: what the solver resolves.
        predicted: size of the leading term at the largest hbar.
        note: how it was measured.
    """
    if floor > HOPELESS:
        detail = f"the solver's own error is about {floor / RESOLUTION:.1e}: nothing can be told; {note}"
        return Check(name, quantity, float(expected), "", tolerance, FAIL, source, detail)
    ladder = np.sort(np.asarray(hbars, float))[::-1]
    seen = np.sum(~(np.asarray(gaps) <= floor))  # a NaN is no small difference
    if seen < LEAST:
        # The leading term where a slope would need to see it, the last of so many points.
        due = predicted * (ladder[min(LEAST, len(ladder)) - 1] / ladder[0]) ** expected
        if due < MARGIN * floor:
            reason = f"The leading term is about {due:.1e}, too small to be seen with an error of {floor:.1e}."
            if not predicted:
                reason = f"Fewer than {LEAST} differences exceed the error of {floor:.1e}, up to {max(gaps):.1e}."
            return Check.not_applicable(name, quantity, f"{reason} {note}", source)
    if not seen:
        detail = f"all differences are below {floor:.1e} where the leading term is about {predicted:.1e}: it is missing"
        return Check(name, quantity, float(expected), "no difference", tolerance, FAIL, source, f"{detail}; {note}")
    row = order_check(name, quantity, hbars, gaps, expected, source, tolerance, floor)
    return replace(row, detail=f"{note}; {row.detail}")


def order_figure(
    name: str, h: Sequence[float], errors: Mapping[str, Sequence[float]], slopes: Mapping[str, float], **texts: str
) -> dict[str, Any]:
    """Description of a double logarithmic plot."""
    return {
        "kind": "order", "name": name, "h": np.array(h), "errors": {k: np.array(v) for k, v in errors.items()},
        "slopes": dict(slopes), "alt": "Errors in double logarithmic axes, with lines of the expected slopes.", **texts,
    }  # fmt: skip


def wigner_figure(
    name: str, grid: tuple[np.ndarray, np.ndarray], panels: Sequence[tuple[str, np.ndarray]], **texts: str
) -> dict[str, Any]:
    """Description of panels over phase space."""
    return {
        "kind": "wigner", "name": name, "x": grid[0], "p": grid[1], "panels": list(panels),
        "xlabel": "x", "plabel": "p", **texts,
    }  # fmt: skip
