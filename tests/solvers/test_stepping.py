"""The compiled driver: against SciPy's DOP853 step by step, orders, dense output, jumps, resumption and failures."""

import numpy as np
import pytest
from scipy.integrate import DOP853 as SciPyDOP853

from qnnsym.checks.orders import fit_order
from qnnsym.errors import SolverError
from qnnsym.solvers.problem import Problem, driver
from qnnsym.solvers.solution import Solution, Status
from qnnsym.solvers.tableaus import METHODS
from qnnsym.solvers.tables import PiecewisePolynomial, tabulate
from tests.solvers import systems
from tests.solvers.systems import one_by_one, rotated, rotation, run_of

# Tolerances at which no step is ever refused: breakpoints alone decide the steps.
LOOSE = {"rtol": 1e6, "atol": 1e6}


@pytest.fixture(scope="module", autouse=True)
def stepping():
    return driver(None)


def accepted(run):
    """Times and states after every accepted step."""
    times, states = [run.scalars[0]], [run.y.copy()]
    for t, y in one_by_one(run):
        if t != times[-1]:
            times.append(t)
            states.append(y)
    return np.array(times), np.array(states)


@pytest.mark.parametrize(
    "mu, rtol, stop, first",
    ((2.0, 1e-7, 10.0, 0.1), (5.0, 1e-10, 10.0, 0.02), (5.0, 1e-10, 10.0, None), (2.0, 1e-8, -3.0, 0.1)),
)
def test_the_trajectory_is_scipys_step_by_step(mu, rtol, stop, first):
    def f(t, y):
        return np.array([y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]])

    solver = SciPyDOP853(f, 0.0, [2.0, 0.0], stop, rtol=rtol, atol=1e-9, first_step=first)
    times, states = [0.0], [solver.y.copy()]
    while solver.status == "running":
        solver.step()
        times.append(solver.t)
        states.append(solver.y.copy())
    # SciPy lets a step grow tenfold, Hairer's program and this driver sixfold: chosen to need neither.
    assert max(b / a for a, b in zip(np.diff(times)[:-1], np.diff(times)[1:], strict=True)) < 6
    run = run_of(Problem(systems.van_der_pol, [2.0, 0.0], (0.0, stop, 2), par=[mu]), rtol=rtol, atol=1e-9, step=first)
    found_times, found = accepted(run)
    assert len(found_times) == len(times) and run.counts[3] == solver.nfev
    # The error estimate loses digits to cancellation, so that the steps agree in the remaining ones only...
    assert np.abs(found_times - times).max() < 1e-6
    # ...and the states agree once each is moved to the time of the other.
    moved = [y + (s - t) * f(t, y) for y, t, s in zip(found, found_times, times, strict=True)]
    assert np.abs(np.array(moved) - states).max() < 1e-10
    if mu == 5.0:
        assert run.counts[2] > 5  # rejected steps are among them


def test_rk4_has_order_four():
    steps = 1 / np.array([10, 14, 20, 28, 40])
    exact = rotated([2.0])[0]
    errors = [np.linalg.norm(rotation(times=(0, 2, 2)).integrate("rk4", step=h) - exact) for h in steps]
    assert fit_order(steps, errors).slope == pytest.approx(4, abs=0.05)


def fixed_steps(h, count, outputs=(), **options):
    """The oscillator by steps of DOP853 that breakpoints force to be equal."""
    stop = h * count
    times = np.unique([0.0, *outputs, stop])
    return rotation(times=times, breakpoints=h * np.arange(1, count), **options).solve(**LOOSE, step=h)


def test_dop853_has_order_eight():
    counts = np.array([4, 5, 6, 8, 10])
    solutions = [fixed_steps(3.0 / n, n) for n in counts]
    assert [s.statistics["steps"] for s in solutions] == list(counts)
    errors = [np.linalg.norm(s.final - rotated([3.0])[0]) for s in solutions]
    assert fit_order(3.0 / counts, errors).slope == pytest.approx(8, abs=0.1)


def test_the_error_of_dop853_follows_the_tolerance():
    tolerances = 10.0 ** -np.arange(4, 11)
    exact = rotated([20.0])[0]
    errors = [np.linalg.norm(rotation(times=(0, 20, 2)).integrate(rtol=t, atol=t) - exact) for t in tolerances]
    assert fit_order(tolerances, errors).slope == pytest.approx(1, abs=0.2)
    assert np.all(errors < 100 * tolerances)


