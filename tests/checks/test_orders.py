"""Fitted orders: exact powers are found, data outside the asymptotic range are refused, NaN never passes."""

import math

import numpy as np
import pytest

from qnnsym.checks.check import FAIL, PASS
from qnnsym.checks.orders import LEAST, STEADY, fit_order, order_check

H = np.array([0.1, 0.05, 0.02, 0.01, 0.005])


@pytest.mark.parametrize("power", (0.0, 0.5, 1.0, 2.0, 8.0, -1.0))
@pytest.mark.parametrize("order", ("falling", "rising", "mixed"))
def test_exact_powers_are_exact(power, order):
    at = {"falling": [0, 1, 2, 3, 4], "rising": [4, 3, 2, 1, 0], "mixed": [2, 0, 4, 1, 3]}[order]
    fit = fit_order(H[at], 3 * H[at] ** power)
    assert fit.slope == pytest.approx(power, abs=1e-12) and fit.uncertainty < 1e-12
    assert len(fit.used) == 5 and sorted(fit.used) == [0, 1, 2, 3, 4] and len(fit.local) == 4
    assert H[at][list(fit.used)] == pytest.approx(H)  # from large to small parameters


def test_the_window_ends_at_the_small_end():
    # Two large parameters are not yet asymptotic.
    h = np.array([0.8, 0.4, 0.1, 0.05, 0.025, 0.0125])
    errors = np.where(h > 0.2, 0.5, h**3)
    fit = fit_order(h, errors)
    assert fit.slope == pytest.approx(3) and fit.used == (2, 3, 4, 5)
    # The same disturbance at the small end leaves nothing that is asymptotic.
    # It is the order of h that decides, not that of the list.
    assert fit_order(h[::-1], errors[::-1]).slope == pytest.approx(3)
    rounding = np.maximum(h**3, 2e-5)
    assert fit_order(h, rounding) is None


def test_slopes_that_still_bend_are_refused():
    assert fit_order(H, H**2 * np.exp(-10 * H) * np.exp(np.log(H) ** 2 / 3)) is None
    bent = H**2 * (1 + 3 * H)
    assert abs(fit_order(H, bent).slope - 2) < 0.15 and np.ptp(fit_order(H, bent).local) < STEADY
    assert fit_order(H, np.exp(-1 / H)) is None


def test_fewer_than_four_points_are_refused():
    assert LEAST == 4
    assert fit_order(H[:3], H[:3] ** 2) is None and fit_order([], []) is None
    assert fit_order(H[:4], H[:4] ** 2).slope == pytest.approx(2)


def test_points_at_the_floor_are_left_out():
    errors = np.maximum(H**4, 1e-8)
    assert fit_order(H, errors) is None
    assert fit_order(H, errors, floor=1e-8) is None  # three points are left
    h = np.append(H, [0.2, 0.3])
    fit = fit_order(h, np.maximum(h**4, 1e-8), floor=1e-8)
    assert fit.slope == pytest.approx(4) and sorted(fit.used) == [0, 1, 2, 5, 6]


def test_errors_of_zero_and_repeated_parameters_are_no_points_of_a_slope():
    assert fit_order(H, [1e-2, 1e-3, 0.0, 0.0, 0.0]) is None
    with np.errstate(all="ignore"):
        assert fit_order([0.1, 0.1, 0.1, 0.1], [1e-2, 1e-3, 1e-4, 1e-5]) is None


def test_noise_shows_in_the_uncertainty():
    rng = np.random.default_rng(3)
    h = np.geomspace(1, 1e-3, 20)
    fit = fit_order(h, h**2 * np.exp(0.01 * rng.normal(size=20)))
    assert abs(fit.slope - 2) < 5 * fit.uncertainty and 1e-4 < fit.uncertainty < 0.01


def check(errors, expected=2.0, **options):
    return order_check("limit", "order of an error", H, errors, expected, "a paper", **options)


@pytest.mark.parametrize(
    "power, verdict", ((2.0, PASS), (2.15, PASS), (1.85, PASS), (2.3, FAIL), (1.7, FAIL), (3.0, FAIL))
)
def test_the_verdict_is_the_slope_against_theory(power, verdict):
    row = check(5 * H**power)
    assert row.verdict == verdict and row.found == pytest.approx(power) and row.tolerance == 0.2
    assert row.detail.startswith(f"5 points, slope {power:.3f} +- 0.000") and "0.005:" in row.detail
    assert check(5 * H**power, tolerance=2.0).verdict == PASS


def test_no_steady_slope_is_a_failure_with_advice():
    row = check(np.exp(-1 / H))
    assert row.verdict == FAIL and row.found == "no steady slope" and "take smaller parameters" in row.detail


def test_errors_below_the_floor_are_zero_not_an_order():
    row = check(np.full(5, 1e-13), floor=1e-12)
    assert row.verdict == PASS and row.found == "identically zero" and "below 1.0e-12" in row.detail
    assert check(np.full(5, 1e-11), floor=1e-12).verdict == FAIL
    # One error above the floor, and it is no zero any more.
    assert check([1e-6, 1e-13, 1e-13, 1e-13, 1e-13], floor=1e-12).verdict == FAIL


@pytest.mark.parametrize("bad", (math.nan, math.inf, -math.inf))
@pytest.mark.parametrize("at", range(5))
def test_an_error_that_is_not_finite_fails_whatever_the_others_say(bad, at):
    errors = 5 * H**2
    errors[at] = bad
    row = check(errors)
    assert row.verdict == FAIL and "not finite" in row.detail
    zeros = np.zeros(5)
    zeros[at] = bad
    assert check(zeros, floor=1e-12).verdict == FAIL


def test_nothing_measured_is_a_failure():
    assert order_check("limit", "order", [], [], 2.0, "a paper").verdict == FAIL


def test_a_list_of_another_length_is_an_error():
    with pytest.raises((ValueError, IndexError)):
        check([1e-2, 1e-3])
