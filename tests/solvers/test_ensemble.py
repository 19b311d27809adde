"""Ensembles: each trajectory is that of the problem by itself, however many threads share the work."""

import numpy as np
import pytest

from qnnsym.errors import InputError
from qnnsym.solvers.ensemble import solve_ensemble
from qnnsym.solvers.problem import Problem
from qnnsym.solvers.solution import Status
from tests.solvers import systems
from tests.solvers.systems import rotation
from tests.solvers.test_stiff import fast_and_slow, fast_and_slow_tangent


def spread(count):
    return np.random.default_rng(3).normal(size=(count, 2))


@pytest.mark.parametrize("method, step", (("dop853", None), ("rk4", 0.01)))
@pytest.mark.parametrize("threads", (1, 2))
def test_each_trajectory_is_the_one_solved_by_itself(method, step, threads):
    states = spread(70)  # more than two shares, and no multiple of one
    times = [0.0, 0.3, 1.1, 2.0]
    found = solve_ensemble(rotation(times=times), states, method=method, step=step, threads=threads)
    assert found.success and found.states.shape == (70, 4, 2) and not found.warnings
    for n in (0, 31, 32, 69):
        alone = rotation(times=times, y=states[n]).solve(method, step=step)
        assert np.array_equal(found.states[n], alone.states)


def test_backwards_in_time():
    states = spread(3)
    there = solve_ensemble(rotation(times=[0.0, 2.0]), states)
    back = solve_ensemble(rotation(times=[2.0, 0.0]), there.states[:, -1])
    assert np.abs(back.states[:, -1] - states).max() < 1e-9


def test_a_trajectory_that_blows_up_does_not_touch_the_others():
    # y' = y^2 from 1 is infinite at t = 1, from -1 it decays.
    problem = Problem(systems.explosion, [0.0], (0, 2, 5))
    found = solve_ensemble(problem, [[-1.0], [1.0], [-0.5]], threads=1)
    assert not found.success
    assert found.statuses[0] is Status.SUCCESS and found.statuses[1] in (Status.STEP_TOO_SMALL, Status.NON_FINITE)
    assert found.states[0, -1, 0] == pytest.approx(-1 / 3, rel=1e-9) and np.isnan(found.states[1, -1, 0])
    assert found.reached[1] == pytest.approx(1.0, abs=1e-6)
    assert "number 1 at t = 1" in found.warnings[0]


def test_steps_that_run_out_are_said_so():
    found = solve_ensemble(rotation(times=(0, 50, 2)), spread(2), max_steps=3)
    assert found.statuses == (Status.MAX_STEPS,) * 2 and "raise max_steps" in found.warnings[0]


@pytest.mark.parametrize(
    "states, said",
    (
        ([1.0, 2.0], "the shape \\(2,\\)"),
        ([[1.0]], "give \\(trajectories, 2\\)"),
        ([[1.0, 0.0], [np.nan, 0.0]], "trajectory 1"),
        ("many", "no array of numbers"),
    ),
)
def test_states_that_do_not_fit_are_refused(states, said):
    with pytest.raises(InputError, match=said):
        solve_ensemble(rotation(times=(0, 1, 2)), states)


def test_threads_are_a_positive_number():
    with pytest.raises(InputError, match="threads=0"):
        solve_ensemble(rotation(times=(0, 1, 2)), spread(1), threads=0)


def test_trajectories_that_turn_stiff_are_handed_to_a_stiff_solver():
    def problem(state, rate=1e4):
        return Problem(fast_and_slow, state, (0, 10, 4), par=[rate], tangent=fast_and_slow_tangent)

    states = np.array([[2.0, 1.0], [0.5, -1.0], [-1.0, 0.4]])
    found = solve_ensemble(problem([0.0, 0.0]), states, method="auto")
    assert found.success and not found.warnings
    for n, state in enumerate(states):
        alone = problem(state).solve("auto")
        assert "radau took over" in alone.warnings[0]
        assert np.array_equal(found.states[n], alone.states)
    short = solve_ensemble(problem([0.0, 0.0]), states, method="auto", max_steps=30)
    assert short.statuses == (Status.MAX_STEPS,) * 3
