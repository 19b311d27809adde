"""Boundary problems: exact solutions, orders at the mesh and in between, jumps of the right-hand side, failures."""

import numpy as np
import pytest
from scipy.optimize import brentq

from qnnsym.checks.orders import fit_order
from qnnsym.errors import SolverError
from qnnsym.solvers.boundary import BoundaryProblem, gauss, solve_boundary


def second_order(force, slope, left=0.0, right=0.0):
    """u'' = force(t, u), u at both ends given."""

    def ends_jacobian(a, b):
        return np.array([[1.0, 0], [0, 0]]), np.array([[0.0, 0], [1, 0]])

    return BoundaryProblem(
        lambda t, u: np.array([u[1], force(t, u[0])]),
        lambda t, u: np.array([[0.0, 1], [slope(t, u[0]), 0]]),
        lambda a, b: np.array([a[0] - left, b[0] - right]),
        ends_jacobian,
    )


def flat(t):
    return np.zeros((len(t), 2))


BRATU = second_order(lambda t, u: -np.exp(u), lambda t, u: -np.exp(u))


def bratu(t):
    """Its lower solution."""
    theta = brentq(lambda s: s - np.sqrt(2) * np.cosh(s / 4), 0.5, 3)
    return -2 * np.log(np.cosh((t - 0.5) * theta / 2) / np.cosh(theta / 4))


@pytest.mark.parametrize("stages", [1, 2, 3, 5, 8])
def test_gauss_collocation_integrates_polynomials(stages):
    c, a, b, d = gauss(stages)
    for power in range(stages):
        np.testing.assert_allclose(a @ c**power, c ** (power + 1) / (power + 1), atol=1e-14)
        share = np.array([0.3, 1.0])
        powers = share[:, None] ** np.arange(1, stages + 1)
        np.testing.assert_allclose(powers @ d @ c**power, share ** (power + 1) / (power + 1), atol=1e-12)
    for power in range(2 * stages):
        assert b @ c**power == pytest.approx(1 / (power + 1), abs=1e-14)


def test_a_nonlinear_problem_is_solved_to_rounding():
    found = solve_boundary(BRATU, [0.0, 1.0], flat, rtol=1e-13, atol=1e-13)
    t = np.linspace(0, 1, 41)
    np.testing.assert_allclose(found(t)[:, 0], bratu(t), atol=3e-14)
    assert 0 < found.error <= 1 and found.newton_steps > 3 and found.points.shape == found.slopes.shape[:2]


@pytest.mark.parametrize("stages", [2, 3])
def test_the_order_is_twice_the_stages_at_the_mesh_and_one_more_in_between(stages):
    h, at_mesh, between = [], [], []
    for count in (3, 4, 6, 8, 11, 16):
        found = solve_boundary(BRATU, [0.0, 1.0], flat, intervals=count, stages=stages, refine=False, rtol=1e-13)
        h.append(1 / count)
        at_mesh.append(np.abs(found.values[:, 0] - bratu(found.mesh)).max())
        t = np.linspace(0, 1, 997)
        between.append(np.abs(found(t)[:, 1] - (bratu(t + 1e-5) - bratu(t - 1e-5)) / 2e-5).max())
    assert fit_order(h, at_mesh).slope == pytest.approx(2 * stages, abs=0.2)
    assert fit_order(h, between, floor=1e-9).slope == pytest.approx(stages + 1, abs=0.4)


def test_a_jump_at_a_break_does_not_matter():
    step = second_order(lambda t, u: 1.0 if t > 0.3 else -2.0, lambda t, u: 0.0, 0.0, 1.0)
    found = solve_boundary(step, [0.0, 0.3, 1.0], flat, rtol=1e-12)
    assert len(found.slopes) == 8  # resolved at once
    u, v = found(np.array([0.3]))[0]
    assert u == pytest.approx(found.values[0, 1] * 0.3 - 0.09, abs=1e-13)
    assert u + v * 0.7 + 0.245 == pytest.approx(1.0, abs=1e-13)


@pytest.mark.filterwarnings("ignore:overflow")
def test_what_has_no_solution_is_said():
    wild = second_order(lambda t, u: -20 * np.exp(u), lambda t, u: -20 * np.exp(u))
    with pytest.raises(SolverError, match="Newton's method does not converge on"):
        solve_boundary(wild, [0.0, 1.0], flat)


def test_a_jump_that_was_not_declared_is_not_resolved_silently():
    step = second_order(lambda t, u: np.sign(np.sin(37 * t)), lambda t, u: 0.0)
    with pytest.raises(SolverError, match=r"is not resolved by .* intervals"):
        solve_boundary(step, [0.0, 1.0], flat, rtol=1e-11, atol=1e-13)
