"""Ensembles eight at a time: every trajectory is the one integrated by itself, whatever happens in the other lanes."""

import numpy as np
import pytest
from numba import njit

from qnnsym.solvers import ensemble
from qnnsym.solvers.ensemble import solve_ensemble
from qnnsym.solvers.lanes import Lanes, aligned, worthwhile
from qnnsym.solvers.problem import Problem, _combinations, driver
from qnnsym.solvers.solution import Status
from qnnsym.solvers.tables import PiecewisePolynomial, tabulate
from qnnsym.solvers.vectors import LANES, wide
from tests.solvers import systems
from tests.solvers.systems import SIGNATURE, rotation

DRAW = np.random.default_rng(5)


@njit(SIGNATURE, error_model="numpy")
def van_der_pol(t, y, ext, par, dims, work, rates):
    y, rates = wide(y), wide(rates)
    rates[0] = y[1]
    rates[1] = par[0] * (1 - y[0] * y[0]) * y[1] - y[0]


@njit(SIGNATURE, error_model="numpy")
def growth(t, y, ext, par, dims, work, rates):
    y, ext, rates = wide(y), wide(ext), wide(rates)
    drive = 0.0
    for channel in range(ext.size - 1):
        drive += ext[channel]
    for i in range(y.size):
        rates[i] = par[0] * y[i] + drive


@njit(SIGNATURE, error_model="numpy")
def explosion(t, y, ext, par, dims, work, rates):
    y, rates = wide(y), wide(rates)
    rates[0] = y[0] * y[0]


@njit(SIGNATURE, error_model="numpy")
def timed(t, y, ext, par, dims, work, rates):
    """y' = t y."""
    y, ext, rates = wide(y), wide(ext), wide(rates)
    rates[0] = ext[-1] * y[0]


def one_by_one(problem, states, lanes, **options):
    """Both ways; they agree in every number that an ensemble has."""
    alone = solve_ensemble(problem, states, **options)
    together = solve_ensemble(problem, states, lanes=lanes, **options)
    assert together.statuses == alone.statuses and together.warnings == alone.warnings
    # Where the error estimate is all rounding, so is the length of the next step.
    np.testing.assert_allclose(together.reached, alone.reached, rtol=1e-5, atol=0)
    for count in ("steps", "rejected", "evaluations"):
        assert together.statistics[count] == pytest.approx(alone.statistics[count], rel=2e-3)
    assert np.array_equal(np.isnan(together.states), np.isnan(alone.states))
    return together, alone


@pytest.mark.parametrize("count", (1, 7, 8, 9, 30))
@pytest.mark.parametrize("times", ((0, 12), (0, 0.01, 0.02, 5, 5.5, 12), (12, 3, 1)))
def test_trajectories_with_steps_of_their_own(count, times):
    states = DRAW.uniform(-0.8, 0.8, size=(count, 2))  # within the limit cycle, where the way back does not diverge
    problem = Problem(systems.van_der_pol, [0.0, 0.0], np.array(times, float), par=[1.5])
    together, alone = one_by_one(problem, states, van_der_pol)
    assert together.success
    np.testing.assert_allclose(together.states, alone.states, rtol=0, atol=1e-9)
    assert np.array_equal(together.states[:, 0], states)


def test_far_more_trajectories_than_lanes_on_two_threads():
    states = DRAW.normal(size=(600, 2))
    problem = Problem(systems.van_der_pol, [0.0, 0.0], (0, 3, 4), par=[1.5])
    together, alone = one_by_one(problem, states, van_der_pol, threads=2)
    assert together.statistics["threads"] == 2
    np.testing.assert_allclose(together.states, alone.states, rtol=0, atol=1e-9)


def test_signals_and_their_jumps_at_each_lanes_own_time():
    def signal(t):
        return np.array([np.sin(3 * t) + (t > 1.3), np.cos(t)])

    table = tabulate(signal, 0.0, 4.0, breakpoints=[1.3])
    problem = Problem(systems.growth, [0.0, 0.0], (0, 4, 9), par=[-0.8], table=table)
    states = DRAW.normal(size=(20, 2)) * 10.0 ** DRAW.uniform(-6, 3, size=(20, 1))
    together, alone = one_by_one(problem, states, growth)
    np.testing.assert_allclose(together.states, alone.states, rtol=1e-12, atol=1e-9)
    assert (together.states[:, 2] != together.states[:, 3]).all()


def test_constant_signals():
    table = PiecewisePolynomial.constant((0.5, 0.25))
    problem = Problem(systems.growth, [0.0], (0, 2, 3), par=[-1.0], table=table)
    found = solve_ensemble(problem, np.arange(10.0)[:, None], lanes=growth)
    expected = 0.75 + (np.arange(10.0)[:, None] - 0.75) * np.exp(-np.array([0, 1, 2]))
    np.testing.assert_allclose(found.states[..., 0], expected, rtol=0, atol=1e-8)


def test_time_is_each_lanes_own():
    states = 10.0 ** np.arange(-2, 15)[:, None]
    found = solve_ensemble(Problem(timed, [0.0], (0, 1, 2)), states, lanes=timed)
    np.testing.assert_allclose(found.states[:, -1], states * np.exp(0.5), rtol=1e-9)


