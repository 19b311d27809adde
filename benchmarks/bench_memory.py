"""A thousand neurons: memory of an integration in copies of the state, and the cost of the tangent vector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench_kernel import reference, repeat
from benchmarks.measure import Row, folder, interleaved, python
from benchmarks.networks import arguments, hamiltonian, network
from qnnsym.neural.characteristic import CharacteristicEquations
from qnnsym.neural.numerics import kernels_of

TITLE = "Memory of N = 1000, and the tangent vector"
NEURONS, END, STEP = 1000, 1e-3, 5e-4
LIMITS = {"dop853": 20.0, "rk4": 6.0}
# Neurons: calls in a turn.
SIZES = {10: 50_000, 100: 1000, 1000: 5}
TURNS, TANGENT_BAR = 21, 2.5

# Peak of what Python's allocators count, NumPy's arrays among them, beyond what there was with everything loaded and
# the initial state made. The result, which is handed out, is taken off.
MEASURED = """
import sys, tracemalloc
import numpy as np
from benchmarks.networks import hamiltonian, network, state

neurons, method, end, step = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
options = {"method": method, "step": step} if method == "rk4" else {}
small = hamiltonian(network(3, 0), cost=False).characteristic_equations()
small.integrate(state(small), (0.0, end), **options)
eqs = hamiltonian(network(neurons, 0), cost=False).characteristic_equations()
start = state(eqs)
tracemalloc.start()
final = eqs.integrate(start, (0.0, end), **options)
used = tracemalloc.get_traced_memory()[1] - final.nbytes
assert np.isfinite(final).all() and not np.array_equal(final, start)
print(used / start.nbytes, start.size)
"""


def copies(method: str, where: Path) -> Row:
    """Peak of arrays in a fresh process, in copies of the state."""
    _, said = python(MEASURED, where, str(NEURONS), method, str(END), str(STEP))
    figure, size = said.split()
    return Row(
        f"N = {NEURONS}, {int(size):,} unknowns: copies of the state in integrate, {method}, without start and result",
        float(figure), ("<=", LIMITS[method]),
    )  # fmt: skip


def tangent_gap(eqs: CharacteristicEquations, given: dict[str, Any], both: np.ndarray, rates: np.ndarray) -> float:
    """Largest error of the tangent vector against central differences in extended precision, over its largest entry."""
    n, h = eqs.dimension, np.longdouble(1e-6)
    state, v = both[:n].astype(np.longdouble), both[n:].astype(np.longdouble)
    ahead, behind = (reference(eqs, {**given, "state": state + sign * h * v}) for sign in (1, -1))
    expected = (ahead - behind) / (2 * h)
    return float(np.abs(rates[n:] - expected).max() / np.abs(expected).max())


def tangent(neurons: int) -> Row:
    """Rates and their derivative along a vector, over the rates alone."""
    eqs = hamiltonian(network(neurons)).characteristic_equations()
    given, kernels = arguments(eqs), kernels_of(eqs)
    both = np.concatenate([given["state"], np.random.default_rng(5).normal(size=eqs.dimension)])
    rates = np.full(both.size, np.nan)
    with_vector = {**given, "state": both, "rates": rates}
    calls = SIZES[neurons]

    def run(name: str, call: tuple[Any, ...]) -> Callable[[], None]:
        return lambda: repeat(kernels[name], calls, *call)

    runs = {"rhs": run("rhs", tuple(given.values())), "rhs_jvp": run("rhs_jvp", tuple(with_vector.values()))}
    found = interleaved(runs, TURNS, calls)
    ratio, spread = found.ratio("rhs_jvp", "rhs")
    kernels["rhs_jvp"](*with_vector.values())
    said = f"{tangent_gap(eqs, given, both, rates):.1e} (max norm)"
    return Row(
        f"N = {neurons}: rates and tangent vector over rates", ratio, ("<=", TANGENT_BAR), "", found.median("rhs_jvp"),
        found.median("rhs"), "rates alone", spread, said,
    )  # fmt: skip


def rows() -> list[Row]:
    """Memory first, in processes of their own."""
    with folder() as where:
        return [*(copies(method, where) for method in LIMITS), *(tangent(neurons) for neurons in SIZES)]