@pytest.mark.parametrize("share", (0.3, 0.5, 0.8))
def test_between_steps_the_dense_output_is_of_order_eight_locally(share):
    lengths = np.array([0.9, 0.7, 0.55, 0.42, 0.32])
    errors = []
    for h in lengths:
        found = fixed_steps(h, 1, [share * h])
        assert found.statistics["steps"] == 1
        errors.append(np.linalg.norm(found.states[1] - rotated([share * h])[0]))
    assert fit_order(lengths, errors).slope == pytest.approx(8, abs=0.2)


def test_outputs_between_steps_are_as_good_as_the_steps():
    found = rotation(times=(0, 10, 1001)).solve(rtol=1e-11, atol=1e-11)
    assert found.statistics["steps"] < 60
    assert np.abs(found.states - rotated(found.times)).max() < 1e-9
    again = rotation(times=(0, 10, 2)).solve(rtol=1e-11, atol=1e-11)
    # The outputs do not shorten the steps.
    assert again.statistics["steps"] == found.statistics["steps"] and np.array_equal(again.final, found.final)


def test_dense_output_equals_scipys():
    def f(t, y):
        return np.array([y[1], -y[0]])

    solver = SciPyDOP853(f, 0.0, [1.0, 0.0], 5.0, rtol=1e6, atol=1e6, first_step=0.7)
    solver.step()
    inside = np.array([0.1, 0.3, 0.5, 0.69])
    exact = solver.dense_output()(inside).T
    assert np.abs(fixed_steps(0.7, 1, inside).states[1:-1] - exact).max() < 1e-14


@pytest.mark.parametrize("method, step", (("dop853", None), ("rk4", 0.005)))
@pytest.mark.parametrize("times", ((0, 3, 13), (3, 0, 13), [2.0, 1.9, -1.0, -1.01]))
def test_outputs_are_hit_forwards_and_backwards(method, step, times):
    problem = rotation(times=times, y=rotated([np.asarray(times, float)[0]], start=0.0)[0])
    found = problem.solve(method, step=step)
    assert found.success and np.array_equal(found.times, problem.times)
    assert np.abs(found.states - rotated(found.times)).max() < 1e-9


def test_rk4_never_takes_a_longer_step_than_asked_for_and_no_sliver():
    found = rotation(times=[0.0, 0.3, 1.0, 1.05]).solve("rk4", step=0.1)
    # 0.3/0.1 rounds to a little below 3 or above: three steps, not four.
    assert found.statistics["steps"] == 3 + 7 + 1
    assert found.statistics["evaluations"] == 4 * 11


# Signals that jump


def square(t):
    """+1 and -1 in turn, a signal whose integral is known exactly."""
    return [1.0 if int(np.floor(t / 0.3)) % 2 == 0 else -1.0]


JUMPS = [0.3 * n for n in range(1, 10)]


def integral_of_square(t):
    whole, rest = divmod(t / 0.3, 1)
    return 0.3 * (rest if whole % 2 == 0 else 1 - rest)


@pytest.mark.parametrize("times", ((0.0, 2.2, 23), (2.2, 0.0, 23)), ids=("forwards", "backwards"))
@pytest.mark.parametrize("method, step", (("dop853", None), ("rk4", 1.0)))
def test_declared_jumps_cost_no_accuracy(times, method, step):
    table = tabulate(square, 0.0, 2.2, breakpoints=JUMPS)
    problem = Problem(systems.growth, [integral_of_square(times[0])], times, par=[0.0], table=table)
    found = problem.solve(method, step=step)
    exact = [integral_of_square(t) for t in found.times]
    # The right-hand side is constant between jumps: every method is exact there.
    assert np.abs(found.states[:, 0] - exact).max() < 3e-15
    assert found.statistics["rejected"] == 0


