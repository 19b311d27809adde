"""Structure of the readings, measured: what is symplectic, what is conserved, and what makes the action stationary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from qnnsym.checks.check import Check, Context
from qnnsym.checks.orders import order_check
from qnnsym.neural import numerics
from qnnsym.neural.limits_delay import Delayed, _autonomous, causal_only, nonzero
from qnnsym.neural.numerics_boundary import Stack, action, path, solve_stack, stack_of
from qnnsym.neural.numerics_delay import cost_values, model_state
from qnnsym.solvers.boundary import Collocation, gauss, solve_boundary

VARIATION = "V. A. Dorodnitsyn, R. V. Kozlov, S. V. Meleshko, arXiv:2409.08165: delay variational equations"
SEED = 11


def variational_only(model: Any) -> str | None:
    """Why a statement about the variational reading does not concern a model."""
    return None if model.reading == "variational" else "The statement is about the variational reading."


def stack_from(context: Context, reading: str | None = None, kinetic: str | None = None, **changes: Any) -> Stack:
    """The model's stack, or that of another reading, sign or parameters."""
    model, state = context.model, model_state(context.model)
    eqs, kernels, values = numerics.equations_of(model, context.derivation), context.kernels, model.values
    if changes or kinetic or (reading and reading != model.reading):
        h = model.hamiltonian.changed()
        for key, value in model.values.items():
            h.set_value(str(key), value)
        sign = kinetic or model.options.get("kinetic", "plus")
        eqs = h.changed(**changes).characteristic_equations(reading or model.reading, sign)
        kernels, values = (None if kinetic or reading else context.kernels), None
    return stack_of(
        eqs, state["y"], state["weights"], state["momenta"], model.inputs, model.options.get("epochs", 3),
        values=values, kernels=kernels, terminal=model.options.get("terminal", 0),
    )  # fmt: skip


def _tolerance(context: Context) -> float:
    return float(context.model.options.get("rtol", 1e-10))


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


def first_variation(stack: Stack, tau: np.ndarray, weights: np.ndarray, states: np.ndarray, slopes: np.ndarray) -> float:
    """|dA| along random variations, from the action's definition by complex steps, over what each epoch's H gives.

    One of the parts that have to cancel is the unit: the variation of the term Delta.y' + M.W' alone.
    """
    worst = 0.0
    n, size, _ = stack.sizes
    for seed in range(SEED, SEED + 4):
        change, rate = admissible(stack, tau, seed)
        small = 1e-30j
        moved = action(stack, tau, weights, states + small * change, slopes + small * rate)
        p, q = slice(n, 2 * n), slice(0, n)
        w, m = slice(2 * n, 2 * n + size), slice(2 * n + size, None)
        parts = change[..., p] @ np.ones(n) * 0 + np.sum(np.abs(states[..., p] * rate[..., q]), -1)
        parts = parts + np.sum(np.abs(change[..., p] * slopes[..., q]), -1)
        parts = parts + np.sum(np.abs(states[..., m] * rate[..., w]) + np.abs(change[..., m] * slopes[..., w]), -1)
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
    """The action is stationary on the solution for all variations that keep the history, and not on the causal path.

    Arguments:
        tolerance: largest first variation, relative to its parts.
    """

    tolerance: float = 1e-9
    name: str = "stationary action"

    def applies(self, model: Any) -> str | None:
        return variational_only(model)

    def run(self, context: Context) -> list[Check]:
        stack = stack_from(context)
        found = solve_stack(stack, _tolerance(context), 0.01 * _tolerance(context))
        value = first_variation(stack, *on_points(stack, found))
        detail = "4 random variations, complex steps of A by Gauss quadrature"
        rows = [
            Check.below(
                self.name, "first variation of A on the variational path", value, self.tolerance, VARIATION, detail
            )
        ]
        causal = stack_from(context, "causal")
        tau, weights, *_ = on_points(stack, found)
        rows.append(
            nonzero(
                self.name, "first variation of A on the causal path from the same data",
                first_variation(causal, tau, weights, *causal_path(context, causal, tau, found)), 1e-3, VARIATION,
                "Delta(0), M(0) of the variational path",
            )
        )  # fmt: skip
        return rows


