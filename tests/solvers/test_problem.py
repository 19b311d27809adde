"""Problems: what they refuse and say, what travels with their solutions."""

import gc
import weakref

import numpy as np
import pytest
from numba import njit

from qnnsym.errors import InputError
from qnnsym.solvers.problem import Problem, Run, driver
from qnnsym.solvers.tables import PiecewisePolynomial, tabulate
from tests.solvers import systems
from tests.solvers.systems import rotated, rotation


@pytest.fixture(scope="module", autouse=True)
def stepping():
    return driver(None)


@pytest.mark.parametrize(
    "change, sentence",
    (
        ({"state": []}, "initial state is empty"),
        ({"state": [np.nan, 0]}, "initial state holds NaN"),
        ({"state": [np.inf, 0]}, "initial state holds NaN or infinite"),
        ({"state": [[1.0, 0.0]]}, r"has the shape \(1, 2\); it needs \(2,\)"),
        ({"state": ["a", "b"]}, "no array of numbers"),
        ({"par": [np.nan]}, "parameter is NaN"),
        ({"times": [0.0]}, "at least two"),
        ({"times": [0, 1, 1]}, "neither ascend nor descend"),
        ({"times": (0, 1, 1)}, "number of at least 2"),
        ({"times": (0, 0, 5)}, "no range"),
        ({"times": [0, np.inf]}, "are not times"),
        ({"times": "soon"}, "are not times"),
    ),
    ids=lambda v: str(v)[:30],
)
def test_what_cannot_be_integrated_is_said(change, sentence):
    arguments = {"state": [1.0, 0.0], "times": (0, 1, 3), "par": [1.0], **change}
    with pytest.raises(InputError, match=sentence):
        Problem(systems.oscillator, arguments["state"], arguments["times"], par=arguments["par"])


@pytest.mark.parametrize(
    "options, sentence",
    (
        ({"method": "euler"}, "'euler' is not known; use one of auto, dop853, rk4, radau"),
        ({"rtol": 0.0}, "rtol is 0.0"),
        ({"rtol": np.nan}, "rtol is nan"),
        ({"atol": -1e-9}, "atol is -1e-09"),
        ({"method": "rk4"}, "fixed step; give step="),
        ({"method": "rk4", "step": 0.0}, "step is 0.0"),
        ({"step": -0.1}, "step is -0.1"),
        ({"step": np.inf}, "step is inf"),
    ),
)
@pytest.mark.parametrize("door", ("solve", "integrate"))
def test_settings_that_cannot_be_used_are_said(options, sentence, door):
    with pytest.raises(InputError, match=sentence):
        getattr(rotation(), door)(**options)


def test_what_travels_with_a_solution():
    problem = rotation(times=(0, 2, 5), provenance={"model": "wheel", "signature": "abc"})
    found = problem.solve()
    assert found.success and not found.warnings and found.names == ("q", "v")
    assert found.provenance == {"model": "wheel", "signature": "abc"} and found.grid is None
    assert set(found.statistics) == {"steps", "rejected", "evaluations", "seconds"}
    # Twelve slopes a step, three more where outputs lie within, two for the first step.
    steps = found.statistics["steps"] + found.statistics["rejected"]
    assert 12 * steps < found.statistics["evaluations"] <= 15 * steps + 2 and found.statistics["seconds"] > 0
    assert found.diagnostics == {}


def test_the_problem_is_left_as_it_was():
    state = np.array([1.0, 0.0])
    problem = rotation(y=state)
    first, second = problem.solve(), problem.solve()
    assert np.array_equal(first.states, second.states) and np.array_equal(state, [1.0, 0.0])
    assert np.array_equal(problem.state, state) and np.array_equal(first.states[0], state)
    first.states[:] = 0
    assert np.array_equal(problem.integrate(), second.final)


def test_the_error_of_the_table_is_among_the_diagnostics():
    table = tabulate(lambda t: [np.sin(t)], 0.0, 1.0, tolerance=1e-6)
    problem = Problem(systems.growth, [0.0], (0, 1, 2), par=[0.0], table=table)
    found = problem.solve()
    assert found.diagnostics == {"table_error": table.error} and 0 < table.error < 1e-6
    assert found.final[0] == pytest.approx(1 - np.cos(1), abs=1e-6)


def test_all_channels_reach_the_kernel():
    table = PiecewisePolynomial.constant([0.25, 0.5])
    assert Problem(systems.growth, [0.0], (0, 2, 2), par=[0.0], table=table).solve().final[0] == pytest.approx(1.5)


def test_integrate_is_the_last_state_of_solve():
    problem = rotation(times=(0, 7, 200))
    assert np.array_equal(problem.integrate(), problem.solve().final)
    assert problem.integrate("rk4", step=0.01) == pytest.approx(rotated([7.0])[0], abs=1e-8)


def test_the_driver_is_loaded_once():
    assert driver(None) is driver(None)


def test_tolerances_are_per_component():
    """A component of size 1e-6 beside one of size 1 is lost in an absolute tolerance and kept by a relative one."""
    small = 1e-6
    problem = Problem(systems.growth, [1.0, small], (0, 5, 2), par=[-1.0])
    kept = problem.solve(rtol=1e-9, atol=1e-20).final[1] / (small * np.exp(-5)) - 1
    assert abs(kept) < 1e-7


def test_a_run_keeps_the_machine_code_alive_whose_address_it_has():
    kernel = njit(systems.SIGNATURE)(systems.oscillator.py_func)
    there = weakref.ref(kernel)
    run = Run(Problem(kernel, [1.0, 0.0], (0, 1, 2), par=[1.0]), "dop853", 1e-10, 1e-12, None, np.array([0.0, 1.0]))
    del kernel
    gc.collect()
    assert there() is not None
    run.drive(1000, None)
    np.testing.assert_allclose(run.y, [np.cos(1), -np.sin(1)], atol=1e-9)
