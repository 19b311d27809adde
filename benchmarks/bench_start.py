"""Starting again: a second process finds everything compiled, and the command line answers at once."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.measure import Row, Times, folder, middle, process, python
from benchmarks.networks import hamiltonian, network
from benchmarks.prepared import EMPTY, LOAD, prepare

TITLE = "A second process (processor time of the whole)"
TURNS = 9
HELPS = 10

BARE = LOAD + "sys.path.insert(0, '.')\nfrom empty import empty\nempty(*call)\n"
KERNEL = LOAD + "load()[names.split(',')[0]](*call)\n"
DRIVER = (
    LOAD
    + """
from pathlib import Path
from qnnsym.solvers.problem import Problem
from qnnsym.solvers.tables import PiecewisePolynomial
t, state, ext, par, dims, work, rates = call
table = PiecewisePolynomial.constant(ext)
problem = Problem(load()["rhs"], state, (0.0, 1.0, 2), par=par, dims=dims, work_size=work.size, table=table,
                  cache_dir=Path(cache))
problem.integrate()
"""
)


def second_process() -> list[Row]:
    """Whole processes in turn; the excess over one that loads a cached empty function."""
    with folder() as here:
        (here / "empty.py").write_text(EMPTY.format(name="empty", cache=True))
        prepared = prepare(hamiltonian(network(10)).characteristic_equations(), here)
        arguments = prepared.arguments(here / "cache")
        codes = {"bare": BARE, "kernel": KERNEL, "driver": DRIVER}
        series: dict[str, list[float]] = {name: [] for name in codes}
        for turn in range(TURNS + 1):
            for name, code in codes.items():
                elapsed, _ = python(code, here, *arguments)
                if turn:  # the first one compiles
                    series[name].append(elapsed)
    times = Times(series)
    rival = "one cached empty function"
    table = []
    for name, what, bar in (
        ("kernel", "cached kernel and its first call, excess", ("<=", 0.15)),
        ("driver", "cached kernel, driver and an integration, excess", None),
    ):
        excess, spread = times.excess(name, "bare")
        table.append(Row(what, excess, bar, "s", times.median(name), times.median("bare"), rival, spread))
    return table


def helping() -> Row:
    """The command line's help, by the installed command where there is one."""
    command = Path(sys.executable).with_name("qnnsym")
    arguments = [command] if command.exists() else [sys.executable, "-c", "from qnnsym.cli import main; main()"]
    with folder() as here:
        times = [process([*arguments, "--help"], here)[0] for _ in range(HELPS + 1)][1:]
    time, spread = middle(times)
    return Row("qnnsym --help", time, ("<", 0.3), "s", time, spread=spread)


def rows() -> list[Row]:
    """Everything of this module."""
    return [*second_process(), helping()]
