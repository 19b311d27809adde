"""States and Weyl symbols in numbers on a grid, and the extent of a state, from which grids are proposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.equations.numbers import exact_decimals
from qnnsym.errors import InputError
from qnnsym.phase_space import observables
from qnnsym.phase_space.circle import check_wound, wound
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
    return DrivenOperator(values) if expression.has(problem.space.t) else array
