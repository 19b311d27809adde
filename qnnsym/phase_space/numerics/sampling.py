"""States and Weyl symbols in numbers on a grid, and the extent of a state, from which grids are proposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.equations.numbers import exact_decimals
from qnnsym.errors import InputError
from qnnsym.phase_space import observables
from qnnsym.phase_space.circle import check_periodic, check_wound, wound
from qnnsym.phase_space.numerics.grids import numeric
from qnnsym.phase_space.numerics.problem import Problem
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import CatMixture, FockState, GaussianState, Mixture, State, ThermalState
from qnnsym.solvers.solution import finite_array
from qnnsym.solvers.split_record import DrivenOperator


def gaussian_pieces(state: State) -> bool:
    """Whether W is a sum of Gaussians, without coherences between them."""
    if isinstance(state, Mixture):
        return all(map(gaussian_pieces, state.states))
    return isinstance(state, (GaussianState, ThermalState)) or type(state) is CatMixture


def extent(state: State, space: PhaseSpace, tolerance: float) -> list[tuple[Any, ...]]:
    """Centres and widths; those of a Fock state narrowed to where its W, no Gaussian, really ends."""
    if isinstance(state, Mixture):
        return [piece for part in state.states for piece in extent(part, space, tolerance)]
    pieces = state.extent(space)
    if not isinstance(state, FockState):
        return pieces
    from scipy.special import eval_laguerre

    n = int(state.n[0])
    u = np.linspace(0, 4 * (2 * n + 1) + 200, 20_000)
    edge = u[np.abs(np.exp(-u) * eval_laguerre(n, 2 * u)) > tolerance / 10][-1]
    # extent() gives the width sqrt(2n+1) lengths, where W = exp(-u) L_n(2u), u = (distance/length)^2.
    shrink = float(np.sqrt(edge / (2 * n + 1) / np.log(10 / tolerance)))
    return [(x0, shrink * a, p0, shrink * w) for x0, a, p0, w in pieces]


def on_grid(W0: Any, problem: Problem, grid: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The initial Wigner function on the grid; on a circle it is wound up, or an array looked at."""
    x, p = grid
    if isinstance(W0, State):
        W = _wound_state(W0, problem, grid) if problem.periodic else _state_values(W0, problem, x[:, None], p[None, :])
    elif isinstance(W0, sp.Basic):
        function = numeric(exact_decimals(W0), problem.space.variables, problem.numbers)
        W = wound(function, grid, problem.hbar) if problem.periodic else function(x[:, None], p[None, :])
    else:
        W = finite_array(W0, (x.size, p.size), "The initial Wigner function W0")
        if problem.periodic:
            check_wound(W, grid, problem.hbar)
    return finite_array(W, (x.size, p.size), "The initial Wigner function W0")


