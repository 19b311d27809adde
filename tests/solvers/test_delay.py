"""Delay equations: exact solutions, orders, histories of every kind, breakpoints, sums over all past lags, refusals."""

from math import factorial, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy.optimize import brentq

from qnnsym.checks.orders import fit_order
from qnnsym.errors import InputError
from qnnsym.solvers.delay import SMOOTH, DelayProblem, checked_lag, history_table, propagated
from qnnsym.solvers.events import Event
from qnnsym.solvers.problem import driver
from qnnsym.solvers.solution import Status
from qnnsym.solvers.tables import PiecewisePolynomial
from tests.solvers.systems import SIGNATURE

LOOSE = {"rtol": 1e6, "atol": 1e6}
TIGHT = {"rtol": 1e-13, "atol": 1e-15}


@pytest.fixture(scope="module", autouse=True)
def stepping():
    return driver(None)


@njit(SIGNATURE, error_model="numpy")
def weighted(t, y, ext, par, dims, work, rates):
    """y' = sum_c par[c] ext[c] in every component."""
    total = 0.0
    for channel in range(ext.size):
        total += par[channel] * ext[channel]
    for i in range(y.size):
        rates[i] = total


@njit(SIGNATURE, error_model="numpy")
def summed(t, y, ext, par, dims, work, rates):
    """M' = cos 3t - M, W' = M + the lagged values."""
    rates[0] = np.cos(3.0 * t) - y[0]
    rates[1] = y[0]
    for channel in range(ext.size):
        rates[1] += ext[channel]


@njit(SIGNATURE, error_model="numpy")
def logistic_delay(t, y, ext, par, dims, work, rates):
    rates[0] = par[0] * y[0] * (1.0 - ext[0])


def retarded(times=(0, 6, 61), history=(1.0,), lag=1.0, **options):
    """y' = -y(t - 1)."""
    return DelayProblem(weighted, [1.0], times, lags=[lag], lagged=[(0, 0)], history=history, par=[-1.0], **options)


def by_steps(t):
    """Its solution for y = 1 before, a polynomial in each unit of time."""
    return sum((-1) ** k * (t - (k - 1)) ** k / factorial(k) for k in range(floor(t) + 2))


def test_the_method_of_steps_is_exact_where_the_solution_is_polynomial():
    solution = retarded().solve(**TIGHT)
    assert solution.success
    np.testing.assert_allclose(solution.states[:, 0], [by_steps(t) for t in solution.times], rtol=0, atol=2e-14)


@pytest.mark.parametrize("rtol", [1e-6, 1e-9, 1e-12])
def test_errors_follow_the_tolerance(rtol):
    solution = retarded().solve(rtol=rtol, atol=rtol)
    errors = solution.states[:, 0] - [by_steps(t) for t in solution.times]
    assert np.abs(errors).max() < 20 * rtol


def test_twelve_digits_take_less_than_three_times_the_steps_of_nine():
    nine, twelve = (retarded((0, 60, 2)).solve(rtol=r, atol=r) for r in (1e-9, 1e-12))
    assert twelve.statistics["evaluations"] < 3 * nine.statistics["evaluations"]


