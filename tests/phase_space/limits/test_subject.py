"""What limits take from a model, and the verdict on an order in hbar."""

import math

import numpy as np
import pytest
import sympy as sp

from qnnsym.checks.check import FAIL, NOT_APPLICABLE, PASS
from qnnsym.phase_space import GaussianState, PhaseSpace
from qnnsym.phase_space.limits.flow import Flow
from qnnsym.phase_space.limits.subject import Subject, array_function, distance, not_separable, order_row, own_error
from tests.phase_space.limits.models import OSCILLATOR, PENDULUM, QUARTIC, hbar, model, p, solved, x

H = np.array([0.05, 0.03, 0.018, 0.011, 0.0066])


def row(gaps, floor=1e-8, predicted=1.0, hbars=H, expected=2.0):
    return order_row(
        "limit", "order", hbars, gaps, expected, "a paper",
        tolerance=0.2, floor=floor, predicted=predicted, note="somewhere",
    )  # fmt: skip


def test_the_order_is_fitted_where_differences_are_seen():
    assert (
        row(H**2).verdict == PASS and row(H**3).verdict == FAIL and row(H**2).detail.startswith("somewhere; 5 points")
    )


def test_differences_that_are_not_seen_are_held_against_theory():
    nothing = np.full(5, 1e-12)
    missing = row(nothing)
    assert missing.verdict == FAIL and "it is missing" in missing.detail and missing.found == "no difference"
    small = row(nothing, predicted=1e-9)
    assert small.verdict == NOT_APPLICABLE and "too small to be seen with an error of 1.0e-08" in small.detail
    unknown = row(nothing, predicted=0.0)
    assert unknown.verdict == NOT_APPLICABLE and "Fewer than 4 differences exceed" in unknown.detail


def test_too_few_differences_are_no_order_unless_theory_says_that_they_are_few():
    gaps = 1e-4 * H**2  # two above 5e-8
    assert row(gaps, floor=5e-8, predicted=2.5e-7).verdict == NOT_APPLICABLE
    assert row(gaps, floor=5e-8, predicted=1.0).verdict == FAIL
    assert row(gaps, floor=5e-8, predicted=0.0).verdict == NOT_APPLICABLE
    # Enough of them, and nothing excuses a wrong slope.
    assert row(H**3, floor=1e-12, predicted=0.0).verdict == FAIL


@pytest.mark.parametrize("at", range(5))
def test_a_nan_is_no_small_difference(at):
    for gaps in (H**2, np.full(5, 1e-12)):
        gaps = gaps.copy()
        gaps[at] = math.nan
        assert row(gaps).verdict == FAIL
    assert row(np.full(5, math.nan), predicted=0.0).verdict == FAIL


def test_an_error_that_hides_everything_is_no_excuse():
    for gaps in (H**2, np.full(5, 1e-3)):
        hidden = row(gaps, floor=0.1, predicted=0.0)
        assert hidden.verdict == FAIL and "nothing can be told" in hidden.detail


# Subjects


def test_parameters_come_from_the_space_and_the_model():
    over = PhaseSpace("x", "p")
    m, g = over.parameters(m=2, g=3)
    k = sp.Symbol("k")
    one = model(p**2 / (2 * m) + g * x**4 + k * x**3, space=over, values={"g": 5, "k": sp.Rational(1, 2)})
    subject = Subject.of(one)
    assert subject.numbers(0.1) == {m: 2.0, g: 5.0, over.hbar: 0.1}
    assert subject.kinetic == p**2 / (2 * m) and subject.potential == g * x**4 + x**3 / 2
    assert subject.degrees() == (2, 4) and Subject.of(model(PENDULUM)).degrees() == (2, math.inf)
    assert not_separable(one) is None


@pytest.mark.parametrize(
    "one, centre",
    (
        (model(), (1.0, 0.0)),
        (model(state=GaussianState(a=1, x0=-2, p0=hbar)), (-2.0, 0.1)),
        (model(state=None), (1.0, 0.0)),
        (model(state=sp.exp(-(x**2) - p**2)), (1.0, 0.0)),
        # At x = 0 the third derivative of x^4 and of cos x vanishes.
        (model(state=GaussianState(a=1)), (0.5, 0.0)),
        (model(PENDULUM, state=GaussianState(a=1)), (0.5, 0.0)),
        (model(p**2 / 2 + x**3, state=GaussianState(a=1)), (0.0, 0.0)),
    ),
)
def test_states_start_where_the_leading_term_does_not_vanish(one, centre):
    subject = Subject.of(one)
    assert subject.centre() == pytest.approx(centre)
    assert subject.coherent().extent(subject.space)[0][0] == pytest.approx(centre[0])
    assert subject.fixed_widths().extent(subject.space)[0][1] == sp.Rational(1, 2)


