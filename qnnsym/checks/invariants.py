"""Invariants of Hamiltonian flows, measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def drift(values: Sequence[float] | np.ndarray, scale: float | None = None) -> float:
    """Largest change from the first value, over `scale` (by default the largest value, at least 1e-300)."""
    values = np.asarray(values, float)
    size = scale if scale is not None else max(float(np.max(np.abs(values))), 1e-300)
    return float(np.max(np.abs(values - values[0])) / size)


def symplectic_defect(jacobian: np.ndarray) -> float:
    """max |J^T Omega J - Omega| for a Jacobian over (q, p), canonical order."""
    n = len(jacobian) // 2
    omega = np.block([[np.zeros((n, n)), np.eye(n)], [-np.eye(n), np.zeros((n, n))]])
    return float(np.max(np.abs(jacobian.T @ omega @ jacobian - omega)))
