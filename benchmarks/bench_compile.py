"""Cold compilation of the network's kernels: the time until a kernel can be called, with an empty cache, for any N."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.measure import Row, folder, middle, python
from benchmarks.networks import hamiltonian, network
from benchmarks.prepared import EMPTY, LOAD, Prepared, prepare

TITLE = "Cold compilation (processor time), numba imported and warmed up by an empty function"
SIZES = (5, 100, 1000)
TURNS = 3
# The equations' bar; a JVP, which is compiled only where something asks for it, has none.
KINDS = {"rhs": ("<=", 1.2), "rhs_jvp": None}

COLD = (
    LOAD
    + EMPTY.format(name="first", cache=False)
    + """
import time
start = time.process_time()
"""
    + EMPTY.format(name="second", cache=False)
    + """
second(*call)
empty = time.process_time() - start
import qnnsym.solvers.kernels
start = time.process_time()
kernels = load()
kernels[sys.argv[6]]
print(time.process_time() - start, empty)
"""
)


def cold(prepared: Prepared, kernel: str) -> tuple[float, float]:
    """(seconds of loading the module and one kernel, seconds of a second empty function) in a fresh process."""
    with tempfile.TemporaryDirectory() as cache:
        _, out = python(COLD, Path.cwd(), *prepared.arguments(Path(cache)), kernel)
    ours, empty = map(float, out.split())
    return ours, empty


def rows() -> list[Row]:
    """Both kernels at three sizes, each in a process and with a cache of its own."""
    with folder() as here:
        cases = {n: prepare(hamiltonian(network(n)).characteristic_equations(), here) for n in SIZES}
        found: dict[tuple[str, int], list[tuple[float, float]]] = {(kind, n): [] for kind in KINDS for n in SIZES}
        for _ in range(TURNS):
            for kind, n in found:
                found[kind, n].append(cold(cases[n], kind))
    table = []
    for kind, bar in KINDS.items():
        everything = [pair for n in SIZES for pair in found[kind, n]]
        time, spread = middle([t for t, _ in everything])
        empty = statistics.median(e for _, e in everything)
        rival = "an empty function, same signature"
        table.append(Row(f"{kind}, compiled", time, bar, "s", time, empty, rival, spread))
        # What disturbs a compilation only ever adds to it.
        least = {n: min(t for t, _ in found[kind, n]) for n in SIZES}
        slow, fast = max(least, key=least.__getitem__), min(least, key=least.__getitem__)
        ratio = least[slow] / least[fast]
        what, rival = f"{kind}, slowest over fastest of N = {SIZES}", f"N = {fast} against N = {slow}"
        table.append(Row(what, ratio, ("<=", 1.2), "", least[slow], least[fast], rival))
    return table
