"""What must hold for the variational reading: a stationary action, a conserved Hamiltonian of the stack, its ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qnnsym.checks.check import FAIL, PASS, Check, Context
from qnnsym.checks.orders import order_check
from qnnsym.codegen.emit import numpy_function
from qnnsym.codegen.lower import lower
from qnnsym.neural import numerics
from qnnsym.neural.limits.readings import nonzero
from qnnsym.neural.numerics.boundary import Stack, action, path, solve_stack, stack_of
from qnnsym.neural.numerics.delay import cost_values, model_state
from qnnsym.solvers.boundary import Collocation, gauss, solve_boundary

VARIATION = "V. A. Dorodnitsyn, R. V. Kozlov, S. V. Meleshko, arXiv:2409.08165: delay variational equations"
SEED = 11


def variational_only(model: Any) -> str | None:
    """Why a statement about the variational reading does not concern a model."""
    return None if model.reading == "variational" else "The statement is about the variational reading."


def stack_from(context: Context, kinetic: str | None = None, **changes: Any) -> Stack:
    """The model's stack, or that of the other sign or of other parameters."""
    model, state = context.model, model_state(context.model)
    eqs, kernels, values = numerics.equations_of(model, context.derivation), context.kernels, model.values
    if changes or kinetic:
        h = model.hamiltonian.changed()
        for key, value in model.values.items():
            h.set_value(str(key), value)
        sign = kinetic or model.options.get("kinetic", "plus")
        eqs, values = h.changed(**changes).characteristic_equations(model.reading, sign), None
        kernels = interpreted(eqs) if kinetic else kernels
    return stack_of(
        eqs, state["y"], state["weights"], state["momenta"], model.inputs, model.options.get("epochs", 3),
        values=values, kernels=kernels, terminal=model.options.get("terminal", 0),
    )  # fmt: skip


def interpreted(eqs: Any) -> dict[str, Any]:
    """The kernels of other equations as NumPy functions: a check is not worth a compilation."""

    def kernel(equations: Any) -> Any:
        function = numpy_function(lower(equations))

        def call(t: float, state: Any, ext: Any, par: Any, dims: Any, work: Any, out: np.ndarray) -> None:
            out[:] = function(t, state, ext, par, tuple(dims))

        return call

    return {"rhs": kernel(eqs.equations), "rhs_jvp": kernel(eqs.tangent)}


def solved(context: Context) -> tuple[Stack, Collocation]:
    """The model's stack and its solution, found once for all checks of a run."""
    known = context.__dict__.get("_variational")
    if known is None or known[0].kernels is not context.kernels:
        stack = stack_from(context)
        rtol = float(context.model.options.get("rtol", 1e-10))
        known = context.__dict__["_variational"] = stack, solve_stack(stack, rtol, 0.01 * rtol)
    return known


