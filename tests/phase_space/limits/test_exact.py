"""The oscillator and the free particle: rigid rotation and shear, and what breaks them."""

import pytest

from qnnsym.checks.check import FAIL, PASS, Context
from qnnsym.phase_space import limits
from tests.phase_space.limits.models import break_physics, model, plane, verdicts

LIMITS = {"harmonic": limits.harmonic(), "free": limits.free()}


@pytest.mark.parametrize("name", LIMITS)
def test_it_holds_whatever_the_model_is(name):
    context = Context(model())
    assert LIMITS[name].applies(context.model) is None
    (row,) = LIMITS[name].run(context)
    assert row.verdict == PASS and row.found < 1e-11 and row.tolerance == 1e-10 and "hbar = 0.2" in row.detail
    assert [f["kind"] for f in context.figures] == (["wigner"] if name == "harmonic" else [])


@pytest.mark.parametrize(
    "name, broken",
    (
        # One sign alone makes an inverted oscillator, on which W spreads without end.
        ("harmonic", "both flipped"), ("harmonic", "kinetic dropped"), ("harmonic", "potential dropped"),
        ("harmonic", "one part in a thousand"), ("free", "kinetic flipped"), ("free", "kinetic dropped"),
    ),
)  # fmt: skip
def test_broken_physics_fails(monkeypatch, name, broken):
    break_physics(monkeypatch, broken)
    assert verdicts(LIMITS[name].run(Context(model()))) == [FAIL]


def test_a_wrong_sign_of_time_fails(monkeypatch):
    from qnnsym.phase_space.limits import exact

    right = exact.evolve_wigner

    def wrong(H, W, times, **options):
        solution = right(H, W, [-t for t in times], **options)
        solution.times = -solution.times
        return solution

    monkeypatch.setattr(exact, "evolve_wigner", wrong)
    for limit in LIMITS.values():
        assert verdicts(limit.run(Context(model()))) == [FAIL]


@pytest.mark.parametrize("name", LIMITS)
def test_more_degrees_of_freedom_are_not_its_subject(name):
    one = model(plane.p[0] ** 2 + plane.x[1] ** 2, space=plane)
    assert LIMITS[name].applies(one) == "It is formulated for one degree of freedom."
