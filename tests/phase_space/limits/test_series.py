"""The series in hbar, cut: exact where it ends, else of the next order, and what breaks it."""

import pytest
import sympy as sp

from qnnsym.checks.check import FAIL, NOT_APPLICABLE, PASS, Context
from qnnsym.errors import InputError
from qnnsym.phase_space import limits
from qnnsym.phase_space.limits.series import last_power
from qnnsym.phase_space.limits.subject import Subject
from tests.phase_space.limits.models import (
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

LIMIT = limits.truncated(hbars=(0.05, 0.035, 0.025, 0.0175), time=0.5)
# The second cut takes longer to be visible.
LONGER = limits.truncated(hbars=(0.05, 0.038, 0.029, 0.022), time=1.0)


@pytest.mark.parametrize(
    "H, last",
    (
        (QUARTIC, 2), (p**2 / 2 + x**3, 2), (OSCILLATOR, 0), (FREE, 0), (p**2 + x, 0), (p**6 + x**4, 4),
        (p**2 + x**9, 8), (PENDULUM, None), (sp.sqrt(1 + p**2) + x**2, None),
    ),
    ids=str,
)  # fmt: skip
def test_the_series_ends_with_the_degree(H, last):
    assert last_power(Subject.of(model(H))) == last


def test_a_series_that_ends_is_exact_and_one_that_is_cut_is_of_the_next_order():
    context = Context(model())
    ends, cut = LIMIT.run(context)
    assert ends.verdict == PASS and "degree 4: the series ends at hbar^2; hbar = 0.1" in ends.detail
    assert cut.verdict == PASS and cut.expected == 2.0 and cut.quantity.endswith("cut at hbar^0")
    assert context.figures[0]["kind"] == "order" and list(context.figures[0]["slopes"].values()) == [2.0]


def test_a_series_that_does_not_end_has_the_order_of_every_cut():
    rows = LONGER.run(Context(model(PENDULUM)))
    assert verdicts(rows) == [PASS, PASS] and [r.expected for r in rows] == [2.0, 4.0]


@pytest.mark.parametrize("H", (OSCILLATOR, FREE), ids=str)
def test_for_quadratic_hamiltonians_the_classical_cut_is_exact(H):
    context = Context(model(H))
    (row,) = LIMIT.run(context)
    assert row.verdict == PASS and row.quantity.endswith("cut at hbar^0") and row.found < 1e-10
    assert not context.figures


@pytest.mark.parametrize(
    "H, broken, orders, expected",
    (
        (QUARTIC, "hbar squared doubled", (2,), [FAIL, PASS]),
        (QUARTIC, "no quantum part", (2,), [FAIL, PASS]),
        (QUARTIC, "quantum part flipped", (None,), [FAIL, PASS]),
        (QUARTIC, "hbar to the 3/2", "all", [PASS, FAIL]),
        (QUARTIC, "no quantum part", "all", [PASS, FAIL]),
        (QUARTIC, "potential flipped", (0,), [PASS, FAIL]),
        (QUARTIC, "kinetic dropped", (None,), [FAIL, FAIL]),
        (PENDULUM, "hbar squared doubled", (None,), [PASS, FAIL]),
        (PENDULUM, "quantum part flipped", (2,), [PASS, FAIL]),
        (PENDULUM, "hbar to the 3/2", "all", [FAIL, FAIL]),
        (OSCILLATOR, "one part in a thousand", (0,), [FAIL]),
    ),
    ids=lambda v: str(v)[:30],
)
def test_broken_physics_fails(monkeypatch, H, broken, orders, expected):
    break_physics(monkeypatch, broken, orders)
    limit = LONGER if H == PENDULUM else LIMIT
    assert verdicts(limit.run(Context(model(H)))) == expected


def test_a_grid_that_cannot_be_had_is_said_and_spoils_nothing_else(monkeypatch):
    right, unavailable = Subject.evolved, {0.1}

    def evolved(self, state, time, hbar, **options):
        if hbar in unavailable:
            raise InputError("over 1024 per axis")
        return right(self, state, time, hbar, **options)

    monkeypatch.setattr(Subject, "evolved", evolved)
    rows = LIMIT.run(Context(model(hbar=0.1)))
    assert verdicts(rows) == [NOT_APPLICABLE, PASS] and "over 1024 per axis" in rows[0].detail
    unavailable.add(0.025)
    assert verdicts(LIMIT.run(Context(model(hbar=0.1)))) == [NOT_APPLICABLE, NOT_APPLICABLE]
    unavailable.remove(0.025)
    unavailable.add(0.012)
    five = limits.truncated(hbars=(*LIMIT.hbars, 0.012), time=0.5)
    assert verdicts(five.run(Context(model(hbar=0.1)))) == [NOT_APPLICABLE, PASS]


def test_states_that_escape_are_said():
    rows = limits.truncated(time=5.0).run(Context(model(p**2 / 2 - x**4)))
    assert verdicts(rows) == [NOT_APPLICABLE] * 2 and all("escape to infinity" in r.detail for r in rows)


def test_a_correction_too_small_to_be_seen_is_not_applicable():
    ends, cut = LIMIT.run(Context(model(OSCILLATOR + x**4 / 10**9)))
    assert ends.verdict == PASS and cut.verdict == NOT_APPLICABLE and "too small to be seen" in cut.detail


@pytest.mark.parametrize(
    "one, reason",
    (
        (model(plane.p[0] ** 2 + plane.x[1] ** 2, space=plane), "one degree of freedom"),
        (model(p**2 / 2 + hbar * x**4), "H itself depends on hbar"),
        (model(x**2 * p**2), "H = T"),
    ),
)
def test_it_says_where_it_does_not_apply(one, reason):
    assert reason in LIMIT.applies(one) and LIMIT.applies(model()) is None
    assert space.hbar == hbar
