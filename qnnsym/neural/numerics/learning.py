"""Numbers for the epoch scheme: generated kernels in compiled sweeps, cost, momenta and change of the weights."""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp
from numpy.polynomial import legendre

from qnnsym.codegen.build import KERNELS, built, render
from qnnsym.codegen.lower import lower
from qnnsym.errors import InputError, SolverError, StorageError
from qnnsym.neural.hamiltonian import NeuralHamiltonian, QuadraticCost
from qnnsym.neural.learning import SHARE, STARTS, WEIGHTS, shared, split_cost, sweep_sets
from qnnsym.neural.network import Network, numbers
from qnnsym.neural.numerics import Data
from qnnsym.neural.numerics import batched as numerics_batched
from qnnsym.neural.steps import plain
from qnnsym.solvers.cache import numba_cache
from qnnsym.solvers.kernels import Kernels, load_kernels
from qnnsym.solvers.progress import Progress
from qnnsym.solvers.solution import finite_array
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


@cache
def _driver(cache_dir: Path | None) -> Any:
    """The compiled sweeps, from numba's cache in this folder."""
    from numba.core.errors import NumbaExperimentalFeatureWarning

    with numba_cache(cache_dir), warnings.catch_warnings():
        warnings.simplefilter("ignore", NumbaExperimentalFeatureWarning)
        return importlib.import_module("qnnsym.solvers.sweeps")


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
        self.patterns = _patterns(net, inputs, targets)
        self.inputs = _signal(inputs, self.patterns, net.inputs, "inputs")
        self.targets = _signal(targets, self.patterns, net.neurons, "targets")
        self.steady = not callable(inputs) and not callable(targets) and h.autonomous
        eqs = h.characteristic_equations()
        sets, workspace = sweep_sets(eqs), Workspace.find()
        self.kernels = kernels or _kernels(sets["forward"], sets["backward"], eqs.line, workspace)
        self.compiled = _driver(workspace.cache)
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


@dataclass
class Training:
    """What learning leaves.

    Attributes:
        weights: (epochs+1, N, 1+l+N), the weights before each epoch and the last ones (dynamical: at an epoch's end).
        costs: (epochs+1,), integral of E over an epoch with each of these weights, all patterns and the decay together.
        errors: the same without what counts once (the decay).
        momenta: (epochs, N, 1+l+N), M at the end of each epoch.
        y: (patterns, N), activities at the end of an epoch with the last weights.
        carried: (patterns, N), what the next epoch needs of the one before it, so that a resumed training is the same.
        coefficients: of dynamical weights, Legendre coefficients over an epoch (modes, N, 1+l+N), else None.
        settings: numbers and words of the run.
        diagnostics: step_error (relative change by half the step), rises (epochs in which the cost rose), curvature
            (where it rose: stable below 2), mode_tail (share of the last Legendre modes of dynamical weights).
        warnings: sentences that the user should see.
    """

    weights: np.ndarray
    costs: np.ndarray
    errors: np.ndarray
    momenta: np.ndarray
    y: np.ndarray
    carried: np.ndarray
    coefficients: np.ndarray | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    diagnostics: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def path(self, tau: Any) -> np.ndarray:
        """Dynamical weights of the last epoch at times tau since its start, (times, N, 1+l+N)."""
        tau = np.atleast_1d(np.asarray(tau, float))
        if self.coefficients is None:
            return np.broadcast_to(self.weights[-1], (tau.size, *self.weights[-1].shape))
        series = legendre.legval(2 * tau / self.settings["duration"] - 1, self.coefficients)
        return np.moveaxis(series, -1, 0)

    def save(self, path: str | Path) -> Path:
        """Write netCDF, whole or not at all; `train(..., resume=path)` goes on from it."""
        import xarray

        from qnnsym.storage import atomic_path

        axes = ("neuron", "column")
        variables = {
            "weights": (("epoch", *axes), self.weights),
            "cost": ("epoch", self.costs),
            "error": ("epoch", self.errors),
            "momenta": (("finished", *axes), self.momenta),
            "y": (("pattern", "neuron"), self.y),
            "carried": (("pattern", "neuron"), self.carried),
        }
        if self.coefficients is not None:
            variables["coefficients"] = (("mode", *axes), self.coefficients)
        attributes = {"Conventions": "CF-1.10", "title": "qnnsym training"}
        attributes |= {key: json.dumps(getattr(self, key)) for key in ("settings", "diagnostics", "warnings")}
        with atomic_path(path) as temporary:
            xarray.Dataset(variables, {"epoch": np.arange(len(self.costs))}, attributes).to_netcdf(
                temporary, engine="h5netcdf"
            )
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Training:
        """Read what `save` wrote.

        Raises:
            StorageError: when the file is missing or is not such a file.
        """
        import xarray

        try:
            with xarray.open_dataset(path, engine="h5netcdf") as dataset:
                dataset.load()
            names = ("weights", "cost", "error", "momenta", "y", "carried")
            arrays = [dataset[name].values for name in names]
            modes = dataset["coefficients"].values if "coefficients" in dataset else None
            records = (json.loads(dataset.attrs[key]) for key in ("settings", "diagnostics", "warnings"))
            return cls(*arrays, modes, *records)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{path} cannot be read as a training ({error}); train again.") from error

    def __str__(self) -> str:
        text = f"{len(self.momenta)} epochs, cost {self.costs[0]:.6g} to {self.costs[-1]:.6g}"
        return "\n".join([text, *self.warnings])


