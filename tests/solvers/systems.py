"""Systems with known solutions as compiled kernels, and the driver taken step by step."""

import numpy as np
from numba import njit

from qnnsym.solvers.problem import Problem, Run

SIGNATURE = "void(float64, float64[::1], float64[::1], float64[::1], int64[::1], float64[::1], float64[::1])"


@njit(SIGNATURE, error_model="numpy")
def oscillator(t, y, ext, par, dims, work, rates):
    rates[0] = y[1]
    rates[1] = -(par[0] ** 2) * y[0]


@njit(SIGNATURE, error_model="numpy")
def van_der_pol(t, y, ext, par, dims, work, rates):
    rates[0] = y[1]
    rates[1] = par[0] * (1 - y[0] ** 2) * y[1] - y[0]


@njit(SIGNATURE, error_model="numpy")
def growth(t, y, ext, par, dims, work, rates):
    """y' = par y + sum of the signals, every component alike."""
    drive = 0.0
    for channel in range(ext.size):
        drive += ext[channel]
    for i in range(y.size):
        rates[i] = par[0] * y[i] + drive


@njit(SIGNATURE, error_model="numpy")
def explosion(t, y, ext, par, dims, work, rates):
    """y' = y^2, infinite at t = 1/y(0)."""
    rates[0] = y[0] ** 2


@njit(SIGNATURE, error_model="numpy")
def ends_at_one(t, y, ext, par, dims, work, rates):
    """y' = sqrt(1 - t), NaN for t > 1."""
    rates[0] = np.sqrt(1.0 - t)


@njit(SIGNATURE, error_model="numpy")
def workspace_user(t, y, ext, par, dims, work, rates):
    """y' = dims[0] y, with the product in the work array: wrong if the driver hands over another one."""
    work[0] = dims[0] * y[0]
    rates[0] = work[0]


def rotation(omega=1.0, times=(0, 10, 101), y=(1.0, 0.0), **options):
    return Problem(oscillator, y, times, par=[omega], names=("q", "v"), **options)


def rotated(times, omega=1.0, start=0.0):
    phase = omega * (np.asarray(times) - start)
    return np.stack([np.cos(phase), -omega * np.sin(phase)], axis=-1)


def run_of(problem, method="dop853", rtol=1e-10, atol=1e-12, step=None):
    return Run(problem, method, rtol, atol, step, problem.times)


def one_by_one(run, limit=100_000):
    """Drive to the end with a budget of one step; yields (t, state) after every attempt."""
    for _ in range(limit):
        run.compiled.advance(*run._arguments, 1, run.scalars, run.counts)
        yield run.scalars[0], run.y.copy()
        if run.counts[0]:
            return
    raise AssertionError("the driver does not come to an end")
