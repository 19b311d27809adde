"""Against heyoka's Taylor integrators (optional extra `bench`): single trajectories, and its batches of SIMD lanes."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from benchmarks.bench_driver import right_hand_side
from benchmarks.measure import Row, folder, interleaved
from benchmarks.networks import arguments, ensemble_states, hamiltonian, network
from qnnsym.neural.characteristic import CharacteristicEquations
from qnnsym.neural.numerics import kernels_of
from qnnsym.solvers.problem import Problem
from qnnsym.solvers.tables import PiecewisePolynomial
from qnnsym.workspace import Workspace

TITLE = "Against heyoka's Taylor integrators, tolerance 1e-10, t = 0 to 10"
TOLERANCE, ATOL, END = 1e-10, 1e-12, 10.0
TRAJECTORIES, SAMPLE = 1000, 24
TURNS, CALLS, ENSEMBLE_TURNS = 15, 20, 7
# (neurons, whether heyoka is in compact mode): limit of our time over theirs. Code written out is faster, but
# building it takes half a minute at N = 10, for this size alone; compact code is built at once.
BARS = {(3, False): ("<=", 2.5), (10, True): ("<=", 1 / 3), (10, False): None}
BATCH_BAR = ("<=", 5.0)


def system(eqs: CharacteristicEquations, given: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Hamilton's equations of the network written by hand for heyoka, in the order of our flat state."""
    import heyoka as hy

    neurons, inputs = eqs.sizes
    rate, momentum, decay = given["par"][:3]
    rate, momentum = 1 / rate, 1 / momentum
    x, target, weight = given["ext"][:inputs], given["ext"][inputs:], given["par"][3 : 3 + neurons]
    columns = range(inputs + 1 + neurons)
    y, d = ([hy.expression(f"{name}{k}") for k in range(neurons)] for name in "yd")
    w, m = ([[hy.expression(f"{name}{k}_{j}") for j in columns] for k in range(neurons)] for name in "wm")
    z = [*map(hy.expression, x), hy.expression(1.0), *y]
    f = [hy.tanh(hy.sum([row[j] * z[j] for j in columns])) for row in w]
    local = [rate * d[k] * (1.0 - f[k] * f[k]) for k in range(neurons)]
    rates: list[tuple[Any, Any]] = [(y[k], rate * (f[k] - y[k])) for k in range(neurons)]
    for i in range(neurons):
        back = hy.sum([local[k] * w[k][inputs + 1 + i] for k in range(neurons)])
        rates.append((d[i], rate * d[i] - back - weight[i] * (y[i] - target[i])))
    rates += [(w[k][j], momentum * m[k][j]) for k in range(neurons) for j in columns]
    rates += [(m[k][j], -local[k] * z[j] - decay * w[k][j]) for k in range(neurons) for j in columns]
    return rates


def gap(found: np.ndarray, exact: np.ndarray) -> float:
    """Largest error over the largest number."""
    return float(np.abs(found - exact).max() / np.abs(exact).max())


def exact_ends(eqs: CharacteristicEquations, given: dict[str, Any], states: np.ndarray) -> np.ndarray:
    """States at the end by SciPy at its tightest tolerance."""
    rhs = right_hand_side(kernels_of(eqs)["rhs"], given)
    runs = [solve_ivp(rhs, (0.0, END), s, method="DOP853", rtol=3e-14, atol=1e-16) for s in states]
    return np.array([run.y[:, -1] for run in runs])


def repeated(function: Callable[[], Any]) -> Callable[[], None]:
    def go() -> None:
        for _ in range(CALLS):
            function()

    return go


