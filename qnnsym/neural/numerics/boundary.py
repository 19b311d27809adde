"""The variational reading as a boundary problem on the stack of its epochs, and the action along any path.

On the stack s_n(tau) = (y, Delta, W, M)(n T + tau), n = 0 .. K - 1, retarded and advanced terms are values of the
neighbouring epochs at the same tau; the epochs are joined by s_{n+1}(0) = s_n(T).

    y_0(0) and W_0(0) given,   Delta = Phi_y and M = Phi_W at t = K T  (stationarity of A - Phi; Phi = 0 by default)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.errors import InputError, SolverError
from qnnsym.neural import numerics
from qnnsym.neural.numerics import component_names
from qnnsym.neural.numerics.delay import DelayedData, hamiltonian_values
from qnnsym.neural.numerics.lessons import positive
from qnnsym.solvers.boundary import STAGES, BoundaryProblem, Collocation, solve_boundary
from qnnsym.solvers.solution import Solution, as_times, finite_array
from qnnsym.solvers.tables import PiecewisePolynomial

# Operations of a solution that are still begun (minutes), with so many of Newton's steps on two intervals.
MOST_WORK, NEWTON = 5e12, 10
# Shares of 1/omega through which Newton's method is led where it does not converge at once: 0 decouples the weights.
CONTINUATION = (0.0, 0.1, 0.3, 0.6, 1.0)


@dataclass(frozen=True)
class Stack:
    """The stacked epochs of a variational reading.

    Arguments:
        data: equations, numbers and inputs.
        kernels: "rhs" and "rhs_jvp".
        table: weights and momenta on [-T, 0].
        epochs: K.
        y0: (N,).
        terminal: Phi as a SymPy expression in network.y and network.W; 0 where there is none.
    """

    data: DelayedData
    kernels: Any
    table: PiecewisePolynomial
    epochs: int
    y0: np.ndarray
    terminal: sp.Expr = sp.S.Zero

    @cached_property
    def sizes(self) -> tuple[int, int, int]:
        """(N, entries of W, length of one epoch's state)."""
        n, columns = self.data.shape
        return n, n * columns, 2 * n * (1 + columns)

    def history(self, tau: float) -> np.ndarray:
        """W(tau - T), flat."""
        return self.table(tau - self.data.delay)[: self.sizes[1]]

    def signals(self, epoch: int, tau: float) -> tuple[np.ndarray, np.ndarray]:
        """(inputs and targets of an epoch, inputs of the next)."""
        inputs, t = self.data.eqs.sizes[1], epoch * self.data.delay + tau
        after = self.data.signals(t + self.data.delay)[:inputs] if epoch + 1 < self.epochs else np.zeros(inputs)
        return self.data.signals(t), after

    def neighbours(self, epoch: int, tau: float, states: np.ndarray) -> list[np.ndarray]:
        """W one epoch earlier, y and Delta one epoch later (zeros after the last)."""
        n, size, _ = self.sizes
        before = states[epoch - 1, 2 * n : 2 * n + size] if epoch else self.history(tau)
        if epoch + 1 == self.epochs:
            return [before, np.zeros(n), np.zeros(n)]
        return [before, states[epoch + 1, :n], states[epoch + 1, n : 2 * n]]

    def rates(self, tau: float, flat: np.ndarray, share: float = 1.0) -> np.ndarray:
        """d/dtau of the stack."""
        states, out = flat.reshape(self.epochs, -1), np.empty((self.epochs, self.sizes[2]))
        for epoch, state in enumerate(states):
            now, after = self.signals(epoch, tau)
            ext = np.concatenate([now, *self.neighbours(epoch, tau, states), after])
            t = epoch * self.data.delay + tau
            self.kernels["rhs"](t, state, ext, self._par(epoch, share), self.data.dims, self._work, out[epoch])
        return out.ravel()

    def jacobian(self, tau: float, flat: np.ndarray, share: float = 1.0) -> np.ndarray:
        """Its derivative by the stack, from the generated product with the Jacobian."""
        n, size, length = self.sizes
        states = flat.reshape(self.epochs, -1)
        whole = np.zeros((self.epochs, length, self.epochs, length))
        width = length + size + 2 * n
        both, out = np.zeros(2 * width), np.empty(2 * length)
        for epoch, state in enumerate(states):
            now, after = self.signals(epoch, tau)
            both[:width] = np.concatenate([state, *self.neighbours(epoch, tau, states)])
            ext, par = np.concatenate([now, after]), self._par(epoch, share)
            places = [(epoch, i) for i in range(length)]
            places += [(epoch - 1, 2 * n + i) for i in range(size)] + [(epoch + 1, i) for i in range(2 * n)]
            for direction, (other, component) in enumerate(places):
                if not 0 <= other < self.epochs:
                    continue
                both[width:] = 0.0
                both[width + direction] = 1.0
                self.kernels["rhs_jvp"](epoch * self.data.delay + tau, both, ext, par, self.data.dims, self._work, out)
                whole[epoch, :, other, component] = out[length:]
        return whole.reshape(self.epochs * length, -1)

    def _par(self, epoch: int, share: float) -> np.ndarray:
        return self.data.parameters(share * (self.epochs - epoch))

    @cached_property
    def _work(self) -> np.ndarray:
        return np.zeros(self.data.work_size)

    # end conditions ---------------------------------------------------------------------------------------------
    @cached_property
    def _end(self) -> tuple[Callable, Callable]:
        """Gradient and second derivatives of Phi by (y, W), as functions of them."""
        net = self.data.eqs.hamiltonian.network
        symbols = [*net.y, *net.W]
        gradient = [self.terminal.diff(s) for s in symbols]
        # A weight that does not move has no momentum to be set at the end.
        free = np.concatenate([np.ones(len(net.y), bool), self.data.eqs.hamiltonian.moving.ravel()])
        gradient = [g if f else sp.S.Zero for g, f in zip(gradient, free, strict=True)]
        second = [[g.diff(s) for s in symbols] for g in gradient]
        return sp.lambdify([symbols], gradient, "numpy"), sp.lambdify([symbols], second, "numpy")

    def ends(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """What vanishes: initial data, jumps between epochs, natural conditions."""
        n, size, _ = self.sizes
        a, b = first.reshape(self.epochs, -1), last.reshape(self.epochs, -1)
        y, costate, w, m = np.split(b[-1], [n, 2 * n, 2 * n + size])
        slope = np.array(self._end[0](np.concatenate([y, w])), float)
        begun = [a[0, :n] - self.y0, a[0, 2 * n : 2 * n + size] - self.history(self.data.delay)]
        return np.concatenate([*begun, (a[1:] - b[:-1]).ravel(), costate - slope[:n], m - slope[n:]])

    def ends_jacobian(self, first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Its derivatives by both ends."""
        n, size, length = self.sizes
        total = self.epochs * length
        start, end, row = np.zeros((total, total)), np.zeros((total, total)), n + size
        start[:n, :n] = np.eye(n)
        start[n:row, 2 * n : 2 * n + size] = np.eye(size)
        joints = total - length
        start[row : row + joints, length:] = np.eye(joints)
        end[row : row + joints, :joints] = -np.eye(joints)
        at = last.reshape(self.epochs, -1)[-1]
        second = np.array(self._end[1](np.concatenate([at[:n], at[2 * n : 2 * n + size]])), float)
        q = joints + np.concatenate([np.arange(n), 2 * n + np.arange(size)])
        p = joints + np.concatenate([n + np.arange(n), 2 * n + size + np.arange(size)])
        end[np.arange(total - n - size, total), p] = 1.0
        end[total - n - size :, q] -= second
        return start, end

    def problem(self, share: float = 1.0) -> BoundaryProblem:
        """The boundary problem with the kinetic terms times a share."""
        return BoundaryProblem(
            lambda t, u: self.rates(t, u, share), lambda t, u: self.jacobian(t, u, share), self.ends, self.ends_jacobian
        )

    def at_rest(self, tau: np.ndarray) -> np.ndarray:
        """Where Newton's method begins: nothing moves."""
        n, size, length = self.sizes
        state = np.zeros(length)
        state[:n], state[2 * n : 2 * n + size] = self.y0, self.history(self.data.delay)
        return np.tile(state, (len(tau), self.epochs))


def stack_of(
    eqs: Any, y0: Any, weights: Any, momenta: Any, inputs: Any, epochs: Any, *, values: Any = None, kernels: Any = None,
    terminal: Any = 0,
) -> Stack:  # fmt: skip
    """The stack of a variational reading, its input checked."""
    data = DelayedData(eqs, values, inputs)
    if isinstance(epochs, bool) or not isinstance(epochs, (int, np.integer)) or epochs < 1:
        raise InputError(f"epochs={epochs!r} is no number of epochs; give K, an integer of at least 1.")
    _afford(int(epochs) * eqs.dimension, int(epochs))
    momenta = np.zeros(data.shape) if momenta is None else momenta
    y0 = finite_array(y0, (data.shape[0],), "The array y0")
    table = data.histories(weights, momenta)
    phi, net = sp.sympify(terminal), eqs.hamiltonian.network
    strange = sorted(map(str, phi.free_symbols - {*net.y, *net.W}))
    if strange:
        raise InputError(f"The terminal cost holds {', '.join(strange)}; use network.y, network.W and numbers.")
    return Stack(data, kernels or numerics.kernels_of(eqs), table, int(epochs), y0, phi)


def _afford(unknowns: int, epochs: int) -> None:
    """Refuse stacks whose dense matrices are beyond the budget, before anything is compiled."""
    size = STAGES * unknowns
    work = 2 / 3 * size**3 * 2 * NEWTON
    if work > MOST_WORK:
        raise InputError(
            f"epochs={epochs} are {unknowns} unknowns at each time, all epochs in one boundary problem: about "
            f"{work:.0e} operations and {8 * size**2 / 1e9:.2g} GB for its matrices, and {MOST_WORK:.0e} are the "
            f"budget. Give at most {max(1, int(epochs * (MOST_WORK / work) ** (1 / 3)))} epochs, or a smaller network."
        )


def solve_stack(
    stack: Stack, rtol: float = 1e-10, atol: float = 1e-12, breaks: Sequence[float] = (), **options: Any
) -> Collocation:
    """The boundary problem solved on tau in [0, T].

    Raises:
        SolverError: when Newton's method converges neither at once nor by continuation in the inertia.
    """
    delay = stack.data.delay
    inner = {float(np.mod(b, delay)) for b in (*breaks, *(stack.table.jumps))}
    edges = [0.0, *sorted(b for b in inner if 1e-12 * delay < b < (1 - 1e-12) * delay), delay]
    guess: Any = stack.at_rest
    try:
        return solve_boundary(stack.problem(), edges, guess, rtol=rtol, atol=atol, **options)
    except SolverError:
        try:
            for share in CONTINUATION[:-1]:
                guess = solve_boundary(stack.problem(share), edges, guess, rtol=1e-4, atol=1e-6, refine=False)
            return solve_boundary(stack.problem(), edges, guess, rtol=rtol, atol=atol, **options)
        except SolverError as error:
            raise SolverError(
                f"No solution over epochs={stack.epochs} of length T = {delay:g} was found, neither from rest nor led "
                "from fixed weights to this inertia; costates grow backwards in time, and there may be none. Give "
                f"fewer epochs, a shorter delay, a larger inertia, smaller weights, or a larger rtol. ({error})"
            ) from error


def solve(
    eqs: Any, times: Any, y0: Any, weights: Any, momenta: Any = None, inputs: Any = None, *, epochs: Any = None,
    costate0: Any = None, terminal: Any = 0, rtol: float = 1e-10, atol: float = 1e-12, values: Any = None,
    kernels: Any = None, provenance: Any = None, input_jumps: Sequence[float] = (), progress: Any = None,
) -> Solution:  # fmt: skip
    """Solve a variational reading over K epochs; see `DelayedEquations.solve`."""
    if costate0 is not None and np.any(np.asarray(costate0, float) != 0):
        raise InputError(
            "costate0 was given; in the variational reading costates are set at the end, where they vanish "
            "(or are Phi_y, terminal=Phi). Leave it out."
        )
    for name, value in (("rtol", rtol), ("atol", atol)):
        positive(value, name, f"{'a relative' if name == 'rtol' else 'an absolute'} tolerance")
    if epochs is None:
        raise InputError("The variational reading needs the number of its epochs; give epochs=K.")
    stack = stack_of(
        eqs, y0, weights, momenta, inputs, epochs, values=values, kernels=kernels, terminal=terminal
    )
    times = as_times(times)
    end = stack.epochs * stack.data.delay
    if times[-1] < times[0] or times[0] < 0 or times[-1] > end * (1 + 1e-12):
        raise InputError(
            f"The times go from {times[0]:g} to {times[-1]:g}; give ascending times within [0, K T] = [0, {end:g}]."
        )
    found = solve_stack(stack, rtol, atol, input_jumps)
    statistics = {
        "intervals": float(len(found.slopes)), "newton_steps": float(found.newton_steps),
        "evaluations": float(found.evaluations),
    }  # fmt: skip
    return Solution(
        times, path(stack, found)(times), statistics=statistics, diagnostics={"mesh_error": found.error * rtol},
        provenance=dict(provenance or {}), names=component_names(stack.data),
    )  # fmt: skip


def path(stack: Stack, found: Collocation) -> Callable[[np.ndarray], np.ndarray]:
    """The states at any times in [0, K T]."""
    delay, length = stack.data.delay, stack.sizes[2]

    def states(times: np.ndarray) -> np.ndarray:
        times = np.asarray(times, float)
        epoch = np.clip(np.floor(times / delay * (1 + 1e-14)).astype(int), 0, stack.epochs - 1)
        tau = np.clip(times - epoch * delay, 0.0, delay)
        return found(tau).reshape(len(times), stack.epochs, length)[np.arange(len(times)), epoch]

    return states


# action ---------------------------------------------------------------------------------------------------------------


def action(stack: Stack, tau: np.ndarray, weights: np.ndarray, states: np.ndarray, slopes: np.ndarray) -> complex:
    """A = int_0^{KT} [Delta.y' + M.W' - H] dt from the definition of H; no derived equation enters.

    Arguments:
        stack: equations, histories and inputs.
        tau: (m,) points of quadrature in [0, T].  weights: (m,) their weights.
        states, slopes: (K, m, n), real or complex, at n T + tau: any path, which continues the history.
    """
    n, size, _ = stack.sizes
    shape, delay = stack.data.shape, stack.data.delay
    moving = stack.data.eqs.hamiltonian.moving.ravel()
    past = np.array([stack.table(t - delay) for t in tau])
    w = [past[:, :size], *(s[:, 2 * n : 2 * n + size] for s in states)]
    m = [past[:, size:], *(s[:, 2 * n + size :] for s in states)]
    total: complex = 0.0
    for epoch in range(stack.epochs):
        here, rate = states[epoch], slopes[epoch]
        lags = [m[epoch + 1 - v].reshape(-1, *shape) for v in range(1, epoch + 2)]
        h = hamiltonian_values(stack.data, tau + epoch * delay, here, w[epoch].reshape(-1, *shape), lags)
        pq = np.sum(here[:, n : 2 * n] * rate[:, :n], axis=1)
        pq = pq + (here[:, 2 * n + size :] * rate[:, 2 * n : 2 * n + size]) @ moving
        total = total + weights @ (pq - h)
    return total