def _wound_state(state: State, problem: Problem, grid: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    if isinstance(state, Mixture):
        weights = [float(numeric(w, (), problem.numbers)()) for w in state.weights]
        return sum(w * _wound_state(s, problem, grid) for w, s in zip(weights, state.states, strict=True))
    return wound(lambda x, p: _state_values(state, problem, x, p), grid, problem.hbar)


def _state_values(state: State, problem: Problem, x: np.ndarray, p: np.ndarray) -> np.ndarray:
    if isinstance(state, Mixture):
        weights = [float(numeric(w, (), problem.numbers)()) for w in state.weights]
        return sum(w * _state_values(s, problem, x, p) for w, s in zip(weights, state.states, strict=True))
    if not isinstance(state, FockState):
        return numeric(state.wigner(problem.space), problem.space.variables, problem.numbers)(x, p)
    # Written out, a Laguerre polynomial of high degree cancels away all digits; its recurrence does not.
    from scipy.special import eval_laguerre

    entries = (state.x0[0], state.p0[0], state.mass[0], state.omega[0])
    x0, p0, m, omega = (float(numeric(entry, (), problem.numbers)()) for entry in entries)
    u = ((p - p0) ** 2 / m + m * omega**2 * (x - x0) ** 2) / (problem.hbar * omega)
    n = int(state.n[0])
    return (-1) ** n * np.exp(-u) * eval_laguerre(n, 2 * u) / (np.pi * problem.hbar)


def observed(e_ops: Any) -> dict[str, Any]:
    """{name: symbol or sentinel} from a mapping, or from a list whose entries are named as they print."""
    if e_ops is None:
        return {}
    if isinstance(e_ops, Mapping):
        return {str(name): op for name, op in e_ops.items()}
    if isinstance(e_ops, Sequence) and not isinstance(e_ops, str):
        return {str(op): op for op in e_ops}
    raise InputError(f"The observables are {e_ops!r}; give {{name: Weyl symbol}} or a list of symbols.")


def check_observable(
    expression: sp.Expr, name: str, problem: Problem, coordinates: Sequence[np.ndarray], start: float
) -> None:
    """Make sure that the sum over the grid is an expectation value: no pole in the box, the circle's period.

    A pole between grid points gives a number that depends on where the points fall. It is found where a factor of a
    denominator changes its sign, or is zero, within the box; one that touches zero without that is found if it factors.

    Arguments:
        expression: the Weyl symbol.
        name: of the observable.
        problem: has the numbers of the parameters.
        coordinates: of the grid, one array for every variable, that broadcast.
        start: the first time.

    Raises:
        InputError: naming what is singular, or not periodic.
    """
    space = problem.space
    if problem.periodic:
        check_periodic(expression, space.x[0], f"The observable {name}", problem.numbers)
    for factor in _denominators(expression, space):
        free = factor.free_symbols
        pairs = zip(space.variables, coordinates, strict=True)
        arrays = [c if v in free else c[(slice(1),) * c.ndim] for v, c in pairs]
        values = numeric(factor, (*space.variables, space.t), problem.numbers)(*arrays, np.float64(start))
        if np.nanmin(values) <= 0 <= np.nanmax(values):
            raise InputError(
                f"The observable {name} = {expression} has a pole inside the grid, where {factor} = 0; its number "
                "would depend on where the grid points fall. Give a grid without the pole, or an observable that is "
                "finite."
            )


def _denominators(expression: sp.Expr, space: PhaseSpace) -> set[sp.Expr]:
    """Factors with variables in the denominators of an expression, without absolute values around them."""
    found: set[sp.Expr] = set()
    rewritten = expression.xreplace({
        f: f.rewrite(sp.cos) if isinstance(f, (sp.cot, sp.sec, sp.csc)) else sp.sin(f.args[0]) / sp.cos(f.args[0])
        for f in expression.atoms(sp.tan, sp.cot, sp.sec, sp.csc)
    })  # fmt: skip
    for power in rewritten.atoms(sp.Pow):
        if power.exp.is_negative and power.base.has(*space.variables):
            factored = sp.factor(power.base) if power.base.is_rational_function(*space.variables) else power.base
            for part in sp.Mul.make_args(factored):
                base = part.as_base_exp()[0]
                base = base.args[0] if isinstance(base, sp.Abs) else base
                if base.has(*space.variables):
                    found.add(base)
    return found


def weyl_values(
    symbol: Any, name: str, problem: Problem, grid: tuple[np.ndarray, np.ndarray], start: float
) -> np.ndarray | DrivenOperator:
    """A Weyl symbol on the grid; one that depends on time as a function of it, tried at the first time."""
    try:
        expression = exact_decimals(sp.sympify(symbol, strict=True))
    except (sp.SympifyError, AttributeError):
        raise InputError(
            f"The observable {name} is {symbol!r}; give a Weyl symbol in x and p, or one of "
            f"{', '.join(f'observables.{n}' for n in observables.ALL)}."
        ) from None
    if not expression.is_commutative:
        raise InputError(f"The observable {name} = {expression} holds operators; apply weyl_symbol(A, space) first.")
    x, p = grid
    function = numeric(expression, (*problem.space.variables, problem.space.t), problem.numbers)

    def values(t: float) -> np.ndarray:
        return function(x[:, None], p[None, :], np.float64(t))

    array = values(start)
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        what = "H" if name == "energy" else f"The observable {name}"
        i, j = bad[0]
        raise InputError(
            f"{what} = {expression} is not finite on the grid, at (x, p) = ({x[i]:.6g}, {p[j]:.6g}): it is singular "
            "or overflows. Give a grid without such points, or an expression that is finite there."
        )
    if name != "energy":
        check_observable(expression, name, problem, (x[:, None], p[None, :]), start)
    return DrivenOperator(values) if expression.has(problem.space.t) else array
