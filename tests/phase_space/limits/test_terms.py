"""The rows of powers of hbar, first corrections and break times; broken physics fails them."""

import pytest
import sympy as sp

from qnnsym.checks.check import Context
from qnnsym.phase_space import GaussianState, classical_limit, limits
from qnnsym.phase_space.classical import confirmation
from tests.phase_space.limits.models import FREE, OSCILLATOR, PENDULUM, hbar, model, space, verdicts

COHERENT = {"coherent": GaussianState(a=sp.sqrt(hbar), x0=1)}


def test_right_powers_pass_and_are_drawn():
    context = Context(model(PENDULUM))
    rows = limits.terms(COHERENT, potentials={"oscillator": OSCILLATOR}, s=(1,)).run(context)
    assert set(verdicts(rows)) == {"pass"} and len(rows) == 8
    assert {row.expected for row in rows if "oscillator" in row.quantity} == {"identically zero", 0.0}
    assert [figure["name"] for figure in context.figures] == ["powers_l2", "powers_sup", "powers_weak"]


def test_a_wrong_factor_of_a_term_fails(monkeypatch):
    """The first correction doubled: its power stays, its coefficient does not."""
    measured = confirmation._Subject._prefactor
    monkeypatch.setattr(confirmation._Subject, "_prefactor", lambda self, s: measured(self, s) * (1 + s))
    rows = limits.terms(COHERENT, s=(1,), measures=("l2",)).run(Context(model(PENDULUM)))
    assert verdicts(rows) == ["pass", "fail"]


def test_slopes_at_a_saddle():
    rows = limits.corrections(hbars=(1e-4, 1e-6, 1e-8)).run(Context(model(PENDULUM)))
    assert verdicts(rows) == ["pass", "pass"]
    assert [row.expected for row in rows] == pytest.approx([0.5, 1.0])
    (row,) = limits.corrections().run(Context(model(OSCILLATOR)))
    assert row.verdict == "not applicable" and "maximum" in row.detail


def test_break_times():
    context = Context(model(PENDULUM))
    (row,) = limits.breaking(hbars=(0.1, 0.08)).run(context)
    assert row.verdict == "pass" and context.figures[0]["name"] == "break_time"
    assert "quadratic" in limits.breaking().applies(model(OSCILLATOR))


def test_a_free_particle_has_no_classical_term_to_compare_with():
    rows = limits.terms(COHERENT).run(Context(model(FREE)))
    assert set(verdicts(rows)) == {"not applicable"} and "T_0 is zero" in rows[0].detail
    assert "T_0 is zero" in str(classical_limit(FREE + 5, COHERENT["coherent"], space))
