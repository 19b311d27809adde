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


def test_steps_follow_a_stiff_flow_and_are_refused_where_they_would_be_too_many():
    """y' = -41 y + x, x' = -x: exponents -1 and -41, which RK4 with steps of 0.05 turns into -1 and -21."""
    matrix = np.array([[-1.0, 0.0], [1.0, -41.0]])
    rates = lambda t, y, v: (matrix @ y, v @ matrix.T)  # noqa: E731
    found = lyapunov_spectrum(rates, np.ones(2), 2, duration=9, step=0.05, transient=2)
    assert np.abs(found.exponents - [-1, -41]) == pytest.approx(0, abs=2e-2)
    assert (np.abs(found.exponents - [-1, -41]) <= 3 * found.uncertainty).all()
    with pytest.raises(SolverError, match=r"flow is fast.*budget"):
        lyapunov_spectrum(lambda t, y, v: (-1e6 * y, -1e6 * v), np.ones(1), 1, duration=100, step=0.05)


def test_a_steep_place_between_two_steps_is_seen():
    """A phase on a circle with a narrow step in its rates: the exponent of a period is ln F(end)/F(start) = 0."""
    width = 2e-3

    def rates(t, y, v):
        z = np.sin(y[0]) / width
        return np.array([2 + np.tanh(z)]), v * (np.cos(y[0]) / width / np.cosh(np.clip(z, -300, 300)) ** 2)

    found = lyapunov_spectrum(rates, np.array([0.3]), 1, duration=60, step=0.05, transient=1)
    # Between two times the growth is ln F(y)/F(y0), at most ln 3; steps over the jumps give none of them or one alone.
    assert np.abs(np.cumsum(found.running[:, 0]) * 0.05).max() < np.log(3) + 0.01
