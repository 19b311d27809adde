"""Kernels on disk for processes that know nothing but files: the generated folder, and the arguments of one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.networks import arguments
from qnnsym.codegen.build import KERNELS, built, render
from qnnsym.neural.characteristic import CharacteristicEquations

# What every process below begins with: the arguments of a call, and a loader that is asked with an empty name.
LOAD = """
import sys
import numpy as np

path, names, signature, data, cache = sys.argv[1:6]
saved = np.load(data)
call = [float(saved["t"]), *(saved[n] for n in ("state", "ext", "par", "dims", "work", "rates"))]

def load(folder=cache):
    from pathlib import Path
    from qnnsym.solvers.kernels import load_kernels
    return load_kernels(path, names.split(","), signature, (), Path(folder))
"""

# A function with the kernels' signature and nothing in it.
EMPTY = '''
from numba import njit

@njit("void(float64, float64[::1], float64[::1], float64[::1], int64[::1], float64[::1], float64[::1])", cache={cache})
def {name}(t, state, ext, par, dims, work, rates):
    """Does nothing."""
'''


@dataclass(frozen=True)
class Prepared:
    """Where a process finds the kernels and the arguments of a call."""

    path: Path
    names: tuple[str, ...]
    signature: str
    data: Path

    def arguments(self, cache: Path) -> list[str | Path]:
        """The command line that LOAD reads."""
        return [self.path, ",".join(self.names), self.signature, self.data, cache]


def prepare(eqs: CharacteristicEquations, folder: Path, names: Sequence[str] = ("rhs", "rhs_jvp")) -> Prepared:
    """Write the kernels named, and arguments of the first of them, into a folder."""
    sets = {"rhs": eqs.equations, "rhs_jvp": eqs.tangent}
    source = render("network", "neural", {n: sets[n] for n in names}, "bench")
    home = built(source, folder)
    data = folder / f"{'-'.join(names)}-{eqs.sizes[0]}.npz"
    np.savez(data, **arguments(eqs))
    return Prepared(home / KERNELS, source.manifest.functions, source.manifest.signature, data)