def singles(neurons: int, compact: bool) -> list[Row]:
    """One trajectory by `integrate` and by heyoka, at equal tolerance and at the error that heyoka achieves."""
    import heyoka as hy

    eqs = hamiltonian(network(neurons)).characteristic_equations()
    given = arguments(eqs)
    start, kernel = given["state"], kernels_of(eqs)["rhs"]
    began = time.thread_time()
    theirs = hy.taylor_adaptive(system(eqs, given), start.copy(), tol=TOLERANCE, compact_mode=compact)
    rival = f"heyoka taylor_adaptive, {'compact' if compact else 'written out'}, built in "
    rival += f"{time.thread_time() - began:.1f} s"
    problem = Problem(
        kernel, start, (0.0, END, 2), par=given["par"], dims=given["dims"], work_size=given["work"].size,
        table=PiecewisePolynomial.constant(given["ext"]), cache_dir=Workspace.find().cache,
    )  # fmt: skip

    def heyoka() -> np.ndarray:
        theirs.time, theirs.state[:] = 0.0, start
        theirs.propagate_until(END)
        return theirs.state

    exact = exact_ends(eqs, given, start[None])[0]
    error = gap(heyoka(), exact)

    def integrate(rtol: float) -> np.ndarray:
        return problem.integrate(rtol=rtol, atol=rtol * ATOL / TOLERANCE)

    # The loosest tolerance with which our error is not above heyoka's.
    equal = next((r for r in 10.0 ** np.arange(-8.0, -14.0, -0.25) if gap(integrate(r), exact) <= error), 1e-14)
    runs = {"heyoka": heyoka, "ours": lambda: integrate(TOLERANCE), "equal": lambda: integrate(equal)}
    found = interleaved({name: repeated(run) for name, run in runs.items()}, TURNS, CALLS)
    table = []
    for name, what, bar in (
        ("ours", "equal tolerance", BARS[neurons, compact]),
        ("equal", f"our rtol {equal:.0e} for heyoka's error", None),
    ):
        ratio, spread = found.ratio(name, "heyoka")
        said = f"{gap(runs[name](), exact):.1e}, heyoka {error:.1e} (max norm)"
        row = Row(f"N = {neurons}: integrate(), {what}, our time over heyoka's", ratio, bar, "", found.median(name),
                  found.median("heyoka"), rival, spread, said)  # fmt: skip
        table.append(row)
    return table


def batch(neurons: int = 3) -> Row:
    """An ensemble by lanes and by heyoka's batch integrator, a batch after the other; both on one thread."""
    import heyoka as hy

    eqs = hamiltonian(network(neurons)).characteristic_equations()
    given, states = arguments(eqs), ensemble_states(eqs, TRAJECTORIES)
    size = hy.recommended_simd_size()
    groups = [np.ascontiguousarray(states[at : at + size].T) for at in range(0, TRAJECTORIES - size + 1, size)]
    count = len(groups) * size
    theirs = hy.taylor_adaptive_batch(system(eqs, given), groups[0].copy(), tol=TOLERANCE)
    ends: dict[str, np.ndarray] = {}

    def heyoka() -> None:
        found = []
        for group in groups:
            theirs.set_time(0.0)
            theirs.state[:] = group
            theirs.propagate_until(END)
            found.append(theirs.state.T.copy())
        ends["heyoka"] = np.concatenate(found)

    def ours() -> None:
        inputs = given["ext"][: eqs.sizes[1]]
        found = eqs.solve_ensemble(
            states, (0.0, END, 2), rtol=TOLERANCE, atol=ATOL, inputs=inputs, threads=1, progress=False
        )
        ends["ours"] = found.states[:, -1]

    found = interleaved(
        {"heyoka": heyoka, "ours": ours}, ENSEMBLE_TURNS, {"heyoka": count, "ours": TRAJECTORIES}, time.process_time
    )
    exact = exact_ends(eqs, given, states[:SAMPLE])
    ratio, spread = found.ratio("ours", "heyoka")
    said = f"{gap(ends['ours'][:SAMPLE], exact):.1e}, heyoka {gap(ends['heyoka'][:SAMPLE], exact):.1e} (max norm)"
    return Row(
        f"N = {neurons}: {TRAJECTORIES} trajectories, our time over heyoka's", ratio, BATCH_BAR, "",
        found.median("ours"), found.median("heyoka"), f"heyoka taylor_adaptive_batch, {size} lanes", spread, said,
    )  # fmt: skip


def rows() -> list[Row]:
    """Nothing where heyoka is not installed."""
    if importlib.util.find_spec("heyoka") is None:
        print("heyoka is not installed, so nothing is measured against it; `pip install 'qnnsym[bench]'` installs it.")
        return []
    with folder():
        return [*(row for case in BARS for row in singles(*case)), batch()]