def causal_path(context: Context, stack: Stack, tau: np.ndarray, start: Collocation) -> tuple[np.ndarray, np.ndarray]:
    """States and slopes of the causal solution that begins where a variational one does."""
    run = _causal_run(context, stack)
    n, size, _ = stack.sizes
    first = start(0.0)[0].reshape(stack.epochs, -1)[0]
    run.state = {**run.state, "costate": first[n : 2 * n]}
    return _path(run, stack, tau, first[2 * n + size :].reshape(stack.data.shape))


def _causal_run(context: Context, stack: Stack) -> Delayed:
    run = Delayed(context)
    run.eqs, run.data, run.kernels = stack.data.eqs, stack.data, stack.kernels
    run.state = {"costate": np.zeros(stack.sizes[0]), **run.state}
    return run


def _path(run: Delayed, stack: Stack, tau: np.ndarray, momenta0: Any = None) -> tuple[np.ndarray, np.ndarray]:
    times = stack.data.delay * np.arange(stack.epochs)[:, None] + tau
    inside, back = np.unique(np.concatenate([[0.0], times.ravel()]), return_inverse=True)
    solution = run.problem(inside, momenta0=momenta0).solve(rtol=1e-13, atol=1e-15)
    states = solution.states[back[1:]].reshape(*times.shape, -1)
    slopes = np.empty(states.shape)
    n, size, _ = stack.sizes
    past = np.array([stack.table(t - stack.data.delay) for t in tau])
    work, par = np.zeros(stack.data.work_size), stack.data.parameters()
    for epoch, row in enumerate(states):
        before = states[epoch - 1, :, 2 * n : 2 * n + size] if epoch else past[:, :size]
        lagged = past[:, size:] + states[:epoch, :, 2 * n + size :].sum(axis=0)
        for i, state in enumerate(row):
            ext = np.concatenate([stack.data.signals(times[epoch, i]), before[i], lagged[i]])
            run.kernels["rhs"](times[epoch, i], state, ext, par, stack.data.dims, work, slopes[epoch, i])
    return states, slopes


@dataclass(frozen=True)
class not_stationary:
    """The causal solution does not make the action stationary: the first variation, measured."""

    name: str = "causal path and action"

    def applies(self, model: Any) -> str | None:
        return causal_only(model)

    def run(self, context: Context) -> list[Check]:
        stack = stack_from(context)
        x, weights = np.polynomial.legendre.leggauss(24)
        tau = stack.data.delay * (x + 1) / 2
        path_and_slopes = _path(_causal_run(context, stack), stack, tau)
        value = first_variation(stack, tau, stack.data.delay / 2 * weights, *path_and_slopes)
        quantity = "first variation of A on the causal path, relative to its parts"
        return [nonzero(self.name, quantity, value, 1e-3, VARIATION, f"{stack.epochs} epochs, 4 random variations")]