def exponential(coefficients, lags):
    """The real s for which e^{st} solves y' = sum_c a_c y(t - lag_c), all a_c positive."""
    return brentq(lambda s: s - sum(a * np.exp(-s * lag) for a, lag in zip(coefficients, lags, strict=True)), 0, 20)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.05, 1.0), st.floats(0.1, 1.5)), min_size=1, max_size=3, unique_by=lambda p: p[1])
)
def test_several_delays_keep_an_exponential(pairs):
    coefficients, lags = zip(*pairs, strict=True)
    s = exponential(coefficients, lags)
    problem = DelayProblem(
        weighted, [1.0], (0, 3, 7), lags=lags, lagged=[(c, 0) for c in range(len(lags))],
        history=lambda t: [np.exp(s * t)], par=coefficients,
    )  # fmt: skip
    solution = problem.solve(rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(solution.states[:, 0], np.exp(s * solution.times), rtol=3e-11)


def test_order_eight_with_an_interpolant_of_degree_seven():
    shares, errors = np.array([1, 2, 3, 4, 5]), []
    exact = DelayProblem(
        logistic_delay, [0.5], (0, 6, 2), lags=[2.0], lagged=[(0, 0)], history=lambda t: [0.5 + 0.1 * t], par=[1.2]
    ).solve(**TIGHT).final  # fmt: skip
    for parts in shares:
        inner = 2.0 * np.arange(1, 3 * parts) / parts
        problem = DelayProblem(
            logistic_delay, [0.5], (0, 6, 2), lags=[2.0], lagged=[(0, 0)], history=lambda t: [0.5 + 0.1 * t],
            par=[1.2], breakpoints=tuple(inner),
        )  # fmt: skip
        solution = problem.solve(step=2.0, **LOOSE)
        assert solution.statistics["steps"] == 3 * parts
        errors.append(abs(solution.final[0] - exact[0]))
    slopes = np.diff(np.log(errors)) / np.diff(np.log(1 / shares))
    assert np.all(slopes[1:] > 7.3) and errors[-1] < 1e-8
    order = fit_order(2.0 / shares[1:], errors[1:])
    assert order is None or abs(order.slope - 8) < 0.7


# sums over all lags that have passed ---------------------------------------------------------------------------------


def test_one_lagged_sum_stands_for_ever_more_lags():
    history = lambda t: [1.0 + t, 0.0]  # noqa: E731
    one = DelayProblem(
        summed, [1.0, 0.0], (0, 5, 51), lags=[0.5], lagged=[(0, 0)], history=history, sums={0: 0}
    ).solve(**TIGHT)  # fmt: skip
    # The same with a lag for every epoch; M before -T is zero, where the sum does not reach.
    many = DelayProblem(
        summed, [1.0, 0.0], (0, 5, 51), lags=0.5 * np.arange(1, 12), lagged=[(v, 0) for v in range(11)],
        history=lambda t: history(t) if t >= -0.5 else [0.0, 0.0], jumps=[-0.5],
    ).solve(**TIGHT)  # fmt: skip
    np.testing.assert_allclose(one.states, many.states, rtol=0, atol=3e-13)
    assert one.final[1] > 10


def test_memory_stays_as_long_as_the_lag():
    problem = retarded((0, 400, 2), history=lambda t: [np.cos(np.pi * t / 2)], lag=1.0)
    problem.par[:] = [-np.pi / 2]
    from qnnsym.solvers.problem import MAX_STEPS, Run

    run = Run(problem, "dop853", 1e-12, 1e-14, None, problem.times)
    assert run.drive(MAX_STEPS, None) is Status.SUCCESS
    assert run.y[0] == pytest.approx(1.0, abs=1e-9)  # cos(pi t/2), a neutrally stable solution
    assert run.steps > 1000 and len(run.memory.store) < 500


def test_a_run_taken_up_again_is_the_same():
    from qnnsym.solvers.problem import MAX_STEPS, Run

    problem = retarded()
    whole, parts = (Run(problem, "dop853", 1e-10, 1e-12, None, problem.times) for _ in range(2))
    whole.drive(MAX_STEPS, None)
    status, limit = None, 0
    while status is not Status.SUCCESS:
        limit += 7
        status = parts.drive(limit, None)
    np.testing.assert_array_equal(whole.outputs, parts.outputs)


# histories -----------------------------------------------------------------------------------------------------------


def test_histories_as_functions_arrays_and_samples_agree():
    times = np.linspace(-1.0, 0.0, 9)
    given = [
        lambda t: [1 + t**3 - 2 * t**7],
        (times, (1 + times**3 - 2 * times**7)[:, None]),
        PiecewisePolynomial(np.array([-1.0, 0.0]), np.array([2.0, -11, 39, -69, 70, -42, 14, -2]).reshape(1, 8, 1)),
    ]
    assert np.allclose([given[2](t)[0] for t in times], given[1][1][:, 0])
    found = [retarded((0, 3, 31), history).solve(**TIGHT).states for history in given]
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=2e-13)
    np.testing.assert_allclose(found[2], found[0], rtol=0, atol=2e-13)


def test_a_jump_of_the_history_travels_with_the_lag():
    solution = retarded((0, 3, 31), lambda t: [1.0 if t < -0.3 else 2.0], jumps=[-0.3]).solve(**TIGHT)
    t = solution.times[solution.times <= 1]
    expected = 1 - np.where(t <= 0.7, t, 0.7 + 2 * (t - 0.7))
    np.testing.assert_allclose(solution.states[: len(t), 0], expected, atol=1e-14)
    assert 0.7 in np.round(retarded((0, 3, 31), lambda t: [1.0], jumps=[-0.3]).breakpoints, 12)