def test_a_trajectory_that_blows_up_does_not_touch_the_others():
    states = np.where(np.arange(21) % 5 == 2, 1.0 + np.arange(21) / 10, -0.5 - np.arange(21) / 50)[:, None]
    together, _ = one_by_one(Problem(systems.explosion, [0.0], (0, 2, 5)), states, explosion)
    ended = np.array([s is not Status.SUCCESS for s in together.statuses])
    assert np.array_equal(ended, np.arange(21) % 5 == 2)
    np.testing.assert_allclose(together.reached[ended], 1 / states[ended, 0], rtol=1e-6)
    exact = states / (1 - states * np.linspace(0, 2, 5))
    np.testing.assert_allclose(together.states[~ended, :, 0], exact[~ended], rtol=1e-9)


def test_states_at_rest_have_no_error_and_no_harm():
    states = np.zeros((9, 2))
    states[3] = 1.0, 2.0
    problem = Problem(systems.van_der_pol, [0.0, 0.0], (0, 5, 3), par=[1.5])
    together, _ = one_by_one(problem, states, van_der_pol)
    assert not together.states[[0, 1, 2, *range(4, 9)]].any()


def test_steps_that_run_out_are_said_so():
    states = DRAW.normal(size=(11, 2))
    problem = Problem(systems.van_der_pol, [0.0, 0.0], (0, 50, 2), par=[1.5])
    together, _ = one_by_one(problem, states, van_der_pol, max_steps=7)
    assert together.statuses == (Status.MAX_STEPS,) * 11


def test_an_interruption_ends_all_lanes():
    run = Lanes(rotation(times=(0, 10, 3)), van_der_pol, 1e-10, 1e-12, None, np.ones(1, np.int64))
    outputs, codes, reached = np.full((9, 3, 2), np.nan), np.zeros(9, np.int64), np.zeros(9)
    run.march(np.ones((9, 2)), outputs, codes, reached, np.zeros((9, 3), np.int64), 0, 9, 100)
    assert not codes.any() and np.isnan(outputs[:, 1:]).all()


def test_an_interruption_of_the_user_is_heard_within_a_trajectory(monkeypatch):
    class Interrupted(ensemble.Progress):
        def update(self, *_):
            raise KeyboardInterrupt

    monkeypatch.setattr(ensemble, "Progress", Interrupted)
    # A million oscillations: without being heard this takes minutes.
    problem = Problem(systems.van_der_pol, [0.0, 0.0], (0, 1e7, 2), par=[1.5])
    found = solve_ensemble(problem, np.ones((8, 2)), lanes=van_der_pol)
    assert found.statuses == (Status.INTERRUPTED,) * 8 and (found.reached < 1e7).all()


def test_other_methods_go_one_after_the_other():
    states = DRAW.normal(size=(9, 2))
    problem = Problem(systems.van_der_pol, [0.0, 0.0], (0, 3, 4), par=[1.5])
    alone, given = (solve_ensemble(problem, states, method="rk4", step=0.01, lanes=k) for k in (None, van_der_pol))
    assert np.array_equal(given.states, alone.states)


def test_the_first_step_is_the_users():
    problem = Problem(systems.van_der_pol, [0.0, 0.0], (0, 3, 4), par=[1.5])
    one_by_one(problem, DRAW.normal(size=(3, 2)), van_der_pol, step=1e-5)


def test_error_norms_are_those_of_one_trajectory():
    rows, weights, _, _, stages, solution = _combinations("dop853")
    single, eight = driver(None), driver(None, "lockstep")
    estimates = solution + single.ERROR5, solution + single.ERROR3
    assert np.array_equal(*(rows[line] for line in estimates))  # one pass reads the slopes of both
    n = 5
    y, new, h, ratios = (aligned(size) for size in (n * LANES, n * LANES, LANES, LANES))
    slopes = aligned((stages + 1) * n * LANES)
    for array in (y, new, h, slopes):
        array[:] = DRAW.normal(size=array.size)
    slopes.reshape(stages + 1, n, LANES)[:, :, 3] = 0.0
    new[LANES + 5] = np.inf
    eight.error_ratios(y, new, slopes, rows, weights, solution, h, 1e-6, 1e-8, ratios)
    for q in range(LANES):
        k = slopes.reshape(stages + 1, n, LANES)[:, :, q]
        five, three = (weights[line, :8] @ k[rows[line, :8]] for line in estimates)
        parts = [np.ascontiguousarray(a[q::LANES]) for a in (y, new)]
        np.testing.assert_allclose(ratios[q], single.error_ratio(*parts, five, three, h[q], 1e-6, 1e-8), rtol=1e-13)
    assert ratios[3] == 0.0 and np.isnan(ratios[5])


def test_memory_is_aligned_and_lanes_are_for_many_small_trajectories():
    assert all(aligned(n).ctypes.data % 64 == 0 and aligned(n, 3).shape == (n, 3) for n in range(1, 40))
    assert worthwhile(1000, 42) and not worthwhile(3, 42) and not worthwhile(1000, 20_000)