def test_jumps_that_are_not_declared_cost_steps_and_accuracy():
    table = tabulate(square, 0.0, 2.2, breakpoints=JUMPS)
    blind = PiecewisePolynomial(table.breaks, table.pieces)
    problem = Problem(systems.growth, [0.0], (0.0, 2.2, 2), par=[0.0], table=blind)
    found = problem.solve(rtol=1e-8, atol=1e-8)
    assert found.statistics["rejected"] > 10
    assert abs(found.final[0] - integral_of_square(2.2)) > 1e-12
    # Given by hand, the same times help as those of the table do.
    told = Problem(systems.growth, [0.0], (0.0, 2.2, 2), par=[0.0], table=blind, breakpoints=JUMPS).solve()
    assert abs(told.final[0] - integral_of_square(2.2)) < 3e-15


def test_a_jump_at_an_output_time_is_recorded_once():
    table = tabulate(square, 0.0, 0.9, breakpoints=[0.3, 0.6])
    found = Problem(systems.growth, [0.0], [0.0, 0.3, 0.45, 0.6, 0.9], par=[0.0], table=table).solve()
    assert found.states[:, 0] == pytest.approx([0, 0.3, 0.15, 0, 0.3], abs=1e-15)


@pytest.mark.parametrize("t, inside, expected", ((0.5, 1.0, 2.0), (0.5, 0.0, 1.0), (0.2, 0.0, 1.0), (0.9, 0.0, 2.0)))
def test_at_a_break_the_side_of_the_step_counts(stepping, t, inside, expected):
    table = tabulate(lambda t: [1.0 if t < 0.5 else 2.0], 0.0, 1.0, breakpoints=[0.5])
    ext = np.empty(1)
    stepping.fill_external(table.breaks, table.pieces, t, inside, ext)
    assert ext[0] == pytest.approx(expected, abs=1e-14)