@pytest.mark.parametrize(
    "history, sentence",
    [
        (np.ones(2), r"The history has the shape \(2,\); it needs \(1,\)"),
        ([np.nan], "The history holds NaN or infinite entries"),
        (lambda t: [np.nan] if t < -0.5 else [1.0], r"The history at t = -0.9\d+, within \[-1, 0\], holds NaN"),
        (lambda t: [1.0][int(t < -0.5)], r"cannot be evaluated at t = -0.9\d+ .* on the whole of \[-1, 0\]"),
        ((np.linspace(-0.5, 0, 5), np.ones((5, 1))), r"covers \[-0.5, 0\], and \[-1, 0\] is needed: it is shorter"),
        ((np.linspace(-1, -0.2, 5), np.ones((5, 1))), r"covers \[-1, -0.2\], and \[-1, 0\] is needed"),
        ((np.linspace(-1, 0, 5), np.ones((4, 1))), r"its values has the shape \(4, 1\); it needs \(5, 1\)"),
        ((np.array([0.0, -1.0]), np.ones((2, 1))), "give at least two that ascend"),
        ("constant", "The history is no array of numbers"),
    ],
)
def test_histories_that_do_not_serve_are_refused(history, sentence):
    with pytest.raises(InputError, match=sentence):
        retarded(history=history)


@pytest.mark.parametrize("number", [2, 3, 5, 8, 20])
def test_samples_are_met_by_a_spline_of_odd_degree(number):
    times = np.linspace(-2.5, 0.0, number)
    values = np.stack([np.sin(times), times], axis=1)
    table = history_table((times, values), -2.0, 0.0, 2, "The history")
    inside = times[times >= -2]
    np.testing.assert_allclose([table(t) for t in inside], values[times >= -2], atol=1e-13)
    assert table.breaks[0] == -2.0 and table.breaks[-1] == 0.0
    if number == 20:
        np.testing.assert_allclose([table(t)[0] for t in (-1.77, -0.31)], np.sin([-1.77, -0.31]), atol=1e-8)


# breakpoints ---------------------------------------------------------------------------------------------------------


def test_breakpoints_are_sums_of_lags():
    lags = np.array([1.0, 0.3])
    found = propagated([0.0], lags, 0.0, 2.0, SMOOTH)
    expected = {a + 0.3 * b for a in range(3) for b in range(8) if 0 < a + 0.3 * b < 2 - 1e-9 and a + b <= SMOOTH}
    np.testing.assert_allclose(found, sorted({round(e, 12) for e in expected}), atol=1e-12)


def test_jumps_smooth_out_or_go_on():
    assert len(propagated([0.0], np.array([0.1]), 0.0, 5.0, SMOOTH)) == SMOOTH
    assert len(propagated([0.0], np.array([0.1]), 0.0, 5.0, None)) == 49


def test_too_many_breakpoints_are_refused():
    with pytest.raises(InputError, match="make more than 100000 times at which derivatives jump"):
        propagated([0.0], np.array([1e-5]), 0.0, 5.0, None)


# refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [0, -1.0, np.inf, np.nan, "long", None, True])
def test_delays_that_are_not_positive_are_refused(lag):
    with pytest.raises(InputError, match=r"The delay is .*; give a positive number"):
        checked_lag(lag)


def test_state_dependent_delays_are_refused():
    import sympy as sp

    for lag in (lambda t, y: 1 + y[0], sp.Symbol("y") + 1):
        with pytest.raises(InputError, match="depends on time or state; delays are constant here"):
            DelayProblem(weighted, [1.0], (0, 1, 2), lags=[lag], lagged=[(0, 0)], history=[1.0], par=[1.0])


def test_other_slips_are_refused():
    with pytest.raises(InputError, match="The times descend; a delay equation is integrated forwards only"):
        retarded((0, -1, 5))
    with pytest.raises(InputError, match=r"The lagged value \(1, 0\) does not exist; there are 1 lags"):
        DelayProblem(weighted, [1.0], (0, 1, 2), lags=[1.0], lagged=[(1, 0)], history=[1.0])
    for method in ("rk4", "radau"):
        with pytest.raises(InputError, match=f"The method '{method}' keeps no dense output"):
            retarded().solve(method)


def test_events_are_found_in_delay_equations():
    solution = retarded(events=[Event(0, 0.0)]).solve(**TIGHT)
    assert solution.crossings[0].times[0] == pytest.approx(1.0, abs=1e-12)  # y = 1 - t
