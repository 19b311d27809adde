"""The orders of the compositions in the time step, zeros where the flows commute, and what breaks them."""

from dataclasses import replace

import pytest
import sympy as sp

from qnnsym.checks.check import FAIL, NOT_APPLICABLE, PASS
from qnnsym.errors import SolverError
from qnnsym.phase_space import GaussianState, limits
from qnnsym.phase_space.limits import splitting
from qnnsym.phase_space.limits.subject import Subject
from qnnsym.solvers.compositions import BLANES_MOAN_4, BLANES_MOAN_6, COMPOSITIONS, STRANG, YOSHIDA_4
from tests.phase_space.limits.models import (
    FALLING,
    FREE,
    OSCILLATOR,
    PENDULUM,
    QUARTIC,
    break_physics,
    hbar,
    model,
    p,
    plane,
    solved,
    verdicts,
    x,
)

LIMIT = limits.splitting_orders()


@pytest.fixture(scope="module")
def coarse():
    one = model(QUARTIC, hbar=0.2, times=(0, 1, 2))
    grid = solved(one, tolerance=1e-9).solution.grid
    return solved(one.changed(options={"grid": grid, "method": "strang", "step": 0.05}))


@pytest.fixture
def rough(monkeypatch, coarse):
    """Larger errors and a given grid: what is wrong need not be measured finely."""
    monkeypatch.setattr(splitting, "LARGEST_ERROR", {2: 1e-2, 4: 1e-3, 6: 1e-4})
    monkeypatch.setattr(splitting, "FURTHER", ())
    monkeypatch.setattr(splitting, "REFINED", 3)
    return coarse


def test_every_composition_has_its_order():
    context = solved(model(hbar=0.2))
    rows = LIMIT.run(context)
    assert verdicts(rows) == [PASS] * 4 and [r.expected for r in rows] == [2.0, 4.0, 4.0, 6.0]
    assert all(c.source == r.source for c, r in zip(COMPOSITIONS.values(), rows, strict=True))
    assert len(context.figures) == 4 and all(f["kind"] == "order" for f in context.figures)


def test_it_has_it_whatever_the_kinetic_energy(monkeypatch):
    only(monkeypatch, STRANG, BLANES_MOAN_6)
    assert verdicts(LIMIT.run(solved(model(sp.cos(p) + x**2 / 2, hbar=0.3, times=(0, 2, 2))))) == [PASS, PASS]


@pytest.mark.parametrize("H", (FREE, FALLING, p + x), ids=str)
def test_where_the_flows_commute_there_is_no_error(H):
    rows = LIMIT.run(solved(model(H)))
    assert verdicts(rows) == [PASS] * 4 and all(r.found == "identically zero" for r in rows)


def only(monkeypatch, *compositions):
    """The limit measures these alone; the solver knows the others as before."""
    monkeypatch.setattr(splitting, "COMPOSITIONS", {c.name: c for c in compositions})


@pytest.mark.parametrize("broken", ("kinetic dropped", "potential dropped"))
def test_no_error_where_there_has_to_be_one_fails(monkeypatch, rough, broken):
    only(monkeypatch, STRANG)
    break_physics(monkeypatch, broken)
    rows = LIMIT.run(rough)
    assert rows[0].verdict == FAIL and rows[0].found == "no difference" and "classical points are off" in rows[0].detail


def test_steps_that_change_nothing_fail(monkeypatch, rough):
    """A solver that takes its own steps, whatever it is told, has no order."""
    only(monkeypatch, STRANG)
    right = splitting.evolve_wigner

    def stubborn(*arguments, **options):
        return right(*arguments, **{**options, "step": 0.01, "method": "strang"})

    monkeypatch.setattr(splitting, "evolve_wigner", stubborn)
    assert LIMIT.run(rough)[0].verdict == FAIL


def wrong(composition, at, by):
    """The composition with one pair of coefficients moved, still a palindrome that sums to one."""
    a = list(composition.a)
    for n, sign in ((at, 1), (-1 - at, 1), (at + 1, -1), (-2 - at, -1)):
        a[n] += sign * by
    return replace(composition, a=tuple(a))


@pytest.mark.parametrize("composition", (YOSHIDA_4, BLANES_MOAN_4, BLANES_MOAN_6), ids=lambda c: c.name)
def test_a_wrong_coefficient_fails(monkeypatch, rough, composition):
    only(monkeypatch, composition)
    monkeypatch.setitem(COMPOSITIONS, composition.name, wrong(composition, 0, 0.01))
    assert verdicts(LIMIT.run(rough)) == [FAIL]


def test_a_composition_of_a_lower_order_fails(monkeypatch, rough):
    only(monkeypatch, BLANES_MOAN_4)
    monkeypatch.setitem(COMPOSITIONS, "blanes_moan4", replace(STRANG, name="blanes_moan4", order=4))
    assert verdicts(LIMIT.run(rough)) == [FAIL]


def test_a_time_too_short_for_the_best_composition_is_said(monkeypatch):
    """At the bottom of a pendulum four steps of the sixth order are better than can be told."""
    one = model(PENDULUM, state=GaussianState(a=sp.sqrt(hbar)), times=(0, 0.6, 2))
    rows = limits.splitting_orders(time=0.6).run(solved(one))
    assert verdicts(rows)[:3] == [PASS] * 3
    assert rows[3].verdict == NOT_APPLICABLE and "4 steps have the error" in rows[3].detail
    only(monkeypatch, BLANES_MOAN_6)
    longer = model(PENDULUM, state=GaussianState(a=sp.sqrt(hbar)), times=(0, 5, 2))
    assert verdicts(LIMIT.run(solved(longer))) == [PASS]


def test_steps_without_end_are_given_up(monkeypatch, rough):
    monkeypatch.setattr(splitting, "MOST_STEPS", 8)
    with pytest.raises(SolverError, match=r"strang needs more than 8 steps to converge; check a shorter time"):
        LIMIT.run(rough)


@pytest.mark.parametrize("H, seen", ((QUARTIC, True), (OSCILLATOR, True), (FREE, False), (FALLING, False)), ids=str)
def test_the_classical_leapfrog_tells_where_an_error_is_due(H, seen):
    error = splitting._leapfrog_error(Subject.of(model(H)), 1.0, 8)
    assert (error > 1e-4) is seen and (seen or error < 1e-12)
    half = splitting._leapfrog_error(Subject.of(model(H)), 1.0, 16)
    assert not seen or error / half == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize(
    "one, reason",
    (
        (model(plane.p[0] ** 2 + plane.x[1] ** 2, space=plane), "one degree of freedom"),
        (model(x**2 * p**2), "H = T"),
        (model(state=None), "no state"),
    ),
)
def test_it_says_where_it_does_not_apply(one, reason):
    assert reason in LIMIT.applies(one) and LIMIT.applies(model()) is None
