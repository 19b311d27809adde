"""Ensembles, eight trajectories at a time, against solve_ivp for each trajectory; one thread."""

from __future__ import annotations

import time

import numpy as np
from scipy.integrate import solve_ivp

from benchmarks.bench_driver import right_hand_side
from benchmarks.measure import Row, folder, interleaved
from benchmarks.networks import arguments, ensemble_states, hamiltonian, network
from qnnsym.neural.numerics import kernels_of

TITLE = "Ensembles, DOP853, rtol 1e-10, atol 1e-12, t = 0 to 10, one thread, time per trajectory"
RTOL, ATOL, END, TRAJECTORIES = 1e-10, 1e-12, 10.0, 1000
BARS = {3: (">=", 40.0), 10: None}  # neurons: how many times faster than solve_ivp
TURNS = 9
THEIRS = 8  # trajectories that solve_ivp takes in a turn


def measured(neurons: int) -> list[Row]:
    """Lanes against solve_ivp, and against one trajectory after the other."""
    eqs = hamiltonian(network(neurons)).characteristic_equations()
    given, kernel = arguments(eqs), kernels_of(eqs)["rhs"]
    rhs, states = right_hand_side(kernel, given), ensemble_states(eqs, TRAJECTORIES)
    inputs = given["ext"][: eqs.sizes[1]]
    ends: dict[str, np.ndarray] = {}

    def ours(lanes: bool) -> None:
        found = eqs.solve_ensemble(
            states, (0.0, END, 2), rtol=RTOL, atol=ATOL, inputs=inputs, lanes=lanes, threads=1, progress=False
        )
        ends["lanes" if lanes else "alone"] = found.states[:, -1]

    def scipy(rtol: float = RTOL, atol: float = ATOL) -> np.ndarray:
        # Evenly spread over the ensemble: trajectories differ in the steps they need.
        return np.array([
            solve_ivp(rhs, (0.0, END), state, method="DOP853", rtol=rtol, atol=atol).y[:, -1]
            for state in states[:: TRAJECTORIES // THEIRS]
        ])  # fmt: skip

    found = interleaved(
        {"lanes": lambda: ours(True), "alone": lambda: ours(False), "solve_ivp": scipy}, TURNS,
        {"lanes": TRAJECTORIES, "alone": TRAJECTORIES, "solve_ivp": THEIRS}, time.process_time,
    )  # fmt: skip
    exact, theirs = scipy(1e-13, 1e-15), scipy()

    def error(name: str) -> str:
        end = theirs if name == "solve_ivp" else ends[name][:: TRAJECTORIES // THEIRS]
        return f"{float(np.abs(end - exact).max() / np.abs(exact).max()):.1e}"

    table = []
    for rival, what, bar in (
        ("solve_ivp", "SciPy solve_ivp, compiled rhs", BARS[neurons]),
        ("alone", "one trajectory after the other", None),
    ):
        ratio, spread = found.ratio(rival, "lanes")
        name = f"N = {neurons}: {TRAJECTORIES} trajectories"
        said = f"{error('lanes')}, theirs {error(rival)} (max norm)"
        table.append(Row(name, ratio, bar, "", found.median("lanes"), found.median(rival), what, spread, said))
    return table


def rows() -> list[Row]:
    """Small networks, where a trajectory by itself leaves most of the processor idle."""
    with folder():
        return [row for neurons in BARS for row in measured(neurons)]