def admissible(stack: Stack, tau: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A random smooth variation of the path and its derivative, (K, m, n): y(0) and the history of W stay."""
    rng = np.random.default_rng(seed)
    n, size, length = stack.sizes
    delay, end = stack.data.delay, stack.epochs * stack.data.delay
    t = delay * np.arange(stack.epochs)[:, None, None] + tau[None, :, None]
    shape, rate = np.zeros((stack.epochs, tau.size, length)), np.zeros((stack.epochs, tau.size, length))
    for k in range(1, 4):
        a, b = rng.normal(size=(2, length))
        phase = k * np.pi * t / (2 * end)
        shape += a * np.sin(phase) + b * np.cos(phase)
        rate += k * np.pi / (2 * end) * (a * np.cos(phase) - b * np.sin(phase))
    # y and W begin at given values: their variations carry a factor t; Delta and M are free at both ends.
    held = np.zeros(length)
    held[:n] = held[2 * n : 2 * n + size] = 1.0
    moving = np.ones(length)
    moving[2 * n :] = np.tile(stack.data.eqs.hamiltonian.moving.ravel(), 2)
    factor, slope = np.where(held, t / end, 1.0), np.where(held, 1 / end, 0.0)
    return moving * factor * shape, moving * (factor * rate + slope * shape)


def first_variation(
    stack: Stack, tau: np.ndarray, weights: np.ndarray, states: np.ndarray, slopes: np.ndarray
) -> float:
    """|dA| along random variations, from the action's definition by complex steps.

    The unit is the variation of int (Delta.y' + M.W') dt alone, taken without regard to signs.
    """
    worst = 0.0
    n, size, _ = stack.sizes
    for seed in range(SEED, SEED + 4):
        change, rate = admissible(stack, tau, seed)
        small = 1e-30j
        moved = action(stack, tau, weights, states + small * change, slopes + small * rate)
        q, p = np.r_[0:n, 2 * n : 2 * n + size], np.r_[n : 2 * n, 2 * n + size : 2 * (n + size)]
        parts = np.sum(np.abs(states[..., p] * rate[..., q]) + np.abs(change[..., p] * slopes[..., q]), axis=-1)
        worst = max(worst, abs(moved.imag) / 1e-30 / float(np.sum(parts @ weights)))
    return worst


def on_points(stack: Stack, found: Collocation) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(tau, weights, states, slopes) at the Gauss points of a collocation."""
    m, s, _ = found.slopes.shape
    tau = found.points.ravel()
    weights = (np.diff(found.mesh)[:, None] * gauss(s)[2]).ravel()
    shape = (m * s, stack.epochs, stack.sizes[2])
    states = found(tau).reshape(shape).transpose(1, 0, 2)
    return tau, weights, states, found.slopes.reshape(shape).transpose(1, 0, 2)


@dataclass(frozen=True)
class stationary:
    """The action is stationary on the solution for all variations that keep y(0) and the history of W.

    Arguments:
        tolerance: largest first variation, relative to its parts.
    """

    tolerance: float = 1e-9
    name: str = "stationary action"

    def applies(self, model: Any) -> str | None:
        return variational_only(model)

    def run(self, context: Context) -> list[Check]:
        stack, found = solved(context)
        value = first_variation(stack, *on_points(stack, found))
        detail = "4 random variations, complex steps of A by Gauss quadrature"
        rows = [
            Check.below(
                self.name, "first variation of A on the variational path", value, self.tolerance, VARIATION, detail
            )
        ]
        tau, weights, states, slopes = on_points(stack, found)
        momenta = slice(2 * stack.sizes[0] + stack.sizes[1], None)
        other, rate = states.copy(), slopes.copy()
        other[..., momenta], rate[..., momenta] = 1.01 * states[..., momenta], 1.01 * slopes[..., momenta]
        rows.append(
            nonzero(
                self.name, "first variation of A with all momenta one percent larger",
                first_variation(stack, tau, weights, other, rate), 10 * self.tolerance, VARIATION, detail,
            )
        )  # fmt: skip
        return rows


@dataclass(frozen=True)
class boundary:
    """Epochs are joined, the costates and momenta end as they must, and collocation has its order.

    Arguments:
        tolerance: of the joints and ends.
        stages: of the collocation whose order is measured.
    """

    tolerance: float = 1e-9
    stages: int = 2
    name: str = "boundary problem"

    def applies(self, model: Any) -> str | None:
        return variational_only(model)

    def run(self, context: Context) -> list[Check]:
        stack, found = solved(context)
        first, last = found.values[0], found.values[-1]
        ends = float(np.max(np.abs(stack.ends(first, last))) / (1 + np.max(np.abs(found.values))))
        source = "M = Phi_W, Delta = Phi_y at t = KT; epochs continue one another"
        rows = [Check.below(self.name, "initial data, joints and natural conditions", ends, self.tolerance, source)]
        edges, counts, errors = [0.0, stack.data.delay], (2, 4, 6, 8, 12), []
        for count in counts:
            coarse = solve_boundary(
                stack.problem(), edges, found, intervals=count, stages=self.stages, refine=False, rtol=1e-12
            )
            gap = np.abs(coarse.values - found(coarse.mesh))
            errors.append(float(np.max(gap) / np.max(np.abs(coarse.values))))
        h = stack.data.delay / np.array(counts)
        order = 2.0 * self.stages
        context.figures.append({
            "kind": "order", "name": "order_of_collocation", "h": h, "errors": {"error at the mesh": errors},
            "slopes": {"error at the mesh": order}, "xlabel": "interval", "ylabel": "relative error",
            "caption": f"Gauss collocation with {self.stages} points on the stack of {stack.epochs} epochs.",
            "alt": "Error of the collocation against the length of its intervals.",
        })  # fmt: skip
        asc = "U. Ascher, R. Mattheij, R. Russell (1995), 5.4: order 2 s at the mesh"
        rows.append(order_check(self.name, "order of the collocation at the mesh", h, errors, order, asc, floor=1e-11))
        states = path(stack, found)
        t = np.linspace(0, stack.epochs * stack.data.delay, 61 * stack.epochs)
        n, size, _ = stack.sizes
        along = states(t)
        norms = np.linalg.norm(along[:, 2 * n + size :].reshape(-1, *stack.data.shape), axis=2)
        curves = {f"y_{k}": along[:, k] for k in range(n)} | {f"Delta_{k}": along[:, n + k] for k in range(n)}
        curves |= {f"M_{k}": norms[:, k] for k in range(n)}
        context.figures.append({
            "kind": "trace", "name": "variational_path", "t": t, "curves": curves, "xlabel": "t",
            "ylabel": "activity y, costate Delta, norm of row M",
            "caption": "The path between its history and its end, where costates and momenta vanish.",
            "alt": "Activities, costates and momenta against time.",
        })  # fmt: skip
        return rows


@dataclass(frozen=True)
class stack_energy:
    """The sum of all epochs' Hamiltonians is conserved in tau where the history does not depend on it.

    Arguments:
        tolerance: relative drift.
    """

    tolerance: float = 1e-9
    name: str = "Hamiltonian of the stack"

    def applies(self, model: Any) -> str | None:
        if not model.hamiltonian.autonomous or callable(model.inputs):
            return "Inputs, targets or the cost depend on time."
        if any(callable(v) or isinstance(v, tuple) for v in model.state.values()):
            return "The history depends on time."
        return variational_only(model)

    def run(self, context: Context) -> list[Check]:
        stack, found = solved(context)
        tau, _, states, _ = on_points(stack, found)
        zero = np.zeros(states.shape)
        points = [slice(i, i + 1) for i in range(len(tau))]
        values = np.array([
            -action(stack, tau[i], np.ones(1), states[:, i], zero[:, i]) for i in points
        ])  # without slopes the action's density is -H
        drift = float(np.ptp(values)) / max(1.0, float(np.max(np.abs(values))))
        return [Check.below(self.name, "relative drift in tau", drift, self.tolerance, VARIATION)]


@dataclass(frozen=True)
class sign_of_learning:
    """With M(KT) = 0 the path of the plus sign climbs the cost, and that of Pontryagin's sign descends it."""

    name: str = "sign of the kinetic term"

    def applies(self, model: Any) -> str | None:
        return variational_only(model)

    def run(self, context: Context) -> list[Check]:
        own = context.model.options.get("kinetic", "plus")
        costs = {}
        for kinetic in ("plus", "minus"):
            stack = stack_from(context, kinetic=None if kinetic == own else kinetic)
            costs[kinetic] = _cost(stack, solved(context)[1] if kinetic == own else solve_stack(stack, 1e-6, 1e-8))
        fixed = stack_from(context, inertia=float("inf"))
        rest = _cost(fixed, solve_stack(fixed, 1e-6, 1e-8))
        source = "the stationary path of p q' - H with M free at the end; L. S. Pontryagin (1962) for the minus sign"
        return [
            Check(
                self.name, f"integral of E with the {kinetic} sign, minus that of weights at rest",
                "above 0" if kinetic == "plus" else "below 0", cost - rest, 0.0,
                PASS if (cost - rest) * (1 if kinetic == "plus" else -1) > 0 else FAIL, source,
                f"{rest:.6g} at rest",
            )
            for kinetic, cost in costs.items()
        ]  # fmt: skip


def _cost(stack: Stack, found: Collocation) -> float:
    """The integral of E over all epochs."""
    tau, weights, states, _ = on_points(stack, found)
    n, size, _ = stack.sizes
    inputs, total = stack.data.eqs.sizes[1], 0.0
    for epoch, row in enumerate(states):
        t = tau + epoch * stack.data.delay
        signals = np.array([stack.data.signals(float(s)) for s in t])
        w = row[:, 2 * n : 2 * n + size].reshape(-1, *stack.data.shape)
        total += float(weights @ cost_values(stack.data, t, row[:, :n], w, signals[:, :inputs], signals[:, inputs:]))
    return total


@dataclass(frozen=True)
class weights_at_rest:
    """With infinite inertia the boundary problem falls apart: y from its start, costates backwards from their end.

    Arguments:
        tolerance: largest difference relative to the solution.
    """

    tolerance: float = 1e-8
    name: str = "weights at rest"

    def applies(self, model: Any) -> str | None:
        if callable(model.state["weights"]) or isinstance(model.state["weights"], tuple):
            return "The history of the weights is not constant, so that they are not at rest."
        return variational_only(model)

    def run(self, context: Context) -> list[Check]:
        stack = stack_from(context, inertia=float("inf"))
        found = solve_stack(stack, 1e-10, 1e-12)
        canonical = stack.data.eqs.hamiltonian.characteristic_equations()
        n, size, _ = stack.sizes
        end, weights = stack.epochs * stack.data.delay, stack.history(stack.data.delay)
        options = {"rtol": 1e-12, "atol": 1e-14, "inputs": context.model.inputs}
        forward = np.concatenate([stack.y0, np.zeros(n), weights, np.zeros(size)])
        last = numerics.integrate(canonical, forward, (0.0, end), **options)
        last[n : 2 * n] = last[2 * n + size :] = 0.0
        first = numerics.integrate(canonical, last, (end, 0.0), **options)
        ends = path(stack, found)(np.array([0.0, end]))
        gap = max(np.max(np.abs(ends[0, : 2 * n] - first[: 2 * n])), np.max(np.abs(ends[1, :n] - last[:n])))
        scale = float(np.max(np.abs(first[: 2 * n])))
        quantity, source = "y(KT) and Delta(0) against two sweeps", "one initial-value problem forwards, one backwards"
        return [Check.below(self.name, quantity, float(gap) / scale, self.tolerance, source)]
