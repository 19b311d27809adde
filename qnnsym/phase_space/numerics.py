"""Evolution of Wigner functions on a grid: from a Hamiltonian and a state to a Solution with its diagnostics.

Two doors lead to one evolution. `evolve_wigner` prints K(k, p) and V(x, theta) of the Hamiltonian as NumPy text and
runs that; `solve_model` runs the compiled kernels generated for a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.codegen.emit import numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.equations.numbers import exact_decimals, exact_number
from qnnsym.errors import InputError
from qnnsym.phase_space import observables
from qnnsym.phase_space.equation import MoyalEquation, check_hamiltonian, moyal_equation
from qnnsym.phase_space.fields import field_equations, field_name
from qnnsym.phase_space.grids import check_grid, enlarged, numeric, propose_grid
from qnnsym.phase_space.observables import Observable
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import CatMixture, FockState, GaussianState, Mixture, State, ThermalState
from qnnsym.solvers.solution import Solution, Status, as_times, finite_array
from qnnsym.solvers.split_operator import EDGES, Driven, DrivenOperator, Field, propagate_split

FlatField = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
# Options of the grid solver that a model may carry.
OPTIONS = ("grid", "order", "method", "step", "tolerance", "workers", "store_states", "progress", "e_ops")
# How often a proposed grid that W turns out to leave (tunnelling, filaments) is replaced by a larger one.
ATTEMPTS = 4
# What may be at its edges, in tolerances: what is there goes wrong at every step.
EDGE_SHARE = 0.1
# Entries of the work array per grid point of both axes: more than any pointwise kernel stores.
WORK = 64


def evolve_wigner(
    H: Any,
    W0: Any,
    times: Any,
    *,
    hbar: Any,
    space: PhaseSpace,
    grid: tuple[Any, Any] | None = None,
    order: Any = "exact",
    method: str | None = None,
    step: float | None = None,
    tolerance: float = 1e-8,
    e_ops: Any = None,
    values: Mapping[Any, Any] | None = None,
    workers: int = 1,
    store_states: bool = True,
    progress: bool | None = None,
) -> Solution:
    """Evolve a Wigner function under H = T(p) + U(x), with all orders of hbar or up to one of them.

    Arguments:
        H: Weyl symbol of the Hamiltonian, one degree of freedom; it may depend on space.t.
        W0: the state at the first time: a state object, an expression in x and p, or an array on the grid.
        times: output times, or (start, stop, number); descending times run backwards.
        hbar: number, in the units of x p.
        space: the phase space of H; its declared parameters have their defaults unless given in `values`.
        grid: (x, p) arrays, uniform, ascending, endpoints excluded; None proposes one for a state object.
        order: "exact", or the highest (even) power of hbar kept; 0 is Liouville's equation.
        method: "strang", "yoshida4", "blanes_moan4", "blanes_moan6", or None for the cheapest at the tolerance.
        step: longest time step; None chooses it from the measured error.
        tolerance: wanted error of the last state, relative in L2, in time and by cutting W off at the grid's edges.
        e_ops: {name: Weyl symbol or one of `observables`}, or a list of these, named as they print.
        values: {symbol or name: number} for parameters.
        workers: threads of the transforms.
        store_states: keep the states at the output times; False keeps expectation values only.
        progress: show a bar; None: on a terminal, after a second.

    Returns:
        Solution: states (times, nx, np) with iint W dx dp = 1, grid (x, p), expect["norm"], ["purity"], ["energy"],
        ["negativity"] and those of e_ops, each (times,); diagnostics as `propagate_split` lists them, and
        energy_drift, the largest |E(t) - E(0)| where H does not depend on time.

    Raises:
        InputError: for whatever of this cannot be used, saying what to give instead.

    Source: dW/dt = {{H, W}}, J. E. Moyal, Proc. Camb. Phil. Soc. 45, 99 (1949); W. B. Case, Am. J. Phys. 76, 937
        (2008).
    """
    H, values = _given(H, space, values)
    problem = _Problem.of(H, space, hbar, values)
    highest = _highest(order)
    kinetic, potential = _symbols(problem.equation, highest, problem.parameters, problem.hbar)
    return _evolve(
        problem, W0, times, kinetic, potential,
        grid=grid, order=highest, method=method, step=step, tolerance=tolerance, e_ops=e_ops,
        workers=workers, store_states=store_states, progress=progress,
    )  # fmt: skip


def solve_model(model: Any, kernels: Any, derivation: Any = None, *, order: Any = "exact", **options: Any) -> Solution:
    """Evolve a model's state with the compiled kernels that were generated for it.

    Arguments:
        model: its hamiltonian, space, hbar, values, state, times, observe and options are used.
        kernels: {name: compiled kernel} with `signature` and `parameters`.
        derivation: the model's derivation; the kernels hold all that is needed of it.
        order: "exact" or the highest power of hbar kept; a kernel of that order must have been generated.
        options: those of `evolve_wigner`; they come before the model's own.

    Returns:
        Solution as `evolve_wigner` gives it; provenance has the model's name, the kernels' signature and the
        parameters.

    Raises:
        InputError: as `evolve_wigner`; for an unknown option, or an order without a kernel.
    """
    settings = {"order": order, **model.options, **options}
    unknown = sorted(set(settings) - set(OPTIONS))
    if unknown:
        raise InputError(
            f"The option(s) {', '.join(unknown)} of the model {model.name} are not known; use {', '.join(OPTIONS)}."
        )
    if model.state is None or model.times is None:
        raise InputError(f"The model {model.name} has no state or no times to run from; give state=... and times=... .")
    H, values = _given(model.hamiltonian, model.space, model.values)
    problem = _Problem.of(H, model.space, model.hbar, values)
    highest = _highest(settings.pop("order"))
    settings["e_ops"] = {**_observed(model.observe), **_observed(settings.get("e_ops"))}
    kinetic, potential = _kernel_fields(model.name, kernels, highest, problem)
    solution = _evolve(problem, model.state, model.times, kinetic, potential, order=highest, **settings)
    solution.provenance = {"model": model.name, "signature": kernels.signature, **solution.provenance}
    return solution


@dataclass(frozen=True)
class _Problem:
    """A Hamiltonian with numbers for all its symbols."""

    equation: MoyalEquation
    space: PhaseSpace
    hbar: float
    parameters: dict[sp.Symbol, float]  # in the order in which the space declares them

    @classmethod
    def of(cls, H: Any, space: PhaseSpace, hbar: Any, values: Mapping[sp.Symbol, Any]) -> _Problem:
        number = _number(hbar, "hbar")
        if not (np.isfinite(number) and number > 0):
            raise InputError(f"hbar is {hbar}; give a positive number.")
        hamiltonian = check_hamiltonian(H, space)
        if space.dimension != 1:
            raise InputError(
                f"{space!r} has {space.dimension} degrees of freedom; grids are built for one so far. Reduce the model "
                "to one degree of freedom, or use moyal_equation for the table of terms."
            )
        equation = moyal_equation(hamiltonian, space)
        if not equation.separable:
            raise InputError(
                f"H = {hamiltonian} mixes x and p; only kinetic + potential, H = T(p) + U(x), is solved on the grid so "
                "far. Separate H by a canonical transformation, or use moyal_equation for the table of terms."
            )
        parameters = {s: _number(values.get(s, default), f"The parameter {s}") for s, default in space.defaults.items()}
        negative = [s for s, value in parameters.items() if value < 0]
        if negative:
            raise InputError(
                f"The parameter {negative[0]} is declared positive and was given {parameters[negative[0]]:g}; write "
                "the sign in the Hamiltonian."
            )
        zeros = [s for s, value in parameters.items() if value == 0]
        if zeros and hamiltonian.subs({s: 0 for s in zeros}).has(sp.zoo, sp.nan, sp.oo):
            raise InputError(f"H = {hamiltonian} is not finite with {zeros[0]} = 0; give another number.")
        return cls(equation, space, number, parameters)

    @property
    def numbers(self) -> dict[sp.Symbol, float]:
        return {**self.parameters, self.space.hbar: self.hbar}


def _number(value: Any, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{what} is {value!r}; give a number.") from None
    if not np.isfinite(number):
        raise InputError(f"{what} is {value}; give a finite number.")
    return number


def _highest(order: Any) -> int | None:
    """The highest power of hbar, None for all."""
    if order is None or (isinstance(order, str) and order == "exact"):
        return None
    if isinstance(order, bool) or not isinstance(order, (int, np.integer, sp.Integer)) or order < 0 or order % 2:
        raise InputError(f'order={order!r} is no order in hbar; give "exact" or an even number 0, 2, 4, ... .')
    return int(order)


def _given(H: Any, space: PhaseSpace, values: Mapping[Any, Any] | None) -> tuple[Any, dict[sp.Symbol, Any]]:
    """(H with undeclared symbols replaced by their given values, {declared symbol: value})."""
    if not isinstance(space, PhaseSpace):
        raise InputError(f'space={space!r} is no phase space; give PhaseSpace("x", "p").')
    if not values:
        return H, {}
    free = {s.name: s for s in getattr(H, "free_symbols", ())}
    declared = {s.name: s for s in space.defaults}
    reserved = {s.name for s in (*space.variables, space.hbar, space.t)}
    replaced, found = {}, {}
    for key, value in values.items():
        name = str(key)
        if name in declared:
            found[declared[name]] = value
        elif name in free and name not in reserved:
            replaced[free[name]] = exact_number(value, f"The parameter {name}")
        else:
            known = ", ".join(sorted({*declared, *free} - reserved)) or "none"
            raise InputError(f"values names {name}, which is no parameter of H; the parameters are: {known}.")
    return (H.xreplace(replaced) if replaced else H), found


def _symbols(
    equation: MoyalEquation, order: int | None, parameters: Mapping[sp.Symbol, float], hbar: float
) -> tuple[Field | Driven, Field | Driven]:
    """K(p, k) and V(x, theta) in NumPy text."""
    sets = field_equations(equation, (order,))
    functions = {name: numpy_function(lower(equations)) for name, equations in sets.items()}
    par = np.array([hbar, *parameters.values()])

    def field(factor: str) -> FlatField:
        function = functions[field_name(factor, order)]
        return lambda first, second, t: function(t, np.concatenate([first, second]), [], par, (first.size, second.size))

    return _fields(field, equation)


def _kernel_fields(
    name: str, kernels: Any, order: int | None, problem: _Problem
) -> tuple[Field | Driven, Field | Driven]:
    """K(p, k) and V(x, theta) by compiled kernels."""
    missing = [n for n in (field_name(factor, order) for factor in ("kinetic", "potential")) if n not in kernels]
    if missing:
        raise InputError(
            f"The kernels of {name} lack {', '.join(missing)}; generated are {', '.join(sorted(kernels))}. Use one of "
            "these orders, or evolve_wigner, which needs no kernels."
        )
    listed = [n for n in kernels.parameters if n != problem.space.hbar.name]
    if len(listed) != len(problem.parameters):
        raise InputError(
            f"The kernels of {name} take the parameters {', '.join(listed) or 'none'} and its space declares "
            f"{', '.join(map(str, problem.parameters)) or 'none'}; generate the kernels anew: qnnsym generate {name}."
        )
    by_name = {s.name: value for s, value in problem.parameters.items()}
    # A name that is no identifier was changed in the kernel; the order of declaration is kept.
    ordered = [by_name.get(n, value) for n, value in zip(listed, problem.parameters.values(), strict=True)]
    par = np.array([problem.hbar, *ordered])

    def field(factor: str) -> FlatField:
        kernel = kernels[field_name(factor, order)]

        def run(first: np.ndarray, second: np.ndarray, t: float) -> np.ndarray:
            rates = np.zeros(first.size * second.size)
            dims = np.array([first.size, second.size], np.int64)
            work = np.zeros(WORK * (first.size + second.size))
            kernel(t, np.concatenate([first, second]), np.zeros(0), par, dims, work, rates)
            return rates

        return run

    return _fields(field, problem.equation)


def _fields(field: Callable[[str], FlatField], equation: MoyalEquation) -> tuple[Field | Driven, Field | Driven]:
    """Fields on flat axes as functions of broadcast arrays; the kinetic one is stored (k, p)."""
    on_kp, on_xtheta = field("kinetic"), field("potential")

    def kinetic(p: np.ndarray, k: np.ndarray, t: float = 0.0) -> np.ndarray:
        return on_kp(k.ravel(), p.ravel(), t).reshape(k.size, p.size)

    def potential(x: np.ndarray, theta: np.ndarray, t: float = 0.0) -> np.ndarray:
        return on_xtheta(x.ravel(), theta.ravel(), t).reshape(x.size, theta.size)

    assert equation.kinetic is not None and equation.potential is not None
    t = equation.space.t
    return (
        Driven(kinetic) if equation.kinetic.has(t) else kinetic,
        Driven(potential) if equation.potential.has(t) else potential,
    )


def _evolve(
    problem: _Problem,
    W0: Any,
    times: Any,
    kinetic: Field | Driven,
    potential: Field | Driven,
    *,
    order: int | None,
    grid: tuple[Any, Any] | None = None,
    tolerance: float = 1e-8,
    e_ops: Any = None,
    **options: Any,
) -> Solution:
    times = as_times(times)
    if not (isinstance(tolerance, (int, float)) and 0 < tolerance < 1):
        raise InputError(f"The tolerance is {tolerance!r}; give a number between 0 and 1.")
    axes = _proposed(problem, W0, times, order, tolerance) if grid is None else _checked(grid)
    wanted = _observed(e_ops)
    for name, op in wanted.items():
        if name in observables.ALL and op != observables.ALL[name]:
            raise InputError(f"The name {name} is taken by observables.{name}; give {op} another name.")
    symbols = {name: op for name, op in wanted.items() if not isinstance(op, Observable)}
    symbols["energy"] = problem.equation.hamiltonian
    for attempts_left in range(ATTEMPTS, -1, -1):
        may_enlarge = grid is None and attempts_left > 0
        solution = propagate_split(
            _on_grid(W0, problem, axes), axes, times, kinetic, potential,
            hbar=problem.hbar,
            tolerance=tolerance,
            e_ops={name: _weyl_values(op, name, problem, axes, times[0]) for name, op in symbols.items()},
            label="evolving W",
            give_up=EDGE_SHARE * tolerance if may_enlarge else None,
            **options,
        )  # fmt: skip
        reached = [solution.diagnostics[edge] > EDGE_SHARE * tolerance for edge in EDGES]
        if not may_enlarge or not any(reached) or solution.status is Status.INTERRUPTED:
            break
        axes = enlarged(axes, reached)
    for name, op in wanted.items():
        if isinstance(op, Observable):
            solution.expect[name] = solution.expect[op.name]
    energy, norm = solution.expect["energy"], solution.expect["norm"]
    solution.statistics["grids"] = float(ATTEMPTS + 1 - attempts_left)
    if not problem.equation.hamiltonian.has(problem.space.t):
        solution.diagnostics["energy_drift"] = float(np.abs(energy - energy[0]).max())
    if not abs(norm[0] - 1) <= max(tolerance, 1e-12):
        solution.warnings.append(
            f"The initial Wigner function has iint W dx dp = {norm[0]:.10g} on this grid, not 1: the state is not "
            "normalised, or the grid does not hold it."
        )
    solution.provenance.update(
        hamiltonian=str(problem.equation.hamiltonian),
        order="exact" if order is None else order,
        parameters={s.name: value for s, value in problem.parameters.items()},
        state=repr(W0) if isinstance(W0, (State, sp.Basic)) else "array",
        grid="proposed" if grid is None else "given",
    )
    return solution


def _checked(grid: Any) -> tuple[np.ndarray, np.ndarray]:
    if not (isinstance(grid, (tuple, list)) and len(grid) == 2):
        raise InputError("grid is not a pair; give grid=(x, p) with two uniform arrays.")
    return check_grid(*grid)


def _proposed(
    problem: _Problem, W0: Any, times: np.ndarray, order: int | None, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(W0, State):
        raise InputError(
            "A grid can be proposed for a state object only; give grid=(x, p) with an expression or an array."
        )
    return propose_grid(
        _extent(W0, problem.space, tolerance),
        problem.equation.kinetic,
        problem.equation.potential,
        problem.space,
        problem.hbar,
        times,
        values=problem.parameters,
        tolerance=tolerance,
        order=order,
        coherent=not _gaussian_pieces(W0),
    )


def _gaussian_pieces(state: State) -> bool:
    """Whether W is a sum of Gaussians, without coherences between them."""
    if isinstance(state, Mixture):
        return all(map(_gaussian_pieces, state.states))
    return isinstance(state, (GaussianState, ThermalState)) or type(state) is CatMixture


def _extent(state: State, space: PhaseSpace, tolerance: float) -> list[tuple[Any, ...]]:
    """Centres and widths; those of a Fock state narrowed to where its W, no Gaussian, really ends."""
    if isinstance(state, Mixture):
        return [piece for part in state.states for piece in _extent(part, space, tolerance)]
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


def _on_grid(W0: Any, problem: _Problem, grid: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    x, p = grid
    if isinstance(W0, State):
        W = _state_values(W0, problem, x[:, None], p[None, :])
    elif isinstance(W0, sp.Basic):
        W = numeric(exact_decimals(W0), problem.space.variables, problem.numbers)(x[:, None], p[None, :])
    else:
        W = W0
    return finite_array(W, (x.size, p.size), "The initial Wigner function W0")


def _state_values(state: State, problem: _Problem, x: np.ndarray, p: np.ndarray) -> np.ndarray:
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


def _observed(e_ops: Any) -> dict[str, Any]:
    """{name: symbol or sentinel} from a mapping, or from a list whose entries are named as they print."""
    if e_ops is None:
        return {}
    if isinstance(e_ops, Mapping):
        return {str(name): op for name, op in e_ops.items()}
    if isinstance(e_ops, Sequence) and not isinstance(e_ops, str):
        return {str(op): op for op in e_ops}
    raise InputError(f"The observables are {e_ops!r}; give {{name: Weyl symbol}} or a list of symbols.")


def _weyl_values(
    symbol: Any, name: str, problem: _Problem, grid: tuple[np.ndarray, np.ndarray], start: float
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
