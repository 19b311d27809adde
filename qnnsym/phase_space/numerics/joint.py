"""Evolution of Wigner functions of several degrees of freedom, or under an H that mixes x and p.

`numerics` hands over what the split operators of one degree of freedom do not solve; the results have the same shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.equations.numbers import exact_decimals
from qnnsym.errors import InputError
from qnnsym.phase_space import observables
from qnnsym.phase_space.numerics.fields import kernel_parameters
from qnnsym.phase_space.numerics.grids import numeric
from qnnsym.phase_space.numerics.joint_fields import JointFields
from qnnsym.phase_space.numerics.joint_grids import checked_axes, enlarged_axes, propose_axes
from qnnsym.phase_space.numerics.problem import Problem, check_settings
from qnnsym.phase_space.numerics.sampling import check_observable, gaussian_pieces, observed
from qnnsym.phase_space.observables import Observable
from qnnsym.phase_space.parts import Parts
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import FockState, Mixture, State
from qnnsym.solvers.axes import Axes
from qnnsym.solvers.grid_evolution import SPLIT_METHODS, TABLE_METHODS, check_points, propagate_joint
from qnnsym.solvers.solution import Solution, Status, as_times, finite_array

# How often a proposed grid that W turns out to leave is replaced by a larger one.
ATTEMPTS = 4
# What may be at its edges, in tolerances.
EDGE_SHARE = 0.1


def is_joint(problem: Problem, method: Any = None) -> bool:
    """Whether the evolution is one of this module: several degrees of freedom, a mixed H, or a method of the table."""
    return problem.space.dimension != 1 or not problem.equation.separable or method in TABLE_METHODS


def evolve_joint(
    problem: Problem,
    W0: Any,
    times: Any,
    fields: JointFields,
    *,
    grid: Any = None,
    tolerance: float = 1e-8,
    e_ops: Any = None,
    method: str | None = None,
    workers: int = 1,
    **options: Any,
) -> Solution:
    """Evolve a Wigner function.

    Arguments:
        problem: H with numbers.
        W0: a state object, an expression, or an array on the grid.
        times: output times, or (start, stop, number).
        fields: pointwise functions of H at the order wanted.
        grid: (x_1, ..., p_1, ...) or None.
        method: a composition for H = T(p) + U(x); "chebyshev", "dop853" or "rk4" for the table of terms; None chooses.
        tolerance, e_ops, workers, options: as `evolve_wigner` takes them.

    Returns:
        Solution as `propagate_joint` gives it, with the energy, its drift and the observables.

    Raises:
        InputError: for whatever of this cannot be used.
    """
    times, space = as_times(times), problem.space
    beside = [
        name
        for name, given in (
            ("dissipation", problem.dissipation), ("kick", problem.kicks), ("periodic", problem.periodic)
        )
        if given
    ]  # fmt: skip
    if beside:
        raise InputError(
            f"{', '.join(beside)} beside H is solved for H = T(p) + U(x) with one degree of freedom, by compositions; "
            "leave it out, or give such an H and one of these methods."
        )
    check_settings(tolerance, options.get("step"), workers)
    table = bool(fields.rows) or method in TABLE_METHODS
    if table and method in SPLIT_METHODS:
        raise InputError(
            f"H = {problem.equation.hamiltonian} mixes x and p, so that the composition {method} of exact flows does "
            f"not hold for it; use one of {', '.join(TABLE_METHODS)}, or None."
        )
    wanted = observed(e_ops)
    for name, op in wanted.items():
        if name in observables.ALL and op != observables.ALL[name]:
            raise InputError(f"The name {name} is taken by observables.{name}; give {op} another name.")
    symbols = {name: op for name, op in wanted.items() if not isinstance(op, Observable)}
    symbols["energy"] = problem.equation.hamiltonian
    arrays = _proposed(problem, W0, times, fields, tolerance) if grid is None else checked_axes(grid, space)
    window = 1.0
    for attempts_left in range(ATTEMPTS, -1, -1):
        may_enlarge = grid is None and attempts_left > 0
        check_points(tuple(a.size for a in arrays))
        axes = _axes(arrays, space)
        start = float(times[0])
        if table:
            right = fields.operator(axes, workers, start, problem.hbar)
        else:
            right = fields.propagator(axes, workers, start)
        solution = propagate_joint(
            _state_on(W0, problem, axes), axes, times, right,
            hbar=problem.hbar,
            method=method,
            tolerance=tolerance,
            e_ops={name: _pieces(op, name, problem, axes, start) for name, op in symbols.items()},
            label="evolving W",
            give_up=EDGE_SHARE * tolerance if may_enlarge else None,
            window=window,
            **options,
        )  # fmt: skip
        outside, sharp = (
            [solution.diagnostics[f"edge_{name}"] > EDGE_SHARE * tolerance for name in names]
            for names in (axes.names, axes.conjugates)
        )
        close = solution.diagnostics.get("edge_window", 0.0) > tolerance and attempts_left > 0
        leaves = may_enlarge and any(outside + sharp)
        if not (close or leaves) or solution.status is Status.INTERRUPTED:
            break
        if close:
            window = solution.diagnostics["window"] + 0.05
        if leaves:
            arrays = enlarged_axes(arrays, outside, sharp)
    for name, op in wanted.items():
        if isinstance(op, Observable):
            solution.expect[name] = solution.expect[op.name]
    energy, norm = solution.expect["energy"], solution.expect["norm"]
    solution.statistics["grids"] = float(ATTEMPTS + 1 - attempts_left)
    if not problem.equation.hamiltonian.has(space.t):
        solution.diagnostics["energy_drift"] = float(np.abs(energy - energy[0]).max())
    if not abs(norm[0] - 1) <= max(tolerance, 1e-12):
        solution.warnings.append(
            f"The initial Wigner function has int W = {norm[0]:.10g} on this grid, not 1: the state is not normalised, "
            "or the grid does not hold it."
        )
    solution.provenance.update(
        hamiltonian=str(problem.equation.hamiltonian),
        order="exact" if fields.order is None else fields.order,
        parameters={s.name: value for s, value in problem.parameters.items()},
        state=repr(W0) if isinstance(W0, (State, sp.Basic)) else "array",
        grid="proposed" if grid is None else "given",
    )
    return solution


def joint_fields(problem: Problem, order: int | None) -> JointFields:
    """The pointwise functions of a problem in NumPy text."""
    return JointFields.text(Parts.of(problem.equation), order, problem.parameters, problem.hbar)


def model_fields(name: str, kernels: Any, order: int | None, problem: Problem) -> JointFields:
    """The pointwise functions of a model by its kernels; those of a method that has none, in NumPy text."""
    if problem.space.dimension == 1 and problem.equation.separable:
        return joint_fields(problem, order)
    par = kernel_parameters(name, kernels, problem)
    return JointFields.compiled(name, Parts.of(problem.equation), order, kernels, par)


def _axes(arrays: tuple[np.ndarray, ...], space: PhaseSpace) -> Axes:
    names = [s.name for s in space.variables]
    return Axes(arrays, names, [s.name for s in space.k + space.theta])


def _proposed(
    problem: Problem, W0: Any, times: np.ndarray, fields: JointFields, tolerance: float
) -> tuple[np.ndarray, ...]:
    names = ", ".join(s.name for s in problem.space.variables)
    if not isinstance(W0, State):
        raise InputError(
            f"A grid can be proposed for a state object only; give grid=({names}) with an expression or an array."
        )
    return propose_axes(
        _extent(W0, problem.space, tolerance),
        problem.equation.hamiltonian,
        problem.space,
        problem.hbar,
        times,
        values=problem.parameters,
        tolerance=tolerance,
        order=fields.order,
        coherent=not gaussian_pieces(W0),
    )


def _extent(state: State, space: PhaseSpace, tolerance: float) -> list[tuple[Any, ...]]:
    """Centres and widths; those of a Fock state narrowed to where its W, no Gaussian, really ends."""
    if isinstance(state, Mixture):
        return [piece for part in state.states for piece in _extent(part, space, tolerance)]
    pieces = state.components(space)
    if not isinstance(state, FockState):
        return [tuple(piece) for piece in pieces]
    numbers = [int(n) for n in (state.n if len(state.n) > 1 else state.n * space.dimension)]
    shrink = [_fock_reach(n, tolerance) for n in numbers]
    return [
        (x0, tuple(s * a for s, a in zip(shrink, widths, strict=True)), p0,
         tuple(s * w for s, w in zip(shrink, momenta, strict=True)))
        for x0, widths, p0, momenta in pieces
    ]  # fmt: skip


def _fock_reach(n: int, tolerance: float) -> float:
    from scipy.special import eval_laguerre

    u = np.linspace(0, 4 * (2 * n + 1) + 200, 20_000)
    edge = u[np.abs(np.exp(-u) * eval_laguerre(n, 2 * u)) > tolerance / 10][-1]
    return float(np.sqrt(edge / (2 * n + 1) / np.log(10 / tolerance)))


def _state_on(W0: Any, problem: Problem, axes: Axes) -> np.ndarray:
    if isinstance(W0, State):
        W = _state_values(W0, problem, axes)
    elif isinstance(W0, sp.Basic):
        W = numeric(exact_decimals(W0), problem.space.variables, problem.numbers)(*axes.coordinates())
    else:
        W = W0
    return finite_array(W, axes.shape, "The initial Wigner function W0")


def _state_values(state: State, problem: Problem, axes: Axes) -> np.ndarray:
    space, numbers, coordinates = problem.space, problem.numbers, axes.coordinates()
    if isinstance(state, Mixture):
        weights = [float(numeric(w, (), numbers)()) for w in state.weights]
        return sum(w * _state_values(s, problem, axes) for w, s in zip(weights, state.states, strict=True))
    if not isinstance(state, FockState):
        return numeric(state.wigner(space), space.variables, numbers)(*coordinates)
    # Written out, a Laguerre polynomial of high degree cancels away all digits; its recurrence does not.
    from scipy.special import eval_laguerre

    n, product = space.dimension, np.ones((1,) * (2 * space.dimension))
    fields = [state.n, state.x0, state.p0, state.mass, state.omega]
    for i, entries in enumerate(zip(*(f if len(f) > 1 else f * n for f in fields), strict=True)):
        number, x0, p0, m, omega = (float(numeric(entry, (), numbers)()) for entry in entries)
        x, p = coordinates[i], coordinates[n + i]
        u = ((p - p0) ** 2 / m + m * omega**2 * (x - x0) ** 2) / (problem.hbar * omega)
        level = int(number)
        product = product * ((-1) ** level * np.exp(-u) * eval_laguerre(level, 2 * u) / (np.pi * problem.hbar))
    return product


def _pieces(
    symbol: Any, name: str, problem: Problem, axes: Axes, start: float
) -> list[np.ndarray] | Callable[[float], list[np.ndarray]]:
    """A Weyl symbol as arrays over the coordinates that its terms depend on, tried at the first time."""
    try:
        expression = exact_decimals(sp.sympify(symbol, strict=True))
    except (sp.SympifyError, AttributeError):
        raise InputError(
            f"The observable {name} is {symbol!r}; give a Weyl symbol in x and p, or one of "
            f"{', '.join(f'observables.{n}' for n in observables.ALL)}."
        ) from None
    if not expression.is_commutative:
        raise InputError(f"The observable {name} = {expression} holds operators; apply weyl_symbol(A, space) first.")
    space, coordinates = problem.space, axes.coordinates()
    groups: dict[frozenset[sp.Symbol], list[sp.Expr]] = {}
    for term in sp.Add.make_args(expression):
        groups.setdefault(frozenset(term.free_symbols & set(space.variables)), []).append(term)
    functions = []
    for free, terms in groups.items():
        pairs = zip(space.variables, coordinates, strict=True)
        arrays = [c if v in free else c[(slice(1),) * c.ndim] for v, c in pairs]
        functions.append((numeric(sp.Add(*terms), (*space.variables, space.t), problem.numbers), arrays))

    def values(t: float) -> list[np.ndarray]:
        return [function(*arrays, np.float64(t)) for function, arrays in functions]

    found = values(start)
    for piece in found:
        bad = np.argwhere(~np.isfinite(piece))
        if bad.size:
            what = "H" if name == "energy" else f"The observable {name}"
            where = ", ".join(f"{axis[i]:.6g}" for axis, i in zip(axes.grid, bad[0], strict=True))
            raise InputError(
                f"{what} = {expression} is not finite on the grid, at ({', '.join(axes.names)}) = ({where}): it is "
                "singular or overflows. Give a grid without such points, or an expression that is finite there."
            )
    if name != "energy":
        check_observable(expression, name, problem, coordinates, start)
    return values if expression.has(space.t) else found
