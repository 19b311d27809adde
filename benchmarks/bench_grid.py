"""A Wigner function on one grid: the default method against RK4 on the truncated table of terms, at one error."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.measure import ROOT, Row, interleaved
from qnnsym.phase_space import evolve_wigner
from qnnsym.phase_space.oracle import schroedinger_wigner
from qnnsym.pipeline import load
from qnnsym.solvers.solution import Solution
from qnnsym.workspace import Workspace

TITLE = "The default evolution of a Wigner function against RK4"
MODEL, END, WANTED, BAR = "quartic_oscillator", 5.0, 1e-5, 10.0
# The potential is of degree four: its series ends with this power of hbar, and cutting it there loses nothing.
ORDER = 2
TURNS = 3


def rows() -> list[Row]:
    """Both as loose as the error allows, and RK4 where it can with the longest step that is stable."""
    model = load(MODEL, workspace=Workspace.find(ROOT))
    given: dict[str, Any] = {"hbar": model.hbar, "space": model.space, "progress": False}
    times = (0, END, 2)
    first = evolve_wigner(model.hamiltonian, model.state, times, tolerance=WANTED, **given)
    grid = first.grid
    oracle = schroedinger_wigner(
        model.hamiltonian, model.state, [0.0, END], hbar=model.hbar, space=model.space, grid=grid,
        tolerance=WANTED / 100,
    )  # fmt: skip
    exact = oracle.states[-1]

    def run(method: str | None, tolerance: float) -> Solution:
        order = "exact" if method is None else ORDER
        return evolve_wigner(
            model.hamiltonian, model.state, times, grid=grid, order=order, method=method, tolerance=tolerance, **given
        )

    def error(solution: Solution) -> float:
        return float(np.linalg.norm(solution.final - exact) / np.linalg.norm(exact))

    needed, reached, steps = {}, {}, {}
    for method in (None, "rk4"):
        for tolerance in WANTED * 10.0 ** np.arange(2.0, -3.1, -0.5):
            solution = run(method, float(tolerance))
            if error(solution) <= WANTED:
                break
        else:
            raise RuntimeError(f"{method or 'The default method'} does not reach the error {WANTED:g} on this grid.")
        needed[method], reached[method] = float(tolerance), error(solution)
        steps[method] = int(solution.statistics["steps"])
    found = interleaved(
        {str(m): lambda m=m: run(m, needed[m]) for m in needed}, TURNS, clock=time.process_time
    )
    ratio, spread = found.ratio("rk4", "None")
    size = " x ".join(str(axis.size) for axis in grid)
    name = f"{MODEL} to t = {END:g}, {size}: {steps[None]} steps of the default, {steps['rk4']} of RK4"
    said = f"{reached[None]:.1e}, RK4 {reached['rk4']:.1e} (L2, to Schrodinger's equation to {oracle.error:.0e})"
    return [
        Row(name, ratio, (">=", BAR), "", found.median("None"), found.median("rk4"),
            f"evolve_wigner, rk4, order {ORDER}", spread, said)
    ]  # fmt: skip
