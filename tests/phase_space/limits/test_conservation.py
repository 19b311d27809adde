"""Norm, purity and energy along a run, and what breaks each of them."""

import numpy as np
import pytest
import sympy as sp

from qnnsym.checks.check import FAIL, PASS
from qnnsym.errors import InputError
from qnnsym.phase_space import CatMixture, GaussianState, limits
from qnnsym.solvers.split_flows import SplitPropagator
from tests.phase_space.limits.models import (
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

ALL = limits.conserved()


@pytest.mark.parametrize("H", (QUARTIC, PENDULUM, sp.sqrt(1 + p**2) + x**2 / 2), ids=str)
def test_norm_purity_and_energy_are_kept(H):
    context = solved(model(H))
    rows = ALL.run(context)
    assert verdicts(rows) == [PASS] * 3 and all(row.tolerance == 1e-8 for row in rows)
    assert [row.quantity.rpartition(" ")[2] for row in rows] == ["norm", "purity", "energy"]


@pytest.mark.parametrize("order", (0, 2))
def test_they_are_kept_at_every_truncation(order):
    one = model(PENDULUM, state=GaussianState(a=0.5, x0=1, c=0.5), options={"order": order, "tolerance": 1e-7})
    assert verdicts(ALL.run(solved(one))) == [PASS] * 3


def test_an_energy_of_zero_is_measured_against_what_cancels_in_it():
    """H = (p^2 + x^2)/2 - hbar/2 vanishes for the ground state."""
    one = model(OSCILLATOR - hbar / 2, state=GaussianState(a=sp.sqrt(hbar)))
    context = solved(one)
    assert abs(context.solution.expect["energy"]).max() < 1e-10
    (row,) = limits.conserved("energy").run(context)
    assert row.verdict == PASS
    context.solution.expect["energy"] = context.solution.expect["energy"] + np.linspace(0, 1e-6, 5)
    assert verdicts(limits.conserved("energy").run(context)) == [FAIL]


@pytest.mark.parametrize(
    "broken, quantity",
    (("potential flipped", "energy"), ("kinetic flipped", "energy"), ("kinetic dropped", "energy"),
     ("potential dropped", "energy"), ("one part in a thousand", "energy"), ("V(x, 0) not zero", "norm")),
)  # fmt: skip
def test_broken_physics_fails(monkeypatch, broken, quantity):
    break_physics(monkeypatch, broken)
    (row,) = limits.conserved(quantity).run(solved(model(), method="strang", step=0.02))
    assert row.verdict == FAIL and row.found > 1e-5


def test_a_factor_that_damps_fails(monkeypatch):
    right = SplitPropagator.factor
    monkeypatch.setattr(SplitPropagator, "factor", lambda *a: (1 - 1e-6) * right(*a))
    rows = limits.conserved("purity", "norm").run(solved(model(), method="strang", step=0.02))
    assert verdicts(rows) == [FAIL, FAIL]


def test_a_wrong_hamiltonian_in_the_record_fails():
    context = solved(model())
    context.solution.expect["energy"] = context.solution.expect["negativity"]
    assert verdicts(limits.conserved("energy").run(context)) == [FAIL]


def test_any_recorded_quantity_may_be_named():
    context = solved(model(OSCILLATOR), e_ops={"x": x, "r": x**2 + p**2})
    moved, kept = limits.conserved("x", "r", tolerance=1e-7).run(context)
    assert moved.verdict == FAIL and kept.verdict == PASS and kept.tolerance == 1e-7
    assert context.figures[0]["kind"] == "expectation" and {"x", "r"} <= set(context.figures[0]["curves"])
    with pytest.raises(InputError, match=r"conserved\('y'\) names what was not recorded; use one of .*observe"):
        limits.conserved("y").run(context)


def test_without_states_the_energy_is_its_own_scale():
    context = solved(model(state=CatMixture(a=0.3, b=1)), store_states=False)
    assert verdicts(ALL.run(context)) == [PASS] * 3


def test_it_applies_to_every_hamiltonian():
    assert ALL.applies(model(x**2 * p**2)) is None
    assert ALL.applies(model(plane.p[0] ** 2 + plane.x[1] ** 2, space=plane)) is None
    assert ALL.applies(model()) is None
