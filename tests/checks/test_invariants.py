"""Invariants, measured: drifts and the symplectic form."""

import math

import numpy as np
import pytest

from qnnsym.checks.invariants import drift, symplectic_defect


def test_a_drift_is_the_largest_change_from_the_first_value():
    assert drift([2.0, 2.5, 1.0, 2.0]) == pytest.approx(1 / 2.5)
    assert drift([2.0, 2.5, 1.0], scale=4.0) == pytest.approx(0.25)
    assert drift([-3.0, -3.0]) == 0.0 and drift([0.0, 0.0]) == 0.0 and drift([5.0]) == 0.0


def test_a_drift_away_from_zero_is_not_hidden():
    assert drift([0.0, 1e-9]) == 1.0
    assert drift([0.0, 1e-9], scale=1.0) == pytest.approx(1e-9)


@pytest.mark.parametrize("values", ([1.0, math.nan], [math.nan, 1.0], [1.0, math.inf]))
def test_a_value_that_is_not_finite_is_never_below_a_tolerance(values):
    with np.errstate(invalid="ignore"):
        assert not drift(values) <= 1e300


def rotation(angle):
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def test_hamiltonian_maps_are_symplectic_and_others_are_not():
    assert symplectic_defect(rotation(0.3)) < 1e-15
    assert symplectic_defect(np.eye(6)) == 0
    rng = np.random.default_rng(0)
    m = rng.normal(size=(3, 3))
    shear = np.block([[np.eye(3), m + m.T], [np.zeros((3, 3)), np.eye(3)]])
    assert symplectic_defect(shear) < 1e-14
    # A shear by a matrix that is not symmetric comes from no Hamiltonian.
    wrong = np.block([[np.eye(3), m], [np.zeros((3, 3)), np.eye(3)]])
    assert symplectic_defect(wrong) == pytest.approx(np.abs(m - m.T).max())


def test_the_order_of_the_variables_is_positions_then_momenta():
    """The product of two rotations is symplectic in (q1, q2, p1, p2) and not in (q1, p1, q2, p2)."""
    one, other = rotation(0.4), np.diag([2.0, 0.5])
    pairs = np.block([[one, np.zeros((2, 2))], [np.zeros((2, 2)), other]])
    order = [0, 2, 1, 3]
    assert symplectic_defect(pairs[np.ix_(order, order)]) < 1e-15
    assert symplectic_defect(pairs) > 0.1


def test_growth_is_measured():
    assert symplectic_defect(1.1 * np.eye(2)) == pytest.approx(0.21)
    assert math.isnan(symplectic_defect(np.full((2, 2), np.nan)))
