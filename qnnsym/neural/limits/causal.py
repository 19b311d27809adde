"""What the causal reading is not, measured: symplectic, conservative, a stationary path of the action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from qnnsym.checks.check import Check, Context
from qnnsym.neural.limits.readings import Delayed, autonomous_causal, causal_only, nonzero
from qnnsym.neural.limits.variational import VARIATION, first_variation, stack_from
from qnnsym.neural.numerics.boundary import Stack


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
        path_and_slopes = causal_path(causal_run(context, stack), stack, tau)
        value = first_variation(stack, tau, stack.data.delay / 2 * weights, *path_and_slopes)
        quantity = "first variation of A on the causal path, relative to its parts"
        return [nonzero(self.name, quantity, value, 1e-3, VARIATION, f"{stack.epochs} epochs, 4 random variations")]


def causal_run(context: Context, stack: Stack) -> Delayed:
    run = Delayed(context)
    run.eqs, run.data, run.kernels = stack.data.eqs, stack.data, stack.kernels
    run.state = {"costate": np.zeros(stack.sizes[0]), **run.state}
    return run


def causal_path(run: Delayed, stack: Stack, tau: np.ndarray, momenta0: Any = None) -> tuple[np.ndarray, np.ndarray]:
    times = stack.data.delay * np.arange(stack.epochs)[:, None] + tau
    inside, back = np.unique(np.concatenate([[0.0], times.ravel()]), return_inverse=True)
    solution = run.problem(inside, momenta0=momenta0).solve(rtol=1e-13, atol=1e-15)
    assert solution.states is not None
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
class not_symplectic:
    """The causal flow of two stacked epochs keeps the volume and not the symplectic form: both measured.

    Arguments:
        tolerance: of the volume.
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
        for epoch in (0, length):
            omega[epoch + q, epoch + p], omega[epoch + p, epoch + q] = 1.0, -1.0
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
            return np.concatenate([rates, (jacobian @ flat[both_size:].reshape(both_size, -1)).ravel()])

        start = np.concatenate([begin, np.eye(both_size).ravel()])
        end = solve_ivp(motion, (0.0, delay), start, method="DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
        j = end[both_size:].reshape(both_size, both_size)
        found, scale = float(np.max(np.abs(j.T @ omega @ j - omega))), float(np.max(np.abs(j))) ** 2
        source = "J. Moser, C. Zehnder, Notes on Dynamical Systems (2005): symplectic maps; " + VARIATION
        detail = f"2 epochs, {both_size} directions over T = {delay:g}, largest entry of J {scale**0.5:.3g}"
        return [
            nonzero(self.name, "largest entry of J^T Omega J - Omega", found, 1e-3 * delay / run.omega, source, detail),
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
        return autonomous_causal(model)

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
