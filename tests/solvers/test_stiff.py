"""Stiff problems: SciPy's implicit methods with the product kernel's Jacobian, and when they take over."""

import numpy as np
import pytest
from numba import njit

from qnnsym.errors import InputError
from qnnsym.solvers.problem import Problem
from qnnsym.solvers.solution import Status
from qnnsym.solvers.tables import tabulate
from tests.solvers import systems
from tests.solvers.systems import SIGNATURE, rotation


@njit(SIGNATURE, error_model="numpy")
def fast_and_slow(t, y, ext, par, dims, work, rates):
    """y0' = -par0 (y0 - cos y1), y1' = -y1 + ext: a fast component that follows a slow one."""
    rates[0] = -par[0] * (y[0] - np.cos(y[1]))
    rates[1] = -y[1] + (ext[0] if ext.size else 0.0)


@njit(SIGNATURE, error_model="numpy")
def fast_and_slow_tangent(t, y, ext, par, dims, work, rates):
    rates[0] = -par[0] * (y[0] - np.cos(y[1]))
    rates[1] = -y[1] + (ext[0] if ext.size else 0.0)
    rates[2] = -par[0] * (y[2] + np.sin(y[1]) * y[3])
    rates[3] = -y[3]


def stiff(times=(0, 10, 6), rate=1e4, **options):
    return Problem(fast_and_slow, [2.0, 1.0], times, par=[rate], tangent=fast_and_slow_tangent, **options)


def expected(t, rate=1e4):
    """The slow component exactly; the fast one in the order 1/rate^2 of its lag behind cos y1."""
    slow = np.exp(-t)
    lag = np.sin(slow) * slow / rate  # d cos(y1)/dt / rate
    return np.array([np.cos(slow) - lag, slow])


@pytest.mark.parametrize("method", ("radau", "bdf", "lsoda"))
def test_implicit_methods_need_few_evaluations(method):
    found = stiff().solve(method, rtol=1e-8, atol=1e-10)
    assert found.success and found.statistics["evaluations"] < 5000
    for t, y in zip(found.times[1:], found.states[1:], strict=True):
        assert y == pytest.approx(expected(t), abs=1e-6)


def test_auto_hands_a_stiff_problem_over_and_says_when():
    found = stiff().solve(rtol=1e-8, atol=1e-10)
    explicit = stiff().solve("dop853", rtol=1e-8, atol=1e-10)
    assert found.success and "limited by stability" in found.warnings[0] and "radau took over" in found.warnings[0]
    assert found.statistics["evaluations"] < explicit.statistics["evaluations"] / 10
    assert np.abs(found.states - explicit.states).max() < 1e-6


def test_auto_keeps_a_problem_that_is_not_stiff():
    auto, explicit = (rotation(times=(0, 300, 7)).solve(method) for method in ("auto", "dop853"))
    assert np.array_equal(auto.states, explicit.states) and not auto.warnings


def test_the_jacobian_is_that_of_the_product_kernel():
    from qnnsym.solvers.stiff import ImplicitRun

    problem = stiff(rate=7.0)
    run = ImplicitRun(problem, "radau", 1e-8, 1e-8, problem.times, np.empty((6, 2)), 1, 0.0, problem.state)
    exact = [[-7.0, -7.0 * np.sin(1.0)], [0.0, -1.0]]
    assert np.abs(run._jacobian(0.0, problem.state) - exact).max() < 1e-15


def test_without_a_product_kernel_scipy_differences():
    found = Problem(fast_and_slow, [2.0, 1.0], (0, 10, 6), par=[1e4]).solve("radau", rtol=1e-8, atol=1e-10)
    assert found.states[-1] == pytest.approx(expected(10.0), abs=1e-6)


def test_backwards_and_with_a_signal_that_jumps():
    table = tabulate(lambda t: [1.0 if t < 2.0 else -1.0], 0.0, 4.0, breakpoints=[2.0])
    there = stiff((0, 4, 5), rate=3.0, table=table).solve("radau", rtol=1e-10, atol=1e-12)
    exact = stiff((0, 4, 5), rate=3.0, table=table).solve("dop853", rtol=1e-12, atol=1e-12)
    assert np.abs(there.states - exact.states).max() < 1e-7
    back = Problem(
        fast_and_slow, there.final, (4, 0, 5), par=[3.0], tangent=fast_and_slow_tangent, table=table
    ).solve("radau", rtol=1e-11, atol=1e-13)
    assert np.abs(back.final - [2.0, 1.0]).max() < 1e-3  # errors grow by e^(3 t) on the way back


def test_a_blow_up_ends_with_the_time():
    found = Problem(systems.explosion, [1.0], (0, 2, 5)).solve("radau")
    assert found.status in (Status.STEP_TOO_SMALL, Status.NON_FINITE)
    assert float(found.warnings[0].split()[3].rstrip(".")) == pytest.approx(1.0, abs=1e-3)
    assert "radau" in found.warnings[0]


def test_steps_that_run_out():
    found = stiff().solve("bdf", max_steps=4)
    assert found.status is Status.MAX_STEPS and "raise max_steps" in found.warnings[0]


def test_a_jacobian_that_would_not_fit_is_refused():
    with pytest.raises(InputError, match="dense Jacobian of 6000 x 6000"):
        Problem(systems.growth, np.ones(6000), (0, 1, 2), par=[-1.0]).solve("bdf")
