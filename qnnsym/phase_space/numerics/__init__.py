"""Evolution of Wigner functions on a grid: from a Hamiltonian and a state to a Solution with its diagnostics.

Two doors lead to one evolution. `evolve_wigner` prints K(k, p) and V(x, theta) of the Hamiltonian as NumPy text and
runs that; `solve_model` runs the compiled kernels generated for a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space import observables
from qnnsym.phase_space.circle import check_circle, grown
from qnnsym.phase_space.numerics.fields import Fields, kernel_fields, text_fields
from qnnsym.phase_space.numerics.grids import LARGEST, check_grid, enlarged, propose_grid
from qnnsym.phase_space.numerics.joint import evolve_joint, is_joint, joint_fields, model_fields
from qnnsym.phase_space.numerics.problem import Problem, check_settings, highest_power, with_values
from qnnsym.phase_space.numerics.sampling import extent, gaussian_pieces, observed, on_grid, weyl_values
from qnnsym.phase_space.observables import Observable
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import State
from qnnsym.solvers.relaxation import Relaxation
from qnnsym.solvers.solution import Solution, Status, as_times
from qnnsym.solvers.split_operator import propagate_split
from qnnsym.solvers.split_record import EDGES

# Options of the grid solver that a model may carry.
OPTIONS = ("grid", "order", "method", "step", "tolerance", "workers", "store_states", "progress", "e_ops")
# What a model may say about its evolution beside H.
BESIDE = ("dissipation", "kick", "period", "periodic")
# How often a proposed grid that W turns out to leave (tunnelling, filaments) is replaced by a larger one.
ATTEMPTS = 4
# What may be at its edges, in tolerances: what is there goes wrong at every step.
EDGE_SHARE = 0.1


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
    dissipation: Mapping[str, Any] | None = None,
    kick: Any = None,
    period: Any = None,
    periodic: bool = False,
) -> Solution:
    """Evolve a Wigner function under H = T(p) + U(x), with all orders of hbar or up to one of them.

    Open terms, kicks and a circle in place of the line come beside H.

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
        workers: threads of the transforms; -1 takes all cores.
        store_states: keep the states at the output times; False keeps expectation values only.
        progress: show a bar; None: on a terminal, after a second.
        dissipation: some of "damping" g and "occupation" n (Lindblad sqrt(g (n+1)) a, sqrt(g n) a^dag), "diffusion" D
            (adds D W_pp), "friction" f (adds 2 f d_p(p W)) and "length", the oscillator length of a: by default that of
            the quadratic part of H at the origin, with m = omega = 1 where it has none. They are kept whole at every
            order in hbar. Times ascend.
        kick: Weyl symbol of x alone or of p alone: exp(-i kick/hbar) at all multiples of the period.
        period: of the kicks; output times that are multiples of it are just before the next kick.
        periodic: x is an angle of period 2 pi; p then takes multiples of hbar/2, states are wound up (see `circle`).

    Returns:
        Solution: states (times, nx, np) with iint W dx dp = 1, grid (x, p), expect["norm"], ["purity"], ["energy"],
        ["negativity"] and those of e_ops, each (times,); diagnostics as `propagate_split` lists them, and
        energy_drift, the largest |E(t) - E(0)| where it is conserved.

    Raises:
        InputError: for whatever of this cannot be used, saying what to give instead.

    Source: dW/dt = {{H, W}}, J. E. Moyal, Proc. Camb. Phil. Soc. 45, 99 (1949); W. B. Case, Am. J. Phys. 76, 937
        (2008).
    """
    H, kick, values = with_values(H, space, values, kick)
    problem = Problem.of(
        H, space, hbar, values, dissipation=dissipation, kick=kick, period=period, periodic=periodic
    )  # fmt: skip
    highest = highest_power(order)
    if is_joint(problem, method):
        return evolve_joint(
            problem, W0, times, joint_fields(problem, highest),
            grid=grid, method=method, step=step, tolerance=tolerance, e_ops=e_ops,
            workers=workers, store_states=store_states, progress=progress,
        )  # fmt: skip
    return _evolve(
        problem, W0, times, text_fields(problem, highest),
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
    known = (*OPTIONS, *BESIDE)
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise InputError(
            f"The option(s) {', '.join(unknown)} of the model {model.name} are not known; use {', '.join(known)}."
        )
    if model.state is None or model.times is None:
        raise InputError(f"The model {model.name} has no state or no times to run from; give state=... and times=... .")
    beside = {name: settings.pop(name) for name in BESIDE if name in settings}
    H, beside["kick"], values = with_values(model.hamiltonian, model.space, model.values, beside.get("kick"))
    problem = Problem.of(H, model.space, model.hbar, values, **beside)
    highest = highest_power(settings.pop("order"))
    settings["e_ops"] = {**observed(model.observe), **observed(settings.get("e_ops"))}
    if is_joint(problem, settings.get("method")):
        solution = evolve_joint(
            problem, model.state, model.times, model_fields(model.name, kernels, highest, problem), **settings
        )
        solution.provenance = {"model": model.name, "signature": kernels.signature, **solution.provenance}
        return solution
    fields = kernel_fields(model.name, kernels, highest, problem)
    solution = _evolve(problem, model.state, model.times, fields, order=highest, **settings)
    solution.provenance = {"model": model.name, "signature": kernels.signature, **solution.provenance}
    return solution


def _evolve(
    problem: Problem,
    W0: Any,
    times: Any,
    fields: Fields,
    *,
    order: int | None,
    grid: tuple[Any, Any] | None = None,
    tolerance: float = 1e-8,
    e_ops: Any = None,
    **options: Any,
) -> Solution:
    times = as_times(times)
    check_settings(tolerance, options.get("step"), options.get("workers", 1))
    axes = _proposed(problem, W0, times, order, tolerance) if grid is None else _checked(grid, problem)
    wanted = observed(e_ops)
    for name, op in wanted.items():
        if name in observables.ALL and op != observables.ALL[name]:
            raise InputError(f"The name {name} is taken by observables.{name}; give {op} another name.")
    symbols = {name: op for name, op in wanted.items() if not isinstance(op, Observable)}
    symbols["energy"] = problem.equation.hamiltonian
    for attempts_left in range(ATTEMPTS, -1, -1):
        may_enlarge = grid is None and attempts_left > 0
        solution = propagate_split(
            on_grid(W0, problem, axes), axes, times, fields.kinetic, fields.potential,
            hbar=problem.hbar,
            kick=fields.kick,
            relaxation=Relaxation(*problem.rates),
            circle=problem.periodic,
            tolerance=tolerance,
            e_ops={name: weyl_values(op, name, problem, axes, times[0]) for name, op in symbols.items()},
            label="evolving W",
            give_up=EDGE_SHARE * tolerance if may_enlarge else None,
            **options,
        )  # fmt: skip
        reached = [solution.diagnostics[edge] > EDGE_SHARE * tolerance for edge in EDGES]
        if not may_enlarge or not any(reached) or solution.status is Status.INTERRUPTED:
            break
        axes = grown(axes, problem.hbar, LARGEST) if problem.periodic else enlarged(axes, reached)
    for name, op in wanted.items():
        if isinstance(op, Observable):
            solution.expect[name] = solution.expect[op.name]
    energy, norm = solution.expect["energy"], solution.expect["norm"]
    solution.statistics["grids"] = float(ATTEMPTS + 1 - attempts_left)
    if problem.autonomous:
        solution.diagnostics["energy_drift"] = float(np.abs(energy - energy[0]).max())
    if not abs(norm[0] - 1) <= max(tolerance, 1e-12):
        solution.warnings.append(
            f"The initial Wigner function has iint W dx dp = {norm[0]:.10g} on this grid, not 1: the state is not "
            "normalised, or the grid does not hold it."
        )
    highest_purity = float(np.max(solution.expect["purity"]))
    if problem.dissipation is not None and highest_purity > 1 + 1e-6:
        solution.warnings.append(
            f"The purity reached {highest_purity:.6g}, so that W is no state any more: friction with so little "
            "diffusion is not of Lindblad form. Give more diffusion, or damping in place of friction."
        )
    solution.provenance.update(
        hamiltonian=str(problem.equation.hamiltonian),
        order="exact" if order is None else order,
        parameters={s.name: value for s, value in problem.parameters.items()},
        state=repr(W0) if isinstance(W0, (State, sp.Basic)) else "array",
        grid="proposed" if grid is None else "given",
        **_beside(problem),
    )
    return solution


def _beside(problem: Problem) -> dict[str, Any]:
    """What acts beside H, for the record."""
    found: dict[str, Any] = {}
    if problem.dissipation is not None:
        found["open_terms"] = dict(zip(("a", "b", "D_x", "D_p"), problem.rates, strict=True))
    if problem.kicks is not None:
        found.update(kick=str(problem.kicks.symbol), period=problem.period)
    return {**found, "periodic": True} if problem.periodic else found


def _checked(grid: Any, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    if not (isinstance(grid, (tuple, list)) and len(grid) == 2):
        raise InputError("grid is not a pair; give grid=(x, p) with two uniform arrays.")
    axes = check_grid(*grid)
    if problem.periodic:
        check_circle(axes, problem.hbar)
    return axes


def _proposed(
    problem: Problem, W0: Any, times: np.ndarray, order: int | None, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(W0, State):
        raise InputError(
            "A grid can be proposed for a state object only; give grid=(x, p) with an expression or an array."
        )
    return propose_grid(
        extent(W0, problem.space, tolerance),
        problem.equation.kinetic,
        problem.equation.potential,
        problem.space,
        problem.hbar,
        times,
        values=problem.parameters,
        tolerance=tolerance,
        order=order,
        coherent=not gaussian_pieces(W0),
        kicks=problem.kicks,
        rates=problem.rates,
        circle=problem.periodic,
    )
