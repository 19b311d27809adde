"""`qnnsym doctor`: what is installed, where kernels are kept, and whether the chain works on this machine."""

from __future__ import annotations

import time

import numpy as np

from qnnsym.errors import QnnsymError
from qnnsym.solvers.solution import library_versions
from qnnsym.workspace import Workspace, shipped_root


def examine() -> tuple[list[str], bool]:
    """(lines to print, whether everything works)."""
    workspace = Workspace.find()
    lines = [f"{name:<8} {version}" for name, version in library_versions().items()]
    lines.append(f"folder   {workspace.root}")
    lines.append(f"shipped  {shipped_root() or 'missing: reinstall qnnsym'}")
    lines.append(f"cache    {workspace.cache or workspace.cache_note}")
    began = time.perf_counter()
    try:
        gap = _relaxation_gap()
    except QnnsymError as error:
        return [*lines, f"self-test failed: {error}"], False
    seconds = time.perf_counter() - began
    healthy = gap < 1e-9 and shipped_root() is not None
    verdict = "works" if gap < 1e-9 else "FAILS"
    lines.append(f"self-test {verdict}: a relaxing neuron agrees with exp(-t) to {gap:.1e} ({seconds:.1f} s)")
    return lines, healthy


def _relaxation_gap() -> float:
    """Derive, emit, compile and solve a linear network whose exact solution is known: y' = -y."""
    from qnnsym.neural import Network, NeuralHamiltonian

    eqs = NeuralHamiltonian(Network(1, activation="linear"), 1.0, 1.0).characteristic_equations()
    zero = np.zeros((1, 2))
    final = eqs.solve((0.0, 1.0, 2), [1.0], [0.0], zero, zero).final
    return float(abs(final[0] - np.exp(-1.0)))