@dataclass(frozen=True)
class not_symplectic:
    """The causal flow of two stacked epochs keeps the volume and not the symplectic form, whose change has a closed form.

    With C the defect of the equations, C = 1/omega between M_0 and M_1, J^T Omega J - Omega = int J^T C J dtau.

    Arguments:
        tolerance: of the volume and of the closed form.
    """

    tolerance: float = 1e-8
    name: str = "symplectic form of the causal flow"

    def applies(self, model: Any) -> str | None:
        return causal_only(model)

    def run(self, context: Context) -> list[Check]:
        run, stack = Delayed(context), stack_from(context)
        n, size, length = stack.sizes
        table, delay = stack.table, run.delay
        # Both epochs of the stack begin where the solution passes; its tangent flow starts from any change of either.
        begin = run.states(np.array([0.0, delay])).ravel()
        width, both_size = length + 2 * size, 2 * length
        moving = run.eqs.hamiltonian.moving.ravel()
        p, q = np.r_[n : 2 * n, 2 * n + size : length], np.r_[0:n, 2 * n : 2 * n + size]
        free = np.concatenate([np.ones(n, bool), moving])
        p, q = p[free], q[free]
        omega = np.zeros((both_size, both_size))
        defect = np.zeros((both_size, both_size))
        for epoch in (0, length):
            omega[epoch + q, epoch + p], omega[epoch + p, epoch + q] = 1.0, -1.0
        m = 2 * n + size + np.flatnonzero(moving)
        defect[length + m, m], defect[m, length + m] = -run.eqs.kinetic / run.omega, run.eqs.kinetic / run.omega
        par, work, dims = run.data.parameters(), np.zeros(run.data.work_size), run.data.dims
        # Directions along which an epoch's rates change: its own state, the W of the one before, the M of all before.
        out, whole = np.empty(2 * length), np.zeros((2 * width,))

        def motion(tau: float, flat: np.ndarray) -> np.ndarray:
            s = flat[:both_size].reshape(2, length)
            past = table(tau - delay)
            lagged = [(past[:size], past[size:]), (s[0, 2 * n : 2 * n + size], past[size:] + s[0, 2 * n + size :])]
            jacobian, rates = np.zeros((both_size, both_size)), np.empty(both_size)
            for epoch, (weights, momenta) in enumerate(lagged):
                whole[:width] = np.concatenate([s[epoch], weights, momenta])
                for direction in range(width if epoch else length):
                    whole[width:] = 0.0
                    whole[width + direction] = 1.0
                    run.kernels["rhs_jvp"](
                        epoch * delay + tau, whole, run.data.signals(epoch * delay + tau), par, dims, work, out
                    )
                    column = epoch * length + direction if direction < length else 2 * n + direction - length
                    jacobian[epoch * length : (epoch + 1) * length, column] += out[length:]
                rates[epoch * length : (epoch + 1) * length] = out[:length]
            j = flat[both_size : both_size + both_size**2].reshape(both_size, both_size)
            return np.concatenate([rates, (jacobian @ j).ravel(), (j.T @ defect @ j).ravel()])

        start = np.concatenate([begin, np.eye(both_size).ravel(), np.zeros(both_size**2)])
        end = solve_ivp(motion, (0.0, delay), start, method="DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
        j = end[both_size : both_size + both_size**2].reshape(both_size, both_size)
        change, closed = j.T @ omega @ j - omega, end[both_size + both_size**2 :].reshape(both_size, both_size)
        found, scale = float(np.max(np.abs(change))), float(np.max(np.abs(j))) ** 2
        source = "J. Moser, C. Zehnder, Notes on Dynamical Systems (2005): symplectic maps; " + VARIATION
        detail = f"2 epochs, {both_size} directions over T = {delay:g}, largest entry of J {scale**0.5:.3g}"
        return [
            nonzero(self.name, "largest entry of J^T Omega J - Omega", found, 1e-3 * delay / run.omega, source, detail),
            Check.below(
                self.name, "its distance from int J^T C J dtau", float(np.max(np.abs(change - closed))) / scale,
                self.tolerance, source, detail,
            ),
            Check.below(
                self.name, "logarithm of the volume's change", abs(float(np.linalg.slogdet(j)[1])), self.tolerance,
                "Liouville's theorem: no divergence on the stack", detail,
            ),
        ]  # fmt: skip


@dataclass(frozen=True)
class energy_change:
    """dH/dt along the causal solution is what the shift terms give, and H is not conserved.

    Arguments:
        tolerance: relative; the derivative of H comes from differences of order 8.
    """

    tolerance: float = 1e-7
    name: str = "change of H"

    def applies(self, model: Any) -> str | None:
        return _autonomous(model)

    def run(self, context: Context) -> list[Check]:
        run = Delayed(context)
        h, epoch = 0.02 * run.delay, 2
        centres = run.delay * np.array([0.2, 0.5, 0.8])
        offsets = h * np.arange(-4, 5)
        tau = (centres[:, None] + offsets).ravel()
        states = run.epochs(epoch + 1, tau)
        values = run.energies(states, tau, epoch).reshape(len(centres), -1)
        stencil = np.array([3, -32, 168, -672, 0, 672, -168, 32, -3]) / 840 / h
        m = run.momenta(states).reshape(epoch + 2, len(centres), 9, -1)
        rates = np.einsum("s,ecsi->eci", stencil, m)  # M' in every epoch, of the solution itself
        gradient = self._gradient(run, states, tau, epoch).reshape(len(centres), 9, -1)[:, 4]
        now = m[:, :, 4]
        moving = run.eqs.hamiltonian.moving.ravel()
        past = sum(now[epoch + 1 - v] * (rates[epoch + 1 - v] - rates[epoch + 1]) for v in range(1, epoch + 2))
        closed = run.eqs.kinetic / run.omega * ((past - gradient * now[epoch + 1]) @ moving)
        found = values @ stencil
        gap = float(np.max(np.abs(found - closed)) / np.max(np.abs(closed)))
        source = "chain rule over the shifted variables"
        drift = float(np.ptp(values)) / max(1.0, float(np.max(np.abs(values))))
        return [
            Check.below(
                self.name, "dH/dt against the closed form of the shift terms", gap, self.tolerance, source,
                "three times of the third epoch; H from its definition",
            ),
            nonzero(self.name, "relative change of H within the epoch", drift, 1e-6, source),
        ]  # fmt: skip

    @staticmethod
    def _gradient(run: Delayed, states: np.ndarray, tau: np.ndarray, epoch: int) -> np.ndarray:
        """d(Delta.F)/d(S_T W) at all times, by complex steps of H's definition."""
        columns = []
        for i in range(run.size):
            moved = states.astype(complex)
            moved[epoch, :, 2 * run.n + i] += 1e-30j
            columns.append(run.energies(moved, tau, epoch).imag / 1e-30)
        return np.array(columns).T


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
        stack = stack_from(context)
        found = solve_stack(stack, _tolerance(context), 0.01 * _tolerance(context))
        first, last = found.values[0], found.values[-1]
        ends = float(np.max(np.abs(stack.ends(first, last))) / (1 + np.max(np.abs(found.values))))
        source = "M = Phi_W, Delta = Phi_y at t = KT; epochs continue one another"
        rows = [Check.below(self.name, "initial data, joints and natural conditions", ends, self.tolerance, source)]
        edges, counts, errors = [0.0, stack.data.delay], (2, 4, 6, 8, 12), []
        exact = solve_stack(stack, 1e-13, 1e-15)
        for count in counts:
            coarse = solve_boundary(
                stack.problem(), edges, found, intervals=count, stages=self.stages, refine=False, rtol=1e-12
            )
            gap = np.abs(coarse.values - exact(coarse.mesh))
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
        rows.append(order_check(self.name, "order of the collocation at the mesh", h, errors, order, asc, floor=1e-13))
        states = path(stack, found)
        t = np.linspace(0, stack.epochs * stack.data.delay, 61 * stack.epochs)
        n, (neurons, columns) = stack.sizes[0], stack.data.shape
        curves = {f"y_{k}": states(t)[:, k] for k in range(n)} | {f"Delta_{k}": states(t)[:, n + k] for k in range(n)}
        curves |= {f"M_{k}_{j}": states(t)[:, 2 * n + stack.sizes[1] + k * columns + j]
                   for k in range(neurons) for j in range(columns)}  # fmt: skip
        context.figures.append({
            "kind": "trace", "name": "variational_path", "t": t, "curves": curves, "xlabel": "t",
            "ylabel": "activity y, costate Delta, momentum M",
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
        stack = stack_from(context)
        found = solve_stack(stack, _tolerance(context), 0.01 * _tolerance(context))
        tau, _, states, _ = on_points(stack, found)
        zero = np.zeros(states.shape)
        values = np.array([
            -action(stack, tau[i : i + 1], np.ones(1), states[:, i : i + 1], zero[:, i : i + 1]) for i in range(len(tau))
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
            costs[kinetic] = _cost(stack, solve_stack(stack, 1e-8, 1e-10))
        fixed = stack_from(context, inertia=float("inf"))
        rest = _cost(fixed, solve_stack(fixed, 1e-8, 1e-10))
        source = "the stationary path of p q' - H with M free at the end; L. S. Pontryagin (1962) for the minus sign"
        return [
            Check(
                self.name, f"integral of E with the {kinetic} sign, minus that of weights at rest",
                "above 0" if kinetic == "plus" else "below 0", cost - rest, 0.0,
                "pass" if (cost - rest) * (1 if kinetic == "plus" else -1) > 0 else "fail", source,
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
        source = "one initial-value problem forwards, one backwards"
        return [Check.below(self.name, "y(KT) and Delta(0) against two sweeps", float(gap) / scale, self.tolerance, source)]