def train(
    net, data, epochs, start, weights, weights0, y0, relaxation, inertia, duration, cost, *, dynamical=None, rtol=1e-9,
    steps=None, modes=32, resume=None, progress=None, values=None, backend="auto", method="dop853",
) -> Training:  # fmt: skip
    """Learn by the epoch scheme; see `qnnsym.neural.train`."""
    hamiltonian, inputs, targets = _setting(net, data, relaxation, inertia, cost, dynamical, values)
    for given, known, what in ((start, STARTS, "start"), (weights, WEIGHTS, "weights")):
        if given not in known:
            raise InputError(f"{what}={given!r} is not known; use one of {', '.join(known)}.")
    epochs = _integer(epochs, "epochs", 0)
    duration = _positive(duration, "duration", "the length T of an epoch")
    modes = _integer(modes, "modes", 2) if weights == "dynamical" else 0
    if not (isinstance(rtol, float) and 0 < rtol < 1):
        raise InputError(f"rtol={rtol!r} is no relative tolerance; give a number between 0 and 1.")
    learner = Learner(hamiltonian, inputs, targets, duration, modes, backend=backend, method=method)
    if steps is not None:
        learner.steps = _integer(steps, "steps", 1)
    run = _Run(learner, start, weights0, y0, resume, None if steps is not None else rtol)
    return run.learn(epochs, progress)