def test_signals_in_the_driver_are_those_of_the_table(stepping):
    table = tabulate(lambda t: [np.sin(3 * t), t**2], -1.0, 2.0)
    ext = np.empty(2)
    for t in np.linspace(-1.2, 2.2, 35):
        stepping.fill_external(table.breaks, table.pieces, t, t + 1e-3, ext)
        assert ext == pytest.approx(table(t), rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("method", ("dop853", "rk4"))
def test_every_combination_of_the_tableau_is_formed_whole(stepping, method):
    tableau = METHODS[method]
    a, b, _, error5, error3, dense = tableau.arrays()
    rows, weights, filled = tableau.combinations()
    rng = np.random.default_rng(1)
    n = 1061  # no multiple of any vector's length
    y, slopes, target = rng.normal(size=n), rng.normal(size=(len(tableau.c), n)), np.empty(n)
    for line, coefficients in enumerate(np.vstack([a, b, error5, error3, dense])):
        poisoned = slopes.copy()
        poisoned[1:][coefficients[1:] == 0.0] = np.inf  # a weight of zero does not touch its slope
        stepping.combine(y, 0.5, poisoned, rows, weights, filled, line, 0.3, target)
        assert np.abs(target - (0.5 * y + 0.3 * (coefficients @ slopes))).max() < 1e-12


# Leaving and coming back


@pytest.mark.parametrize("method, step", (("dop853", None), ("rk4", 0.013)))
def test_one_step_at_a_time_gives_the_same_bits(method, step):
    def problem():
        table = tabulate(lambda t: [np.sin(5 * t) + (t > 1.1)], 0.0, 4.0, breakpoints=[1.1])
        return Problem(systems.growth, [1.0, -0.5], (0.0, 4.0, 17), par=[-0.3], table=table)

    whole = run_of(problem(), method, step=step)
    assert whole.drive(10**6, None) is Status.SUCCESS
    pieces = run_of(problem(), method, step=step)
    for _ in one_by_one(pieces):
        pass
    assert np.array_equal(pieces.outputs, whole.outputs) and np.array_equal(pieces.y, whole.y)
    assert np.array_equal(pieces.counts, whole.counts)
    # With the bar, solve() returns to Python after 64 steps at the latest.
    assert np.array_equal(problem().solve(method, step=step).states, whole.outputs)


def test_the_kernel_gets_its_sizes_and_its_work_array():
    found = Problem(systems.workspace_user, [1.0], (0, 1, 2), dims=[2], work_size=1).solve()
    assert found.final[0] == pytest.approx(np.exp(2), rel=1e-9)


@pytest.mark.parametrize("method, step", (("dop853", None), ("rk4", 0.01)))
def test_an_interruption_keeps_what_was_reached(monkeypatch, tmp_path, method, step):
    fractions = []

    def update(bar, fraction):
        """The user's Ctrl-C at the third return of the driver."""
        fractions.append(fraction)
        if len(fractions) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("qnnsym.solvers.problem.Progress.update", update)
    problem = rotation(times=(0, 1e4, 20_001))
    found = problem.solve(method, step=step)
    assert found.status is Status.INTERRUPTED and not found.success
    assert 0 < fractions[0] < fractions[1] < fractions[2] < 1 and len(fractions) == 3
    assert 2 < len(found.times) == len(found.states) < 20_001
    assert np.abs(found.states - rotated(found.times)).max() < 1e-6
    assert found.warnings[0].startswith("Reached t = ") and "run again to finish" in found.warnings[0]
    again = Solution.load(found.save(tmp_path / "part.nc"))
    assert again.status is Status.INTERRUPTED and np.array_equal(again.states, found.states)


def test_the_largest_number_of_steps_ends_the_run_and_keeps_what_was_reached():
    found = rotation(times=(0, 100, 101)).solve(max_steps=20)
    assert found.status is Status.MAX_STEPS and found.statistics["steps"] + found.statistics["rejected"] == 20
    assert 1 < len(found.times) < 101 and np.abs(found.states - rotated(found.times)).max() < 1e-8
    assert "raise max_steps" in found.warnings[0] and found.warnings[0].startswith("Reached t = ")
    enough = rotation(times=(0, 100, 101)).solve(
        max_steps=int(rotation(times=(0, 100, 101)).solve().statistics["steps"])
    )
    assert enough.success  # the last step may be the last one allowed


def reached(warning):
    return float(warning.removeprefix("Reached t = ").split(". ")[0])


def test_a_singular_solution_stops_where_it_is_singular():
    found = Problem(systems.explosion, [1.0], (0, 2, 21)).solve()
    assert found.status in (Status.STEP_TOO_SMALL, Status.NON_FINITE)
    assert reached(found.warnings[0]) == pytest.approx(1, abs=1e-5)
    assert found.times[-1] <= 1 and np.isfinite(found.states).all()
    inside = found.times < 0.95
    assert np.allclose(found.states[inside, 0], 1 / (1 - found.times[inside]), rtol=1e-8)


def test_a_step_that_is_too_small_to_advance_time_is_said():
    # From t = 1e6 on, steps of 1e-11 are below the spacing of floating-point numbers.
    found = rotation(omega=1e10, times=(1e6, 1e6 + 1, 2)).solve()
    assert found.status is Status.STEP_TOO_SMALL and "step became too small" in found.warnings[0]
    assert reached(found.warnings[0]) == pytest.approx(1e6)


def test_an_undefined_right_hand_side_stops_with_its_time():
    found = Problem(systems.ends_at_one, [0.0], (0, 2, 21)).solve()
    assert found.status is Status.NON_FINITE and "infinite or NaN" in found.warnings[0]
    assert reached(found.warnings[0]) == pytest.approx(1, abs=1e-6)
    assert found.states[:, 0] == pytest.approx(2 / 3 * (1 - (1 - found.times) ** 1.5), abs=1e-8)


def test_rk4_stops_when_the_state_overflows():
    found = Problem(systems.explosion, [1.0], (0, 2, 21)).solve("rk4", step=0.02)
    assert found.status is Status.NON_FINITE and 0.9 < reached(found.warnings[0]) < 1.5
    assert np.isfinite(found.states).all() and len(found.times) > 9


def test_an_undefined_start_stops_at_once():
    found = Problem(systems.ends_at_one, [0.0], (1.5, 3, 4)).solve()
    assert found.status is Status.NON_FINITE and reached(found.warnings[0]) == 1.5
    assert list(found.times) == [1.5] and found.states.shape == (1, 1)


def test_integrate_raises_where_solve_would_warn():
    with pytest.raises(SolverError, match=r"stops at t = 1\b.*"):
        Problem(systems.explosion, [1.0], (0, 2, 2)).integrate()
    with pytest.raises(SolverError, match="infinite or NaN"):
        Problem(systems.ends_at_one, [0.0], (0, 2, 2)).integrate()


def test_a_state_at_rest_takes_few_steps():
    found = Problem(systems.growth, [0.0, 0.0], (0, 1e3, 2), par=[0.0]).solve()
    assert not found.final.any() and found.statistics["steps"] < 30
