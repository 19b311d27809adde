"""The QR routine on a flow whose exponents are in the literature."""

import numpy as np
import pytest

from qnnsym.errors import SolverError
from qnnsym.solvers.lyapunov import lyapunov_spectrum


def lorenz(_, s, v):
    x, y, z = s
    jacobian = np.array([[-10, 10, 0], [28 - z, -1, -x], [y, x, -8 / 3]])
    return np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z]), v @ jacobian.T


def test_lorenz_exponents():
    """0.9056, 0, -14.5723 (A. Wolf et al., Physica D 16 (1985) 285; J. C. Sprott 2003); their sum is the divergence."""
    found = lyapunov_spectrum(lorenz, np.ones(3), 3, duration=150, step=0.01, transient=20)
    assert (np.abs(found.exponents - [0.9056, 0, -14.5723]) <= 3.5 * found.uncertainty + 1e-3).all()
    assert found.uncertainty.max() < 0.08
    assert found.exponents.sum() == pytest.approx(-10 - 1 - 8 / 3, abs=3e-4)  # RK4 at this step


def test_a_trajectory_that_blows_up_is_an_error():
    with np.errstate(all="ignore"), pytest.raises(SolverError, match="not finite"):
        lyapunov_spectrum(lambda t, y, v: (y**3, 3 * y**2 * v), np.ones(1), 1, duration=50, step=0.1)