class _Run:
    """The epochs of one training."""

    def __init__(self, learner: Learner, start: str, weights0: Any, y0: Any, resume: Any, rtol: float | None) -> None:
        self.learner, self.start, self.rtol = learner, start, rtol
        net = learner.network
        shape = (net.neurons, net.columns)
        self.before = Training.load(resume) if isinstance(resume, (str, Path)) else resume
        if self.before is not None and not isinstance(self.before, Training):
            raise InputError(f"resume={resume!r} is no training; give what train returned, or the path of its file.")
        if self.before is not None:
            if weights0 is not None:
                raise InputError("Weights are given twice, by weights0 and by resume; leave one of them out.")
            if self.before.weights.shape[1:] != shape or self.before.y.shape != (learner.patterns, net.neurons):
                raise InputError(
                    f"The training to be resumed has weights {self.before.weights.shape[1:]} and activities "
                    f"{self.before.y.shape}; this network needs {shape} and {(learner.patterns, net.neurons)}."
                )
            if (self.before.coefficients is None) != (learner.modes == 0):
                raise InputError("The training to be resumed had weights of the other kind; say weights= as it did.")
            if self.before.settings.get("duration") != learner.duration:
                raise InputError(
                    f"The training to be resumed had duration={self.before.settings.get('duration')}; keep it."
                )
            weights0 = self.before.weights[-1] if self.before.coefficients is None else self.before.coefficients
        self.weights = self._start_weights(weights0, shape)
        self.y0 = _activities(y0, learner)
        self.rest = self.y0.copy() if self.before is None else self.before.carried.copy()
        if self.before is not None and rtol is not None:
            learner.steps = int(self.before.settings["steps"])
        self.first = 0 if self.before is None else len(self.before.momenta)
        self.diagnostics: dict[str, float] = {"rises": 0.0}
        self.warnings: list[str] = []

    def _start_weights(self, given: Any, shape: tuple[int, int]) -> np.ndarray:
        net = self.learner.network
        mask = np.ones(shape) if net.mask is None else net.mask
        if given is None:
            return mask * np.random.default_rng(0).normal(size=shape) / np.sqrt(net.columns)
        w = np.array(given, float) if isinstance(given, np.ndarray) and given.ndim == 3 else None
        if w is None:
            w = finite_array(given, shape, "The array weights0").copy()
        if (w[..., mask == 0] != 0).any():
            raise InputError("A missing synapse has a weight; set weights0 to zero where the mask is zero.")
        return w

    def _of(self, epoch: int, end: np.ndarray | None) -> tuple[np.ndarray, float]:
        """Activities at an epoch's start, and its time."""
        t = epoch * self.learner.duration
        if self.start == "reset" or (self.start == "continue" and end is None):
            return self.y0, t
        if self.start == "continue":
            assert end is not None
            return end, t
        self.rest = self.learner.at_rest(self.at_start(self.weights), self.rest, t)
        return self.rest, t

    @staticmethod
    def at_start(weights: np.ndarray) -> np.ndarray:
        return weights if weights.ndim == 2 else legendre.legval(-1.0, weights)

    @staticmethod
    def at_end(weights: np.ndarray) -> np.ndarray:
        return weights if weights.ndim == 2 else legendre.legval(1.0, weights)

    def _swept(self, number: int, start: np.ndarray, t: float) -> Epoch:
        """The sweeps of an epoch; now and then with half the step, which is kept where it changes the result."""
        learner = self.learner
        found = learner.epoch(self.weights, start, t)
        while self.rtol is not None and (number & (number - 1)) == 0 and np.isfinite(found.cost):
            learner.steps *= 2
            finer = learner.epoch(self.weights, start, t)
            gap = _gap(found, finer)
            self.diagnostics["step_error"] = gap
            if gap <= self.rtol:
                learner.steps //= 2
                break
            found = finer
            if learner.steps > LARGEST_STEPS:
                raise SolverError(
                    f"{learner.steps} steps in an epoch do not reach rtol = {self.rtol:g} (they change the sweeps by "
                    f"{gap:.2g}); give steps=..., a larger rtol, or smoother inputs."
                )
        return found

    def learn(self, epochs: int, progress: bool | None) -> Training:
        weights, costs, errors, momenta = [self.at_end(self.weights)], [], [], []
        end = self.before.carried if self.first and self.before is not None else None
        carried = self.rest
        coefficients = None
        with Progress("learning", progress) as bar:
            for n in range(epochs + 1):
                carried = self.rest if self.start == "relaxed" or end is None else end
                start, t = self._of(self.first + n, end)
                with np.errstate(over="ignore", invalid="ignore"):
                    epoch = self._swept(self.first + n, start, t)
                costs.append(epoch.cost)
                errors.append(epoch.error)
                self._watch(costs, weights, epoch)
                end = epoch.end
                if self.learner.modes:
                    self._resolved(epoch.change)
                if n < epochs:
                    self.weights = _added(self.weights, epoch.change)
                    weights.append(self.at_end(self.weights))
                    momenta.append(epoch.momenta)
                    bar.update((n + 1) / epochs)
        coefficients = self.weights if self.weights.ndim == 3 else None
        if self.learner.modes and coefficients is None:
            coefficients = self.weights[None].copy()
        net = self.learner.network
        self._judge(costs, weights, end)
        assert end is not None
        done = np.array(momenta).reshape(-1, net.neurons, net.columns)
        settings = {
            "start": self.start, "weights": "dynamical" if self.learner.modes else "parametric",
            "duration": self.learner.duration, "relaxation": self.learner.relaxation, "inertia": self.learner.inertia,
            "method": self.learner.method, "steps": self.learner.steps, "patterns": self.learner.patterns,
        }  # fmt: skip
        result = Training(
            np.array(weights), np.array(costs), np.array(errors), done, end, carried, coefficients, settings,
            self.diagnostics, self.warnings,
        )  # fmt: skip
        return result if self.before is None else _joined(self.before, result)

    def _resolved(self, change: np.ndarray) -> None:
        """Keep the largest share of the last Legendre modes in a change: what the series does not resolve."""
        sizes = np.abs(change).max(axis=(1, 2))
        tail = float(sizes[-6:-2].max() / max(sizes.max(), 1e-300))
        self.diagnostics["mode_tail"] = max(tail, self.diagnostics.get("mode_tail", 0.0))

    def _comparable(self) -> bool:
        return self.learner.steady and self.start != "continue"

    def _watch(self, costs: list[float], weights: list[np.ndarray], epoch: Epoch) -> None:
        """Stop learning that diverges, saying how slow it has to be."""
        cost = costs[-1]
        finite = np.isfinite(cost) and np.isfinite(epoch.change).all()
        # With other signals in every epoch a cost may grow for reasons of its own.
        if finite and not (self._comparable() and cost > GROWTH * max(abs(costs[0]), 1e-12)):
            if len(costs) > 1 and cost > costs[-2] + RISE * abs(costs[-2]):
                self.diagnostics["rises"] += 1
            return
        grown = f"{cost:.3g}" if np.isfinite(cost) else "no finite number"
        self._refuse(f"the cost grew from {costs[0]:.3g} to {grown} by epoch {len(costs) - 1}", weights)

    def _judge(self, costs: list[float], weights: list[np.ndarray], end: Any) -> None:
        """A cost that rose on the way: an edge of stability, or beyond it."""
        tail = self.diagnostics.get("mode_tail", 0.0)
        if tail > UNRESOLVED:
            self.warnings.append(
                f"The weights vary within an epoch faster than {self.learner.modes} Legendre modes resolve (the last "
                f"ones have {tail:.1g} of the largest); give more modes or fewer epochs."
            )
        if not self.diagnostics["rises"] or not self._comparable():
            return
        curvature = self._curvature(weights[-1])
        self.diagnostics["curvature"] = curvature
        worse = costs[-1] > costs[0] + RISE * abs(costs[0]) and len(costs) > LEAST_EPOCHS
        if worse and curvature > 2:
            self._refuse(f"the cost went from {costs[0]:.3g} to {costs[-1]:.3g} in {len(costs) - 1} epochs", weights)
        rises, bound = int(self.diagnostics["rises"]), self.learner.inertia * curvature / 2
        said = "beyond the edge of stability" if curvature > 2 else "which ended inside the region of stability"
        self.warnings.append(
            f"The cost rose in {rises} of {len(costs) - 1} epochs: inertia = {self.learner.inertia:g} is a fast "
            f"learning, {said} (at the last weights stable for inertia > {bound:.3g}). Results near the edge are not "
            "reproducible; a larger inertia lets the cost fall monotonically."
        )

    def _curvature(self, weights: np.ndarray) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                return self.learner.stability(weights, self.start == "relaxed", self.y0)
            except SolverError:
                return float("nan")

    def _refuse(self, what: str, weights: list[np.ndarray]) -> None:
        learner = self.learner
        # Where learning began, and the way it took as long as it was finite.
        places = [w for w in (weights[0], weights[len(weights) // 2], weights[-1]) if np.abs(w).max() < 1e3]
        found = [c for c in map(self._curvature, places) if np.isfinite(c)]
        bound = learner.inertia * max(found, default=float("nan")) / 2
        if bound > learner.inertia:
            advice = (
                f"Steps of length T^2/(2 omega) are stable while inertia > {bound:.4g} (half the largest eigenvalue of "
                f"dDeltaW/dw is 1 there); give inertia={_rounded_up(1.5 * bound):g} or more"
            )
        else:
            advice = (
                f"The bound of stability at the first weights, inertia > {bound:.4g}, holds there only; the cost is "
                f"steeper on the way, so give inertia={_rounded_up(4 * learner.inertia):g} or more"
            )
        raise InputError(
            f"Learning with inertia = {learner.inertia:g} and duration = {learner.duration:g} diverges: {what}. "
            f"{advice}, or a shorter duration. Nothing was kept."
        )


def _added(weights: np.ndarray, change: np.ndarray) -> np.ndarray:
    if change.ndim == 2:
        return weights + change
    old = weights[None] if weights.ndim == 2 else weights
    total = change.copy()
    if len(old) > len(total):
        raise InputError(f"The training to be resumed has {len(old) - 2} modes; give modes={len(old) - 2} or more.")
    total[: len(old)] += old
    return total


def _joined(before: Training, after: Training) -> Training:
    """One training from the two: the last weights of the first are the first of the second."""
    return Training(
        np.concatenate([before.weights, after.weights[1:]]), np.concatenate([before.costs[:-1], after.costs]),
        np.concatenate([before.errors[:-1], after.errors]), np.concatenate([before.momenta, after.momenta]), after.y,
        after.carried, after.coefficients, after.settings, after.diagnostics, [*before.warnings, *after.warnings],
    )  # fmt: skip


def _gap(coarse: Epoch, fine: Epoch) -> float:
    """Largest relative difference of cost, momenta and change."""
    gaps = [abs(coarse.cost - fine.cost) / max(abs(fine.cost), 1e-300)]
    for a, b in ((coarse.momenta, fine.momenta), (coarse.change, fine.change)):
        size = float(np.max(np.abs(b)))
        # A gradient that vanishes has no digits to agree in.
        gaps.append(float(np.max(np.abs(a - b))) / max(size, 1e-6 * abs(fine.cost), 1e-300))
    if abs(fine.cost) < 1e-12:
        gaps[0] = abs(coarse.cost - fine.cost)
    return float(np.max(gaps)) if np.isfinite(gaps).all() else 0.0


def _rounded_up(value: float) -> float:
    digits = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(np.ceil(value / digits) * digits)


def _setting(net, data, relaxation, inertia, cost, dynamical, values) -> tuple[NeuralHamiltonian, Any, Any]:
    """The Hamiltonian with all its numbers, inputs and targets."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise InputError("The data are no pair; give (inputs, targets), None for what is not needed.")
    inputs, targets = data
    if isinstance(net, NeuralHamiltonian):
        doubled = [n for n, v in (("relaxation", relaxation), ("inertia", inertia), ("cost", cost)) if v is not None]
        if doubled or dynamical is not None:
            raise InputError(
                f"A NeuralHamiltonian brings its own {', '.join(doubled) or 'dynamical'}; leave it out, or give the "
                "Network."
            )
        hamiltonian = net.changed()
        for key, value in dict(values or {}).items():
            hamiltonian.set_value(str(key), value)
    else:
        if not isinstance(net, Network):
            raise InputError(f"The network is {net!r}; give a Network, or a NeuralHamiltonian.")
        _positive(relaxation, "relaxation", "the relaxation time lambda")
        if inertia is None:
            raise InputError("inertia=None; give the inertia omega of the weights, a positive number.")
        cost = QuadraticCost() if cost is None else cost
        hamiltonian = NeuralHamiltonian(net, relaxation, inertia, cost, dynamical=dynamical, values=values)
    missing = [
        n for s, n in zip(hamiltonian.scalars, hamiltonian.parameter_names, strict=True) if s not in hamiltonian.values
    ]
    if missing:
        raise InputError(
            f"No number is known for {', '.join(missing)} in the cost, the activation or the Hamiltonian; use the "
            f"Symbols of the network (net.t, .x, .y, .W), or give values={{{missing[0]!r}: ...}}."
        )
    if hamiltonian.values[hamiltonian.relaxation] == float("inf"):
        raise InputError("The relaxation time is infinite; give a positive number.")
    if isinstance(hamiltonian.cost, QuadraticCost):
        own = hamiltonian.cost.target
        if own is not None and targets is not None:
            raise InputError(
                "The targets are given twice, in (inputs, targets) and in the cost; leave target= out of the cost, or "
                "give (inputs, None)."
            )
        targets = hamiltonian.target if own is not None else targets
        if targets is None:
            targets = np.zeros(hamiltonian.network.neurons)
    elif targets is not None:
        raise InputError(
            "Targets are given beside a cost that is an expression, which says itself what is aimed at; give "
            "(inputs, None), or a QuadraticCost."
        )
    return hamiltonian, inputs, targets


def _patterns(net: Network, inputs: Any, targets: Any) -> int:
    """The number of patterns, from whatever has it."""
    counts = {}
    for what, given, size in (("inputs", inputs, net.inputs), ("targets", targets, net.neurons)):
        if given is None:
            continue
        array = numbers(given(0.0) if callable(given) else given, f"The {what}")
        if array.ndim not in (1, 2) or array.shape[-1] != size:
            raise InputError(f"The {what} have the shape {array.shape}; give (patterns, {size}), or ({size},) for one.")
        if array.ndim == 2:
            if not len(array):
                raise InputError(f"The {what} hold no pattern; give at least one.")
            counts[what] = len(array)
    if len(set(counts.values())) > 1:
        raise InputError(
            f"There are {counts['inputs']} patterns of inputs and {counts['targets']} of targets; give as many of both."
        )
    return next(iter(counts.values()), 1)


def _signal(given: Any, patterns: int, size: int, what: str) -> Any:
    """(patterns, size) as an array, or as a function of t."""

    def checked(value: Any, label: str) -> np.ndarray:
        array = numbers(value, label)
        if array.ndim == 1:
            array = np.broadcast_to(array, (patterns, array.size))
        return np.array(finite_array(array, (patterns, size), label))

    if given is None:
        if size and what == "inputs":
            raise InputError(f"The network has {size} inputs and none are given; give (inputs, targets).")
        return np.zeros((patterns, size))
    if callable(given):
        return lambda t: checked(given(t), f"The function {what} at t = {t:.6g}")
    return checked(given, f"The array {what}")


def _activities(y0: Any, learner: Learner) -> np.ndarray:
    n = learner.network.neurons
    array = numbers(0.0 if y0 is None else y0, "The array y0")
    if array.shape not in ((), (n,), (learner.patterns, n)) or (array.shape == () and y0 is not None):
        raise InputError(f"y0 has the shape {array.shape}; give ({n},) or ({learner.patterns}, {n}).")
    if not np.isfinite(array).all():
        raise InputError("y0 holds NaN or infinite entries; give finite numbers.")
    return np.array(np.broadcast_to(array, (learner.patterns, n)))


def _positive(value: Any, name: str, what: str) -> float:
    ok = isinstance(value, (int, float, np.number, sp.Number)) and not isinstance(value, bool)
    if not ok or not 0 < float(value) < float("inf"):
        raise InputError(f"{name}={value!r} is not {what}; give a positive number.")
    return float(value)


def _integer(value: Any, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name}={value!r}; give an integer of at least {least}.")
    return int(value)
