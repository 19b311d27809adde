"""Delay equations against jitcdde (optional extra `bench`) at one achieved error, and what a smaller error costs."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from benchmarks.measure import Row, folder, interleaved
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost
from qnnsym.neural.numerics.delay import DelayedData, delay_problem

TITLE = "Delay equations: a network in the causal reading, one input, T = 0.5, t = 0 to 3"
INPUTS, EPOCHS, DELAY = 1, 6, 0.5
RELAXATION, INERTIA, DECAY = 0.8, 2.0, 0.1
INPUT = np.array([0.5])
WANTED = 1e-8
# Neurons: how many times faster than jitcdde. With two, a run is so short that what Python does around it shows.
BARS = {2: None, 5: (">=", 100.0)}
LOOSE, TIGHT, GROWTH = 1e-9, 1e-12, 3.0
TURNS, CALLS, RIVAL_TURNS = 15, 20, 5


@dataclass(frozen=True)
class Case:
    """The network with its constant history; momenta vanish before t = 0.

    Arguments:
        weights: (N, l + 1 + N).
        y, costate: (N,), at t = 0.  weight, target: (N,), of the cost.
    """

    weights: np.ndarray
    y: np.ndarray
    costate: np.ndarray
    weight: np.ndarray
    target: np.ndarray

    @classmethod
    def of(cls, neurons: int) -> Case:
        draw = np.random.default_rng(3)
        return cls(draw.normal(size=(neurons, INPUTS + 1 + neurons)) / 3, *draw.uniform(0.1, 0.6, (4, neurons)))

    def start(self) -> np.ndarray:
        """The flat state at t = 0."""
        return np.concatenate([self.y, self.costate, self.weights.ravel(), np.zeros(self.weights.size)])

    def hamiltonian(self) -> NeuralHamiltonian:
        net = Network(neurons=len(self.y), inputs=INPUTS, activation="tanh")
        cost = QuadraticCost(list(self.weight), target=self.target, decay=DECAY)
        return NeuralHamiltonian(net, relaxation=RELAXATION, inertia=INERTIA, cost=cost, delay=DELAY)

    def rates(self, state: np.ndarray, before: np.ndarray, past: np.ndarray) -> np.ndarray:
        """The equations by hand.

        Arguments:
            state: flat, now.  before: W(t - T).  past: sum of M over all earlier epochs.
        """
        n = len(self.y)
        y, d, w, m = np.split(state, [n, 2 * n, 2 * n + before.size])
        z = np.concatenate([INPUT, [1.0], y])
        f = np.tanh(before @ z)
        local = d * (1 - f * f) / RELAXATION
        d_costate = d / RELAXATION - local @ before[:, INPUTS + 1 :] - self.weight * (y - self.target)
        d_momenta = -np.outer(local, z) - DECAY * w.reshape(before.shape)
        return np.concatenate([(f - y) / RELAXATION, d_costate, (m + past) / INERTIA, d_momenta.ravel()])

    def exact(self) -> np.ndarray:
        """The state at the end, without delays: epoch after epoch, together with all epochs before it on [0, T].

        Source: R. Bellman, J. Math. Anal. Appl. 2 (1961) 108.
        """
        starts, size = [self.start()], self.start().size
        for _ in range(EPOCHS):

            def rates(_t: float, stack: np.ndarray) -> np.ndarray:
                before, past, out = self.weights, np.zeros(self.weights.size), []
                for state in stack.reshape(-1, size):
                    out.append(self.rates(state, before, past))
                    w, m = np.split(state[2 * len(self.y) :], 2)
                    before, past = w.reshape(before.shape), past + m
                return np.concatenate(out)

            found = solve_ivp(rates, (0.0, DELAY), np.concatenate(starts), method="DOP853", rtol=3e-14, atol=1e-16)
            starts.append(found.y[-size:, -1])
        return starts[-1]


def theirs(case: Case) -> Callable[[float], np.ndarray]:
    """The same equations for jitcdde, compiled; momenta of every earlier epoch are lagged values of their own."""
    import symengine
    from jitcdde import jitcdde, t, y

    n, columns = case.weights.shape
    at = np.arange(2 * n, 2 * n + n * columns).reshape(n, columns)
    z = [*map(float, INPUT), 1.0, *(y(k) for k in range(n))]
    before = [[y(int(at[k, j]), t - DELAY) for j in range(columns)] for k in range(n)]
    f = [symengine.tanh(sum(before[k][j] * z[j] for j in range(columns))) for k in range(n)]
    local = [y(n + k) * (1 - f[k] ** 2) / RELAXATION for k in range(n)]
    rates = [(f[k] - y(k)) / RELAXATION for k in range(n)]
    for i in range(n):
        back = sum(local[k] * before[k][INPUTS + 1 + i] for k in range(n))
        rates.append(y(n + i) / RELAXATION - back - float(case.weight[i]) * (y(i) - float(case.target[i])))
    momenta = at + n * columns
    for k in range(n):
        for j in range(columns):
            m = int(momenta[k, j])
            # Before t = 0 the momenta are zero, so that the lags of earlier epochs are these alone.
            rates.append((y(m) + sum(y(m, t - v * DELAY) for v in range(1, EPOCHS))) / INERTIA)
    rates += [-local[k] * z[j] - DECAY * y(int(at[k, j])) for k in range(n) for j in range(columns)]
    dde = jitcdde(rates, verbose=False)
    dde.compile_C()

    def run(rtol: float) -> np.ndarray:
        dde.purge_past()
        dde.reset_integrator()
        dde.constant_past(case.start(), time=0.0)
        dde.set_integration_parameters(
            rtol=rtol, atol=rtol / 100, first_step=1e-3, min_step=1e-12, pws_rtol=rtol / 10, pws_atol=rtol / 1000
        )
        # step_on_discontinuities would step on all sums of two lags, beyond the end of this run; the control of the
        # steps finds the jumps by itself.
        dde.initial_discontinuities_handled = True
        return np.array(dde.integrate(EPOCHS * DELAY))

    return run


def gap(found: np.ndarray, exact: np.ndarray) -> float:
    """Largest error over the largest number."""
    return float(np.abs(found - exact).max() / np.abs(exact).max())


def loosest(run: Callable[[float], np.ndarray], exact: np.ndarray, wanted: float) -> float:
    """The loosest of a fine row of tolerances at which an error is reached."""
    for rtol in 10.0 ** np.arange(-5.0, -14.1, -0.25):
        if gap(run(rtol), exact) <= wanted:
            return float(rtol)
    raise RuntimeError(f"No tolerance reaches the error {wanted:g}.")


def repeated(run: Callable[[float], Any], rtol: float, calls: int) -> Callable[[], None]:
    def go() -> None:
        for _ in range(calls):
            run(rtol)

    return go


def measured(neurons: int) -> list[Row]:
    """Ours at three errors; jitcdde at one of them, where it is installed."""
    case = Case.of(neurons)
    eqs = case.hamiltonian().characteristic_equations(reading="causal")
    exact, none = case.exact(), np.zeros(case.weights.shape)
    problem = delay_problem(
        DelayedData(eqs, None, INPUT), (0.0, EPOCHS * DELAY, 2), case.y, case.costate, case.weights, none
    )

    def ours(rtol: float) -> np.ndarray:
        return problem.solve(rtol=rtol, atol=rtol / 100, progress=False).final

    tolerances = {wanted: loosest(ours, exact, wanted) for wanted in (LOOSE, TIGHT)}
    found = interleaved({str(w): repeated(ours, r, CALLS) for w, r in tolerances.items()}, TURNS, CALLS)
    growth, spread = found.ratio(str(TIGHT), str(LOOSE))
    errors = [f"{gap(ours(r), exact):.1e}" for r in tolerances.values()]
    table = [
        Row(f"N = {neurons}: error 1e-12 over 1e-9", growth, ("<=", GROWTH), "", found.median(str(TIGHT)),
            found.median(str(LOOSE)), "ours at 1e-9", spread, f"{errors[1]}, at 1e-9 {errors[0]} (max norm)")
    ]  # fmt: skip
    if importlib.util.find_spec("jitcdde") is None:
        return table
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rival = theirs(case)
        rtol, their = loosest(ours, exact, WANTED), loosest(rival, exact, WANTED)
        runs = {"ours": repeated(ours, rtol, CALLS), "jitcdde": repeated(rival, their, 1)}
        found = interleaved(runs, RIVAL_TURNS, {"ours": CALLS, "jitcdde": 1})
        ratio, spread = found.ratio("jitcdde", "ours")
        said = f"{gap(ours(rtol), exact):.1e}, jitcdde {gap(rival(their), exact):.1e} (max norm)"
    name = f"N = {neurons}: Problem.solve at the error 1e-8 (rtol {rtol:.0e}, jitcdde's {their:.0e})"
    row = Row(name, ratio, BARS[neurons], "", found.median("ours"), found.median("jitcdde"), "jitcdde, compiled",
              spread, said)  # fmt: skip
    return [row, *table]


def rows() -> list[Row]:
    """Two small networks."""
    if importlib.util.find_spec("jitcdde") is None:
        print("jitcdde is not installed, so nothing is measured against it; `pip install 'qnnsym[bench]'` installs it.")
    with folder():
        return [row for neurons in BARS for row in measured(neurons)]
