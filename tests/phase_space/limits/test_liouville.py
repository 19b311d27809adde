"""The classical limit: the orders that theory gives, zeros where Moyal is Poisson, and what breaks them."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.checks.check import FAIL, NOT_APPLICABLE, PASS, Context
from qnnsym.errors import InputError
from qnnsym.phase_space import limits
from qnnsym.phase_space.limits import liouville
from qnnsym.phase_space.limits.subject import Subject
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
    space,
    verdicts,
    x,
)

# Less of the ladder and of the time than in a run: the orders are the same.
LIMIT = limits.classical(hbars=(0.04, 0.025, 0.016, 0.01), time=0.5)


@pytest.fixture(autouse=True)
def no_further(monkeypatch):
    monkeypatch.setattr(liouville, "FURTHER", ())


@pytest.mark.parametrize("H", (QUARTIC, PENDULUM), ids=str)
def test_the_orders_are_those_of_theory(H):
    context = Context(model(H))
    assert LIMIT.applies(context.model) is None
    rows = LIMIT.run(context)
    assert verdicts(rows) == [PASS] * 3 and [r.expected for r in rows] == [2.0, 0.5, 2.0]
    assert all("t = 0.5, from (x, p) = (1, 0)" in r.detail for r in rows)
    panels, order = context.figures
    assert panels["kind"] == "wigner" and [text for text, _ in panels["panels"]] == ["exact, hbar = 0.04", "classical"]
    assert order["kind"] == "order" and len(order["h"]) == 4 and len(order["errors"]) == 3


@pytest.mark.parametrize("H", (OSCILLATOR, FREE, FALLING), ids=str)
def test_for_quadratic_hamiltonians_there_is_no_difference(H):
    rows = LIMIT.run(Context(model(H)))
    assert verdicts(rows) == [PASS] * 3 and all("Moyal = Poisson: identically zero" in r.detail for r in rows)
    assert all(r.found < 1e-9 and r.tolerance == 1e-8 and not r.quantity.startswith("order") for r in rows)


def test_in_a_uniform_field_positions_are_classical_whatever_the_kinetic_energy():
    limit = limits.classical(hbars=(0.05, 0.04, 0.03, 0.02), time=0.5)
    fixed, coherent, mean = limit.run(Context(model(sp.sqrt(1 + p**2) + x)))
    assert (fixed.verdict, coherent.verdict, mean.verdict) == (PASS, PASS, PASS)
    assert fixed.quantity.startswith("order") and "<x> moves classically" in mean.detail and mean.found < 1e-8


@pytest.mark.parametrize(
    "broken, expected",
    (
        ("potential flipped", [FAIL, FAIL, FAIL]),
        ("kinetic dropped", [FAIL, FAIL, FAIL]),
        ("one part in a thousand", [FAIL, PASS, FAIL]),
        ("hbar to the 3/2", [FAIL, FAIL, NOT_APPLICABLE]),
        ("no quantum part", [FAIL, FAIL, NOT_APPLICABLE]),
    ),
)
def test_broken_physics_fails(monkeypatch, broken, expected):
    break_physics(monkeypatch, broken)
    rows = LIMIT.run(Context(model()))
    assert verdicts(rows) == expected
    if broken == "no quantum part":
        assert "it is missing" in rows[0].detail and "Fewer than 4 differences exceed" in rows[2].detail


def test_a_quadratic_hamiltonian_with_broken_physics_fails(monkeypatch):
    break_physics(monkeypatch, "one part in a thousand")
    assert verdicts(LIMIT.run(Context(model(OSCILLATOR)))) == [FAIL] * 3


def test_slopes_that_have_not_settled_are_followed_further_down(monkeypatch):
    """At large hbar the order of <x> is not yet 2; broken physics is followed as well, and still fails."""
    monkeypatch.setattr(liouville, "FURTHER", (2, 3, 4, 6, 8))
    early = limits.classical(hbars=(0.5, 0.4, 0.3, 0.2), time=0.5)
    context = Context(model(PENDULUM))
    assert verdicts(early.run(context)) == [PASS] * 3
    assert context.figures[-1]["h"] == pytest.approx([0.5, 0.4, 0.3, 0.2, *(0.2 / n for n in (2, 3, 4, 6, 8))])
    break_physics(monkeypatch, "hbar to the 3/2")
    assert FAIL in verdicts(early.run(Context(model(PENDULUM))))


def test_in_full_it_goes_further_at_once(monkeypatch):
    monkeypatch.setattr(liouville, "FURTHER", (1.5,))
    context = Context(model(PENDULUM), full=True)
    assert verdicts(LIMIT.run(context)) == [PASS] * 3 and len(context.figures[-1]["h"]) == 5


def test_a_state_too_wide_for_a_grid_leaves_the_others(monkeypatch):
    """Packets of fixed widths may reach far up a wall where coherent ones do not."""
    right = Subject.evolved

    def evolved(self, state, time, hbar, **options):
        if state.c is not None:
            raise InputError("over 1024 per axis")
        return right(self, state, time, hbar, **options)

    monkeypatch.setattr(Subject, "evolved", evolved)
    context = Context(model())
    fixed, coherent, mean = LIMIT.run(context)
    assert fixed.verdict == NOT_APPLICABLE and fixed.detail == "over 1024 per axis"
    assert coherent.verdict == mean.verdict == PASS
    order = context.figures[-1]
    assert np.isnan(order["errors"]["fixed widths"]).all() and np.isfinite(order["errors"]["coherent"]).all()


def test_where_no_grid_holds_any_state_it_says_so():
    rows = limits.classical(time=5.0).run(Context(model(p**2 / 2 - x**4)))
    assert verdicts(rows) == [NOT_APPLICABLE] * 3 and all("escape to infinity" in r.detail for r in rows)


def test_values_of_hbar_that_were_reached_are_used(monkeypatch):
    """The grid of the last hbar is too large: five values are enough."""
    right = Subject.evolved

    def evolved(self, state, time, hbar, **options):
        if hbar < 0.01:
            raise InputError("too large")
        return right(self, state, time, hbar, **options)

    monkeypatch.setattr(Subject, "evolved", evolved)
    rows = limits.classical(hbars=(*LIMIT.hbars, 0.006), time=0.5).run(Context(model()))
    assert verdicts(rows) == [PASS] * 3 and all(r.detail.count("e-") >= 4 for r in rows)


@pytest.mark.parametrize(
    "one, reason",
    (
        (model(plane.p[0] ** 2 + plane.x[1] ** 2, space=plane), "one degree of freedom"),
        (model(p**2 / 2 + hbar * x**4), "H itself depends on hbar"),
        (model(x**2 * p**2), "H = T"),
        (model(p**2 / 2 + x * sp.cos(space.t)), "autonomous"),
    ),
)
def test_it_says_where_it_does_not_apply(one, reason):
    assert reason in LIMIT.applies(one)