def test_the_predicted_size_is_that_of_the_first_correction():
    """T_1 of x^4/4 is -(hbar^2/4) x d_p^3 W: by the grid, at the start."""
    subject, h, t = Subject.of(model()), 0.05, 0.01
    state = GaussianState(a=sp.Rational(1, 10), x0=1, c=sp.Rational(1, 2))
    w = math.sqrt(0.25 + (h / 0.1) ** 2)
    P = np.linspace(-6 * w, 6 * w, 20_001)
    W = np.exp(-((P / w) ** 2))
    third = np.gradient(np.gradient(np.gradient(W, P), P), P)
    exact = h**2 / 4 * np.linalg.norm(third) / np.linalg.norm(W) * t
    found = subject.predicted(1, h, state, t)
    # The largest derivative within one width stands for all of them.
    assert exact < found < 1.2 * exact
    assert subject.predicted(1, h, state, 2 * t) == pytest.approx(2 * found)
    assert subject.predicted(2, h, state, t) == 0.0


def test_distances_and_errors():
    assert distance(np.array([1.0, 2.0]), np.array([1.0, 1.0])) == pytest.approx(1 / math.sqrt(2))
    solution = solved(model(times=(0, 0.1, 2)), tolerance=1e-6).solution
    parts = [solution.diagnostics[n] for n in ("estimated_error", "edge_x", "edge_k", "edge_p", "edge_theta")]
    assert own_error(solution) == pytest.approx(sum(parts)) and all(v > 0 for v in parts)


def test_functions_of_arrays_broadcast():
    f = array_function(x + hbar, (x, p), {hbar: 0.5})
    assert f(np.zeros((3, 1)), np.zeros((1, 2))).shape == (3, 2) and f(np.ones(2), np.ones(2)).tolist() == [1.5, 1.5]
    g = array_function(sp.Integer(2), (x,), {})(np.zeros(3))
    g[0] = 1  # an array of its own, not a view of one number


# The classical flow


def flow(H, time):
    subject = Subject.of(model(H))
    return Flow(subject, subject.numbers(0.1), time)


def test_the_flow_is_hamiltons():
    x0, p0, t = np.array([1.0, -0.5, 0.0]), np.array([0.0, 0.3, 2.0]), 1.7
    one, other = flow(OSCILLATOR, t).move(x0, p0, t, 20)
    assert np.abs(one - (x0 * np.cos(t) + p0 * np.sin(t))).max() < 1e-12
    assert np.abs(other - (p0 * np.cos(t) - x0 * np.sin(t))).max() < 1e-12
    there = flow(QUARTIC, t).move(x0, p0, t, 200)
    back = flow(QUARTIC, t).move(*there, -t, 200)
    assert np.abs(back[0] - x0).max() < 1e-11 and np.abs(back[1] - p0).max() < 1e-11
    assert np.abs(there[1] ** 2 / 2 + there[0] ** 4 / 4 - (p0**2 / 2 + x0**4 / 4)).max() < 1e-11
    assert x0.tolist() == [1.0, -0.5, 0.0]


def test_the_flow_has_order_eight():
    x0, p0 = np.random.default_rng(1).uniform(-1.5, 1.5, (2, 40))
    counts = np.array([8, 10, 12, 16])
    exact = flow(QUARTIC, 3.0).move(x0, p0, 3.0, 300)[0]
    errors = [np.linalg.norm(flow(QUARTIC, 3.0).move(x0, p0, 3.0, n)[0] - exact) for n in counts]
    assert np.polyfit(np.log(counts), np.log(errors), 1)[0] == pytest.approx(-8, abs=0.4)


def test_a_density_is_carried_along():
    grid = np.linspace(-3, 3, 40), np.linspace(-3, 3, 44)
    W = flow(OSCILLATOR, 0.9).transported(lambda x, p: np.exp(-((x - 1) ** 2) - 2 * p**2), grid)
    X, P = np.meshgrid(*grid, indexing="ij")
    back = X * np.cos(0.9) - P * np.sin(0.9), P * np.cos(0.9) + X * np.sin(0.9)
    assert np.abs(W - np.exp(-((back[0] - 1) ** 2) - 2 * back[1] ** 2)).max() < 1e-9


def test_the_mean_position_is_an_integral_over_the_packet():
    state = GaussianState(a=0.5, x0=1, p0="1/3", c=0.4)
    assert flow(OSCILLATOR, 0.8).mean_position(state) == pytest.approx(np.cos(0.8) + np.sin(0.8) / 3, abs=1e-9)
    # <x> of p^2/2 + x^3/3 at short times: -t^2/2 <x^2>.
    t = 1e-2
    exact = 1 + t / 3 - t**2 / 2 * (1 + 0.5**2 / 2)
    assert flow(p**2 / 2 + x**3 / 3, t).mean_position(state) == pytest.approx(exact, abs=2e-6)


def test_a_flow_that_cannot_be_followed_is_said(monkeypatch):
    from qnnsym.errors import SolverError

    monkeypatch.setattr("qnnsym.phase_space.limits.flow.LAST", 12)
    with pytest.raises(SolverError, match=r"classical flow over t = 40 is not accurate to 1e-10 with 12 steps"):
        flow(PENDULUM, 40.0).mean_position(GaussianState(a=0.5, x0=2))
