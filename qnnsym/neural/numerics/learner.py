"""One epoch in numbers: compiled or batched sweeps from the derived equations, cost, momenta and change of weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.polynomial import legendre

from qnnsym.codegen.build import KERNELS, built, render
from qnnsym.codegen.lower import lower
from qnnsym.errors import InputError, SolverError
from qnnsym.neural.hamiltonian import NeuralHamiltonian, QuadraticCost
from qnnsym.neural.learning import SHARE, shared, split_cost, sweep_sets
from qnnsym.neural.numerics import Data
from qnnsym.neural.numerics import batched as numerics_batched
from qnnsym.neural.numerics.lessons import patterns, signal
from qnnsym.neural.steps import plain
from qnnsym.solvers.kernels import Kernels, load_kernels
from qnnsym.solvers.problem import driver
from qnnsym.solvers.tableaus import METHODS as TABLEAUS

# Damping of the relaxation to rest, most iterations with it: the gentler ones where the first goes astray.
BACKENDS = ("auto", "compiled", "batched")
RELAX = ((0.5, 2_000), (0.1, 20_000), (0.02, 100_000))
AT_REST = 1e-13
LARGEST_STEPS = 1 << 16
# Rises of the cost below this are rounding; growth beyond that is divergence.
RISE, GROWTH = 1e-9, 1e3
# So many epochs have to pass before a bounded cost above the first one is called divergence.
LEAST_EPOCHS = 10
# Share of the last Legendre modes above which dynamical weights are not resolved.
UNRESOLVED = 1e-6


@lru_cache(maxsize=16)
def _kernels(forward: Any, backward: Any, line: str, workspace: Any) -> Kernels:
    source = render("network", "neural", {"forward": forward, "backward": backward}, line)
    m = source.manifest
    folder = built(source, workspace.kernels)
    return load_kernels(folder / KERNELS, m.functions, m.signature, m.parameters, workspace.cache)


@dataclass(frozen=True)
class Epoch:
    """One epoch's sweeps.

    Attributes:
        cost, error: integral of E over the epoch, with and without what counts once (the decay), over all patterns.
        momenta: M at the end, (N, l + 1 + N).
        change: DeltaW at the end; for dynamical weights its Legendre coefficients (modes, N, l + 1 + N).
        costate: Delta at the start, (patterns, N).
        start, end: activities, (patterns, N).
    """

    cost: float
    error: float
    momenta: np.ndarray
    change: np.ndarray
    costate: np.ndarray
    start: np.ndarray
    end: np.ndarray


class Learner:
    """The sweeps of one network with its patterns.

    Arguments:
        hamiltonian: with numbers for all its parameters.
        inputs: (patterns, l), or a function of t giving it.  targets: (patterns, N), such a function, or None.
        duration: T.
        modes: number of Legendre modes of the rates of dynamical weights; 0 for parametric weights.
        kernels: "forward" and "backward"; None builds them.
        backend: "compiled" (kernels pattern by pattern), "batched" (matrix products), or "auto" by size.
        method: "dop853" or "rk4", in steps of equal length.
    """

    def __init__(
        self, hamiltonian: NeuralHamiltonian, inputs: Any, targets: Any, duration: float, modes: int = 0,
        kernels: Kernels | None = None, backend: str = "auto", method: str = "dop853",
    ) -> None:  # fmt: skip
        from qnnsym.workspace import Workspace

        h = self.hamiltonian = shared(hamiltonian)
        net = self.network = h.network
        self.duration, self.modes = duration, modes
        self.relaxation, self.inertia = h.values[h.relaxation], h.values[h.inertia]
        self.patterns = patterns(net, inputs, targets)
        self.inputs = signal(inputs, self.patterns, net.inputs, "inputs")
        self.targets = signal(targets, self.patterns, net.neurons, "targets")
        self.steady = not callable(inputs) and not callable(targets) and h.autonomous
        eqs = h.characteristic_equations()
        sets, workspace = sweep_sets(eqs), Workspace.find()
        self.kernels = kernels or _kernels(sets["forward"], sets["backward"], eqs.line, workspace)
        self.compiled = driver(workspace.cache, "sweeps")
        par = Data(eqs).par
        self.par = np.ascontiguousarray(np.broadcast_to(par, (self.patterns, par.size))).copy()
        names = [s for s in (h.decay, h._rename.get(SHARE)) if s is not None]
        for symbol in names:  # what counts once belongs to the first pattern
            self.par[1:, h.scalars.index(symbol)] = 0.0
        self.dims = np.array(eqs.sizes, np.int64)
        sizes = dict(zip(lower(sets["backward"]).sizes, eqs.sizes, strict=True))
        self.work = np.zeros(max(int(lower(s).work.subs(sizes)) for s in sets.values()))
        self.steps = max(1, int(np.ceil(duration / self.relaxation)))
        if method not in TABLEAUS:
            raise InputError(f"method={method!r} is not known; use one of {', '.join(TABLEAUS)}.")
        self.method = method
        a, b, c, *_ = TABLEAUS[method].arrays()
        s = TABLEAUS[method].stages
        possible = not sets["backward"].entries
        large = self.patterns > 3 and self.patterns * net.neurons * net.columns >= numerics_batched.WORTH
        if backend not in BACKENDS or (backend == "batched" and not possible):
            raise InputError(
                f"backend={backend!r}; use one of {', '.join(BACKENDS)}, and not batched with a cost that is "
                "an expression."
            )
        self.batched = None
        if possible and (backend == "batched" or (backend == "auto" and large)):
            quadratic = isinstance(h.cost, QuadraticCost)
            self.batched = numerics_batched.BatchedSweeps(
                sets["forward"], sets["backward"], eqs.sizes, self.par[0], quadratic
            )
        self.a, self.b, self.c = np.ascontiguousarray(a[:s, :s]), b[:s].copy(), c[:s].copy()

    # signals ---------------------------------------------------------------------------------------------------
    def stage_times(self, start: float = 0.0) -> np.ndarray:
        """Times of all stages of the epoch that begins at `start`, step by step."""
        h = self.duration / self.steps
        return start + h * (np.arange(self.steps)[:, None] + self.c).ravel()

    def _externals(self, times: np.ndarray) -> np.ndarray:
        """(1 or times, patterns, l [+ N]) inputs and targets."""
        signals = [self.inputs, self.targets] if isinstance(self.hamiltonian.cost, QuadraticCost) else [self.inputs]
        if not any(callable(s) for s in signals):
            return np.ascontiguousarray(np.concatenate(signals, axis=1)[None])
        rows = [np.concatenate([s(t) if callable(s) else s for s in signals], axis=1) for t in times]
        return np.array(rows)

    # sweeps ----------------------------------------------------------------------------------------------------
    def at_rest(self, weights: np.ndarray, guess: np.ndarray, t: float = 0.0) -> np.ndarray:
        """Activities (patterns, N) at rest with these weights, reached from the guess by relaxation.

        Raises:
            SolverError: where they do not come to rest.
        """
        flat, ext = np.ascontiguousarray(weights).ravel(), self._externals(np.array([t]))[0]
        residuals = np.zeros(self.patterns)
        for damping, most in RELAX:
            y = guess.copy()
            self.compiled.settle(
                self.kernels["forward"], t, damping * self.relaxation, most, AT_REST / self.relaxation, y, flat, ext,
                self.par[0], self.dims, self.work, residuals,
            )  # fmt: skip
            if (residuals * self.relaxation <= AT_REST).all():
                return y
        which = int(np.argmax(np.where(np.isnan(residuals), np.inf, residuals)))
        raise SolverError(
            f"The activities of pattern {which} do not come to rest with these weights (rates of "
            f'{residuals[which]:.2g} remain): the network oscillates or is chaotic. Use start="reset" or '
            'start="continue", or smaller recurrent weights.'
        )

    def epoch(self, weights: np.ndarray, start: np.ndarray, t: float = 0.0) -> Epoch:
        """Sweep forward and backward with weights (N, l + 1 + N), or their Legendre coefficients along a first axis.

        Arguments:
            weights: constant within the epoch, or (modes, N, l + 1 + N).
            start: (patterns, N).
            t: time at the epoch's start, for inputs and targets that are functions of time.
        """
        net, h = self.network, self.duration / self.steps
        times = self.stage_times(t)
        ext, position = self._externals(times), 2 * (times - t) / self.duration - 1
        shape = (net.neurons, net.columns)
        if weights.ndim == 2:
            table = np.ascontiguousarray(weights, float).reshape(1, -1)
        else:
            table = legendre.legvander(position, len(weights) - 1) @ weights.reshape(len(weights), -1)
        y = np.array(start, float)
        stages = np.empty((self.steps, self.b.size, self.patterns, net.neurons))
        arguments = (t, h, self.a, self.b, self.c)
        if self.batched is not None:
            self.batched.forward(*arguments, y, table, ext, stages)
        else:
            self.compiled.forward(
                self.kernels["forward"], *arguments, y, table, ext, self.par[0], self.dims, self.work, stages
            )
        if self.modes:
            factors = np.ascontiguousarray(legendre.legvander(position, self.modes - 1).T)
        else:
            factors = np.array([np.ones(times.size), (self.duration - (times - t)) / self.inertia])
        costate, sums = np.zeros((self.patterns, net.neurons)), np.zeros((len(factors), net.neurons * net.columns))
        if self.batched is not None:
            self.batched.backward(*arguments, costate, table, ext, stages, factors, sums)
        else:
            self.compiled.backward(
                self.kernels["backward"], *arguments, costate, table, ext, self.par, self.dims, self.work, stages,
                factors, sums,
            )  # fmt: skip
        sums = sums.reshape(-1, *shape)
        change = self._dynamical_change(sums) if self.modes else sums[1]
        error, once = self._cost(times, stages, table, ext)
        return Epoch(error + once, error, sums[0], change, costate, np.array(start, float), y)

    def _dynamical_change(self, sums: np.ndarray) -> np.ndarray:
        """Legendre coefficients of DeltaW(tau) = (1/omega) int_0^tau (tau - s) M'(s) ds from those of M'."""
        rates = sums * ((2 * np.arange(len(sums)) + 1) / self.duration)[:, None, None]
        twice = legendre.legint(rates, m=2, lbnd=-1, axis=0)
        return twice * (self.duration / 2) ** 2 / self.inertia

    def _cost(self, times: np.ndarray, stages: np.ndarray, table: np.ndarray, ext: np.ndarray) -> tuple[float, float]:
        """Integral of E by the quadrature of the method: (what every pattern has, what counts once)."""
        h, net = self.hamiltonian, self.network
        weight = (np.broadcast_to(self.b, (self.steps, self.b.size)) * self.duration / self.steps).ravel()
        used = np.flatnonzero(weight)
        y = stages.reshape(-1, self.patterns, net.neurons)
        w = table[used] if len(table) > 1 else table
        if isinstance(h.cost, QuadraticCost):
            each = np.empty(used.size)
            # A stage at a time stays in the cache, which all of them together do not.
            for n, at in enumerate(used):
                gap = y[at] - ext[at if len(ext) > 1 else 0, :, net.inputs :]
                each[n] = np.vdot(gap, gap * h.weight) / 2
            mask = np.ones(w.shape[1]) if net.mask is None else net.mask.ravel()
            once = h.values[h.decay] / 2 * np.sum((w * mask) ** 2, axis=1)
        else:
            parts = [0 * times[used], 0 * times[used]]
            if h.expression != 0:
                x = (ext[used] if len(ext) > 1 else ext)[..., : net.inputs]
                parts = [f(times[used], x, y[used], w) for f in self._cost_functions]
            each, once = parts[0], parts[1]
        return float(weight[used] @ each), float(weight[used] @ np.broadcast_to(once, used.shape))

    @property
    def _cost_functions(self) -> list[Callable]:
        return _cost_functions(self.hamiltonian)

    # derivatives -----------------------------------------------------------------------------------------------
    def rest_gradient(self, weights: np.ndarray, epoch: Epoch, t: float = 0.0) -> np.ndarray:
        """Delta(nT).dy*/dW, the part of dC/dW through the point of rest, by the adjoint of F(y*, W) = 0.

        The total derivative of the cost with relaxed starts is this minus M(T).
        """
        net, n = self.network, self.network.neurons
        ext, flat = self._externals(np.array([t]))[0], np.ascontiguousarray(weights, float).ravel()
        total = np.zeros(flat.size)
        rate, kernel = np.zeros(n + flat.size), self.kernels["backward"]

        def at(y: np.ndarray, costate: np.ndarray, p: int) -> np.ndarray:
            kernel(t, np.concatenate([y, costate, flat]), ext[p], self.par[p], self.dims, self.work, rate)
            return rate.copy()

        for p, y in enumerate(epoch.start):
            free = at(y, np.zeros(n), p)
            rows = np.array([at(y, unit, p) - free for unit in np.eye(n)])  # (-F_y | -F_W), one row per neuron
            # dy*/dW = -F_y^{-1} F_W
            total += -np.linalg.solve(rows[:, :n].T, epoch.costate[p]) @ rows[:, n:]
        return total.reshape(n, net.columns)

    def stability(self, weights: np.ndarray, relaxed: bool, start: np.ndarray, t: float = 0.0) -> float:
        """Largest curvature of the epoch's step: the weights move stably while it is below 2.

        The step is w -> w + DeltaW(w); this is the size of the largest eigenvalue of dDeltaW/dw, by power iteration on
        central differences, 1/omega times the curvature of the cost that it descends.
        """
        moving = self.hamiltonian.moving

        def change(w: np.ndarray) -> np.ndarray:
            y = self.at_rest(w, start, t) if relaxed else start
            step = self.epoch(w, y, t).change
            return legendre.legval(1.0, step) if self.modes else step

        direction = np.where(moving, np.random.default_rng(1).normal(size=moving.shape), 0.0)
        size, found = 1e-5 * max(1.0, float(np.abs(weights).max())), 0.0
        for _ in range(20):
            norm = float(np.linalg.norm(direction))
            if not norm or not np.isfinite(norm):
                break
            direction = direction / norm
            image = (change(weights + size * direction) - change(weights - size * direction)) / (2 * size)
            before, found = found, -float(np.sum(direction * image))
            direction = image
            if abs(found - before) < 1e-3 * abs(found):
                break
        return found


@lru_cache(maxsize=8)
def _cost_functions(h: NeuralHamiltonian) -> list[Callable]:
    """The two parts of a user's cost as NumPy functions of (t, x, y, W), summed over patterns."""
    net = h.network
    each, once = split_cost(net, h.expression.xreplace({SHARE: sp.S.One}))
    functions = []
    for part in (each, once):
        symbols = sorted(part.free_symbols, key=lambda s: s.name)
        body = sp.lambdify(symbols, plain(part), "numpy")
        functions.append(_evaluator(h, symbols, body, part is each))
    return functions


def _evaluator(h: NeuralHamiltonian, symbols: list[sp.Symbol], body: Callable, summed: bool) -> Callable:
    net = h.network
    place = {s: ("x", a) for a, s in enumerate(net.x)} | {s: ("y", k) for k, s in enumerate(net.y)}
    place |= {net.W[k, j]: ("w", k * net.columns + j) for k in range(net.neurons) for j in range(net.columns)}

    def evaluate(t: np.ndarray, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
        values = []
        for s in symbols:
            kind, at = place.get(s, ("", 0))
            if kind == "w":
                values.append(w[:, at][:, None])
            elif kind:
                values.append((x if kind == "x" else y)[..., at])
            else:
                values.append(t[:, None] if s == net.t else h.values[h._rename[s]])
        value = np.asarray(body(*values), float)
        if not summed:
            return value[:, 0] if value.ndim == 2 else np.broadcast_to(value, t.shape)
        return np.broadcast_to(value, (t.size, y.shape[1])).sum(axis=1)

    return evaluate
