"""The compiled driver against SciPy's solve_ivp with the same compiled right-hand side, both at one tolerance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from benchmarks.measure import Row, folder, interleaved
from benchmarks.networks import arguments, hamiltonian, network
from qnnsym.neural.numerics import kernels_of
from qnnsym.solvers.problem import Problem
from qnnsym.solvers.tables import PiecewisePolynomial
from qnnsym.workspace import Workspace

TITLE = "The driver, DOP853, rtol 1e-10, atol 1e-12, t = 0 to 10"
RTOL, ATOL, END, OUTPUTS = 1e-10, 1e-12, 10.0, 51
BARS = {3: 20.0, 10: 9.0}  # neurons: how many times faster integrate() has to be
TURNS = 21
OURS, THEIRS = 40, 4  # integrations in a turn


def right_hand_side(kernel: Any, given: dict[str, Any]) -> Callable[[float, np.ndarray], np.ndarray]:
    """f(t, y) for SciPy: one call of the compiled kernel, into an array of its own, as solve_ivp wants it."""
    ext, par, dims, work = (given[n] for n in ("ext", "par", "dims", "work"))

    def rhs(t: float, y: np.ndarray) -> np.ndarray:
        rates = np.empty(y.size)
        kernel(t, y, ext, par, dims, work, rates)
        return rates

    return rhs


def measured(neurons: int) -> list[Row]:
    """The driver alone and with outputs, against solve_ivp without and with them."""
    eqs = hamiltonian(network(neurons)).characteristic_equations()
    given, kernel = arguments(eqs), kernels_of(eqs)["rhs"]
    rhs, start = right_hand_side(kernel, given), given["state"]
    times = np.linspace(0.0, END, OUTPUTS)

    def problem(outputs: Any) -> Problem:
        return Problem(
            kernel, start, outputs, par=given["par"], dims=given["dims"], work_size=given["work"].size,
            table=PiecewisePolynomial.constant(given["ext"]), cache_dir=Workspace.find().cache,
        )  # fmt: skip

    def scipy(rtol: float, atol: float, outputs: Any = None) -> np.ndarray:
        found = solve_ivp(rhs, (0.0, END), start, method="DOP853", rtol=rtol, atol=atol, t_eval=outputs)
        if not found.success:
            raise RuntimeError(found.message)
        return found.y[:, -1] if outputs is None else found.y.T

    alone, whole = problem((0.0, END, 2)), problem(times)
    expected = scipy(1e-13, 1e-15, times)

    def gap(found: np.ndarray) -> str:
        exact = expected if found.ndim == 2 else expected[-1]
        return f"{float(np.abs(found - exact).max() / np.abs(exact).max()):.1e}"

    runs: dict[str, Callable[[], np.ndarray]] = {
        "integrate": lambda: alone.integrate(rtol=RTOL, atol=ATOL),
        "solve_ivp": lambda: scipy(RTOL, ATOL),
        "solve": lambda: whole.solve(rtol=RTOL, atol=ATOL, progress=False).states,
        "solve_ivp, t_eval": lambda: scipy(RTOL, ATOL, times),
    }

    counts = {name: THEIRS if name.startswith("solve_ivp") else OURS for name in runs}

    def repeated(name: str) -> Callable[[], None]:
        def go() -> None:
            for _ in range(counts[name]):
                runs[name]()

        return go

    found = interleaved({name: repeated(name) for name in runs}, TURNS, counts)
    table = []
    for ours, theirs, bar, what in (
        ("integrate", "solve_ivp", (">=", BARS[neurons]), "integrate()"),
        ("solve", "solve_ivp, t_eval", None, f"Problem.solve, {OUTPUTS} outputs"),
    ):
        ratio, spread = found.ratio(theirs, ours)
        errors = f"{gap(runs[ours]())}, SciPy {gap(runs[theirs]())} (max norm)"
        rival = "SciPy solve_ivp, compiled rhs"
        name = f"N = {neurons}: {what}"
        table.append(Row(name, ratio, bar, "", found.median(ours), found.median(theirs), rival, spread, errors))
    return table


def rows() -> list[Row]:
    """Two small networks, where what the driver itself costs shows most."""
    with folder():
        return [row for neurons in BARS for row in measured(neurons)]
