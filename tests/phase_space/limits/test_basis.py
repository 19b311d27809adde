"""The run against Schrodinger's equation: what is right passes, everything that is wrong fails."""

import pytest
import sympy as sp

from qnnsym.checks.check import FAIL, PASS, Context
from qnnsym.phase_space import CatState, FockState, GaussianState, limits
from tests.phase_space.limits.models import (
    BREAKS,
    OSCILLATOR,
    PENDULUM,
    QUARTIC,
    break_physics,
    hbar,
    model,
    p,
    plane,
    solved,
    space,
    verdicts,
    x,
)

LIMIT = limits.schroedinger(tolerance=1e-6)


@pytest.mark.parametrize(
    "one",
    (
        model(times=(0, 0.6, 3)),
        model(PENDULUM, times=(0.6, 0, 3), hbar=0.2),
        model(state=CatState(a=0.4, b=0.8), hbar=0.2, times=(0, 0.5, 3)),
        model(OSCILLATOR, state=FockState(4), times=(0, 0.5, 2)),
        model(sp.sqrt(1 + p**2) + x**2 / 2, hbar=0.2, times=(0, 0.6, 2)),
    ),
    ids=lambda one: str(one.hamiltonian),
)
def test_the_exact_evolution_passes(one):
    context = solved(one, tolerance=1e-7)
    assert LIMIT.applies(one) is None
    rows = LIMIT.run(context)
    assert verdicts(rows) == [PASS, PASS] and "basis functions, converged to" in rows[0].detail
    assert context.figures[0]["kind"] == "wigner" and len(context.figures[0]["panels"]) >= 2


@pytest.mark.parametrize("broken", [b for b in BREAKS if b not in ("potential dropped", "kinetic flipped")])
def test_broken_physics_fails(monkeypatch, broken):
    one = model(times=(0, 0.5, 2), hbar=0.2)
    grid = solved(one, tolerance=1e-6).solution.grid
    break_physics(monkeypatch, broken)
    assert verdicts(LIMIT.run(solved(one, grid=grid, method="strang", step=0.01))) == [FAIL, FAIL]


def test_classical_evolution_is_no_quantum_evolution():
    """Passed off as exact, Liouville's evolution fails."""
    one = model(times=(0, 0.5, 2), hbar=0.2, state=GaussianState(a=0.5, x0=1, c=0.5))
    grid = solved(one, tolerance=1e-6).solution.grid
    assert verdicts(LIMIT.run(solved(one, order=0, grid=grid))) == [FAIL, FAIL]


def test_without_states_it_makes_a_run_of_its_own():
    one = model(times=(0, 0.6, 5), hbar=0.2, options={"tolerance": 1e-7})
    assert verdicts(LIMIT.run(solved(one, store_states=False))) == [PASS, PASS]
    assert verdicts(LIMIT.run(Context(one))) == [PASS, PASS]


def test_a_basis_that_cannot_tell_fails(monkeypatch):
    monkeypatch.setattr("qnnsym.phase_space.oracle.ROUNDS", 0)
    rows = LIMIT.run(solved(model(times=(0, 0.5, 2), hbar=0.2), tolerance=1e-7))
    assert verdicts(rows) == [FAIL, FAIL] and "the basis is too small to tell" in rows[0].detail


def test_a_run_that_ended_at_once_fails():
    context = solved(model(times=(0, 0.5, 2), hbar=0.2), tolerance=1e-7)
    solution = context.solution
    solution.times, solution.states = solution.times[:1], solution.states[:1]
    assert verdicts(LIMIT.run(context)) == [FAIL, FAIL]


def test_more_times_are_looked_at_in_full():
    context = solved(model(times=(0, 0.4, 9), hbar=0.2), tolerance=1e-7)
    context.full = True
    assert "t = 0.1, 0.2, 0.3, 0.4" in LIMIT.run(context)[0].detail


@pytest.mark.parametrize(
    "one, reason",
    (
        (model(plane.p[0] ** 2 + plane.x[1] ** 2, space=plane), "one degree of freedom"),
        (model(x**2 * p**2), "H = T"),
        (model((1 + sp.sin(space.t) / 2) * p**2 / 2 + x**4), "without time"),
        (model(options={"order": 0}), r"cut at hbar^0, so that Schrodinger's equation does not hold"),
        (model(PENDULUM, options={"order": 2}), "cut at hbar^2"),
        (model(p**2 / 2 + x**6, options={"order": 2}), "cut at hbar^2"),
        (model(p**2 / 2 + hbar * x**4, options={"order": 2}), "cut at hbar^2"),
        (model(state=None), "no state"),
        (model(times=None), "no times"),
    ),
)
def test_it_says_where_it_does_not_apply(one, reason):
    assert reason in LIMIT.applies(one)


def test_a_cut_beyond_the_end_of_the_series_is_no_cut():
    for one in (model(QUARTIC, options={"order": 2}), model(OSCILLATOR, options={"order": 0})):
        assert LIMIT.applies(one) is None
    assert LIMIT.applies(model(options={"order": None})) is None
